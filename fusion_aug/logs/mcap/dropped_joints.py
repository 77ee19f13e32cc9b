"""Joint readings that a pipeline may drop: the links of the robot have no poses without them."""

from __future__ import annotations

from calib import JointPose
from fusion_aug.core.compose import leaves
from fusion_aug.core.transform import Transform
from fusion_aug.logs.core.writer import Problem
from fusion_aug.sample import Sample
from fusion_aug.sample.sensors import is_selected
from fusion_aug.streams import JointState
from fusion_aug.transforms.modality.dropout import ModalityDropout

REASON = "the links of the robot follow the messages of {name!r}, and a recording without them cannot be read"
REMEDY = "name it in keep, or write the folder format (output=folder)"


def dropped_joints(transform: Transform, sample: Sample | None) -> list[Problem]:
    """A problem for every stream whose readings move links and which a sensor dropout may take away as a whole."""
    if sample is None:
        return []
    poses = [f.pose for f in sample.rig.frames.values()]
    moving = {p.joint.name for p in poses if isinstance(p, JointPose) and p.joint.is_rotary}
    streams = {n: s for n, s in sample.of_type(JointState).items() if moving & set(s.names)}
    found = []
    for leaf in leaves(transform):
        if isinstance(leaf, ModalityDropout) and leaf.p > 0 and leaf.span is None:
            for name, stream in streams.items():
                if is_selected(stream, name, leaf.sensors) and not is_selected(stream, name, leaf.keep):
                    reason = REASON.format(name=name)
                    found.append(Problem("dropped_joints", "ModalityDropout.keep", reason, REMEDY))
    return found
