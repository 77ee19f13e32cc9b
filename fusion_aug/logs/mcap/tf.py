"""tf: frames from its messages, and messages from the frames of a rig."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from calib import CalibrationError, Frame, Rig, Trajectory
from calib.se3 import quaternion_from_rotation, same_pose
from fusion_aug.errors import DataError
from fusion_aug.logs.core.robots import WORLD_FRAMES
from fusion_aug.logs.mcap.file import stamp, stamp_of
from fusion_aug.logs.mcap.messages import T_of
from fusion_aug.logs.mcap.times import Stamped, capture_times
from fusion_aug.transforms.temporal.speed import TimeMap

LONG_REST = 500_000_000  # ns without a pose, from which a user is told
APART = 1e-4  # m, and of the entries of a rotation: what tf and a description may differ by


@dataclass
class _Edge:
    """What tf says of a frame: its parent, and its poses with their stamps and log times (ns)."""

    parent: str
    is_static: bool
    times: list[Stamped] = field(default_factory=list)
    poses: list[Tensor] = field(default_factory=list)


def tf_frames(
    transforms: list[tuple[bool, int, Any]], follow_log: bool
) -> tuple[dict[str, Frame], dict[tuple[bool, str], str]]:
    """Return the frames of tf messages: static poses, and trajectories for the others.

    A frame that tf says no one thing of (it changes its parent, or a pose is none) has no pose.

    Args:
        transforms: (static, log time in ns, TFMessage). follow_log: whether stamps are of the clock of the log times.

    Returns:
        the frames, and (static or not, frame) -> why a frame has no pose.
    """
    edges: dict[str, _Edge] = {}
    wrong: dict[tuple[bool, str], str] = {}
    for is_static, log_time, message in transforms:
        for t in message.transforms:
            child, parent = edge_of(t)
            edge = edges.setdefault(child, _Edge(parent, is_static))
            why = ""
            if edge.parent != parent:
                why = f"hangs on {edge.parent!r} and then on {parent!r}, at log time {log_time} ns"
            pose = pose_of(t)
            if pose is None:
                why = f"at log time {log_time} ns its rotation is no quaternion, or its position holds NaN or infinity"
            elif is_static and edge.is_static and edge.poses and not same_pose(edge.poses[-1], pose):
                why = f"its static pose changes at log time {log_time} ns"
            if why:
                wrong.setdefault((is_static, child), f"frame {child!r}: {why}")
            elif pose is not None:
                if edge.is_static and not is_static:  # what moves is known better
                    edge.times.clear()
                    edge.poses.clear()
                    edge.is_static = False
                if is_static == edge.is_static:
                    edge.times.append((stamp_of(t), log_time))
                    edge.poses.append(pose)
    for child in _in_circles({c: e.parent for c, e in edges.items()}):
        wrong.setdefault((edges[child].is_static, child), f"frame {child!r}: its parents form a circle")
    bad = {child for _, child in wrong}
    out: dict[str, Frame] = {}
    for child, edge in edges.items():
        if child in bad or not edge.poses:
            continue
        if edge.is_static:
            out[child] = Frame(parent=edge.parent, pose=edge.poses[-1])
        else:
            when = torch.tensor(capture_times(edge.times, follow_log)[0])
            out[child] = Frame(parent=edge.parent, pose=Trajectory.from_unsorted(when, torch.stack(edge.poses)))
    for name in sorted({e.parent for e in edges.values()} | bad):
        out.setdefault(name, Frame(axis_convention="world" if name in WORLD_FRAMES else "body"))
    return out, wrong


def edge_of(transform: Any) -> tuple[str, str]:
    """Child and parent frame of a transform."""
    return str(transform.child_frame_id).strip("/"), str(transform.header.frame_id).strip("/")


def pose_in(rig: Rig, parent: str, child: str, time: int | None) -> Tensor | None:
    """``T_parent_child`` (4, 4) of a rig at a time (ns); None where it does not tell one."""
    try:
        return rig.T(parent, child, time)
    except CalibrationError:
        return None


def is_apart(a: Tensor, b: Tensor) -> bool:
    """Whether two poses differ by more than what rounding in files makes."""
    return not torch.allclose(a, b, rtol=0, atol=APART)


def pose_of(transform: Any) -> Tensor | None:
    """Pose (4, 4) of a transform; None where it is none, or not finite."""
    try:
        pose = T_of(transform.transform.translation, transform.transform.rotation, "tf")
    except DataError:
        return None
    return pose if bool(pose.isfinite().all()) else None


def _in_circles(parents: dict[str, str]) -> list[str]:
    """Frames that are their own ancestors."""
    found = []
    for name in parents:
        at, seen = parents[name], {name}
        while at in parents and at not in seen:
            seen.add(at)
            at = parents[at]
        if at == name:
            found.append(name)
    return found


def held_at_ends(frames: dict[str, Frame], span: tuple[int, int]) -> tuple[dict[str, Frame], list[str]]:
    """The frames that move, known over all of a recording: before its first and after its last pose each rests there.

    A localisation begins late, and the last readings come after the last pose.

    Args:
        frames: by name. span: first and last time (ns) at which a pose may be asked for.

    Returns:
        the frames, and a sentence for each that rests for longer than ``LONG_REST``.
    """
    out, words = dict(frames), []
    for name, frame in frames.items():
        if not isinstance(frame.pose, Trajectory):
            continue
        times, poses = frame.pose.times, frame.pose.poses
        first, last = int(times[0]), int(times[-1])
        if span[0] < first:
            times, poses = torch.cat([torch.tensor([span[0]]), times]), torch.cat([poses[:1], poses])
        if span[1] > last:
            times, poses = torch.cat([times, torch.tensor([span[1]])]), torch.cat([poses, poses[-1:]])
        if len(times) > len(frame.pose.times):
            pose = Trajectory(times, poses, measured=(times >= first) & (times <= last))
            out[name] = Frame(parent=frame.parent, pose=pose, axis_convention=frame.axis_convention)
        for seconds, when in ((first - span[0], "before"), (span[1] - last, "after")):
            if seconds > LONG_REST:
                words.append(
                    f"tf: nothing is known of {name!r} in {frame.parent!r} for {seconds * 1e-9:.1f} s {when} its "
                    f"{'first' if when == 'before' else 'last'} pose, which is taken there"
                )
    return out, words


@dataclass(frozen=True)
class NewTransforms:
    """What tf messages become.

    Attributes:
        rig, before: of the output and of the source. new_time: old time -> new time, ns.
        follow_log: whether stamps are of the clock of the log times.
    """

    rig: Rig
    before: Rig
    new_time: TimeMap
    follow_log: bool
    _known: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

    def __call__(self, transform: Any, static: bool, log_time: int) -> Any:
        """Return a transform at its new time, with the pose in the rig where the rig has that edge.

        Args:
            transform: a TransformStamped. static: whether it holds at all times. log_time: of the message, ns.
        """
        time = capture_times([(stamp_of(transform), log_time)], self.follow_log)[0][0]
        if not static and stamp_of(transform):
            moved = self.new_time(time) - time + (stamp_of(transform) or 0)
            transform = replace(transform, header=stamp(transform.header, moved))
        child, parent = edge_of(transform)
        frame = self.rig.frames.get(child)
        if frame is None or parent not in self.rig.frames:
            return transform
        times = (None, None) if static else (time, self.new_time(time))
        if frame.parent != parent:
            found = self._pose_between(parent, child, pose_of(transform), *times)
        else:
            found = None if _same_pose(frame, self.before.frames[child]) else self._pose(child, times[1])
        if found is None:
            return transform
        x, y, z, *wxyz = found
        old = transform.transform
        shift = replace(old.translation, x=x, y=y, z=z)
        turn = replace(old.rotation, **dict(zip("wxyz", wxyz, strict=True)))
        return replace(transform, transform=replace(old, translation=shift, rotation=turn))

    def _pose_between(
        self, parent: str, child: str, told: Tensor | None, old: int | None, new: int | None
    ) -> list[float] | None:
        """Position and quaternion of a frame in one that it does not hang on in the rig.

        None where that stays, and where the rig has another pose there than the message (``other_parents``).
        """
        before, after = pose_in(self.before, parent, child, old), pose_in(self.rig, parent, child, new)
        if before is None or after is None or told is None or same_pose(before, after) or is_apart(before, told):
            return None
        return _numbers(after).tolist()

    def _pose(self, child: str, time: int | None) -> list[float]:
        """Position and quaternion (w x y z) of a frame at a new time (ns); known times are worked out at once."""
        pose = self.rig.frames[child].pose
        if isinstance(pose, Trajectory) and time is not None:
            if child not in self._known:
                self._known[child] = (pose.times.numpy(), _numbers(pose.poses))
            times, rows = self._known[child]
            at = int(np.searchsorted(times, time))
            if at < len(times) and times[at] == time:
                return rows[at].tolist()
        return _numbers(self.rig.frames[child].at(time)).tolist()


def _numbers(T: Tensor) -> np.ndarray:
    """Positions and quaternions w x y z (..., 7) of poses (..., 4, 4)."""
    return torch.cat([T[..., :3, 3], quaternion_from_rotation(T[..., :3, :3])], -1).numpy()


def _same_pose(a: Frame, b: Frame) -> bool:
    if isinstance(a.pose, Tensor) and isinstance(b.pose, Tensor):
        return same_pose(a.pose, b.pose)
    return a.pose is b.pose
