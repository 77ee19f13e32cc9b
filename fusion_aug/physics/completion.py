"""Scattered distances spread over a picture: edges of the picture stop them, the ground goes on below, sky is far.

Normalized convolution (Knutsson and Westin 1993) of the logarithm of distance, by recursive filters on a coarse grid
that steps of colour hold back (the domain transform of Gastal and Oliveira 2011), and in a second round steps of depth
too, so that what lies between two surfaces joins one of them.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from calib.ties import cell_of

Array = np.ndarray
Guides = list[tuple[Array, float]]

SKY_DISTANCE = 1e4  # metres: what has no distance is this far away
COLUMNS = 400  # of the grid, at most
REACH = 2.2  # cells over which a value's weight falls to 1/e
COLOUR_STEP, DEPTH_STEP = 150.0, 50.0  # cells that a step across all levels, and one by e in distance, count for
ON_GROUND = 0.15  # share by which a point may be farther or nearer than the ground and still lie on it
STEP = 0.2  # of the logarithm of distance between neighbouring cells that is an edge and no slope
GROUND_PRIOR_WEIGHT = 1e-3  # weight of a cell on the assumed ground, against one that was measured
BEAM_GAP = 8  # cells above the highest point from which there is sky: the next beam may have missed an edge


class Completion(NamedTuple):
    """Distance (H, W) of every pixel, metres, and how well it is known (H, W): 1 measured, 0 guessed; float32."""

    distance: Array
    confidence: Array


def cell_size(size: tuple[int, int]) -> int:
    """Pixels per cell of the grid on a canvas of (height, width)."""
    return max(1, round(size[1] / COLUMNS))


def grid_shape(size: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of the grid."""
    cell = cell_size(size)
    return -(-size[0] // cell), -(-size[1] // cell)


def complete_distances(
    pixels: Array,
    distance: Array,
    at_top: Array,
    size: tuple[int, int],
    picture: Array | None = None,
    floor: Array | None = None,
) -> Completion:
    """Fill a canvas from scattered distances.

    Args:
        pixels: (n, 2) canvas. distance: (n,) metres.
        at_top: (n,) whether a point lies at the upper end of the scanner's view, so that its surface may go on above.
        size: (height, width) of the canvas.
        picture: (H, W, 3) uint8 or float32 that guides; without it distances spread evenly.
        floor: distance to the ground of every cell of the grid, infinity above the horizon; used below the points.
    """
    height, width = size
    if len(pixels) == 0:
        return Completion(np.full(size, SKY_DISTANCE, np.float32), np.zeros(size, np.float32))
    cell, shape = cell_size(size), grid_shape(size)
    value, weight, top = _on_grid(pixels, distance, at_top, shape, cell)
    guide = None if picture is None else _guide(picture, shape, cell)
    sky = _sky(weight, top, guide, floor)
    seeded = weight.copy()
    if floor is not None:
        _seed_ground(value, seeded, weight, floor)
    guides: Guides = [] if guide is None else [(guide, COLOUR_STEP)]
    filled, mass = _fill(value, seeded, floor, guides)
    filled, mass = _fill(value, seeded, floor, [*guides, (filled, DEPTH_STEP)])
    filled[sky] = np.log(SKY_DISTANCE)
    sure = _enlarged(np.minimum(mass / 0.1, 1.0), cell, cv2.INTER_LINEAR)[:height, :width]
    return Completion(
        cv2.exp(np.ascontiguousarray(_on_canvas(filled, cell)[:height, :width])), np.ascontiguousarray(sure)
    )


def _on_canvas(filled: Array, cell: int) -> Array:
    """The grid on the canvas: smooth over surfaces, but no pixel between two of them."""
    if cell == 1:
        return filled
    around = np.ones((3, 3), np.uint8)
    step = (cv2.dilate(filled, around) - cv2.erode(filled, around) > STEP).astype(np.uint8)
    smooth, crisp = (_enlarged(filled, cell, how) for how in (cv2.INTER_LINEAR, cv2.INTER_NEAREST))
    cv2.copyTo(crisp, _enlarged(step, cell, cv2.INTER_NEAREST), smooth)
    return smooth


def _enlarged(grid: Array, cell: int, how: int) -> Array:
    """A grid with every cell ``cell`` pixels wide."""
    return cv2.resize(grid, (grid.shape[1] * cell, grid.shape[0] * cell), interpolation=how)


def _on_grid(
    pixels: Array, distance: Array, at_top: Array, shape: tuple[int, int], cell: int
) -> tuple[Array, Array, Array]:
    """Logarithm of distance, weight and end-of-view mark of every cell; the nearest point wins a cell."""
    value, weight, top = np.zeros(shape, np.float32), np.zeros(shape, np.float32), np.zeros(shape, bool)
    order = np.argsort(-distance, kind="stable")  # nearer points are written later
    u, v = cell_of((pixels[order] + 0.5) / cell).astype(int).clip(0).T
    where = (v.clip(max=shape[0] - 1), u.clip(max=shape[1] - 1))
    value[where], weight[where], top[where] = np.log(np.maximum(distance[order], 1e-3)), 1.0, at_top[order]
    return value, weight, top


def _guide(picture: Array, shape: tuple[int, int], cell: int) -> Array:
    """The picture on the grid, float32 in [0, 1]."""
    below, right = shape[0] * cell - picture.shape[0], shape[1] * cell - picture.shape[1]
    if below or right:
        picture = cv2.copyMakeBorder(picture, 0, below, 0, right, cv2.BORDER_REPLICATE)
    small = cv2.resize(picture, shape[::-1], interpolation=cv2.INTER_AREA).astype(np.float32)
    return small / 255 if picture.dtype == np.uint8 else small


def _sky(weight: Array, top: Array, guide: Array | None, floor: Array | None) -> Array:
    """Which cells show sky: nothing was measured there, and they look like sky.

    Above a column's highest point there is sky also where it does not look so, unless that point lies at the upper end
    of the scanner's view: there its surface may go on.
    """
    rows, columns = weight.shape
    found, height = (weight > 0).astype(np.uint8), np.arange(rows)[:, None]
    known = cv2.dilate(found, np.ones((1, 7), np.uint8)) > 0  # points of one beam are apart
    first = np.where(known.any(0), known.argmax(0), rows)
    ends = cv2.dilate((top & (weight > 0)).astype(np.uint8), np.ones((1, 7), np.uint8)) > 0
    goes_on = ends[np.minimum(first, rows - 1), np.arange(columns)]
    # a tree or a lamp among columns of sky does not reach up for ever
    run = max(3, columns // 40) | 1
    goes_on &= cv2.blur(goes_on.astype(np.float32)[None], (run, 1), borderType=cv2.BORDER_REPLICATE)[0] >= 0.7
    sky = (height < first[None] - BEAM_GAP) & ~goes_on[None]
    if guide is None:
        return sky
    bright, bluish = guide.mean(2), guide[..., 2] - guide[..., 0]
    mean = cv2.blur(bright, (5, 5))
    even = cv2.blur(bright * bright, (5, 5)) - mean * mean < 4e-4
    looks, free = (bright > 0.5) & (bluish > -0.02), height < first[None] - 2
    sure = height < first[None] - 2 * BEAM_GAP
    if floor is not None:  # gaps in the scan above the horizon
        hole = (cv2.dilate(found, np.ones((2 * BEAM_GAP + 1, 7), np.uint8)) == 0) & np.isinf(floor)
        free, sure = free | hole, sure | hole
    brighter = (bright > 1.25 * float(np.median(bright[weight > 0]))) & (bluish > -0.05)
    seen = _patches_with(looks & even & free, sure) | (sky & even & brighter)
    # up to the edge that made the surroundings uneven
    grown = cv2.dilate(seen.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    return seen | (grown & looks & free)


def _patches_with(mask: Array, core: Array) -> Array:
    """The connected patches of a mask that hold enough cells of a core: a white wall does not join the sky."""
    count, label = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    inside = np.bincount(label[mask & core], minlength=count) >= 20
    inside[0] = False
    return inside[label]


def _seed_ground(value: Array, seeded: Array, weight: Array, floor: Array) -> None:
    """Lay the ground below each column's lowest point."""
    rows = weight.shape[0]
    known = cv2.dilate((weight > 0).astype(np.uint8), np.ones((1, 9), np.uint8)) > 0
    last = np.where(known.any(0), rows - 1 - known[::-1].argmax(0), rows)
    below = (np.arange(rows)[:, None] > last[None] + 2) & np.isfinite(floor)
    value[below], seeded[below] = np.log(np.maximum(floor[below], 1e-3)), GROUND_PRIOR_WEIGHT


def _fill(value: Array, weight: Array, floor: Array | None, guides: Guides) -> tuple[Array, Array]:
    """Every cell's logarithm of distance, and the weight that reached it.

    Where most of what reaches a cell lies on the ground, the ground's own distance is taken, as much farther or nearer
    as those points are: between two beams that meet the road far apart, it recedes as a plane does.
    """
    if floor is None:
        (filled,), mass = normalized_convolution([value], weight, guides)
    else:
        plane = np.log(np.clip(floor, 1e-3, SKY_DISTANCE)).astype(np.float32)
        off = value - plane
        ground = (np.isfinite(floor) & (np.abs(off) < ON_GROUND)).astype(np.float32)
        (filled, share, apart), mass = normalized_convolution([value, ground, off * ground], weight, guides)
        level = (share > 0.5) & np.isfinite(floor)
        filled = np.where(level, plane + apart / np.maximum(share, 1e-6), filled)
    return fill_gaps(filled, (mass > 1e-12).astype(np.float32)), mass


def normalized_convolution(values: list[Array], weight: Array, guides: Guides) -> tuple[list[Array], Array]:
    """Normalized convolution: weighted means (rows, columns) of some values, and the weight that reached each cell.

    Args:
        values, weight: of every cell.
        guides: pictures (rows, columns) or (rows, columns, 3), and how many cells a step of 1 in them counts for.
    """
    stack = np.stack([*(v * weight for v in values), weight], -1).astype(np.float32)
    for axis in (1, 0):
        stack = _recursive(stack, _decay(guides, weight.shape, axis), axis)
    mass = stack[..., -1]
    return [stack[..., i] / np.maximum(mass, 1e-20) for i in range(len(values))], mass


def _decay(guides: Guides, shape: tuple[int, ...], axis: int) -> Array:
    """How much of a value crosses from each cell to the next along an axis."""
    length = np.ones((shape[0] - (axis == 0), shape[1] - (axis == 1)), np.float32)
    for picture, cells in guides:
        step = np.abs(np.diff(picture, axis=axis))
        length += cells * (step if step.ndim == 2 else np.maximum(np.maximum(step[..., 0], step[..., 1]), step[..., 2]))
    return cv2.exp(length * (-1.0 / REACH)) if length.size else length


def _recursive(stack: Array, decay: Array, axis: int) -> Array:
    """Exponential sums from both sides along an axis: x_i + a x_(i-1) + a a' x_(i-2) ..."""
    x = np.ascontiguousarray(np.moveaxis(stack, axis, 0))
    a = np.ascontiguousarray(np.moveaxis(decay, axis, 0))[..., None]
    forth, back = x.copy(), x.copy()
    for i in range(1, len(x)):
        forth[i] += a[i - 1] * forth[i - 1]
    for i in range(len(x) - 2, -1, -1):
        back[i] += a[i] * back[i + 1]
    return np.moveaxis(forth + back - x, 0, axis)


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
