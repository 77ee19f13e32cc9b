"""Reported poses of moving frames, as far as reported times ask for them; and reported poses made true again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import torch
from torch import Tensor

from calib import CameraSensor, JointPose, Rig
from calib.se3 import invert, se3, slerp
from calib.sensors import Sensor
from calib.trajectory import MovingPose, Trajectory
from fusion_aug.errors import DataError

BASE = 100_000_000  # ns at an end of a trajectory that tell how it goes on


def reaching(pose: MovingPose, first: int, last: int, title: str) -> MovingPose:
    """A moving pose that is known from ``first`` to ``last`` (ns) at least.

    A trajectory goes on at the speed and turn of its last 0.1 s, a joint stays.

    Raises:
        DataError: how it goes on is not known; ``title`` names it.
    """
    start, end = int(pose.times[0]), int(pose.times[-1])
    if isinstance(pose, JointPose):
        beyond = max(start - first, last - end)
        return pose if beyond <= pose.effective_hold_ns else replace(pose, reach=beyond)
    if start <= first and last <= end:
        return pose
    if not isinstance(pose, Trajectory) or start == end:
        raise DataError(f"{title}: its motion beyond what was recorded is not known; leave out time in kinds")
    times, poses, kept = [pose.times], [pose.poses], [_measured(pose)]
    added = torch.zeros(1, dtype=torch.bool)
    if first < start:
        times.insert(0, torch.tensor([first]))
        poses.insert(0, _beyond(pose, start, min(start + BASE, end), first)[None])
        kept.insert(0, added)
    if last > end:
        times.append(torch.tensor([last]))
        poses.append(_beyond(pose, end, max(end - BASE, start), last)[None])
        kept.append(added)
    return Trajectory(torch.cat(times), torch.cat(poses), torch.cat(kept))


def _measured(pose: Trajectory) -> Tensor:
    return torch.ones(len(pose.times), dtype=torch.bool) if pose.measured is None else pose.measured


def _beyond(pose: Trajectory, end: int, inner: int, time: int) -> Tensor:
    """The pose at a time beyond an end, by the steady motion between an inner time and the end."""
    a, b = pose.at(inner), pose.at(end)
    weight = torch.tensor((time - inner) / (end - inner), dtype=torch.float64)
    return se3(slerp(a[:3, :3], b[:3, :3], weight), a[:3, 3] + weight * (b[:3, 3] - a[:3, 3]))


def moving_frames(rig: Rig) -> list[str]:
    """Frames whose pose depends on time."""
    return [name for name, frame in rig.frames.items() if isinstance(frame.pose, MovingPose)]


def pose_error(rig: Rig, true_rig: Rig, frame: str, time: int) -> Tensor:
    """E (4, 4) of a frame, ``T_parent_frame`` reported = true @ E, at a time."""
    return invert(true_rig.frames[frame].at(time)) @ rig.frames[frame].at(time)


def reports_truth(rig: Rig, true_rig: Rig, frames: Iterable[str]) -> bool:
    """Whether frames are reported where they are; of moving ones at the times that the true rig knows."""
    for name in frames:
        mine, true = rig.frames[name].pose, true_rig.frames[name].pose
        if mine is true:
            continue
        if isinstance(true, MovingPose):
            inside = isinstance(mine, type(true)) and _same_where_known(mine, true)
        else:
            inside = isinstance(mine, Tensor) and torch.equal(mine, torch.as_tensor(true))
        if not inside:
            return False
    return True


def _same_where_known(mine: MovingPose, true: MovingPose) -> bool:
    if isinstance(mine, JointPose) and isinstance(true, JointPose):
        return torch.equal(mine.times, true.times) and torch.equal(mine.readings, true.readings)
    covers = int(mine.times[0]) <= int(true.times[0]) and int(mine.times[-1]) >= int(true.times[-1])
    return covers and torch.equal(mine.T_at_times(true.times), true.known())


def with_true_poses(rig: Rig, true_rig: Rig, frames: Iterable[str]) -> Rig:
    """The reported rig with some frames where they truly are; the true rig itself where that makes them equal."""
    for name in frames:
        pose = true_rig.frames[name].pose
        if pose is not None:
            rig = rig.with_pose(name, pose)
    names = [n for n, f in true_rig.frames.items() if f.parent is not None]
    same = rig.sensors.keys() == true_rig.sensors.keys() and all(
        _same_device(s, true_rig.sensors[n]) for n, s in rig.sensors.items()
    )
    return true_rig if same and reports_truth(rig, true_rig, names) else rig


def _same_device(a: Sensor, b: Sensor) -> bool:
    if isinstance(a, CameraSensor) and isinstance(b, CameraSensor):
        return a.frame == b.frame and a.model is b.model and torch.equal(a.A, b.A)
    return a is b
