"""Which parts of a picture face up: by normals of its distances, and by steps where those are not known."""

from __future__ import annotations

import cv2
import numpy as np

Array = np.ndarray
BASES = (1 / 200, 1 / 90)  # of the picture's width, between the places whose difference makes a normal
LEVEL = 1 / 70  # of the picture's width, length of an upper rim that lies level enough to hold something
BEHIND, FARTHER = 2.5, 1.15  # metres, and share of distance, from which on what shows above a rim is another thing


def facing_up(distance: Array, rays: Array, up: Array) -> Array:
    """The upward component (H, W) of the unit normals of a range picture, float32, -1 to 1, towards the camera.

    Of the two neighbours along each axis the one of more equal distance counts, so that no normal spans an edge. What
    faces up over a short base alone is a step of distances, no surface: the smaller of two bases' answers is taken.

    Args:
        distance: (H, W) metres along rays, float32. rays: (H, W, 3) unit, float32. up: (3,) unit, in their axes.
    """
    distance = cv2.medianBlur(distance, 5)
    place = rays * distance[..., None]
    rise = [_rise(place, distance, rays, up, max(1, round(b * distance.shape[1]))) for b in BASES]
    return cv2.blur(np.minimum(*rise), (5, 5))


def _rise(place: Array, distance: Array, rays: Array, up: Array, base: int) -> Array:
    """The upward component (H, W) of normals by places ``base`` pixels away."""
    across, down = (_difference(place, distance, axis, base) for axis in (1, 0))
    normal = [across[..., i] * down[..., j] - across[..., j] * down[..., i] for i, j in ((1, 2), (2, 0), (0, 1))]
    length = cv2.sqrt(normal[0] ** 2 + normal[1] ** 2 + normal[2] ** 2)
    towards = sum(n * rays[..., i] for i, n in enumerate(normal))
    rise = sum(n * np.float32(up[i]) for i, n in enumerate(normal))
    return np.where(towards > 0, -rise, rise) / np.maximum(length, np.float32(1e-9))


def _difference(place: Array, distance: Array, axis: int, base: int) -> Array:
    """Change (H, W, 3) of a position along an axis."""
    ahead, behind = (_shifted(place, axis, s) for s in (base, -base))
    to, since = (np.abs(_shifted(distance, axis, s) - distance) for s in (base, -base))
    return np.where((to <= since)[..., None], ahead - place, place - behind)


def _shifted(x: Array, axis: int, by: int) -> Array:
    """Values ``by`` places further along an axis, the last one repeated."""
    index = np.clip(np.arange(x.shape[axis]) + by, 0, x.shape[axis] - 1)
    return x.take(index, axis)


def below_steps(distance: Array, focal: float, thickness: float) -> Array:
    """Share of every pixel (H, W), float32, at most ``thickness`` metres below the upper rim of what it shows.

    Args:
        distance: (H, W) metres, float32. focal: pixels per radian. thickness: metres.
    """
    here = distance[1:]
    rim = np.zeros(distance.shape, np.uint8)
    rim[1:] = distance[:-1] > np.maximum(here * np.float32(FARTHER), here + np.float32(BEHIND))
    run: Array = np.ones((1, max(1, round(distance.shape[1] * LEVEL))), np.uint8)
    level = cv2.morphologyEx(cv2.dilate(rim, np.ones((5, 1), np.uint8)), cv2.MORPH_OPEN, run)  # no flanks, no flecks
    rows = np.arange(len(distance), dtype=np.float32)[:, None]
    last = np.maximum.accumulate(np.where((rim > 0) & (level > 0), rows, np.float32(-1e6)), 0)
    return np.clip(np.float32(thickness * focal) / distance - (rows - last), 0, 1).astype(np.float32)


__all__ = ["below_steps", "facing_up"]
