"""Values of two samples in one frame, so that a cloud that was written in another frame can be compared."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from calib import CalibrationError
from calib.se3 import invert
from fusion_aug.sample import REF, Sample
from fusion_aug.streams.columns import Column


def _moved_points(values: Tensor, T: Tensor) -> Tensor:
    return _moved_vectors(values, T) + T[:, :3, 3]


def _moved_vectors(values: Tensor, T: Tensor) -> Tensor:
    return (T[:, :3, :3] @ values[..., None])[..., 0]


def _moved_poses(values: Tensor, T: Tensor) -> Tensor:
    return T @ values


# kind of a column -> rule(values (rows, ...), T (rows, 4, 4)) of a change of frame, which keeps hands and lengths
MOVES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "position": _moved_points,
    "polar": _moved_vectors,
    "axial": _moved_vectors,
    "specific_force": _moved_vectors,
    "pose": _moved_poses,
}


def moves(column: Column) -> bool:
    """Whether a column is given in the stream's frame, so that its numbers change with the frame."""
    return column.kind in MOVES and not column.in_child_frame


def placement(sample: Sample, name: str) -> Tensor:
    """``T_ref_frame`` (n, 4, 4) of a stream's frame at each of its items, by the reported calibration.

    A stream that is given in a root frame, such as the vehicle's poses in the world, stays where it is: the reference
    frame is found through what it says.

    Raises:
        CalibrationError: the rig does not say where the frame was, as at the ends of a log with a clock that is off.
    """
    stream, rig, ref = sample[name], sample.rig, sample.ref
    if stream.frame == REF or len(stream) == 0 or rig.root_of(stream.frame) == stream.frame:
        return torch.eye(4, dtype=torch.float64).expand(len(stream), 4, 4)
    root = rig.root_of(ref.frame)
    T_root_ref = rig.T(root, ref.frame, ref.time, ref.time)
    return invert(T_root_ref) @ rig.T_at_times(root, stream.frame, stream.capture_times)


def where_placed(sample: Sample, name: str) -> tuple[Tensor | None, str]:
    """What ``placement`` returns, or None and why there is none."""
    try:
        return placement(sample, name), ""
    except CalibrationError as error:
        return None, str(error)


def in_reference_frame(values: Tensor, column: Column, T: Tensor) -> Tensor:
    """A column (rows, ...) in the reference frame, float64.

    Args:
        values: of the column, in the stream's frame. T: (rows, 4, 4) ``T_ref_frame``.
    """
    return MOVES[column.kind](values.detach().cpu().to(torch.float64), T)
