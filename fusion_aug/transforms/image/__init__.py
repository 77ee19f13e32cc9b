"""The image plane: resize, crop, pad, flip, rotate, perspective."""

from fusion_aug.transforms.image import on_device  # noqa: F401  (registers)
from fusion_aug.transforms.image.image_plane import (
    Crop,
    FlipImage,
    Pad,
    PerspectiveImage,
    Resize,
    ResizeCrop,
    RotateImage,
)

__all__ = ["Crop", "FlipImage", "Pad", "PerspectiveImage", "Resize", "ResizeCrop", "RotateImage"]
