"""Rigid transforms: 4x4 float64 torch matrices, column vectors, ``T_a_b`` maps a point in frame b to frame a.

Quaternions are w x y z. Everything is differentiable and takes leading batch dimensions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from calib.errors import CalibrationError
from calib.se3_arrays import determinants, normalized, product, rotations

AXES = {"x": 0, "y": 1, "z": 2}
# by which numbers of the same pose may differ, in metres and in entries of a rotation; the last bits of products of
# poses on one vehicle are 1e-15, and what lies 1 km away moves by a micrometre
SAME = 1e-9
_EYE, _LAST_ROW = np.eye(3), np.array([0.0, 0, 0, 1])


def as_f64(value: Any) -> Tensor:
    """A float64 tensor of anything array-like; a tensor keeps its device and its gradient."""
    if isinstance(value, Tensor):
        return value.to(torch.float64)
    if isinstance(value, float | int):
        return torch.tensor(value, dtype=torch.float64)
    return torch.from_numpy(np.array(value, dtype=np.float64))


def rotation_about(axis: str, angle: float | Tensor) -> Tensor:
    """Rotation matrix (..., 3, 3) by ``angle`` radians, right-handed, about ``axis`` ("x", "y" or "z")."""
    if not isinstance(angle, Tensor):
        c, s = math.cos(angle), math.sin(angle)
        return torch.tensor({"x": [[1, 0, 0], [0, c, -s], [0, s, c]], "y": [[c, 0, s], [0, 1, 0], [-s, 0, c]],
                             "z": [[c, -s, 0], [s, c, 0], [0, 0, 1]]}[axis], dtype=torch.float64)  # fmt: skip
    turn = as_f64(angle)
    cos, sin, o, one = torch.cos(turn), torch.sin(turn), torch.zeros_like(turn), torch.ones_like(turn)
    rows = {
        "x": (one, o, o, o, cos, -sin, o, sin, cos),
        "y": (cos, o, sin, o, one, o, -sin, o, cos),
        "z": (cos, -sin, o, sin, cos, o, o, o, one),
    }[axis]
    return torch.stack(rows, -1).reshape(*turn.shape, 3, 3)


def rotation_from_rotvec(rotvec: Tensor | Sequence[float]) -> Tensor:
    """Rotation matrix (..., 3, 3) of a rotation vector (..., 3) in radians (Rodrigues)."""
    rotation: Tensor = torch.linalg.matrix_exp(skew(as_f64(rotvec)))
    return rotation


def skew(v: Tensor) -> Tensor:
    """Cross-product matrix (..., 3, 3) of a vector (..., 3): ``skew(a) @ b == cross(a, b)``."""
    x, y, z = v.unbind(-1)
    o = torch.zeros_like(x)
    return torch.stack([o, -z, y, z, o, -x, -y, x, o], -1).reshape(*v.shape[:-1], 3, 3)


def rotation_from_quaternion(wxyz: Tensor | Sequence[float] | np.ndarray[Any, Any]) -> Tensor:
    """Rotation matrix (..., 3, 3) of quaternions (..., 4) in w x y z order; they are normalized first."""
    q = as_f64(wxyz)
    if not q.is_cpu or q.requires_grad:
        w, x, y, z = q.unbind(-1)
        found: Tensor = rotations(q / torch.sqrt(w * w + x * x + y * y + z * z)[..., None])
        return found
    return torch.from_numpy(rotations(normalized(q.numpy())))  # of few, NumPy takes a third of the time


def unit_quaternions(wxyz: Any, tolerance: float = 1e-2) -> Tensor:
    """Quaternions (..., 4) in w x y z order, as they are given.

    Raises:
        CalibrationError: the length of one differs from 1 by more than ``tolerance``; which, and its length.
    """
    q = as_f64(wxyz)
    lengths = torch.linalg.norm(q, dim=-1).reshape(-1)
    for k in torch.nonzero(~((lengths - 1).abs() <= tolerance))[:1, 0].tolist():
        which = "the quaternion (w x y z)" if len(lengths) == 1 else f"quaternion {k} (w x y z)"
        length = float(lengths[k])
        raise CalibrationError(f"{which} {'is all zeros' if length == 0 else f'has length {length:.3g}, not 1'}")
    return q


def quaternion_from_rotation(rotation: Tensor) -> Tensor:
    """Unit quaternions (..., 4), w x y z with w >= 0, of rotation matrices (..., 3, 3) (Shepperd's method)."""
    m = as_f64(rotation)
    trace = m[..., 0, 0] + m[..., 1, 1] + m[..., 2, 2]
    diagonal = torch.stack([trace, m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]], -1)
    best = diagonal.argmax(-1)
    a, b, c = m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]
    d, e, f = m[..., 1, 0] + m[..., 0, 1], m[..., 0, 2] + m[..., 2, 0], m[..., 2, 1] + m[..., 1, 2]
    p = 1 + 2 * diagonal[..., 1:] - trace[..., None]
    choices = torch.stack(
        [
            torch.stack([1 + trace, a, b, c], -1),
            torch.stack([a, p[..., 0], d, e], -1),
            torch.stack([b, d, p[..., 1], f], -1),
            torch.stack([c, e, f, p[..., 2]], -1),
        ],
        -2,
    )
    q = torch.gather(choices, -2, best[..., None, None].expand(*best.shape, 1, 4))[..., 0, :]
    q = q / torch.linalg.norm(q, dim=-1, keepdim=True)
    # of half a turn w is 0 up to the last bits, and their sign says nothing: there the next component decides
    decides = (q.abs() > SAME).to(torch.int8).argmax(-1, keepdim=True)
    return torch.where(torch.gather(q, -1, decides) < 0, -q, q)


def se3(rotation: Tensor | None = None, translation: Tensor | Sequence[float] | None = None) -> Tensor:
    """4x4 matrix (..., 4, 4) from a rotation (..., 3, 3) and a translation (..., 3); either may be left out."""
    r = None if rotation is None else as_f64(rotation)
    t = None if translation is None else as_f64(translation)
    batches = {tuple(x.shape[:-n]) for x, n in ((r, 2), (t, 1)) if x is not None}
    out = torch.eye(4, dtype=torch.float64)
    if any(batches):
        out = out.repeat(*(np.broadcast_shapes(*batches) if len(batches) > 1 else batches.pop()), 1, 1)
    if r is not None:
        out[..., :3, :3] = r
    if t is not None:
        out[..., :3, 3] = t
    return out


def invert(transform: Tensor) -> Tensor:
    """Inverse (..., 4, 4) of rigid transforms."""
    if transform.is_cpu and not transform.requires_grad and transform.dtype == torch.float64:
        T = transform.numpy()
        back = T.copy()
        back[..., :3, :3] = T[..., :3, :3].swapaxes(-1, -2)
        back[..., :3, 3:] = -product(back[..., :3, :3], T[..., :3, 3:])
        return torch.from_numpy(back)
    r = transform[..., :3, :3].transpose(-1, -2)
    out = transform.clone()
    out[..., :3, :3] = r
    out[..., :3, 3] = -(r @ transform[..., :3, 3:])[..., 0]
    return out


def same_pose(a: Tensor, b: Tensor) -> bool:
    """Whether two transforms (4, 4) differ by no more than ``SAME`` in any entry."""
    return float((a.detach() - b.detach()).abs().max()) <= SAME


def transform_points(transform: Tensor, points: Tensor) -> Tensor:
    """Points (..., n, 3) mapped by matrices (..., 4, 4), in the points' own dtype."""
    t = transform.to(points.dtype)
    return points @ t[..., :3, :3].transpose(-1, -2) + t[..., None, :3, 3]


def upright(transform: Tensor) -> Tensor:
    """The pose (4, 4) with roll and pitch removed: the same origin and heading, its z axis along the world's z.

    It is taken as given: no gradient passes.
    """
    (xx, _, _, x), (yx, _, _, y), (_, _, _, z), _ = transform.tolist()
    length = math.hypot(xx, yx)
    c, s = xx / length, yx / length
    return torch.tensor([[c, -s, 0, x], [s, c, 0, y], [0, 0, 1, z], [0, 0, 0, 1]], dtype=torch.float64)


def rotation_angle(rotation: Tensor) -> Tensor:
    """Angle (...) in radians of rotation matrices (..., 3, 3), accurate for small angles too."""
    axis = torch.stack(
        [
            rotation[..., 2, 1] - rotation[..., 1, 2],
            rotation[..., 0, 2] - rotation[..., 2, 0],
            rotation[..., 1, 0] - rotation[..., 0, 1],
        ],
        -1,
    )
    trace = rotation[..., 0, 0] + rotation[..., 1, 1] + rotation[..., 2, 2]
    return torch.atan2(torch.linalg.norm(axis, dim=-1), trace - 1)


def check_se3(transform: Tensor, what: str, tolerance: float = 1e-5) -> Tensor:
    """Return ``transform`` if it is a rigid transform, else raise naming ``what``.

    Args:
        transform: 4x4 matrix.
        what: file and field, for the message.
        tolerance: largest allowed entry of ``R R^T - I``.

    Raises:
        CalibrationError: not 4x4, not finite, not orthonormal, mirrored, or a last row other than 0 0 0 1.
    """
    if tuple(transform.shape[-2:]) != (4, 4):
        raise CalibrationError(f"{what}: expected a 4x4 matrix, got shape {tuple(transform.shape)}")
    T = transform.detach().cpu().numpy()
    if not np.isfinite(T).all():
        raise CalibrationError(f"{what}: the transform holds NaN or infinity")
    r = T[..., :3, :3]
    off = float(np.abs(r @ r.swapaxes(-1, -2) - _EYE).max())
    if off > tolerance:
        raise CalibrationError(f"{what}: the rotation is not orthonormal (R R^T differs from I by {off:.2g})")
    if float(determinants(r).min()) < 0:
        raise CalibrationError(f"{what}: the rotation has determinant -1: a mirror is not a rigid transform")
    if float(np.abs(T[..., 3, :] - _LAST_ROW).max()) > SAME:
        raise CalibrationError(f"{what}: the last row is not 0 0 0 1")
    return transform


def slerp(a: Tensor, b: Tensor, weight: Tensor) -> Tensor:
    """Spherical interpolation between rotations (..., 3, 3); ``weight`` 0 gives a, 1 gives b."""
    qa, qb = quaternion_from_rotation(a), quaternion_from_rotation(b)
    return rotation_from_quaternion(slerp_quaternions(qa, qb, weight))


def slerp_quaternions(qa: Tensor, qb: Tensor, weight: Tensor) -> Tensor:
    """Spherical interpolation between unit quaternions (..., 4) the short way; the sign is that of ``qa``."""
    dot = (qa * qb).sum(-1, keepdim=True)
    qb, dot = torch.where(dot < 0, -qb, qb), dot.abs().clamp(max=1.0)
    theta = torch.arccos(dot)
    sin = torch.sin(theta)
    w = weight[..., None]
    near = sin < 1e-9
    safe = torch.where(near, torch.ones_like(sin), sin)
    wa = torch.where(near, 1 - w, torch.sin((1 - w) * theta) / safe)
    wb = torch.where(near, w, torch.sin(w * theta) / safe)
    return wa * qa + wb * qb


def quaternion_product(a: Tensor, b: Tensor) -> Tensor:
    """The rotation b and then a, as quaternions (..., 4) in w x y z order."""
    (aw, ax, ay, az), (bw, bx, by, bz) = a.unbind(-1), b.unbind(-1)
    parts = (
        aw * bw - ax * bx - ay * by - az * bz,
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
    )
    return torch.stack(parts, -1)
