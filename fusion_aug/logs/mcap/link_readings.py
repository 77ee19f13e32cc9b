"""Links that follow the readings of joints, as a reader of what is written finds them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from calib import JointPose, Rig
from calib.replacing import replace_unchecked
from fusion_aug.streams import JointState


def rig_from_readings(rig: Rig, joints: Sequence[JointState], standalone: bool) -> Rig:
    """Return the rig whose links follow the readings of a topic of joints, as a reader would find them.

    Args:
        rig: of the sample. joints: the streams of the topic, whose dropped readings do not count.
        standalone: whether the readings before and after the stream, from neighbouring windows, are lost.
    """
    joints = [s for s in joints if "position" in s.values and len(s)]
    for name, frame in rig.frames.items():
        pose = frame.pose
        mine = [s for s in joints if isinstance(pose, JointPose) and pose.joint.name in s.names]
        if isinstance(pose, JointPose) and mine:
            first, last = min(int(s.capture_times[0]) for s in mine), max(int(s.capture_times[-1]) for s in mine)
            before, after = pose.times < first, pose.times > last
            before, after = before & (not standalone), after & (not standalone)
            times, readings = _readings_left(mine, pose.joint.name)
            readings = readings.to(pose.readings)
            at = torch.cat([pose.times[before], times, pose.times[after]])
            if len(at):
                all_readings = torch.cat([pose.readings[before], readings, pose.readings[after]])
                rig = rig.with_pose(name, replace_unchecked(pose, times=at, readings=all_readings, reach=None))
    return rig


def _readings_left(streams: Sequence[JointState], joint: str) -> tuple[Tensor, Tensor]:
    """Times (k,) ns, increasing, and readings (k,) of a joint that are in messages."""
    times, order = torch.cat([s.capture_times[s.present] for s in streams]).sort(stable=True)
    values = torch.cat([s["position"][s.present, s.names.index(joint)] for s in streams])[order]
    new = torch.cat([times.new_ones(min(1, len(times)), dtype=torch.bool), times.diff() > 0])  # a late one is repeated
    return times[new], values[new]
