"""What cannot be done to single readings, and what to do instead."""

from __future__ import annotations

from fusion_aug.sim.step_rules import refuse_steps
from fusion_aug.streams.families import Scene
from fusion_aug.transforms.camera.blur import EgoMotionBlur
from fusion_aug.transforms.faults.frozen import FrozenCamera
from fusion_aug.transforms.modality import ModalityDropout
from fusion_aug.transforms.robot.contact import PushDisturbance
from fusion_aug.transforms.robot.kinematics import KinematicNoise
from fusion_aug.transforms.temporal import RateChange, RollingShutter, TemporalCrop, TemporalMask
from fusion_aug.transforms.temporal.speed import WarpTransform

MOTION = "it looks ahead, since it needs the camera's motion around the picture; augment the recorded log with it"
GAP = "its gap begins at a share of the episode, whose end is not known"

for transform, reason in {
    EgoMotionBlur: MOTION,
    FrozenCamera: "it shows other pictures of the episode; delay or drop pictures in the wrapper",
    PushDisturbance: "it begins at a share of the episode, whose end is not known; push the hand in the world",
    RateChange: "it looks ahead, since signals are interpolated; set the sensor's rate in the wrapper",
    RollingShutter: MOTION,
    Scene: "it moves the whole scene; mirror observations and actions together with fusion_aug.sim.mirror",
    TemporalCrop: "it cuts a part out of a whole episode; crop the recorded log",
    TemporalMask: f"{GAP}; drop pictures or delay readings in the wrapper",
    WarpTransform: "it looks ahead, since readings are interpolated at times that have not come; warp the recorded log",
}.items():
    refuse_steps(transform, reason)
refuse_steps(
    KinematicNoise,
    "mode: a simulated robot obeys its own model; report errors with mode: belief, and draw true ones in the world",
    when=lambda noise: noise.mode != "belief",
)
refuse_steps(ModalityDropout, f"span: {GAP}; leave span out", when=lambda dropout: dropout.span is not None)
refuse_steps(
    ModalityDropout,
    "mode: observations have a fixed shape; use mode: mask",
    when=lambda dropout: dropout.mode != "mask",
)
