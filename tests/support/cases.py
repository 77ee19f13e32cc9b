"""The settings that the generic tests give to every transform: its example, or what is said here."""

from __future__ import annotations

from typing import Any

import numpy as np

from fusion_aug.core.registry import own_transforms
from fusion_aug.streams.families import Mix, Photometric
from fusion_aug.transforms import pixel_op


def speckle(picture: np.ndarray) -> np.ndarray:
    """What a library of pixel operations does: it draws from NumPy's global state."""
    return np.clip(picture * np.random.uniform(0.8, 1.2, (1, 1, 3)), 0, 255).astype(np.uint8)  # noqa: NPY002


pixel_op(speckle)

# ``...`` is the example of the class; a transform that is not named here has that alone
SETTINGS: dict[str, list[Any]] = {
    "BlackCamera": [..., {"cameras": ["CAM_LEFT"], "scope": "sample"}],
    "BoxPointJitter": [{"sigma": 0.05, "categories": ["car"]}],
    "Brightness": [..., {"factor": 1.4, "scope": "sensor"}],
    "ChromaticAberration": [{"red": [-0.01, 0.01], "blue": [-0.01, 0.01]}],
    "ClockOffset": [{"offset": [-0.02, 0.02], "sensors": ["CAM*", "imu"]}],
    "Crop": [{"size": (40, 50), "x": [0, 1], "y": 0.25}, {"size": (60, 80)}],
    "CutOut": [..., {"azimuth_deg": 20, "distance": 6, "block": [1.0, 0.5, 2.0], "fill": 0.3, "scope": "scene"}],
    "Deskew": [..., {"mode": "compensate", "scope": "scene"}],
    "DopplerFolding": [..., {}],
    "Exposure": [{"stops": [-1, 1], "full_well": {"distribution": "log_uniform", "low": 2000, "high": 20000}}],
    "FlipImage": [..., {"axis": "y"}],
    "Fog": [{"mor": [30, 200], "report": True}, {"visual_range": 60, "patchiness": 0.7, "scope": "sample"}],
    "Gamma": [{"gamma": {"distribution": "log_uniform", "low": 0.7, "high": 1.4}}],
    "GaussianBlur": [..., {"sigma": 0.7, "scope": "sensor"}],
    "GaussianNoise": [{"sigma": 0.05}, {"sigma": [0.01, 0.1], "scope": "sensor"}],
    "ImuSaturation": [{"accel": [0.3, 0.8], "gyro_deg": 30}],
    "KinematicNoise": [
        {"joint_deg": [-1, 1], "joint": 0.001, "link": 0.001, "link_deg": 0.1, "hand_eye": 0.002, "hand_eye_deg": 0.3},
        {"joint_deg": 0.5, "hand_eye_deg": [-0.5, 0.5], "mode": "truth"},
    ],
    "Latency": [..., {"delay": 0.05, "scope": "sample"}],
    "MirrorScene": [..., {"axis": "x"}],
    "Miscalibrate": [{"sensors": ["CAM*", "lidar"], "x_deg": [-1, 1], "z_deg": 0.5, "y": [-0.05, 0.05]}],
    "Mismatch": [{"kinds": ["time"]}, {"kinds": ["extrinsics"]}, {"kinds": ["word"]}],
    "ModalityDropout": [
        {"share": 0.6, "keep": ["CAM_FRONT"]},
        {"share": 0.5, "span": 0.03, "scope": "scene"},
        {"share": 0.5, "by": "modality", "scope": "scene"},
    ],
    "Pad": [{"left": 3, "top": 5, "right": 2}],
    "PerspectiveImage": [{"strength": 0.06, "scope": "sensor"}],
    "PixelOp": [{"op": "speckle", "cameras": ["CAM_*"]}],
    "PushDisturbance": [{"duration": 0.03}],
    "Resize": [{"size": (36, 70)}],
    "ResizeCrop": [
        {"size": (40, 56), "scale": [0.7, 1.2], "x": [0, 1], "y": [0, 1]},
        {"scale": 1.3, "scope": "sensor"},
    ],
    "RandomTexture": [{"cameras": ["CAM_LEFT"], "classes": ["1*"]}],
    "RingResample": [..., {"elevations_deg": [-20.0, -10.0, 0.0], "columns": 200}],
    "RollingShutter": [{"readout": [0.005, 0.03], "cameras": ["CAM_*", "WRIST"]}],
    "RotateScene": [
        {"yaw_deg": [-180, 180]},
        {"yaw_deg": {"distribution": "normal", "mean": 0, "std": 20}, "pitch_deg": [-5, 5], "roll_deg": 3},
    ],
    "SensorBias": [{"gyro_noise": 0.01, "accel_noise": 0.01, "accel_walk": 0.001, "force_noise": 0.1}],
    "Snow": [{"snow_rate": [0.5, 3], "snow_cover": 0.5}, {"snow_rate": 2, "wet_snow": True, "auto_gain": True}],
    "SunGlare": [{"sun": 80000.0}],
    "TemporalCrop": [..., {"seconds": [0.12, 0.13], "align": "joints"}],
    "TemporalMask": [{"seconds": 0.02}],
    "TimeWarp": [{"period": [0.1, 0.3]}, {"slowest": 0.8, "fastest": 1.1, "waves": 3}],
    "Viewpoint": [
        {"x_deg": [-2, 2], "y_deg": [-4, 4], "z_deg": [-3, 3]},
        {"sensors": ["CAM_LEFT", "FISHEYE", "lidar", "radar", "imu"], "y_deg": 2.0, "scope": "sample"},
    ],
    "Weather": [..., {"mor": 80, "rain_rate": 10, "illuminance": 3.0, "sun": 2e4, "snow_cover": 0.3}],
}
WORLD_CAMERAS = ["CAM_*", "FISHEYE", "WRIST"]  # pictures of gels are not meant: a change of their levels is refused


def settings(name: str, kind: Any) -> list[dict[str, Any]]:
    """Keyword arguments of every case of a transform."""
    shared = {"cameras": WORLD_CAMERAS} if issubclass(kind, Photometric) else {}
    return [{**shared, **(kind.example if s is ... else s)} for s in SETTINGS.get(name, [...])]


# a pipeline of all cases ends with these: links that are off have no mirror, and what needs distances finds none where
# the LiDAR is dropped
LAST = ("KinematicNoise", "ViewpointNoise", "ModalityDropout")
MIXES = [name for name, kind in own_transforms().items() if issubclass(kind, Mix)]  # which stand first
FIRST = [*MIXES, "Mismatch", "RandomTexture"]  # a label has to hold all that is out of line; masks are where they were
ORDER = [*FIRST, *(name for name in own_transforms() if name not in (*FIRST, *LAST)), *LAST]
CASES = {name: settings(name, own_transforms()[name]) for name in ORDER}
