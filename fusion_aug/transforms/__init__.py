"""Transforms, one family per file."""

from fusion_aug.transforms.blur import (
    ChromaticAberration,
    DefocusBlur,
    EgoMotionBlur,
    GaussianBlur,
    JpegCompression,
    MotionBlur,
    Sharpness,
)
from fusion_aug.transforms.box_points import BoxPointDropout, BoxPointJitter
from fusion_aug.transforms.compose import Compose, OneOf, RandomApply, SomeOf, pipeline
from fusion_aug.transforms.engine import replay
from fusion_aug.transforms.exposure import ColorTemperature, Exposure, Shadow, Vignetting, WhiteBalance
from fusion_aug.transforms.histogram import AutoContrast, Clahe, Equalize, Posterize, Solarize
from fusion_aug.transforms.image_plane import (
    Crop,
    FlipImage,
    Pad,
    PerspectiveImage,
    Resize,
    ResizeCrop,
    RotateImage,
)  # fmt: skip
from fusion_aug.transforms.inversion import InexactInverse, invert
from fusion_aug.transforms.lidar import BeamDropout, IntensityGain, RingResample
from fusion_aug.transforms.mount import Miscalibrate
from fusion_aug.transforms.photometric import Brightness, Contrast, Gamma, GaussianNoise, Hue, Saturation
from fusion_aug.transforms.pixel_op import PixelOp, pixel_op
from fusion_aug.transforms.points import PointDropout, RangeCrop, RangeJitter, ShufflePoints, VoxelSubsample
from fusion_aug.transforms.radar import (
    DopplerFolding,
    RadarClutter,
    RadarGhosts,
    RadarMissed,
    RadarNoise,
    RcsNoise,
)
from fusion_aug.transforms.scene import MirrorScene, RotateScene, ScaleScene, TranslateScene
from fusion_aug.transforms.viewpoint_sensors import Viewpoint
from fusion_aug.transforms.weather import Dust, Fog, Night, Rain, Snow, Spray, SunGlare, Weather, WetRoad

__all__ = [
    "AutoContrast",
    "BeamDropout",
    "BoxPointDropout",
    "BoxPointJitter",
    "Brightness",
    "ChromaticAberration",
    "Clahe",
    "ColorTemperature",
    "Compose",
    "Contrast",
    "Crop",
    "DefocusBlur",
    "DopplerFolding",
    "Dust",
    "EgoMotionBlur",
    "Equalize",
    "Exposure",
    "FlipImage",
    "Fog",
    "Gamma",
    "GaussianBlur",
    "GaussianNoise",
    "Hue",
    "InexactInverse",
    "IntensityGain",
    "JpegCompression",
    "MirrorScene",
    "Miscalibrate",
    "MotionBlur",
    "Night",
    "OneOf",
    "Pad",
    "PerspectiveImage",
    "PixelOp",
    "PointDropout",
    "Posterize",
    "RadarClutter",
    "RadarGhosts",
    "RadarMissed",
    "RadarNoise",
    "Rain",
    "RandomApply",
    "RangeCrop",
    "RangeJitter",
    "RcsNoise",
    "Resize",
    "ResizeCrop",
    "RingResample",
    "RotateImage",
    "RotateScene",
    "Saturation",
    "ScaleScene",
    "Shadow",
    "Sharpness",
    "ShufflePoints",
    "Snow",
    "Solarize",
    "SomeOf",
    "Spray",
    "SunGlare",
    "TranslateScene",
    "Viewpoint",
    "Vignetting",
    "VoxelSubsample",
    "Weather",
    "WetRoad",
    "WhiteBalance",
    "invert",
    "pipeline",
    "pixel_op",
    "replay",
]  # fmt: skip
