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

from fusion_aug.ops.similarity import Motion, drop_single_axis

Values = Any  # Tensor, or a NumPy string array for labels


@dataclass(frozen=True)
class Column:
    """One typed column of a stream.

    Attributes:
        name: key in ``Stream.values``.
        kind: which rule it follows (see ``RULES``).
        in_child_frame: given in the child frame instead of the stream's frame (the twist of an ego pose).
        scaled: whether its length grows with the scene.
        width: numbers per row; 0 for a plain number.
        resample: how it is read between two times: linear, cubic, slerp, nearest, or strongest (see ``event``).
        fill: its value for the samples of a batch that do not have it; None where all must have it.
        rate: whether it is a velocity: per second. A change of speed multiplies it.
        rate_of: the velocity column that it is the time derivative of, for an acceleration.
        of_target: whether it says what a point lies on, so that a return from the air does not have it
            (see ``streams.targets``).
    """

    name: str
    kind: str
    in_child_frame: bool = False
    scaled: bool = True
    width: int = 0
    resample: str = "linear"
    fill: float | None = None
    rate: bool = False
    rate_of: str = ""
    of_target: bool = False


def position(name: str) -> Column:
    """A point (n, 3) in the stream's frame, metres."""
    return Column(name, "position", width=3)


def polar(
    name: str, *, scaled: bool = True, in_child_frame: bool = False, rate: bool = False, of_target: bool = False
) -> Column:
    """A vector (n, 3) that a mirror reflects: velocity (``rate=True``), acceleration; ``scaled=False`` for force."""
    return Column(name, "polar", scaled=scaled, in_child_frame=in_child_frame, width=3, rate=rate, of_target=of_target)


def axial(name: str, *, in_child_frame: bool = False, rate: bool = False) -> Column:
    """A pseudo-vector (n, 3): angular velocity (``rate=True``), torque, magnetic field. Its length does not scale."""
    return Column(name, "axial", scaled=False, in_child_frame=in_child_frame, width=3, rate=rate)


def pose(name: str) -> Column:
    """``T_frame_body`` (n, 4, 4) of a body in the stream's frame."""
    return Column(name, "pose", width=4, resample="slerp")


def extent(name: str) -> Column:
    """Lengths (n, k) of a body along its own axes, metres: they scale and nothing else."""
    return Column(name, "length", width=3)


def length(name: str, fill: float | None = None) -> Column:
    """A plain length (n,), metres: range, height."""
    return Column(name, "length", fill=fill)


def radial_velocity(name: str) -> Column:
    """Doppler (n,), m/s, positive when receding."""
    return Column(name, "length", rate=True)


def joint(name: str, *, rate: bool = False, rate_of: str = "") -> Column:
    """One number per joint (n, J), rad or m, or its rate. A mirror of the robot permutes them and changes signs."""
    return Column(name, "joint", rate=rate, rate_of=rate_of, resample="cubic")


def joint_force(name: str) -> Column:
    """Torque or force per joint (n, J), Nm or N. It mirrors like the joint's velocity."""
    return Column(name, "joint", scaled=False)


def specific_force(name: str) -> Column:
    """What an accelerometer reads (n, 3), m/s^2: R^T (a - g). Gravity does not scale with the scene."""
    return Column(name, "specific_force", width=3)


def intensity(name: str) -> Column:
    """Strength of a return (n,), in the unit of the sensor's ``intensity_scale``."""
    return Column(name, "plain")


def scalar(name: str, width: int = 0) -> Column:
    """A number that no geometry touches."""
    return Column(name, "plain", width=width)


def time_offset(name: str) -> Column:
    """Seconds after the item's stamp (n,)."""
    return Column(name, "time")


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
    return v if frame is None else frame.rotate(v) * frame.sign[:, None].to(v)


def _move_pose(v: Tensor, frame: Motion | None, body: Motion | None, scaled: bool) -> Tensor:
    v = v if frame is None else drop_single_axis(frame.matrix).to(v) @ v
    return v if body is None else v @ drop_single_axis(body.inverse_matrix).to(v)


def _move_length(v: Tensor, frame: Motion | None, body: Motion | None, scaled: bool) -> Tensor:
    if frame is None or frame.is_rigid:
        return v
    return v * frame.scale.reshape(-1, *[1] * (v.ndim - 1)).to(v)


# kind -> rule(values, motion of the frame per row, motion of the body per row, scaled); None is the identity
RULES: dict[str, Callable[[Tensor, Motion | None, Motion | None, bool], Tensor]] = {
    "position": _move_position,
    "polar": _move_polar,
    "axial": _move_axial,
    "pose": _move_pose,
    "length": _move_length,
}
NON_GEOMETRIC = ("plain", "time", "pixels", "joint")


def take_column_rows(values: Values, index: Tensor) -> Values:
    """Rows of a column by integer or boolean index. All selection of rows goes through this function."""
    if isinstance(values, np.ndarray):
        return values[index.cpu().numpy()]
    index = index.to(values.device)
    return values[index] if index.dtype == torch.bool else values.index_select(0, index)


def take_rows(values: Mapping[str, Values], index: Tensor) -> dict[str, Values]:
    """Rows of every column by integer or boolean index."""
    return {name: take_column_rows(value, index) for name, value in values.items()}


def concat(parts: list[Values]) -> Values:
    """Columns one after another."""
    return np.concatenate(parts) if isinstance(parts[0], np.ndarray) else torch.cat(parts)
