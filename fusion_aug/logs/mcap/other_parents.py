"""Frames that tf hangs elsewhere than the description of the robot or the rig file does."""

from __future__ import annotations

from calib import Rig
from fusion_aug.logs.mcap.file import stamp_of
from fusion_aug.logs.mcap.gathering import Gathered
from fusion_aug.logs.mcap.tf import edge_of, is_apart, pose_in, pose_of
from fusion_aug.logs.mcap.times import capture_times


def other_parents(found: Gathered, rig: Rig) -> list[str]:
    """A sentence for every frame that tf hangs elsewhere than the rig does, with another pose there.

    Args:
        found: what was read; of the transforms of a frame the first counts at whose time the rig tells its pose.
        rig: of the sample.
    """
    understood = [t for t in found.edges if found.topics[t].unread is None]  # of others it is told why they are not
    edges = {edge for topic in understood for edge in found.edges[topic]}
    open_ = {(c, p) for c, p in edges if c in rig.frames and rig.frames[c].parent not in (None, p)}
    wrong = {(c, p) for c, p in open_ if p not in rig.frames or rig.root_of(p) != rig.root_of(c)}
    open_ -= wrong
    for is_static, log_time, message in found.transforms if open_ else ():
        for t in message.transforms:
            child, parent = edge_of(t)
            told = pose_of(t)
            if (child, parent) not in open_ or told is None:
                continue
            time = None if is_static else capture_times([(stamp_of(t), log_time)], found.follow_log)[0][0]
            pose = pose_in(rig, parent, child, time)
            if pose is None:
                continue
            open_.remove((child, parent))
            if is_apart(pose, told):
                wrong.add((child, parent))
    return [
        f"tf: hangs {child!r} on {parent!r}, and the description of the robot or the rig file on "
        f"{rig.frames[child].parent!r}, where it has another pose: that counts, and these transforms stay as they are; "
        f"make them agree"
        for child, parent in sorted(wrong)
    ]
