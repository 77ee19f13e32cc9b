"""Transforms, one family per file."""

from fusion_aug.transforms.compose import Compose, OneOf, RandomApply, SomeOf, pipeline
from fusion_aug.transforms.engine import replay
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
from fusion_aug.transforms.mount import Miscalibrate
from fusion_aug.transforms.photometric import Brightness, Contrast, Gamma, GaussianNoise, Hue, Saturation
from fusion_aug.transforms.points import PointDropout, RangeCrop, RangeJitter
from fusion_aug.transforms.scene import MirrorScene, RotateScene, ScaleScene, TranslateScene
from fusion_aug.transforms.viewpoint_sensors import Viewpoint

__all__ = [
    "Brightness", "Compose", "Contrast", "Crop", "FlipImage", "Gamma", "GaussianNoise", "Hue", "InexactInverse",
    "MirrorScene", "Miscalibrate", "OneOf", "Pad", "PerspectiveImage", "PointDropout", "RandomApply", "RangeCrop",
    "RangeJitter", "Resize", "ResizeCrop", "RotateImage", "RotateScene", "Saturation", "ScaleScene", "SomeOf",
    "TranslateScene", "Viewpoint", "invert", "pipeline", "replay",
]  # fmt: skip
