"""Maps of the pixels of a camera: resize, crop, pad, flip, rotate, perspective."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from calib.cameras import flip_u
from calib.se3 import as_f64, rotation_about
from fusion_aug.core.ranges import Range, can_differ_from
from fusion_aug.core.registry import Context
from fusion_aug.core.strength import Strength, Strengths
from fusion_aug.errors import ConfigError
from fusion_aug.sample import Sample
from fusion_aug.transforms.image.family import ImagePlaneTransform, Size


def resize_map(su: Any, sv: Any) -> Tensor:
    """Resize by factors: u -> s (u + 1/2) - 1/2."""
    if not isinstance(su, Tensor) and not isinstance(sv, Tensor):
        return torch.tensor([[su, 0, (su - 1) / 2], [0, sv, (sv - 1) / 2], [0, 0, 1]], dtype=torch.float64)
    su, sv, o, one = as_f64(su), as_f64(sv), torch.zeros((), dtype=torch.float64), torch.ones((), dtype=torch.float64)
    return torch.stack([su, o, (su - 1) / 2, o, sv, (sv - 1) / 2, o, o, one]).reshape(3, 3)


def shift_map(du: Any, dv: Any) -> Tensor:
    """Move pixels by (du, dv)."""
    return torch.tensor([[1, 0, du], [0, 1, dv], [0, 0, 1]], dtype=torch.float64)


def check_size(value: Any, where: str) -> None:
    """Raise unless ``value`` is (height, width) in whole positive pixels.

    Raises:
        ConfigError: it is not, or it is beyond 65535.
    """
    good = isinstance(value, tuple) and len(value) == 2 and all(type(v) is int and 0 < v < 65536 for v in value)
    if not good:
        raise ConfigError(f"{where}: expected (height, width) in whole pixels, got {value!r}")


@dataclass(frozen=True, kw_only=True)
class Resize(ImagePlaneTransform):
    """Resize to ``size`` (height, width), each axis by its own factor."""

    size: tuple[int, int]

    version: ClassVar[int] = 2  # since 2026-11: files of JPEG are decoded as large as they are needed
    example: ClassVar[dict[str, Any]] = {"size": [256, 512]}

    def __post_init__(self) -> None:
        super().__post_init__()
        check_size(self.size, "Resize.size")

    @classmethod
    def pixel_map(cls, params: Mapping[str, Any], size: Size) -> tuple[Tensor, Size]:
        """u -> s (u + 1/2) - 1/2 with s = new size / old size on each axis; the canvas is ``size``."""
        height, width = params["size"]
        return resize_map(width / size[1], height / size[0]), (height, width)


@dataclass(frozen=True, kw_only=True)
class ResizeCrop(ImagePlaneTransform):
    """Resize by one factor, then cut (or pad) to ``size``.

    Attributes:
        size: (height, width) of the new canvas; None keeps the one there is, so that the scale is a zoom.
        scale: resize factor.
        x, y: where the window lies in what is left over, 0 left or top, 1 right or bottom.
    """

    size: tuple[int, int] | None = None
    scale: Range = 1.0
    x: Range = 0.5
    y: Range = 0.5

    version: ClassVar[int] = 2  # since 2026-11: files of JPEG are decoded as large as they are needed
    limits: ClassVar[dict[str, tuple[float, float]]] = {"scale": (1e-3, 1e3), "x": (0.0, 1.0), "y": (0.0, 1.0)}
    rounded: ClassVar[tuple[str, ...]] = ("x", "y")
    strengths: ClassVar[Strengths] = {
        "scale": Strength(1.0, (0.5, 2.0), "log", "declared: calibration and labels follow; half and twice as large"),
        "x": "where it is cut",
        "y": "where it is cut",
    }
    example: ClassVar[dict[str, Any]] = {"size": [256, 704], "scale": [0.4, 0.6], "x": [0.0, 1.0], "y": [0.0, 1.0]}

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size is not None:
            check_size(self.size, "ResizeCrop.size")

    @classmethod
    def pixel_map(cls, params: Mapping[str, Any], size: Size) -> tuple[Tensor, Size]:
        """Resize by ``scale``, then shift by whole pixels to the window at shares ``x``, ``y`` of what is left over."""
        height, width = params["size"] or size
        scale = params["scale"]
        left = round((float(scale) * size[1] - width) * float(params["x"]))
        top = round((float(scale) * size[0] - height) * float(params["y"]))
        return shift_map(-left, -top) @ resize_map(scale, scale), (height, width)


@dataclass(frozen=True, kw_only=True)
class Crop(ImagePlaneTransform):
    """Cut a window of ``size`` (height, width); x, y place it as in ``ResizeCrop``. Pads where it is larger."""

    size: tuple[int, int]
    x: Range = 0.5
    y: Range = 0.5

    limits: ClassVar[dict[str, tuple[float, float]]] = {"x": (0.0, 1.0), "y": (0.0, 1.0)}
    rounded: ClassVar[tuple[str, ...]] = ("x", "y")
    exemptions: ClassVar[dict[str, str]] = ImagePlaneTransform.exemptions | {
        "differentiable": "its window lies on whole pixels"
    }
    strengths: ClassVar[Strengths] = {"x": "where it is cut", "y": "where it is cut"}
    example: ClassVar[dict[str, Any]] = {"size": [256, 512], "x": [0.0, 1.0], "y": [0.0, 1.0]}

    def __post_init__(self) -> None:
        super().__post_init__()
        check_size(self.size, "Crop.size")

    @classmethod
    def pixel_map(cls, params: Mapping[str, Any], size: Size) -> tuple[Tensor, Size]:
        """``ResizeCrop`` with scale 1."""
        return ResizeCrop.pixel_map({**params, "scale": 1.0}, size)


@dataclass(frozen=True, kw_only=True)
class Pad(ImagePlaneTransform):
    """Add whole pixels on each side; they are filled with black (labels: 255, depth: 0)."""

    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0

    example: ClassVar[dict[str, Any]] = {"top": 8, "bottom": 8}

    def __post_init__(self) -> None:
        super().__post_init__()
        for side in ("left", "top", "right", "bottom"):
            value = getattr(self, side)
            if type(value) is not int or not 0 <= value < 65536:
                raise ConfigError(f"Pad.{side}: expected whole pixels, got {value!r}")

    @classmethod
    def pixel_map(cls, params: Mapping[str, Any], size: Size) -> tuple[Tensor, Size]:
        """Shift by (``left``, ``top``) pixels; the canvas grows by all four sides."""
        height = size[0] + params["top"] + params["bottom"]
        return shift_map(params["left"], params["top"]), (height, size[1] + params["left"] + params["right"])


@dataclass(frozen=True, kw_only=True)
class FlipImage(ImagePlaneTransform):
    """Flip the pixels left-right ("x") or upside down ("y"). The scene stays: K takes the flip (fx < 0).

    For a mirrored world, with LiDAR and boxes, use ``MirrorScene``.
    """

    axis: str = "x"

    example: ClassVar[dict[str, Any]] = {"axis": "x"}

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.axis not in ("x", "y"):
            raise ConfigError(f"FlipImage.axis: expected 'x' or 'y', got {self.axis!r}")

    @classmethod
    def pixel_map(cls, params: Mapping[str, Any], size: Size) -> tuple[Tensor, Size]:
        """u -> width - 1 - u, or v -> height - 1 - v; the canvas stays."""
        if params["axis"] == "x":
            return flip_u(size[1]), size
        return torch.tensor([[1.0, 0, 0], [0, -1, size[0] - 1], [0, 0, 1]], dtype=torch.float64), size


@dataclass(frozen=True, kw_only=True)
class RotateImage(ImagePlaneTransform):
    """Rotate the pixels about the canvas centre by ``angle_deg``, clockwise as seen; the canvas keeps its size."""

    angle_deg: Range

    strengths: ClassVar[Strengths] = {
        "angle_deg": Strength(
            0.0, (-30.0, 30.0), "linear", "declared: calibration and labels follow; a tilted horizon", "degrees"
        ),
    }
    example: ClassVar[dict[str, Any]] = {"angle_deg": [-15, 15]}

    def effects(self) -> dict[str, str]:
        """A rotated pixel grid has skew."""
        skew = {"skew": "RotateImage.angle_deg"} if can_differ_from(self.angle_deg, 0.0) else {}
        return super().effects() | skew

    @classmethod
    def pixel_map(cls, params: Mapping[str, Any], size: Size) -> tuple[Tensor, Size]:
        """Rotation by ``angle_deg`` degrees, clockwise as seen, about the canvas centre ((w - 1) / 2, (h - 1) / 2)."""
        R = rotation_about("z", params["angle_deg"] * (math.pi / 180))
        cu, cv = (size[1] - 1) / 2, (size[0] - 1) / 2
        return shift_map(cu, cv) @ R @ shift_map(-cu, -cv), size


@dataclass(frozen=True, kw_only=True)
class PerspectiveImage(ImagePlaneTransform):
    """Move the four corners of the canvas at random, each by up to ``strength`` of its width and height."""

    strength: float

    example: ClassVar[dict[str, Any]] = {"strength": 0.05}

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.strength < 0.25 or not math.isfinite(self.strength):
            raise ConfigError(f"PerspectiveImage.strength: expected 0 to below 0.25, got {self.strength!r}")

    def sample_params(self, rng: np.random.Generator, sample: Sample, context: Context) -> dict[str, Any]:
        """Shift of each corner (top left, top right, bottom right, bottom left) as shares of width and height."""
        return {"shifts": rng.uniform(-self.strength, self.strength, (4, 2)).tolist()}

    def effects(self) -> dict[str, str]:
        """The pixel map is a homography that no affine K holds."""
        bent = {"homography": "PerspectiveImage.strength"} if self.strength > 0 else {}
        return super().effects() | bent

    @classmethod
    def pixel_map(cls, params: Mapping[str, Any], size: Size) -> tuple[Tensor, Size]:
        """The homography through the four corners and their shifted positions (eight linear equations).

        It is the identity on a canvas that is one pixel high or wide.
        """
        w, h = size[1] - 1, size[0] - 1
        old = torch.tensor([[0.0, 0], [w, 0], [w, h], [0, h]], dtype=torch.float64)
        new = old + as_f64(params["shifts"]) * torch.tensor([float(max(w, 1)), float(max(h, 1))], dtype=torch.float64)
        if w == 0 or h == 0:
            return torch.eye(3, dtype=torch.float64), size
        rows, values = [], []
        for (u, v), (x, y) in zip(old.tolist(), new.unbind(0), strict=True):
            one, o = torch.ones_like(x), torch.zeros_like(x)
            rows += [torch.stack([u * one, v * one, one, o, o, o, -u * x, -v * x])]
            rows += [torch.stack([o, o, o, u * one, v * one, one, -u * y, -v * y])]
            values += [x, y]
        solution = torch.linalg.solve(torch.stack(rows), torch.stack(values))
        return torch.cat([solution, torch.ones(1, dtype=torch.float64)]).reshape(3, 3), size
