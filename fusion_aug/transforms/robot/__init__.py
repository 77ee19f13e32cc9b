"""Robots: their kinematics, their forces."""

from fusion_aug.transforms.robot.kinematics import KinematicNoise, MirrorRobot, ViewpointNoise
from fusion_aug.transforms.robot.noise import ForceNoise, PushDisturbance, SensorBias, TorqueNoise

__all__ = [
    "ForceNoise", "KinematicNoise", "MirrorRobot", "PushDisturbance", "SensorBias", "TorqueNoise", "ViewpointNoise",
]  # fmt: skip
