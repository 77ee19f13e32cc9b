"""Pixel values of cameras: light, colour, blur, noise, coding."""

from fusion_aug.transforms.camera import (  # noqa: F401  (register)
    on_device_blur,
    on_device_ground,
    on_device_histogram,
    on_device_light,
    on_device_motion,
    on_device_noise,
)
from fusion_aug.transforms.camera.blur import (
    ChromaticAberration,
    DefocusBlur,
    EgoMotionBlur,
    GaussianBlur,
    JpegCompression,
    MotionBlur,
    Sharpness,
)
from fusion_aug.transforms.camera.exposure import ColorTemperature, Exposure, Shadow, Vignetting, WhiteBalance
from fusion_aug.transforms.camera.histogram import AutoContrast, Clahe, Equalize, Posterize, Solarize
from fusion_aug.transforms.camera.photometric import Brightness, Contrast, Gamma, GaussianNoise, Hue, Saturation
from fusion_aug.transforms.camera.pixel_op import PixelOp, pixel_op

__all__ = [
    "AutoContrast",
    "Brightness",
    "ChromaticAberration",
    "Clahe",
    "ColorTemperature",
    "Contrast",
    "DefocusBlur",
    "EgoMotionBlur",
    "Equalize",
    "Exposure",
    "Gamma",
    "GaussianBlur",
    "GaussianNoise",
    "Hue",
    "JpegCompression",
    "MotionBlur",
    "PixelOp",
    "Posterize",
    "Saturation",
    "Shadow",
    "Sharpness",
    "Solarize",
    "Vignetting",
    "WhiteBalance",
    "pixel_op",
]
