"""Directions of edges in pictures, and how far two pictures agree in them, whatever their light and colours are.

An edge has a direction up to half a turn, since light and dark may change places; it is held as a number whose angle is
twice that of the edge (as orientation correlation does: Fitch et al. 2002, with doubled angles).
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

Array = np.ndarray

SMOOTH = 1.0  # pixels, of the Gaussian before gradients are taken
FLOOR = 4.0  # levels per pixel at which an edge counts half


class Blocks(NamedTuple):
    """What two pictures say of each other, block by block on a grid.

    Attributes:
        shift: (n, 2) pixels x, y by which the second has moved. peak: (n,) agreement there, 0 to 1.
        weight: (n,) how much of edges the first picture has there, as a share of its pixels.
    """

    shift: Array
    peak: Array
    weight: Array


def edges_of(picture: Array) -> Array:
    """(H, W) complex64: strength 0 to 1, and twice the direction, of the edges of a picture (H, W, 3) uint8."""
    grey = cv2.GaussianBlur(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32), (0, 0), SMOOTH)
    dx, dy = (cv2.Scharr(grey, cv2.CV_32F, *axis, scale=1 / 32) for axis in ((1, 0), (0, 1)))
    square = dx * dx + dy * dy
    g = dx + 1j * dy
    found: Array = (g * g / (square + FLOOR * np.sqrt(square) + 1e-6)).astype(np.complex64)
    return found


def local_shifts(before: Array, after: Array, block: int, reach: int) -> Blocks:
    """By how much a picture has moved against another, in blocks that lie next to each other.

    Args:
        before, after: edges (H, W). block: side of a block, pixels. reach: the largest shift that is looked for, less
            than half a block.
    """
    height, width = before.shape
    rows, columns = height // block, width // block
    parts = [
        x[: rows * block, : columns * block]
        .reshape(rows, block, columns, block)
        .swapaxes(1, 2)
        .reshape(-1, block, block)
        for x in (before, after)
    ]
    window = np.outer(*[np.hanning(block).astype(np.float32)] * 2)
    first, second = (np.fft.fft2(p * window) for p in parts)
    surface = np.fft.ifft2(second * first.conj()).real
    norm = np.sqrt((np.abs(parts[0] * window) ** 2).sum((1, 2)) * (np.abs(parts[1] * window) ** 2).sum((1, 2))) + 1e-9
    surface = np.fft.fftshift(surface, (1, 2)) / norm[:, None, None]
    middle = block // 2
    near = surface[:, middle - reach : middle + reach + 1, middle - reach : middle + reach + 1]
    best = near.reshape(len(near), -1).argmax(1)
    y, x = np.divmod(best, 2 * reach + 1)
    shift = np.stack([x, y], 1) - reach + _between(near, y, x)
    return Blocks(shift, near.reshape(len(near), -1).max(1), np.abs(parts[0]).mean((1, 2)))


def _between(surface: Array, y: Array, x: Array) -> Array:
    """Parts of a pixel by which the top of a parabola lies beside the best one, (n, 2)."""
    n, last = np.arange(len(surface)), surface.shape[1] - 1
    out = []
    for dy, dx in ((0, 1), (1, 0)):
        low, high = (surface[n, np.clip(y + s * dy, 0, last), np.clip(x + s * dx, 0, last)] for s in (-1, 1))
        top = surface[n, y, x]
        bend = low - 2 * top + high
        inside = (y * dy + x * dx > 0) & (y * dy + x * dx < last) & (bend < -1e-9)
        out.append(np.where(inside, (low - high) / np.where(inside, 2 * bend, 1), 0.0))
    found: Array = np.stack(out, 1)
    return found
