"""Rims of plates: a thing in the air ends where the ring of one colour ends that the picture shows around it.

Signs have rims, often of a colour nearer to that of the wall behind than to the plate's own, on which the beams' points
lie. But a wall does not end all around a thing at once. From the middle of a plate, rays go out in all directions: a
colour that most of them meet and leave again a little farther on is a rim, and what it encloses is one thing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from calib.ties import nearest_whole
from fusion_aug.physics.plates import Plate
from fusion_aug.physics.spread import largest

Array = np.ndarray

RAYS = 48
LEAST_RADIUS = 4  # pixels of a plate whose rim can be told
TALLEST = 1.6  # times as far as sideways a plate may go on up and down
THICK = 0.3  # of the way to the rim's outer end, at most: its thickness, but for a pixel
ALIKE = 12, 24  # levels, by which colours of a rim differ at most: what is tried
GRAIN, TRIED = 16, 14  # levels, of the colours that are tried; the most frequent ones
CLOSED = 0.7  # share of the rays that must meet the rim
CONVEX = 0.92  # share of its convex hull that a plate fills
EVEN = 0.12  # of the way to the rim's end, by which it differs at most from the median of near rays, but for a pixel
_TURN = 2 * np.pi * np.arange(RAYS) / RAYS
_BESIDE = (np.arange(RAYS)[:, None] + np.arange(-3, 4)) % RAYS
_ASIDE = np.abs(np.sin(_TURN)) < 0.3  # left and right of the middle


class Rim(NamedTuple):
    """The outline (n, 2) of a plate, columns and rows of pixels, and the logarithm of its distance."""

    outline: Array
    value: float


def find_rims(picture: Array, plates: Sequence[Plate], cell: int) -> list[Rim]:
    """The rims of the plates that have one.

    Args:
        picture: (H, W, 3) uint8. cell: pixels across a cell.
    """
    out = []
    for plate in plates:
        half = (plate.last - plate.first + 1) * cell // 2
        middle = plate.row * cell + cell // 2, (plate.first + plate.last + 1) * cell // 2
        outline = rim_around(picture, middle, (max(half - cell, 2), half + (plate.gap + 1) * cell))
        if outline is not None:
            out.append(Rim(outline, plate.value))
    return out


def rim_around(picture: Array, middle: tuple[int, int], reach: tuple[int, int]) -> Array | None:
    """The outline (RAYS, 2) of a convex plate that has a rim, columns and rows of pixels; None where none shows.

    Args:
        picture: (H, W, 3) uint8. middle: row and column. reach: pixels left and right of it that are the plate's for
            certain, and within which it ends.
    """
    way = np.arange(int(TALLEST * reach[1]) + 2)
    du, dv = (nearest_whole(f(_TURN)[:, None] * way).astype(int) for f in (np.cos, np.sin))
    v, u = middle[0] + dv, middle[1] + du
    inside = (v >= 0) & (v < picture.shape[0]) & (u >= 0) & (u < picture.shape[1])
    seen = picture[v.clip(0, picture.shape[0] - 1), u.clip(0, picture.shape[1] - 1)].astype(np.int16)
    off = largest(np.abs(seen - _frequent(seen)[:, None, None]))
    end = _ends(np.concatenate([(off <= levels) & inside for levels in ALIKE]))
    usual = np.sort(end[:, _BESIDE], -1)[..., _BESIDE.shape[1] // 2]
    met = (end >= LEAST_RADIUS) & (np.abs(end - usual) <= 1 + EVEN * usual)
    share = met.sum(1)
    for k in np.argsort(-share, kind="stable")[: (share > CLOSED * RAYS).sum()]:
        aside = end[k, met[k] & _ASIDE]
        half = aside.sum() / max(len(aside), 1)
        whole = np.interp(_TURN, _TURN[met[k]], end[k, met[k]], period=2 * np.pi)
        at = np.arange(RAYS), nearest_whole(whole).astype(int)
        outline = np.stack([u[at], v[at]], 1)
        if reach[0] - 1 <= half <= reach[1] + 1 and _convexity(outline) > CONVEX:
            return outline
    return None


def _convexity(outline: Array) -> float:
    """Area within an outline (n, 2) over that of its convex hull."""
    points = outline.astype(np.int32)
    return cv2.contourArea(points) / max(cv2.contourArea(cv2.convexHull(points)), 1.0)


def _frequent(seen: Array) -> Array:
    """The most frequent colours (n, 3) among some (..., 3), each the mean of those that are alike."""
    code = (seen.reshape(-1, 3) // GRAIN).astype(np.int64) @ np.array([1, 32, 1024])
    count = np.bincount(code)
    most = np.argsort(-count, kind="stable")[:TRIED]
    most = most[count[most] > 0]
    sums = np.stack([np.bincount(code, channel)[most] for channel in seen.reshape(-1, 3).T], 1)
    mean: Array = (sums // count[most, None]).astype(np.int16)
    return mean


def _ends(mine: Array) -> Array:
    """Where each ray (..., steps) leaves the first stretch of a colour that is thin enough; 0 where none is."""
    steps = np.arange(mine.shape[-1])
    begun = np.maximum.accumulate(np.where(mine, 0, steps), -1)  # the last step of another colour
    left = mine[..., :-1] & ~mine[..., 1:] & (steps[:-1] >= LEAST_RADIUS)
    thin = left & (steps[:-1] - begun[..., :-1] <= 1 + THICK * steps[:-1])
    end: Array = np.where(thin.any(-1), thin.argmax(-1), 0)
    return end
