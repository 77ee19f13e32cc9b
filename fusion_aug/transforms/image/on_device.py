"""What image-plane maps plan for streams on a device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

from calib.replacing import replace_unchecked
from calib.sensors import apply_homography
from fusion_aug.core.device.rules import on_device
from fusion_aug.core.registry import Call
from fusion_aug.streams import Boxes2D, ImageStream, Keypoints2D
from fusion_aug.streams.families import ImagePlane
from fusion_aug.streams.on_device import ROW_ITEM
from fusion_aug.transforms.image.family import maps_of, move_pixels

on_device(ImagePlane, ImageStream)(move_pixels)  # which are pending


@on_device(ImagePlane, Boxes2D)
def plan_corners(stream: Boxes2D, call: Call) -> Boxes2D:
    """Corners are mapped like pixels."""
    return _mapped(stream, call, "corners")


@on_device(ImagePlane, Keypoints2D)
def plan_keypoints(stream: Keypoints2D, call: Call) -> Keypoints2D:
    """Key points are mapped like pixels."""
    return _mapped(stream, call, "pixel")


def _mapped(stream: Any, call: Call, name: str) -> Any:
    numbers = [{"P": m.P.numpy()} for m in maps_of(stream, call)]
    values = call.program.columns(_pixels_mapped, stream.values, numbers, {"P": np.eye(3)}, name=name)
    return replace_unchecked(stream, values=values)


def _pixels_mapped(columns: Mapping[str, Tensor], numbers: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    pixels = columns[name]
    each = pixels.reshape(len(pixels), pixels.shape[1:].numel() // 2, 2).to(numbers["P"].dtype)
    return {name: apply_homography(numbers["P"].index_select(0, columns[ROW_ITEM]), each).reshape(pixels.shape)}
