"""The parameter table: at least one setting of every transform, and what the settings stand for.

``test_every_transform_has_a_case`` fails where a transform has no entry here.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fusion_aug.core.registry import own_transforms
from fusion_aug.streams.families import Photometric
from fusion_aug.transforms import pixel_op


def speckle(picture: np.ndarray) -> np.ndarray:
    """What a library of pixel operations does: it draws from NumPy's global state."""
    return np.clip(picture * np.random.uniform(0.8, 1.2, (1, 1, 3)), 0, 255).astype(np.uint8)  # noqa: NPY002


pixel_op(speckle)

CASES: dict[str, list[dict[str, Any]]] = {
    "Brightness": [{"factor": [0.6, 0.9]}, {"factor": 1.4, "scope": "sensor"}],
    "BeamDropout": [{"share": [0.1, 0.4]}],
    "BoxPointDropout": [{"share": [0.3, 0.8], "boxes": 0.5}],
    "BoxPointJitter": [{"sigma": 0.05, "categories": ["car"]}],
    "DopplerFolding": [{"max_doppler": [1, 3]}, {}],
    "IntensityGain": [{"gain": [0.5, 2], "gamma": [0.8, 1.2]}],
    "RadarClutter": [{"rate": [0, 10]}],
    "RadarGhosts": [{"share": 0.5}],
    "RadarMissed": [{"share": 0.3, "min_rcs": [-10, 0]}],
    "RadarNoise": [{"range": [0, 1], "azimuth": 1, "doppler": 1}],
    "RcsNoise": [{"sigma": [0, 3], "bias": [-3, 3]}],
    "RingResample": [{"beams": 16}, {"elevations_deg": [-20.0, -10.0, 0.0], "columns": 200}],
    "ShufflePoints": [{}],
    "VoxelSubsample": [{"size": [0.5, 3]}],
    "AutoContrast": [{"cut": [0, 0.02]}],
    "ChromaticAberration": [{"red": [-0.01, 0.01], "blue": [-0.01, 0.01]}],
    "Clahe": [{"limit": [1, 4], "tiles": 4}],
    "ColorTemperature": [{"kelvin": [4500, 9000]}],
    "DefocusBlur": [{"radius": [0, 2.5]}],
    "EgoMotionBlur": [{"exposure": [0.001, 0.02]}],
    "Equalize": [{"strength": [0, 0.5]}],
    "Exposure": [{"stops": [-1, 1], "full_well": {"distribution": "log_uniform", "low": 2000, "high": 20000}}],
    "GaussianBlur": [{"sigma": [0, 1.5]}, {"sigma": 0.7, "scope": "sensor"}],
    "JpegCompression": [{"quality": [30, 95]}],
    "MotionBlur": [{"length": [0, 5]}],
    "PixelOp": [{"op": "speckle", "cameras": ["CAM_*"]}],
    "Posterize": [{"bits": [4, 8]}],
    "Shadow": [{"darkness": [0.2, 0.6]}],
    "Sharpness": [{"amount": [0, 1]}],
    "Solarize": [{"threshold": [0.5, 1]}],
    "Vignetting": [{"loss": [0, 0.6]}],
    "WhiteBalance": [{"red": [0.8, 1.25], "blue": [0.8, 1.25]}],
    "Contrast": [{"factor": [0.6, 1.4]}],
    "Crop": [{"size": (40, 50), "x": [0, 1], "y": 0.25}, {"size": (60, 80)}],
    "FlipImage": [{"axis": "x"}, {"axis": "y"}],
    "Gamma": [{"gamma": {"distribution": "log_uniform", "low": 0.7, "high": 1.4}}],
    "GaussianNoise": [{"sigma": 0.05}, {"sigma": [0.01, 0.1], "scope": "sensor"}],
    "Banding": [{"depth": 0.4}],
    "BlackCamera": [{"each": 0.5}, {"cameras": ["CAM_LEFT"], "scope": "sample"}],
    "DeadPixels": [{"dead": 5000, "stuck": [0, 3000]}],
    "DroppedPackets": [{"share": [0.1, 0.4], "packet_deg": 10}],
    "FrozenCamera": [{"age": [0.1, 0.5]}],
    "GpsJump": [{"distance": [1, 10]}],
    "ImuSaturation": [{"accel": [0.3, 0.8], "gyro_deg": 30}],
    "IncompleteEcho": [{"share": 0.7, "reflectivity": [0.2, 1.0]}],
    "LensDirt": [{"spots": [3, 8]}],
    "LensScratches": [{}],
    "LidarCrosstalk": [{"share": [0.0, 0.2]}],
    "Overexposure": [{"stops": [0, 3]}],
    "RadarInterference": [{"noise_rise": [0, 20], "rate": 5}],
    "ReducedView": [{"view_deg": [60, 180], "centre_deg": 20}],
    "ScanMotionBlur": [{"shift": 0.05, "tilt_deg": 0.5}],
    "Dust": [{"dust_mor": [50, 200]}],
    "Fog": [{"mor": [30, 200], "report": True}, {"visual_range": 60, "patchiness": 0.7, "scope": "sample"}],
    "Night": [{"illuminance": [0.5, 50]}],
    "Rain": [{"rain_rate": [5, 50], "wind": [0, 8], "lens_drops": [0, 9]}],
    "Snow": [{"snow_rate": [0.5, 3], "snow_cover": 0.5}, {"snow_rate": 2, "wet_snow": True, "auto_gain": True}],
    "Spray": [{"water_film": [0.5, 1.2]}],
    "SunGlare": [{"sun": 80000.0}],
    "Weather": [{}, {"mor": 80, "rain_rate": 10, "illuminance": 3.0, "sun": 2e4, "snow_cover": 0.3}],
    "WetRoad": [{"water_film": [0.2, 1.0]}],
    "Hue": [{"angle_deg": [-30, 30]}],
    "MirrorScene": [{"axis": "y"}, {"axis": "x"}],
    "Miscalibrate": [{"sensors": ["CAM*", "lidar"], "x_deg": [-1, 1], "z_deg": 0.5, "y": [-0.05, 0.05]}],
    "Pad": [{"left": 3, "top": 5, "right": 2}],
    "PerspectiveImage": [{"strength": 0.06, "scope": "sensor"}],
    "PointDropout": [{"share": [0.1, 0.5]}],
    "RangeCrop": [{"low": 3, "high": 30}],
    "RangeJitter": [{"sigma": 0.05}],
    "Resize": [{"size": (36, 70)}],
    "ResizeCrop": [
        {"size": (40, 56), "scale": [0.7, 1.2], "x": [0, 1], "y": [0, 1]},
        {"scale": 1.3, "scope": "sensor"},
    ],
    "RotateImage": [{"angle_deg": [-15, 15]}],
    "RotateScene": [
        {"yaw_deg": [-180, 180]},
        {"yaw_deg": {"distribution": "normal", "mean": 0, "std": 20}, "pitch_deg": [-5, 5], "roll_deg": 3},
    ],
    "Saturation": [{"factor": [0.2, 1.8]}],
    "ScaleScene": [{"scale": [0.8, 1.25]}],
    "Viewpoint": [
        {"x_deg": [-2, 2], "y_deg": [-4, 4], "z_deg": [-3, 3]},
        {"sensors": ["CAM_LEFT", "FISHEYE", "lidar", "radar", "imu"], "y_deg": 2.0, "scope": "sample"},
    ],
    "TranslateScene": [{"x": [-2, 2], "y": 1.0, "z": [-0.2, 0.2]}],
    "ClockOffset": [{"offset": [-0.02, 0.02], "sensors": ["CAM*", "imu"]}],
    "Deskew": [{}, {"mode": "compensate", "scope": "scene"}],
    "DropFrames": [{"share": 0.5}],
    "Jitter": [{"sigma": 0.01}],
    "Latency": [{"delay": [0, 0.1], "sensors": ["CAM*"]}, {"delay": 0.05, "scope": "sample"}],
    "RateChange": [{"rate": 100}],
    "RollingShutter": [{"readout": [0.005, 0.03], "cameras": ["CAM_*", "WRIST"]}],
    "SpeedWarp": [{"speed": [0.7, 1.4]}],
    "TemporalMask": [{"seconds": 0.02}],
    "TimeWarp": [{"period": [0.1, 0.3]}, {"slowest": 0.8, "fastest": 1.1, "waves": 3}],
    "MirrorRobot": [{}],
    "ForceNoise": [{"force": 0.5}],
    "KinematicNoise": [
        {"joint_deg": [-1, 1], "joint": 0.001, "link": 0.001, "link_deg": 0.1, "hand_eye": 0.002, "hand_eye_deg": 0.3},
        {"joint_deg": 0.5, "hand_eye_deg": [-0.5, 0.5], "mode": "truth"},
    ],
    "PushDisturbance": [{"duration": 0.03}],
    "SensorBias": [{"gyro_noise": 0.01, "accel_noise": 0.01, "accel_walk": 0.001, "force_noise": 0.1}],
    "TorqueNoise": [{"sigma": 0.3}],
    "GelBackground": [{}],
    "GelLights": [{}],
    "TactileNoise": [{}],
    "TactileShift": [{"x": 0.001, "y": [-0.001, 0.001]}],
    "TaxelCrosstalk": [{}],
    "TaxelDropout": [{"share": 0.5}],
    "TaxelGain": [{}],
    "ViewpointNoise": [{}],
    # what needs distances does not find them where the LiDAR is silent, so this comes last
    "ModalityDropout": [
        {"share": 0.6, "keep": ["CAM_FRONT"]},
        {"share": 0.5, "span": 0.03, "scope": "scene"},
    ],
}

# pictures of gels are not meant: a change of their levels is refused
LOOKING = ["CAM_*", "FISHEYE", "WRIST"]
for name, settings in CASES.items():
    if issubclass(own_transforms()[name], Photometric):
        settings[:] = [{"cameras": LOOKING, **s} for s in settings]
