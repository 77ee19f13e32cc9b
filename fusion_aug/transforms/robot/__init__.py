"""Robots: their kinematics, their forces, their touch."""

from fusion_aug.transforms.robot import (  # noqa: F401  (register what they do to streams)
    kinematic_rules,
    on_device,
    on_device_mounts,
)
from fusion_aug.transforms.robot.contact import ForceNoise, PushDisturbance
from fusion_aug.transforms.robot.kinematics import KinematicNoise, MirrorRobot, ViewpointNoise
from fusion_aug.transforms.robot.noise import SensorBias, TorqueNoise

__all__ = [
    "ForceNoise", "KinematicNoise", "MirrorRobot", "PushDisturbance", "SensorBias",
    "TorqueNoise", "ViewpointNoise",
]  # fmt: skip
