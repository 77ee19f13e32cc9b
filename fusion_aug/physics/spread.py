"""Values spread over a grid: held back by edges, or from coarser levels."""

from __future__ import annotations

import cv2
import numpy as np

Array = np.ndarray
Guides = list[tuple[Array, float]]

REACH = 2.2  # cells over which a value's weight falls to 1/e


def normalized_convolution(values: list[Array], weight: Array, guides: Guides) -> tuple[list[Array], Array]:
    """Normalized convolution: weighted means (rows, columns) of some values, and the weight that reached each cell.

    Args:
        values, weight: of every cell.
        guides: pictures (rows, columns) or (rows, columns, 3), and how many cells a step of 1 in them counts for.
    """
    stack = np.stack([*(v * weight for v in values), weight]).astype(np.float32)
    for axis in (1, 0):
        stack = recursive_sums(stack, _decay(guides, weight.shape, axis), axis)
    mass = stack[-1]
    return [part / np.maximum(mass, 1e-20) for part in stack[:-1]], mass


def largest(channels: Array) -> Array:
    """The largest of three channels (..., 3); many times as fast as ``max``."""
    return np.maximum(np.maximum(channels[..., 0], channels[..., 1]), channels[..., 2])


def _decay(guides: Guides, shape: tuple[int, ...], axis: int) -> Array:
    """How much of a value crosses from each cell to the next along an axis."""
    length = np.ones((shape[0] - (axis == 0), shape[1] - (axis == 1)), np.float32)
    for picture, cells in guides:
        step = np.abs(np.diff(picture, axis=axis))
        length += cells * (step if step.ndim == 2 else largest(step))
    return faded(length, REACH)


def faded(length: Array, reach: float) -> Array:
    """What is left after ways (...) in cells of a value whose weight falls to 1/e over ``reach``; float32."""
    return cv2.exp(length * np.float32(-1.0 / reach)) if length.size else length


def recursive_sums(stack: Array, decay: Array, axis: int) -> Array:
    """Exponential sums from both sides along an axis of some maps: x_i + a x_(i-1) + a a' x_(i-2) ...

    Args:
        stack: (maps, rows, columns) float32. decay: a between neighbours, one less along the axis. axis: 0 or 1.
    """
    if not decay.size:  # one cell has no neighbours
        return stack
    if axis == 1:  # steps of whole rows are several times as fast
        return _transposed(recursive_sums(_transposed(stack), cv2.transpose(decay), 0))
    x, a = np.moveaxis(stack, 1, 0), decay[:, None]
    both = np.stack([x, x[::-1]], 1)  # there and back in one loop
    fade, step = np.stack([a, a[::-1]], 1), np.empty_like(both[0])
    for i in range(1, len(both)):
        np.multiply(fade[i - 1], both[i - 1], out=step)
        both[i] += step
    return np.moveaxis(both[:, 0] + both[::-1, 1] - x, 1, 0)


def _transposed(stack: Array) -> Array:
    return np.stack([cv2.transpose(part) for part in stack])


def fill_gaps(value: Array, weight: Array) -> Array:
    """Fill entries of weight 0 from the nearest coarser level that knows something (Gortler et al. 1996)."""
    if bool((weight > 0).all()):
        return value.astype(np.float32)
    if min(value.shape) <= 2:
        mean = (value * weight).sum() / max(float(weight.sum()), 1e-9)
        return np.where(weight > 0, value, mean).astype(np.float32)
    size = (value.shape[1] // 2 + value.shape[1] % 2, value.shape[0] // 2 + value.shape[0] % 2)
    mass = cv2.resize(weight, size, interpolation=cv2.INTER_AREA)
    mean = cv2.resize(value * weight, size, interpolation=cv2.INTER_AREA) / np.maximum(mass, 1e-9)
    coarse = fill_gaps(mean.astype(np.float32), (mass > 0).astype(np.float32))
    back = cv2.resize(coarse, value.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.where(weight > 0, value, back).astype(np.float32)
