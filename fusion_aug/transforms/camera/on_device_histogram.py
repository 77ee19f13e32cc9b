"""Operations on the histogram of levels, on a device: histograms are counted there, and nobody looks at them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fusion_aug.core.device.program import HOST, SHARED
from fusion_aug.errors import DataError
from fusion_aug.ops.clahe_many import equalized, histograms, lab_of, lab_tables, levels_of_lab
from fusion_aug.transforms.camera.histogram import AutoContrast, Clahe, Equalize
from fusion_aug.transforms.camera.on_device import Params, changes_levels, wide
from fusion_aug.transforms.camera.photometric import PictureContext

Numbers = Mapping[str, Any]
TILES = HOST + "tiles"


def eight_bits(levels: Tensor, white: float) -> Tensor:
    """Levels from 0 to ``white`` as whole ones of 8 bits, int64, as 8-bit operations see any picture."""
    shares = levels if white == 255 else levels * (255 / white)
    return shares.detach().round().clamp(0, 255).to(torch.int64)


@changes_levels(Equalize, lambda p, _: {"strength": np.float32(p["strength"])}, put_back=True)
def evened(levels: Tensor, numbers: Numbers, white: float) -> Tensor:
    """Levels spread evenly channel by channel, as OpenCV does, and mixed with the picture by ``strength``."""
    whole = eight_bits(levels, white).flatten(2)
    below = histograms(whole).cumsum(-1)  # pixels up to each level
    total = below[..., -1:]
    lowest = torch.where(below > 0, below, total).amin(-1, keepdim=True)  # how many have the lowest level
    scale = 255 / (total - lowest).to(torch.float32)
    table = ((below - lowest).clamp(min=0).to(torch.float32) * scale).round()
    same = torch.arange(256, dtype=torch.float32, device=levels.device)
    even = torch.where(total == lowest, same, table).gather(-1, whole)
    strength = wide(numbers["strength"])
    mixed = even.view(levels.shape) * strength + whole.view(levels.shape) * (1 - strength)
    return mixed.round() * (white / 255)


@changes_levels(AutoContrast, lambda p, _: {"cut": np.float64(p["cut"])}, put_back=True)
def spread(levels: Tensor, numbers: Numbers, white: float) -> Tensor:
    """Each channel stretched, with the share ``cut`` of the pixels clipped at either end; a flat channel stays."""
    below = histograms(eight_bits(levels, white).flatten(2)).cumsum(-1)
    share, cut = below / below[..., -1:].to(torch.float64), numbers["cut"].reshape(-1, 1, 1)
    low, high = (share <= cut).sum(-1, keepdim=True), (share < 1 - cut).sum(-1, keepdim=True)
    flat = high <= low
    low, high = torch.where(flat, 0, low).to(torch.float32), torch.where(flat, 255, high).to(torch.float32)
    return (levels - low[..., None] * (white / 255)) * (255 / (high - low)[..., None])


def _tiled(params: Params, picture: PictureContext) -> dict[str, Any]:
    light, curve = lab_tables()
    return {
        "limit": np.float64(params["limit"]), TILES: params["tiles"], SHARED + "light": light, SHARED + "curve": curve,
    }  # fmt: skip


@changes_levels(Clahe, _tiled, put_back=True)
def evened_in_tiles(levels: Tensor, numbers: Numbers, white: float) -> Tensor:
    """The lightness of CIELAB equalized tile by tile, as OpenCV does."""
    tiles = set(numbers[TILES])
    if len(tiles) > 1:
        raise DataError("Clahe.tiles: pictures of a batch on a device share one number of tiles; replay them apart")
    lightness, a, b = lab_of(eight_bits(levels, white), numbers[SHARED + "light"], numbers[SHARED + "curve"])
    even = equalized(lightness, numbers["limit"], tiles.pop())
    return levels_of_lab(even, a, b) * (white / 255)
