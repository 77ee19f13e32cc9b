"""Values of two samples in one frame, so that a cloud that was written in another frame can be compared."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from calib import CalibrationError, Rig
from calib.se3 import invert
from fusion_aug.sample import REF, Sample
from fusion_aug.streams.columns import Column


def _moved_points(values: Tensor, T: Tensor) -> Tensor:
    return _moved_vectors(values, T) + T[..., :3, 3]


def _moved_vectors(values: Tensor, T: Tensor) -> Tensor:
    return (T[..., :3, :3] @ values[..., None])[..., 0]


def _moved_poses(values: Tensor, T: Tensor) -> Tensor:
    return T @ values


# kind of a column -> axes of one value of it, and the rule(values, T (..., 4, 4)) of a change of frame, which keeps
# hands and lengths
MOVES: dict[str, tuple[int, Callable[[Tensor, Tensor], Tensor]]] = {
    "position": (1, _moved_points),
    "polar": (1, _moved_vectors),
    "direction": (1, _moved_vectors),
    "axial": (1, _moved_vectors),
    "specific_force": (1, _moved_vectors),
    "pose": (2, _moved_poses),
}


def moves(column: Column) -> bool:
    """Whether a column is given in the stream's frame, so that its numbers change with the frame."""
    return column.kind in MOVES and not column.in_child_frame


def common_frame(expected: Sample, found: Sample, name: str) -> tuple[str, Tensor, Tensor]:
    """A frame that a stream of two samples can be compared in, and ``T_common_frame`` (n, 4, 4) of its items in both.

    It is the reference frame where both rigs know where the sensor was at every stamp. Between the moments that a rig
    knows, formats hold fewer poses than a pipeline made: there, and in root frames (which poses of the vehicle in the
    world are given in), it is the frame that carries the sensor, at the item's own time.

    Args:
        expected, found: samples that have the stream, with the same number of items. name: of the stream.

    Raises:
        CalibrationError: one of the rigs does not have the stream's frame, or another frame carries it.
    """
    both = (expected, found)
    if not any(s[name].frame in s.rig.frames for s in both):  # the reference frame, or one that no rig knows
        eye = torch.eye(4, dtype=torch.float64).expand(len(expected[name]), 4, 4)
        return expected[name].frame, eye, eye
    if all(knows_every_pose(s, name) for s in both):
        return REF, in_reference(expected, name), in_reference(found, name)
    (frame, T), (other, again) = (carrier(s.rig, s[name].frame) for s in both)
    if frame != other:
        raise CalibrationError(f"frame {expected[name].frame!r} stands on {frame!r}, and in the output on {other!r}")
    return frame, T.expand(len(expected[name]), 4, 4), again.expand(len(expected[name]), 4, 4)


def knows_every_pose(sample: Sample, name: str) -> bool:
    """Whether the rig tells, without interpolation, where a stream's frame was in the reference frame."""
    stream, rig = sample[name], sample.rig
    if stream.frame == REF:
        return True
    above, reference = rig.ancestors(stream.frame), rig.ancestors(sample.ref.frame)
    if len(above) == 1 or above[-1] != reference[-1]:
        return False
    asked = [(f, stream.capture_times) for f in above] + [(f, torch.tensor([sample.ref.time])) for f in reference]
    poses = [(rig.frames[frame].pose, times) for frame, times in asked]
    return all(isinstance(pose, Tensor) or bool(torch.isin(times, pose.times).all()) for pose, times in poses)


def in_reference(sample: Sample, name: str) -> Tensor:
    """``T_ref_frame`` (n, 4, 4) of a stream's frame at each of its items, by the reported calibration."""
    stream, rig, ref = sample[name], sample.rig, sample.ref
    if stream.frame == REF:
        return torch.eye(4, dtype=torch.float64).expand(len(stream), 4, 4)
    root = rig.root_of(ref.frame)
    T_root_ref = rig.T(root, ref.frame, ref.time, ref.time)
    return invert(T_root_ref) @ rig.T_at_times(root, stream.frame, stream.capture_times)


def carrier(rig: Rig, frame: str) -> tuple[str, Tensor]:
    """The nearest frame that moves, or the root, on which a frame stands fast, and ``T_carrier_frame`` (4, 4)."""
    for above in rig.ancestors(frame):
        if rig.frames[above].parent is None or not isinstance(rig.frames[above].pose, Tensor):
            return above, rig.T(above, frame)
    raise CalibrationError(f"frame {frame!r}: has no root")


def moved(values: Tensor, column: Column, T: Tensor) -> Tensor:
    """A column (rows, ...) in another frame, float64.

    Args:
        values: of the column, in the stream's frame. T: (rows, 4, 4), the stream's frame in the other one.
    """
    axes, rule = MOVES[column.kind]
    several = values.ndim - 1 - axes  # axes of several values per row
    return rule(values.detach().cpu().to(torch.float64), T.reshape(len(T), *[1] * several, 4, 4))
