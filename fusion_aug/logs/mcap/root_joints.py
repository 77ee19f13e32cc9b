"""Joints on a frame that a motion of the scene moves: where such a joint stands, only the robot's description says."""

from __future__ import annotations

from calib import JointPose
from fusion_aug.core.compose import leaves
from fusion_aug.core.transform import Transform
from fusion_aug.logs.core.writer import Problem
from fusion_aug.sample import Sample
from fusion_aug.transforms import RotateScene, TranslateScene

REASON = (
    "joint {joint!r} stands on {base!r}, which moves in the world, and where it stands there only the description of "
    "the robot says, which is not part of the log"
)
REMEDY = (
    "put a fixed joint between {base!r} and {link!r} into the description, or leave the transform out "
    "(pipeline=robot has none), or write the folder format (output=folder)"
)


def root_joints(pipeline: Transform, sample: Sample | None) -> list[Problem]:
    """A problem for every turn and shift of the scene where a joint hangs on its reference frame itself.

    A mirror needs none: the mirrored robot has the same description.

    Args:
        pipeline: what will be applied. sample: of the log, None where none can be read.
    """
    steps = [leaf for leaf in leaves(pipeline) if isinstance(leaf, RotateScene | TranslateScene) and leaf.p > 0]
    if sample is None or not steps:
        return []
    base = sample.ref.frame
    on_base = {n: f.pose for n, f in sample.rig.frames.items() if f.parent == base and isinstance(f.pose, JointPose)}
    found = []
    for link, pose in list(on_base.items())[:1]:
        reason = REASON.format(joint=pose.joint.name, base=base)
        remedy = REMEDY.format(base=base, link=link)
        found += [Problem("root joint", type(step).__name__, reason, remedy) for step in steps]
    return found
