"""Typed columns: what a number means, and so what a motion of its frame does to it.

This is how a new kind of sensor gets rotation, mirror, scale and resampling right: it declares the kind of each
column, and the rules below do the rest. A kind that is not geometric is never touched by geometry.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from calib.se3 import quaternion_from_rotation, quaternion_product
from fusion_aug.ops.similarity import Motion, drop_single_axis
from fusion_aug.ops.taken import taken

Values = Any  # Tensor, or a NumPy string array for labels


@dataclass(frozen=True)
class Column:
    """One typed column of a stream.

    Attributes:
        name: key in ``Stream.values``.
        kind: which rule it follows (see ``RULES``).
        in_child_frame: given in the child frame instead of the stream's frame (the twist of an ego pose).
        in_world: given in the axes of the world instead of the stream's frame (the attitude of an inertial unit).
        scaled: whether its length grows with the scene.
        width: numbers per row; 0 for a plain number.
        resample: how it is read between two times: linear, cubic, slerp, nearest, strongest (see ``event``), or
            longitude: linear the short way around, in degrees.
        fill: its value for the samples of a batch that do not have it; None where all must have it.
        rate: whether it is a velocity: per second. A change of speed multiplies it.
        per_second: of a covariance, the power of 1/s in what it is the covariance of: 1 of velocities, 2 of
            accelerations. A change of speed multiplies it by that power twice.
        rate_of: the velocity column that it is the time derivative of, for an acceleration.
        of_target: whether it says what a point lies on, so that a return from the air does not have it
            (see ``streams.targets``).
    """

    name: str
    kind: str
    in_child_frame: bool = False
    in_world: bool = False
    scaled: bool = True
    width: int = 0
    resample: str = "linear"
    fill: float | None = None
    rate: bool = False
    per_second: int = 0
    rate_of: str = ""
    of_target: bool = False

    @property
    def follows_speed(self) -> bool:
        """Whether a change of speed changes the values of items that keep their times."""
        return self.rate or self.per_second > 0 or self.kind in ("time", "duration")


def position(name: str) -> Column:
    """A point (n, 3) in the stream's frame, metres."""
    return Column(name, "position", width=3)


def polar(
    name: str, *, scaled: bool = True, in_child_frame: bool = False, rate: bool = False, of_target: bool = False
) -> Column:
    """A vector (n, 3) that a mirror reflects: velocity (``rate=True``), acceleration; ``scaled=False`` for force."""
    return Column(name, "polar", scaled=scaled, in_child_frame=in_child_frame, width=3, rate=rate, of_target=of_target)


def axial(name: str, *, scaled: bool = False, in_child_frame: bool = False, rate: bool = False) -> Column:
    """A pseudo-vector (n, 3): angular velocity (``rate=True``), magnetic field; ``scaled=True`` for torque."""
    return Column(name, "axial", scaled=scaled, in_child_frame=in_child_frame, width=3, rate=rate)


def pose(name: str) -> Column:
    """``T_frame_body`` (n, 4, 4) of a body in the stream's frame."""
    return Column(name, "pose", width=4, resample="slerp")


def rotation(name: str, *, in_world: bool = False) -> Column:
    """Unit quaternions (n, 4), w x y z, of a body in the stream's frame; NaN where it is unknown.

    Args:
        in_world: it is the attitude of the stream's own frame in the world instead.
    """
    return Column(name, "rotation", width=4, resample="slerp", in_world=in_world, fill=float("nan"))


def covariance(
    name: str, width: int, *, scaled: bool = True, in_child_frame: bool = False, in_world: bool = False,
    per_second: int = 0,
) -> Column:  # fmt: skip
    """Covariances (n, width, width) of a vector (width 3), or of a polar vector and an axial one after it (6).

    Where all entries are 0 or the first is negative, the covariance is unknown (ROS's signs for it), and stays.

    Args:
        name: of the column. width: 3 or 6. scaled: whether the (first) vector's length grows with the scene.
        in_child_frame, in_world, per_second: as of ``Column``.
    """
    return Column(
        name, "covariance", width=width, scaled=scaled, in_child_frame=in_child_frame, in_world=in_world,
        per_second=per_second, resample="nearest",
    )  # fmt: skip


def extent(name: str) -> Column:
    """Lengths (n, k) of a body along its own axes, metres: they scale and nothing else."""
    return Column(name, "length", width=3)


def length(name: str, fill: float | None = None) -> Column:
    """A plain length (n,), metres: range, height."""
    return Column(name, "length", fill=fill)


def radial_velocity(name: str) -> Column:
    """Doppler (n,), m/s, positive when receding."""
    return Column(name, "radial", rate=True)


def joint(name: str, *, rate: bool = False, rate_of: str = "") -> Column:
    """One number per joint (n, J), rad or m, or its rate. A mirror of the robot permutes them and changes signs."""
    return Column(name, "joint", rate=rate, rate_of=rate_of, resample="cubic")


def joint_force(name: str) -> Column:
    """Torque or force per joint (n, J), Nm or N. It mirrors like the joint's velocity; of the two torques scale."""
    return Column(name, "joint", scaled=False)


def specific_force(name: str) -> Column:
    """What an accelerometer reads (n, 3), m/s^2: R^T (a - g). Gravity does not scale with the scene."""
    return Column(name, "specific_force", width=3)


def intensity(name: str) -> Column:
    """Strength of a return (n,), in the unit of the sensor's ``intensity_scale``."""
    return Column(name, "plain")


def scalar(name: str, width: int = 0, fill: float | None = None) -> Column:
    """A number that no geometry touches; ``fill`` as of ``Column``."""
    return Column(name, "plain", width=width, fill=fill)


def time_offset(name: str) -> Column:
    """Seconds after the item's stamp (n,)."""
    return Column(name, "time")


def duration(name: str) -> Column:
    """How long something took (n,), s: a scan, the step from ray to ray. A change of speed divides it."""
    return Column(name, "duration")


def categorical(name: str, width: int = 0, fill: int | None = None, *, of_target: bool = True) -> Column:
    """An id, a class, a ring number: never interpolated.

    Args:
        name, width, fill: as of ``Column``.
        of_target: False where it says which part of the sensor measured, as the number of a ring does.
    """
    return Column(name, "plain", width=width, resample="nearest", fill=fill, of_target=of_target)


def event(name: str) -> Column:
    """A number of a point in time, such as a reward or the end of an episode.

    At another rate each event falls into the nearest time, none is lost, and of several the largest counts.
    """
    return Column(name, "plain", resample="strongest")


def label(name: str) -> Column:
    """Text per row, a NumPy string array."""
    return Column(name, "plain", resample="nearest", of_target=True)


def corners(name: str) -> Column:
    """Four image corners (n, 4, 2), pixels on the canvas: image-plane maps move them, scenes only by mirrors."""
    return Column(name, "pixels", width=4)


def _move_position(v: Tensor, frame: Motion | None, body: Motion | None, scaled: bool) -> Tensor:
    return v if frame is None else frame.apply(v)


def _move_polar(v: Tensor, frame: Motion | None, body: Motion | None, scaled: bool) -> Tensor:
    if frame is None:
        return v
    out = frame.rotate(v)
    return out * frame.scale[:, None].to(v) if scaled and not frame.is_rigid else out


def _move_axial(v: Tensor, frame: Motion | None, body: Motion | None, scaled: bool) -> Tensor:
    return v if frame is None else _move_polar(v, frame, body, scaled) * frame.sign[:, None].to(v)


def _move_pose(v: Tensor, frame: Motion | None, body: Motion | None, scaled: bool) -> Tensor:
    v = v if frame is None else drop_single_axis(frame.matrix).to(v) @ v
    return v if body is None else v @ drop_single_axis(body.inverse_matrix).to(v)


def _move_length(v: Tensor, frame: Motion | None, body: Motion | None, scaled: bool) -> Tensor:
    if frame is None or frame.is_rigid:
        return v
    return v * frame.scale.reshape(-1, *[1] * (v.ndim - 1)).to(v)


def _move_curvature(v: Tensor, frame: Motion | None, body: Motion | None, scaled: bool) -> Tensor:
    return v if frame is None or frame.is_rigid else v / frame.scale.to(v)


def _move_rotation(v: Tensor, frame: Motion | None, body: Motion | None, scaled: bool) -> Tensor:
    v = v if frame is None else quaternion_product(_proper(frame).to(v), v)
    return v if body is None else quaternion_product(v, _proper(body).to(v) * v.new_tensor([1.0, -1.0, -1.0, -1.0]))


def _proper(motion: Motion) -> Tensor:
    """Quaternions (n, 4) of a motion; of a mirror, of its rotation after a reversal of all axes."""
    return quaternion_from_rotation(motion.Q * motion.sign[:, None, None])


def _move_covariance(v: Tensor, frame: Motion | None, body: Motion | None, scaled: bool) -> Tensor:
    if frame is None:
        return v
    Q, size = frame.Q.to(v), v.shape[-1]
    first = Q * frame.scale[:, None, None].to(v) if scaled and not frame.is_rigid else Q
    A = first.new_zeros((len(Q), size, size))
    A[:, :3, :3] = first
    if size == 6:
        A[:, 3:, 3:] = Q * frame.sign[:, None, None].to(v)
    return torch.where(is_known_covariance(v)[:, None, None], _sandwich(A, v), v)


def _sandwich(A: Tensor, C: Tensor) -> Tensor:
    """A C A^T; where C holds infinities, an entry of A that is 0 takes nothing of them."""
    if C.is_cpu and bool(torch.isfinite(C).all()):
        return A @ C @ A.transpose(1, 2)
    terms = A[:, :, None, :, None] * A[:, None, :, None, :]  # C'_ij = sum of A_ik A_jl C_kl
    found = torch.where(terms == 0, torch.zeros_like(terms), terms * C[:, None, None])
    return found.sum((-1, -2))


def is_known_covariance(v: Tensor) -> Tensor:
    """(n,) whether covariances (n, k, k) say something: not all 0, nor negative at their first entry."""
    return (v.reshape(len(v), -1) != 0).any(1) & ~(v[:, 0, 0] < 0)


def at_speed(v: Tensor, column: Column, speed: Tensor) -> Tensor:
    """A column (n, ...) where time runs ``speed`` (n,) times as fast; accelerations also need the change of speed."""
    wide = speed.reshape(-1, *[1] * (v.ndim - 1)).to(v)
    if column.rate:
        return v * wide
    if column.kind == "duration":
        return v / wide
    if column.per_second:
        return torch.where(is_known_covariance(v)[:, None, None], v * wide ** (2 * column.per_second), v)
    return v


# kind -> rule(values, motion of the frame per row, motion of the body per row, scaled); None is the identity
RULES: dict[str, Callable[[Tensor, Motion | None, Motion | None, bool], Tensor]] = {
    "position": _move_position,
    "polar": _move_polar,
    "direction": _move_polar,
    "axial": _move_axial,
    "pose": _move_pose,
    "rotation": _move_rotation,
    "covariance": _move_covariance,
    "length": _move_length,
    "radial": _move_length,
    "curvature": _move_curvature,
}
NON_GEOMETRIC = ("plain", "time", "duration", "pixels", "joint")


def take_column_rows(values: Values, index: Tensor) -> Values:
    """Rows of a column by integer or boolean index. All selection of rows goes through this function."""
    if isinstance(values, np.ndarray):
        return values[index.cpu().numpy()]
    return taken(values, index.to(values.device))


def take_rows(values: Mapping[str, Values], index: Tensor) -> dict[str, Values]:
    """Rows of every column by integer or boolean index."""
    return {name: take_column_rows(value, index) for name, value in values.items()}


def concat(parts: list[Values]) -> Values:
    """Columns one after another."""
    return np.concatenate(parts) if isinstance(parts[0], np.ndarray) else torch.cat(parts)
