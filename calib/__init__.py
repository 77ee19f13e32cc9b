"""Calibration: frames, camera models, sensors, rigs and the files they come from. It knows nothing of augmentation."""

from calib.cameras import BrownConrady, CameraModel, KannalaBrandt, Pinhole
from calib.errors import CalibrationError
from calib.rig import Frame, Rig, validate
from calib.rig_file import load_rig, rig_from_dict, rig_to_dict, save_rig
from calib.sensors import CameraSensor, ImuSensor, LidarSensor, RadarSensor, Sensor, TactileSensor
from calib.trajectory import Trajectory

__all__ = [
    "BrownConrady",
    "CalibrationError",
    "CameraModel",
    "CameraSensor",
    "Frame",
    "ImuSensor",
    "KannalaBrandt",
    "LidarSensor",
    "Pinhole",
    "RadarSensor",
    "Rig",
    "Sensor",
    "TactileSensor",
    "Trajectory",
    "load_rig",
    "rig_from_dict",
    "rig_to_dict",
    "save_rig",
    "validate",
]
