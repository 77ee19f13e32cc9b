"""Camera models, checked against OpenCV."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from calib.cameras.base import CameraModel, flip_u
from calib.cameras.fisheye import KannalaBrandt
from calib.cameras.perspective import BrownConrady, Pinhole
from calib.cameras.unknown import UnknownLens
from calib.errors import CalibrationError
from calib.se3 import as_f64

MODELS: dict[str, type[CameraModel]] = {m.lens: m for m in (Pinhole, BrownConrady, KannalaBrandt, UnknownLens)}


def camera_from_dict(data: Mapping[str, Any]) -> CameraModel:
    """Read what ``CameraModel.to_dict`` wrote.

    Raises:
        CalibrationError: unknown model, wrong shape or number of coefficients.
    """
    name = data.get("model")
    if name not in MODELS:
        raise CalibrationError(f"model: unknown camera model {name!r}, expected one of {', '.join(MODELS)}")
    height, width = data["size"]
    return MODELS[name](K=as_f64(data["K"]), size=(height, width), distortion=as_f64(data.get("distortion", [])))


def is_intrinsics(matrix: Tensor) -> bool:
    """Whether a 3x3 is plain intrinsics: upper triangular, last row 0 0 1, positive focal lengths."""
    lower = bool((matrix[1:, 0] != 0).any()) or float(matrix[2, 1]) != 0 or float(matrix[2, 2]) != 1
    return not lower and float(matrix[0, 0]) > 0 and float(matrix[1, 1]) > 0


def split_pixel_map(matrix: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Split a 3x3 that holds a pixel map besides intrinsics (a flip, a rotation) into a plain ``K`` and ``A``."""
    focal = torch.linalg.det(matrix).abs() ** 0.5
    K = torch.eye(3, dtype=torch.float64)
    K[0, 0] = K[1, 1] = focal
    K[0, 2], K[1, 2] = (size[1] - 1) / 2, (size[0] - 1) / 2
    return K, matrix @ torch.linalg.inv(K)


__all__ = [
    "MODELS",
    "BrownConrady",
    "CameraModel",
    "KannalaBrandt",
    "Pinhole",
    "UnknownLens",
    "camera_from_dict",
    "flip_u",
    "is_intrinsics",
    "split_pixel_map",
]
