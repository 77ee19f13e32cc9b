"""Robots: their kinematics, their forces, their touch."""

from fusion_aug.transforms.robot import kinematic_rules  # noqa: F401  (registers what it does to streams)
from fusion_aug.transforms.robot.contact import ForceNoise, PushDisturbance
from fusion_aug.transforms.robot.kinematics import KinematicNoise, MirrorRobot, ViewpointNoise
from fusion_aug.transforms.robot.noise import SensorBias, TorqueNoise
from fusion_aug.transforms.robot.tactile import GelBackground, GelLights, TactileNoise
from fusion_aug.transforms.robot.tactile_shift import TactileShift
from fusion_aug.transforms.robot.taxels import TaxelCrosstalk, TaxelDropout, TaxelGain

__all__ = [
    "ForceNoise", "GelBackground", "GelLights", "KinematicNoise", "MirrorRobot", "PushDisturbance", "SensorBias",
    "TactileNoise", "TactileShift", "TaxelCrosstalk", "TaxelDropout", "TaxelGain", "TorqueNoise", "ViewpointNoise",
]  # fmt: skip
