"""Colours that travel through OpenCV as pixels of four channels, which it samples in half the time of three."""

from __future__ import annotations

from typing import Protocol

import cv2
import numpy as np

from fusion_aug.ops.scratch import scratch

CONVERTED = (np.uint8, np.uint16)  # what OpenCV gives a fourth channel


class Sampling(Protocol):
    """A function of OpenCV that makes an image of another one."""

    def __call__(self, src: np.ndarray, *, dst: np.ndarray | None = None) -> np.ndarray:
        """The other image, which is ``dst`` where that is given."""


def sample_in_fours(sampling: Sampling, image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """What a sampling makes of an image (H, W) or (H, W, C): the same bits whichever way it goes.

    Args:
        sampling: treats every channel alike. image: three channels of whole numbers go with a fourth, which is thrown
            away. size: (height, width) of the result.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype not in CONVERTED:
        return sampling(image)
    before, after = (
        scratch(name, (*shape[:2], 4), image.dtype) for name, shape in (("before", image.shape), ("after", size))
    )
    cv2.cvtColor(image, cv2.COLOR_RGB2RGBA, dst=before)
    return cv2.cvtColor(sampling(before, dst=after), cv2.COLOR_RGBA2RGB)
