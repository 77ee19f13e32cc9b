"""Calibration: frames, cameras, sensors, rigs, robots and the files they come from. Nothing of augmentation."""

from calib.cameras import BrownConrady, CameraModel, KannalaBrandt, Pinhole, UnknownLens
from calib.errors import CalibrationError
from calib.gel import GelModel
from calib.joints import Joint, JointPose
from calib.kinematics import Robot
from calib.rig import Frame, Inertia, Rig
from calib.rig_file import load_rig, rig_from_dict, rig_to_dict, save_rig
from calib.sensors import (
    CameraSensor,
    ImuSensor,
    LidarSensor,
    RadarSensor,
    Sensor,
    TactileSensor,
    TaxelSensor,
    WrenchSensor,
)
from calib.trajectory import MovingPose, Trajectory
from calib.urdf import load_urdf, robot_from_urdf
from calib.validation import validate

__all__ = [
    "BrownConrady",
    "CalibrationError",
    "CameraModel",
    "CameraSensor",
    "Frame",
    "GelModel",
    "ImuSensor",
    "Inertia",
    "Joint",
    "JointPose",
    "KannalaBrandt",
    "LidarSensor",
    "MovingPose",
    "Pinhole",
    "RadarSensor",
    "Rig",
    "Robot",
    "Sensor",
    "TactileSensor",
    "TaxelSensor",
    "Trajectory",
    "UnknownLens",
    "WrenchSensor",
    "load_rig",
    "load_urdf",
    "rig_from_dict",
    "rig_to_dict",
    "robot_from_urdf",
    "save_rig",
    "validate",
]
