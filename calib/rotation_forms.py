"""Rotations as logs of robots write them: roll pitch yaw, rotation vectors, quaternions, two columns or rows.

Every form has several numbers for one rotation (both signs of a quaternion, whole turns, the two triples of roll pitch
yaw). What is worked out here stays on the branch of the numbers that it comes from: a curve stays as smooth as it was.

Roll pitch yaw are those of ROS, ``R = Rz(yaw) Ry(pitch) Rx(roll)``: about the fixed axes x, y, z in this order. The six
numbers are those of Zhou et al., On the Continuity of Rotation Representations in Neural Networks, CVPR 2019: the first
two columns of R one after the other (``rotation_6d``); libraries that follow PyTorch3D take its first two rows.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from calib.se3 import as_f64, quaternion_from_rotation, rotation_about, rotation_from_quaternion, rotation_from_rotvec

WIDTHS = {
    "rpy": 3, "axis_angle": 3, "quaternion_xyzw": 4, "quaternion_wxyz": 4, "rotation_6d": 6, "rotation_6d_rows": 6,
}  # fmt: skip
TURN = 2 * math.pi
NEAR = 1e-9  # rad, or entries of a rotation: below, two rotations are the same and an angle has no axis
LOCKED = 1e-6  # cosine of the pitch below which roll and yaw are one angle
# the same rotation seen in a mirror of y, R' = diag(1, -1, 1) R diag(1, -1, 1): signs of its numbers
MIRRORED = {
    "rpy": (-1, 1, -1), "axis_angle": (-1, 1, -1), "quaternion_xyzw": (-1, 1, -1, 1), "quaternion_wxyz": (1, -1, 1, -1),
    "rotation_6d": (1, -1, 1, -1, 1, -1), "rotation_6d_rows": (1, -1, 1, -1, 1, -1),
}  # fmt: skip


def rotation_from_form(form: str, numbers: Tensor) -> Tensor:
    """Rotation matrices (..., 3, 3) float64 of numbers (..., k) in a form of ``WIDTHS``; angles in radians.

    Quaternions are normalized and the two columns or rows made orthonormal (Gram-Schmidt, the first one keeps its way).
    """
    v = as_f64(numbers)
    if form == "rpy":
        roll, pitch, yaw = v.unbind(-1)
        return rotation_about("z", yaw) @ rotation_about("y", pitch) @ rotation_about("x", roll)
    if form == "axis_angle":
        return rotation_from_rotvec(v)
    if form.startswith("quaternion"):
        return rotation_from_quaternion(_wxyz(form, v))
    first = v[..., :3] / torch.linalg.norm(v[..., :3], dim=-1, keepdim=True)
    second = v[..., 3:] - (first * v[..., 3:]).sum(-1, keepdim=True) * first
    second = second / torch.linalg.norm(second, dim=-1, keepdim=True)
    axis = -1 if form == "rotation_6d" else -2
    return torch.stack([first, second, torch.linalg.cross(first, second)], axis)


def form_from_rotation(form: str, rotation: Tensor, like: Tensor) -> Tensor:
    """Numbers (n, k) float64 of rotations (n, 3, 3), on the branch nearest to the numbers ``like`` (n, k)."""
    like = as_f64(like)
    if form == "rpy":
        return _nearest_rpy(rotation, like)
    if form == "rotation_6d":
        return torch.cat([rotation[..., 0], rotation[..., 1]], -1)
    if form == "rotation_6d_rows":
        return torch.cat([rotation[..., 0, :], rotation[..., 1, :]], -1)
    q = quaternion_from_rotation(rotation)
    if form == "axis_angle":
        return _vector_of(_signed(q, _quaternion_of(like)), like)
    return _ordered(form, _signed(q, _wxyz(form, like)))


def moved_form(form: str, numbers: Tensor, before: Tensor, after: Tensor, mirrored: Tensor) -> Tensor:
    """Numbers (n, k) of ``before D R D after^T`` for the rotations R of ``numbers``; D mirrors y where ``mirrored``.

    Where ``before`` and ``after`` are the identity only signs change, and no bit besides.

    Args:
        form: of ``WIDTHS``. numbers: (n, k), on any device. before, after: (n, 3, 3) rotations. mirrored: (n,) bool.

    Returns:
        (n, k) float64. A curve of ``numbers`` that is continuous stays so: quaternions and rotation vectors are
        multiplied as quaternions, roll pitch yaw are those nearest to the old ones.
    """
    v = as_f64(numbers)
    before, after, mirrored = (x.to(v.device) for x in (before, after, mirrored))
    signs = zip(v.unbind(-1), MIRRORED[form], strict=True)
    seen = torch.where(mirrored[:, None], torch.stack([number * sign for number, sign in signs], -1), v)
    eye = torch.eye(3, dtype=torch.float64, device=v.device)
    stays = ((before == eye) & (after == eye)).flatten(1).all(1)
    if v.is_cpu and not torch.compiler.is_compiling() and bool(stays.all()):
        return seen
    return torch.where(stays[:, None], seen, _turned(form, seen, before, after))


def _turned(form: str, v: Tensor, before: Tensor, after: Tensor) -> Tensor:
    """Numbers of ``before R after^T``."""
    if form == "axis_angle":
        turned = _vector_of(_product(_product(quaternion_from_rotation(before), _quaternion_of(v)),
                                     _conjugate(quaternion_from_rotation(after))), v)  # fmt: skip
        # the same turn of both sides turns the axis, at whatever angle it is
        alike = ((before - after).abs() <= NEAR).flatten(1).all(1)
        return torch.where(alike[:, None], (before @ v[..., None])[..., 0], turned)
    if form.startswith("quaternion"):
        q = _product(quaternion_from_rotation(before), _wxyz(form, v))
        return _ordered(form, _product(q, _conjugate(quaternion_from_rotation(after))))
    rotation = before @ rotation_from_form(form, v) @ after.transpose(-1, -2)
    if form != "rpy":
        return form_from_rotation(form, rotation, v)
    # a turn about z alone is added to the yaw, beyond half a turn too
    heading = torch.atan2(before[:, 1, 0], before[:, 0, 0]).detach()
    return _nearest_rpy(rotation, torch.stack([v[:, 0], v[:, 1], v[:, 2] + heading], -1))


def _nearest_rpy(R: Tensor, like: Tensor) -> Tensor:
    flat = torch.hypot(R[..., 0, 0], R[..., 1, 0])
    pitch = torch.atan2(-R[..., 2, 0], flat)
    roll, yaw = torch.atan2(R[..., 2, 1], R[..., 2, 2]), torch.atan2(R[..., 1, 0], R[..., 0, 0])
    # where the pitch is upright, the roll is that of ``like`` and the yaw what is left
    level = R @ rotation_about("x", like[..., 0]).transpose(-1, -2)
    locked = flat < LOCKED
    roll = torch.where(locked, like[..., 0], roll)
    yaw = torch.where(locked, torch.atan2(-level[..., 0, 1], level[..., 1, 1]), yaw)
    found = torch.stack([roll, pitch, yaw], -1)
    other = torch.stack([roll + math.pi, math.pi - pitch, yaw + math.pi], -1)
    found, other = (c + TURN * ((like - c) / TURN).round().detach() for c in (found, other))
    farther = (other - like).abs().sum(-1) < (found - like).abs().sum(-1)
    return torch.where((farther & ~locked)[..., None], other, found)


def _wxyz(form: str, v: Tensor) -> Tensor:
    return v if form == "quaternion_wxyz" else torch.cat([v[..., 3:], v[..., :3]], -1)


def _ordered(form: str, wxyz: Tensor) -> Tensor:
    return wxyz if form == "quaternion_wxyz" else torch.cat([wxyz[..., 1:], wxyz[..., :1]], -1)


def _signed(q: Tensor, like: Tensor) -> Tensor:
    return torch.where((q * like).sum(-1, keepdim=True) < 0, -q, q)


def _product(a: Tensor, b: Tensor) -> Tensor:
    """Hamilton's product of quaternions w x y z."""
    u, v = a[..., 1:], b[..., 1:]
    w = a[..., :1] * b[..., :1] - (u * v).sum(-1, keepdim=True)
    return torch.cat([w, a[..., :1] * v + b[..., :1] * u + torch.linalg.cross(*torch.broadcast_tensors(u, v))], -1)


def _conjugate(q: Tensor) -> Tensor:
    return torch.cat([q[..., :1], -q[..., 1:]], -1)


def _quaternion_of(vector: Tensor) -> Tensor:
    """The quaternion w x y z at half the angle of a rotation vector, whatever that is: its sign tells the branch."""
    angle = torch.linalg.norm(vector, dim=-1, keepdim=True)
    small = angle < NEAR
    share = torch.where(small, torch.full_like(angle, 0.5), torch.sin(angle / 2) / torch.where(small, 1.0, angle))
    return torch.cat([torch.cos(angle / 2), share * vector], -1)


def _vector_of(q: Tensor, like: Tensor) -> Tensor:
    """The rotation vector of a quaternion w x y z, with as many whole turns as ``like`` has."""
    q = q / torch.linalg.norm(q, dim=-1, keepdim=True)
    turns = torch.floor(torch.linalg.norm(like, dim=-1, keepdim=True) / TURN).detach()
    q = torch.where(turns % 2 == 1, -q, q)  # of an odd number of turns ``_quaternion_of`` gives the other sign
    size = torch.linalg.norm(q[..., 1:], dim=-1, keepdim=True)
    angle = 2 * torch.atan2(size, q[..., :1])  # 0 to a whole turn
    small = size < NEAR
    axis = q[..., 1:] / torch.where(small, 1.0, size)
    known = torch.linalg.norm(like, dim=-1, keepdim=True) > NEAR
    own = torch.where(known, like / torch.where(known, torch.linalg.norm(like, dim=-1, keepdim=True), 1.0), 0.0)
    whole = torch.where(q[..., :1] < 0, TURN, 0.0) + TURN * turns  # nearly no turn, or nearly a whole one
    near = torch.where(whole > 0, whole * own, 2 * q[..., 1:])
    return torch.where(small, near, (angle + TURN * turns) * axis)
