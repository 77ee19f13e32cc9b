"""Pictures that their decoder has made smaller by 2 or 4, because an image map shrinks them by at least as much.

A JPEG holds its pixels as frequencies of blocks of 8x8, of which a decoder can leave out the finer half: that takes
half of the time and gives the mean of each 2x2 pixels (G. Wallace, "The JPEG still picture compression standard",
CACM 34, 1991). What the map still shrinks by is low-passed afterwards.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from calib.ties import TIE
from fusion_aug.ops.image_map import ImageMap
from fusion_aug.ops.map_extent import crop_to_need, shrinking
from fusion_aug.ops.warp import filtered, warp

REDUCTIONS = (4, 2)
HALF_TAPS, CUTOFF = 3, 0.78  # of the sinc, as a share of what the canvas can hold


def reduction(image_map: ImageMap) -> int:
    """How many times smaller a picture may be decoded: 4, 2 or 1, by its map alone.

    A map whose scale differs over the canvas, or of which a gradient is asked, is 1. Of others it is what was decided
    before, if it was.
    """
    if image_map.affine is None:
        return 1
    if image_map.decoded:
        return image_map.decoded
    scale = max(shrinking(image_map))
    return next((k for k in REDUCTIONS if scale * k <= 1 + TIE), 1)


def reduced_size(size: tuple[int, int], by: int) -> tuple[int, int]:
    """(height, width) of a picture of a size that was decoded smaller."""
    return math.ceil(size[0] / by), math.ceil(size[1] / by)


def warp_reduced(picture: Tensor, image_map: ImageMap, by: int, fill: float) -> Tensor:
    """Resample a picture that was decoded smaller.

    Args:
        picture: (ceil(H / by), ceil(W / by), C) uint8; its pixel u covers the pixels by u to by u + by - 1.
        image_map: from the whole picture to the canvas, affine. by: see ``reduction``.
        fill: value where the canvas has no source pixel.

    Returns:
        (h, w, C) uint8.
    """
    shift = (by - 1) / 2
    back = torch.tensor([[by, 0, shift], [0, by, shift], [0, 0, 1]], dtype=torch.float64)
    rest = ImageMap.homography(back, image_map.size).then(image_map)
    taps = [_sinc_taps(min(s, 1.0)) for s in shrinking(rest)]
    picture, rest = crop_to_need(picture, rest)
    return warp(filtered(picture, *taps), rest, fill=fill, antialias=False)


@lru_cache(maxsize=64)  # the cameras of a sample shrink alike
def _sinc_taps(scale: float) -> tuple[float, ...]:
    """A sinc under a Lanczos window that passes what a shrinking by ``scale`` can hold."""
    n = np.arange(-HALF_TAPS, HALF_TAPS + 1)
    taps = np.sinc(CUTOFF * scale * n) * np.sinc(n / (HALF_TAPS + 1))
    return tuple(float(t) for t in taps / taps.sum())
