"""Robots: their kinematics, their forces, their touch."""

from fusion_aug.transforms.robot import kinematic_rules  # noqa: F401  (registers what it does to streams)
from fusion_aug.transforms.robot.contact import ForceNoise, PushDisturbance
from fusion_aug.transforms.robot.kinematics import KinematicNoise, MirrorRobot, ViewpointNoise
from fusion_aug.transforms.robot.noise import SensorBias, TorqueNoise

__all__ = [
    "ForceNoise", "KinematicNoise", "MirrorRobot", "PushDisturbance", "SensorBias",
    "TorqueNoise", "ViewpointNoise",
]  # fmt: skip
