"""What a video may lose of a picture: noise of single pixels, and no brightness, place or frame."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor

from fusion_aug.check.comparisons import VIDEO, comparisons_of, mean_levels
from fusion_aug.streams import Camera


def picture(seed: int = 0) -> np.ndarray:
    """A smooth scene (50, 66, 3) whose sides are no multiples of anything."""
    small = np.random.default_rng(seed).integers(60, 190, (7, 9, 3), dtype=np.uint8)
    return cv2.resize(small, (66, 50), interpolation=cv2.INTER_CUBIC)


def off(expected: np.ndarray, found: np.ndarray) -> float:
    a, b = (torch.from_numpy(np.clip(p, 0, 255).astype(np.uint8)) for p in (expected, found))
    return float(mean_levels(a, b)[0])


def test_noise_may_go_and_nothing_else() -> None:
    limit = comparisons_of((Camera, "items"))[VIDEO].limit
    scene = picture()
    noise = np.random.default_rng(1).normal(scale=0.02 * 255, size=scene.shape)  # as much as pipeline=photometric adds
    noisy = np.round(scene + noise)
    assert np.abs(noisy - scene).mean() > limit  # pixel by pixel it would be refused
    assert off(noisy, scene) < limit / 2
    assert off(scene, scene + 5) > limit
    assert off(scene, scene[:, ::-1]) > limit
    assert off(scene, picture(2)) > limit
    assert off(scene, np.roll(scene, 2, 1)) > limit / 2


def test_squares_at_the_border_are_means_of_what_they_have() -> None:
    a = torch.zeros((5, 6, 3), dtype=torch.uint8)
    b: Tensor = a.clone()
    b[4, 5] = 64  # a square of 1 x 2 pixels, one of two by two squares
    assert float(mean_levels(a, b)[0]) == 64 / 2 / 4
