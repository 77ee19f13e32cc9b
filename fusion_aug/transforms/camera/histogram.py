"""Operations on the histogram of levels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import cv2
import numpy as np
import torch
from torch import Tensor

from fusion_aug.core.ranges import Range
from fusion_aug.core.strength import Strength, Strengths
from fusion_aug.errors import ConfigError
from fusion_aug.ops import color
from fusion_aug.transforms.camera.photometric import PhotometricTransform, PictureContext


def like(levels: Tensor, picture: Tensor) -> Tensor:
    """uint8 levels in the type and on the device of a picture."""
    out = levels.to(picture.device)
    return out if picture.dtype == torch.uint8 else out.to(picture.dtype) / 255


@dataclass(frozen=True, kw_only=True)
class Equalize(PhotometricTransform):
    """Spread the levels of each channel evenly, mixed into the picture by ``strength`` (0 to 1)."""

    strength: Range = 1.0

    limits: ClassVar[dict[str, tuple[float, float]]] = {"strength": (0.0, 1.0)}
    strengths: ClassVar[Strengths] = {"strength": Strength(0.0, 0.9, "linear", "probe")}
    example: ClassVar[dict[str, Any]] = {"strength": [0.0, 0.5]}

    @classmethod
    def change(cls, picture: Tensor, params: Mapping[str, Any], context: PictureContext) -> Tensor:
        """Histogram equalization of each channel (OpenCV), mixed with the picture by ``strength``."""
        image = color.levels_of(picture).numpy()
        even = np.stack([cv2.equalizeHist(np.ascontiguousarray(image[..., c])) for c in range(3)], -1)
        mixed = cv2.addWeighted(even, params["strength"], image, 1 - params["strength"], 0)
        return like(torch.from_numpy(mixed), picture)


@dataclass(frozen=True, kw_only=True)
class AutoContrast(PhotometricTransform):
    """Stretch each channel over the full scale, with the share ``cut`` of the pixels clipped at either end."""

    cut: Range = 0.0

    limits: ClassVar[dict[str, tuple[float, float]]] = {"cut": (0.0, 0.49)}
    strengths: ClassVar[Strengths] = {"cut": Strength(0.0, 0.1, "linear", "probe", "share of the pixels", exact=False)}
    example: ClassVar[dict[str, Any]] = {"cut": [0.0, 0.02]}

    @classmethod
    def change(cls, picture: Tensor, params: Mapping[str, Any], context: PictureContext) -> Tensor:
        """Each channel stretched, with the share ``cut`` of the pixels clipped at either end; a flat channel stays."""
        image = color.levels_of(picture).numpy()
        functions = []
        for c in range(3):
            share = np.bincount(image[..., c].ravel(), minlength=256).cumsum() / image[..., c].size
            low = int(np.searchsorted(share, params["cut"], side="right"))
            high = int(np.searchsorted(share, 1 - params["cut"]))
            low, high = (0, 255) if high <= low else (low, high)
            functions.append(lambda x, a=low / 255, b=high / 255: (x - a) / (b - a))
        return color.curves(picture, functions)


@dataclass(frozen=True, kw_only=True)
class Clahe(PhotometricTransform):
    """Contrast-limited adaptive equalization of the lightness, over ``tiles`` x ``tiles`` tiles (Zuiderveld 1994).

    ``limit`` clips each tile's histogram at that multiple of its mean.
    """

    limit: Range = (1.0, 4.0)
    tiles: int = 8

    limits: ClassVar[dict[str, tuple[float, float]]] = {"limit": (0.5, 100.0)}
    exemptions: ClassVar[dict[str, str]] = PhotometricTransform.exemptions | {
        "content_identity": "contrast is raised from tile to tile, which weighs the two sides of a spot differently"
    }
    strengths: ClassVar[Strengths] = {"limit": Strength(0.5, 4.3, "log", "probe", exact=False)}
    example: ClassVar[dict[str, Any]] = {"limit": [1.0, 4.0], "tiles": 4}

    def __post_init__(self) -> None:
        super().__post_init__()
        if type(self.tiles) is not int or not 1 <= self.tiles <= 256:
            raise ConfigError(f"Clahe.tiles: expected a whole number from 1 to 256, got {self.tiles!r}")

    @classmethod
    def change(cls, picture: Tensor, params: Mapping[str, Any], context: PictureContext) -> Tensor:
        """CLAHE of L in CIELAB over ``tiles`` x ``tiles`` tiles, clip limit ``limit`` (Zuiderveld 1994; OpenCV)."""
        lab = cv2.cvtColor(color.levels_of(picture).numpy(), cv2.COLOR_RGB2LAB)
        tool = cv2.createCLAHE(params["limit"], (params["tiles"], params["tiles"]))
        lab[..., 0] = tool.apply(np.ascontiguousarray(lab[..., 0]))
        return like(torch.from_numpy(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)), picture)


@dataclass(frozen=True, kw_only=True)
class Solarize(PhotometricTransform):
    """Invert the levels above ``threshold``, a share of full scale."""

    threshold: Range

    limits: ClassVar[dict[str, tuple[float, float]]] = {"threshold": (0.0, 1.0)}
    strengths: ClassVar[Strengths] = {
        "threshold": Strength(1.0, 0.61, "linear", "probe", "share of full scale", exact=False),
    }
    example: ClassVar[dict[str, Any]] = {"threshold": [0.5, 1.0]}

    @classmethod
    def change(cls, picture: Tensor, params: Mapping[str, Any], context: PictureContext) -> Tensor:
        """1 - x where x >= ``threshold``, a share of full scale."""
        return color.curve(picture, lambda x: torch.where(x >= params["threshold"], 1 - x, x))


@dataclass(frozen=True, kw_only=True)
class Posterize(PhotometricTransform):
    """Keep ``bits`` bits of each level, 1 to 8; a fraction is rounded."""

    bits: Range

    limits: ClassVar[dict[str, tuple[float, float]]] = {"bits": (1.0, 8.0)}
    strengths: ClassVar[Strengths] = {"bits": Strength(8.0, 2.5, "linear", "probe", "bits")}
    example: ClassVar[dict[str, Any]] = {"bits": [4, 8]}

    @classmethod
    def change(cls, picture: Tensor, params: Mapping[str, Any], context: PictureContext) -> Tensor:
        """Levels rounded down to multiples of 2^(8 - round(``bits``)) of 255."""
        step = 2.0 ** (8 - round(params["bits"]))
        picture = picture.detach()  # steps carry no gradient: one is refused rather than given as 0
        return color.curve(picture, lambda x: torch.floor(x * 255 / step) * step / 255)
