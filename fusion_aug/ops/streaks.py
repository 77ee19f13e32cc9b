"""Drops and flakes before a picture: short streaks, sharp or out of focus."""

from __future__ import annotations

import cv2
import numpy as np

from fusion_aug.ops.blur import disc
from fusion_aug.ops.color import level_of, light_of

Array = np.ndarray
SHARP = 1.5  # pixels, of a disc that needs no more than the soft rim of a pixel
GROUPS = 12  # of wider discs, each by the root of 2 wider than the one before
LEAST = 1.0 / 512  # opacity that shows


def streak_opacity(width: Array, length: Array, blur: Array) -> Array:
    """Opacity (n,) of particles as wide as ``width`` pixels that move by ``length`` pixels during the exposure.

    One covers each pixel of its streak for a share of the time: pi/4 width^2 over the streak's area, which pixels, and
    a lens that makes discs of ``blur`` pixels of points, widen.
    """
    wide = np.sqrt(width**2 + blur**2 + 0.5)
    return np.minimum(np.pi / 4 * width**2 / (wide * (length + wide)), 1.0)


def draw_streaks(start: Array, stop: Array, width: Array, confusion: Array, size: tuple[int, int]) -> Array:
    """Opacity (H, W) float32 of moving particles seen through a lens.

    The shadow of a particle, its area in pixels, is spread along its way, and over a disc: its own and that which the
    lens makes of a point. Streaks are drawn in groups of like discs, wide ones on a coarser canvas.

    Args:
        start, stop: (n, 2) pixels. width: (n,) pixels.
        confusion: (n,) pixels, diameter of the disc that the lens makes of a point. size: of the canvas.
    """
    spread = np.hypot(width, confusion)
    group = np.clip(np.round(2 * np.log2(np.maximum(spread, 1e-6) / SHARP)), 0, GROUPS).astype(int)
    clear = np.ones(size, np.float32)
    for k in np.unique(group).tolist():
        rows, scale = group == k, 0.5 ** max(0, (k - 1) // 2)
        canvas = (int(np.ceil(size[0] * scale)), int(np.ceil(size[1] * scale)))
        ends = (np.stack([start[rows], stop[rows]]) + 0.5) * scale - 0.5
        drawn = _shadows(ends[0], ends[1], np.pi / 4 * (width[rows] * scale) ** 2, canvas)
        if k > 0:
            kernel = disc(SHARP * 2 ** (k / 2) * scale / 2)
            drawn = np.asarray(cv2.filter2D(drawn, -1, kernel, borderType=cv2.BORDER_CONSTANT))
        clear *= 1 - np.minimum(drawn if scale == 1 else cv2.resize(drawn, size[::-1]), 1)
    return 1 - clear


def _shadows(start: Array, stop: Array, area: Array, size: tuple[int, int]) -> Array:
    """Areas (n,) laid along lines, float32 (H, W); each point of a line is shared by the four pixels around it."""
    height, width = size
    steps = np.minimum(np.ceil(np.linalg.norm(stop - start, axis=1)), max(size)).astype(int) + 1
    line = np.repeat(np.arange(len(steps)), steps)
    share = (np.arange(len(line)) - np.repeat(np.cumsum(steps) - steps, steps) + 0.5) / steps[line]
    place = start[line] + (stop - start)[line] * share[:, None]
    whole = np.floor(place)
    (fu, fv), (u, v), part = (place - whole).T, whole.astype(np.int64).T, (area / steps)[line]
    out = np.zeros((height + 2) * (width + 2))  # with a rim that takes what lies outside
    for du, dv in ((0, 0), (1, 0), (0, 1), (1, 1)):
        weight = part * (fu if du else 1 - fu) * (fv if dv else 1 - fv)
        at = np.clip(v + dv + 1, 0, height + 1) * (width + 2) + np.clip(u + du + 1, 0, width + 1)
        out += np.bincount(at, weight, len(out))
    return out.reshape(height + 2, width + 2)[1:-1, 1:-1].astype(np.float32)


def cover(picture: Array, opacity: Array, light: Array) -> Array:
    """A picture with a light, (3,) or (H, W, 3), share of full scale, over it where ``opacity`` (H, W) says so.

    Light adds up as light, so a faint streak shows before what is dark and hardly before the sky.
    """
    out = picture.copy()
    where = np.flatnonzero(opacity > LEAST)
    if not len(where):
        return out
    flat, share = out.reshape(-1, 3), opacity.reshape(-1)[where, None]
    behind = light_of(flat[where][None])[0]
    before = np.asarray(light, np.float32)
    before = before if before.ndim == 1 else before.reshape(-1, 3)[where]
    flat[where] = level_of(behind + (before - behind) * share, picture)
    return out


__all__ = ["cover", "draw_streaks", "streak_opacity"]
