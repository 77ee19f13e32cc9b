"""Another picture in a part of one, and pictures of noise."""

from __future__ import annotations

import cv2
import numpy as np

from fusion_aug.ops.color import level_of, light_of
from fusion_aug.ops.hashed import RowKey
from fusion_aug.ops.random_fields import random_field

MOST_GAIN = 4.0  # by which light is matched, either way
SOFT = np.array([0.25, 0.5, 0.25])  # of the edge between two pictures
CELLS = 6.0  # of a noise picture, over its height


def replaced(picture: np.ndarray, where: np.ndarray, other: np.ndarray, match_light: bool) -> np.ndarray:
    """A picture with another one's pixels in a part of it; the edge between them is a pixel wide.

    Args:
        picture: (H, W, 3), uint8 or float32 in [0, 1]. where: (H, W) bool. other: (H, W, 3) uint8.
        match_light: whether the light of each channel of ``other`` is multiplied so that its mean is the picture's.
    """
    light = light_of(other)
    if match_light:
        light = light * matching_gains(light, light_of(picture))
    theirs = level_of(light.astype(np.float32), picture).astype(np.float32)
    soft = cv2.sepFilter2D(where.astype(np.float32), -1, SOFT, SOFT, borderType=cv2.BORDER_REPLICATE)[..., None]
    mixed = picture + soft * (theirs - picture)
    mixed = np.rint(mixed) if picture.dtype == np.uint8 else mixed
    out: np.ndarray = np.where(soft > 0, mixed, picture).astype(picture.dtype)
    return out


def matching_gains(new: np.ndarray, old: np.ndarray) -> np.ndarray:
    """By what the light of each channel (3,) of a picture is multiplied to be that of another, by their means."""
    means = [light.reshape(-1, 3).mean(0, dtype=np.float64) for light in (old, new)]
    gains: np.ndarray = np.clip(means[0] / np.maximum(means[1], 1e-4), 1 / MOST_GAIN, MOST_GAIN)
    return gains.astype(np.float32)


def noise_picture(key: RowKey, rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """A picture (H, W, 3) uint8 of two colours, drawn by ``rng``, that run into each other by a field of ``key``."""
    colours = rng.integers(0, 256, (2, 3))
    v, u = np.indices(size).reshape(2, -1) * (CELLS / size[0])
    share = random_field(key, np.stack([u, v, np.zeros(len(u))], 1))[:, None]
    mixed: np.ndarray = np.rint(colours[0] + share * (colours[1] - colours[0])).astype(np.uint8)
    return mixed.reshape(*size, 3)
