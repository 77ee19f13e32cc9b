"""Which parts of a picture face up: by normals of its distances, and by steps where those are not known."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

Array = np.ndarray
Planes = Sequence[Array]  # (H, W) for each of three axes
BASES = (0.0063, 0.014)  # radians between the places whose difference makes a normal
LEVEL, WIDE = 0.025, 0.5  # radians and metres, length of a level upper rim that holds something
BEHIND, FARTHER = 2.5, 1.15  # metres, and share of distance, from which on what shows above a rim is another thing


def facing_up(distance: Array, rays: Array, up: Array, focal: float) -> Array:
    """The upward component (H, W) of the unit normals of a range picture, float32, -1 to 1, towards the camera.

    Of the two neighbours along each axis the one of more equal distance counts, so that no normal spans an edge. What
    faces up over a short base alone is a step of distances, no surface: the smaller of two bases' answers is taken.

    Args:
        distance: (H, W) metres along rays, float32. rays: (H, W, 3) unit, float32. up: (3,) unit, in their axes.
        focal: pixels per radian.
    """
    distance, ways = cv2.medianBlur(distance, 5), cv2.split(rays)
    place = [way * distance for way in ways]
    rise = [_rise(place, distance, ways, up, max(1, round(b * focal))) for b in BASES]
    return cv2.blur(np.minimum(*rise), (5, 5))


def normals(distance: Array, rays: Array, base: int) -> Array:
    """Unit normals (H, W, 3) of a range picture, towards the camera, smoothed; by places ``base`` pixels away.

    Args:
        distance: (H, W) metres along rays, float32. rays: (H, W, 3) unit, float32.
    """
    distance, ways = cv2.medianBlur(distance, 5), cv2.split(rays)
    n = [cv2.blur(x, (5, 5)) for x in _normal([way * distance for way in ways], distance, ways, base)]
    length = np.maximum(_length(n), np.float32(1e-9))
    return cv2.merge([x / length for x in n])


def _rise(place: Planes, distance: Array, ways: Planes, up: Array, base: int) -> Array:
    """The upward component (H, W) of normals by places ``base`` pixels away."""
    x, y, z = (n * np.float32(u) for n, u in zip(_normal(place, distance, ways, base), up, strict=True))
    return x + y + z


def _normal(place: Planes, distance: Array, ways: Planes, base: int) -> list[Array]:
    """The three components (H, W) of unit normals by places ``base`` pixels away."""
    across, down = (_changes(place, distance, axis, base) for axis in (1, 0))
    normal = [across[i] * down[j] - across[j] * down[i] for i, j in ((1, 2), (2, 0), (0, 1))]
    towards = sum(n * way for n, way in zip(normal, ways, strict=True))
    scale = np.copysign(1 / np.maximum(_length(normal), np.float32(1e-9)), -towards)
    return [n * scale for n in normal]


def _length(vector: Planes) -> Array:
    x, y, z = vector
    return cv2.sqrt(x * x + y * y + z * z)


def _changes(place: Planes, distance: Array, axis: int, base: int) -> list[Array]:
    """Changes of a position along an axis, three (H, W): to the place ahead, or since that behind where it is nearer.

    Beyond the canvas its last place goes on, which is taken where the canvas has none on either side.
    """
    step = cv2.absdiff(_ahead(distance, axis, base), distance)
    here, before = (np.s_[base:], np.s_[:-base]) if axis == 0 else (np.s_[:, base:], np.s_[:, :-base])
    end = np.s_[-base:] if axis == 0 else np.s_[:, -base:]
    step[end] = np.inf
    behind = (~(step[here] <= step[before])).astype(np.uint8)
    out = [_ahead(p, axis, base) - p for p in place]
    for change in out if behind.size else ():
        cv2.copyTo(change[before].copy(), behind, change[here])
    return out


def _ahead(x: Array, axis: int, by: int) -> Array:
    """Values (H, W) ``by`` places further along an axis, the last one repeated."""
    by = min(by, x.shape[axis] - 1)
    rest = (0, by, 0, 0) if axis == 0 else (0, 0, 0, by)
    return cv2.copyMakeBorder(x[by:] if axis == 0 else x[:, by:], *rest, cv2.BORDER_REPLICATE)


def run_lengths(mask: Array) -> Array:
    """Length (H, W) of the run along its row that each pixel of a mask (H, W) lies in; 0 outside the mask."""
    width = mask.shape[1]
    columns = np.broadcast_to(np.arange(width, dtype=np.int32), mask.shape)
    before = np.maximum.accumulate(np.where(mask > 0, -1, columns), 1)
    after = np.minimum.accumulate(np.where(mask > 0, width, columns)[:, ::-1], 1)[:, ::-1]
    return np.where(mask > 0, after - before - 1, 0)


def odd(length: float) -> int:
    """The odd number of pixels nearest to a length: of kernels that lie even about their middle."""
    return 2 * max(0, round((length - 1) / 2)) + 1


def below_steps(distance: Array, focal: float, thickness: float) -> Array:
    """Share of every pixel (H, W), float32, at most ``thickness`` metres below the upper rim of what it shows.

    Args:
        distance: (H, W) metres, float32. focal: pixels per radian. thickness: metres.
    """
    here = distance[1:]
    rim = np.zeros(distance.shape, np.uint8)
    rim[1:] = distance[:-1] > np.maximum(here * np.float32(FARTHER), here + np.float32(BEHIND))
    run = run_lengths(cv2.dilate(rim, np.ones((3, 1), np.uint8)))
    level = run >= np.maximum(LEVEL, WIDE / distance) * np.float32(focal)  # no flanks, no flecks
    rows = np.arange(len(distance), dtype=np.float32)[:, None]
    last = np.maximum.accumulate(np.where((rim > 0) & level, rows, np.float32(-1e6)), 0)
    return np.clip(np.float32(thickness * focal) / distance - (rows - last), 0, 1).astype(np.float32)


__all__ = ["below_steps", "facing_up", "normals", "odd", "run_lengths"]
