"""tf: frames from its messages, and messages from the frames of a rig."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from calib import Frame, Rig, Trajectory
from calib.se3 import same_pose
from fusion_aug.errors import DataError
from fusion_aug.logs.core.robots import WORLD_FRAMES
from fusion_aug.logs.mcap.file import message_times, stamp, stamp_of
from fusion_aug.logs.mcap.messages import T_of
from fusion_aug.logs.mcap.writing import pose_parts


def tf_frames(transforms: list[tuple[bool, int, Any]], where: str) -> dict[str, Frame]:
    """Return the frames of tf messages: static poses, and trajectories for the others.

    Args:
        transforms: (static, log time in ns, TFMessage).
        where: the file, for messages.

    Raises:
        DataError: a frame changes its parent, a pose is not one, or parents form a circle.
    """
    static: dict[str, tuple[str, Any]] = {}
    moving: dict[str, tuple[str, list[tuple[int | None, int]], list[Any]]] = {}
    parents: dict[str, str] = {}
    for is_static, log_time, message in transforms:
        for t in message.transforms:
            parent, child = str(t.header.frame_id).strip("/"), str(t.child_frame_id).strip("/")
            if parents.setdefault(child, parent) != parent:
                raise DataError(
                    f"{where}: tf: frame {child!r}: hangs on {parents[child]!r} and then on {parent!r}, "
                    f"which is not supported"
                )
            pose = T_of(t.transform.translation, t.transform.rotation, f"{where}: tf: frame {child!r}")
            if is_static:
                static[child] = (parent, pose)
                continue
            _, times, poses = moving.setdefault(child, (parent, [], []))
            times.append((stamp_of(t), log_time))
            poses.append(pose)
    out: dict[str, Frame] = {}
    for child, (above, pose) in static.items():
        out[child] = Frame(parent=above, pose=pose)
    for child, (above, times, poses) in moving.items():
        when = torch.tensor(message_times(times))
        out[child] = Frame(parent=above, pose=Trajectory.from_unsorted(when, torch.stack(poses)))
    for parent in sorted({f.parent for f in out.values() if f.parent is not None} - set(out)):
        out[parent] = Frame(axis_convention="world" if parent in WORLD_FRAMES else "body")
    for name in out:
        seen = {name}
        at: str | None = out[name].parent
        while at is not None:
            if at in seen:
                raise DataError(f"{where}: tf: frame {name!r}: its parents form a circle")
            seen.add(at)
            at = out[at].parent
    return out


TimeMap = Callable[[int], int]


def transform_from_rig(transform: Any, rig: Rig, before: Rig, static: bool, new_time: TimeMap) -> Any:
    """Return a tf transform at its new time, with the pose in the rig where the rig has that edge."""
    if not static and stamp_of(transform):
        transform = replace(transform, header=stamp(transform.header, new_time(stamp_of(transform) or 0)))
    child, parent = str(transform.child_frame_id).strip("/"), str(transform.header.frame_id).strip("/")
    frame = rig.frames.get(child)
    if frame is None or frame.parent != parent or _same_pose(frame, before.frames[child]):
        return transform
    time = transform.header.stamp.sec * 1_000_000_000 + transform.header.stamp.nanosec
    pose: Tensor = frame.at(None if static else time)
    point, quaternion = pose_parts(pose)
    old = transform.transform
    shift = replace(old.translation, x=point.x, y=point.y, z=point.z)
    return replace(transform, transform=replace(old, translation=shift, rotation=quaternion))


def _same_pose(a: Frame, b: Frame) -> bool:
    if isinstance(a.pose, Tensor) and isinstance(b.pose, Tensor):
        return same_pose(a.pose, b.pose)
    return a.pose is b.pose
