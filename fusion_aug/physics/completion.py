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
from fusion_aug.physics.cells import NOTHING_KNOWN, CellDirections, cell_size, grid_shape
from fusion_aug.physics.edges import levels_of, sharpened
from fusion_aug.physics.fading import faded
from fusion_aug.physics.ground import ON_GROUND
from fusion_aug.physics.plates import find_plates
from fusion_aug.physics.posts import find_posts
from fusion_aug.physics.rims import find_rims
from fusion_aug.physics.sky import Scan, sky_cells, sky_on_canvas
from fusion_aug.physics.spread import Guides, fill_gaps, normalized_convolution

Array = np.ndarray

SKY_DISTANCE = 1e4  # metres: what has no distance is this far away
SKY_FROM = 0.3 * SKY_DISTANCE  # metres, what is as far is the sky
COLOUR_STEP, DEPTH_STEP = 150.0, 50.0  # cells that a step across all levels, and one by e in distance, count for
STEP = 0.2  # of the logarithm of distance between neighbouring cells that is an edge and no slope
GROUND_PRIOR_WEIGHT = 1e-3  # weight of a cell on the assumed ground, against one that was measured


class Completion(NamedTuple):
    """Distance (H, W) of every pixel, metres, and how well it is known (H, W): 1 measured, 0 guessed; float32."""

    distance: Array
    confidence: Array


def complete_distances(
    pixels: Array,
    distance: Array,
    size: tuple[int, int],
    picture: Array | None = None,
    directions: CellDirections = NOTHING_KNOWN,
    refine: bool = True,
    sky: Array | None = None,
) -> Completion:
    """Fill a canvas from scattered distances.

    Args:
        pixels: (n, 2) canvas, of points that the camera sees. distance: (n,) metres.
        size: (height, width) of the canvas, whose first row is the uppermost.
        picture: (H, W, 3) uint8 or float32 that guides; without it distances spread evenly.
        directions: of the cells of the grid; the ground is laid below the points.
        refine: whether surfaces end where the picture shows it, to the pixel, or where the grid has room: less work.
        sky: (H, W) bool, where somebody else says that the sky is; None to find it.
    """
    height, width = size
    if len(pixels) == 0:
        return Completion(np.full(size, SKY_DISTANCE, np.float32), np.zeros(size, np.float32))
    cell, shape = cell_size(size), grid_shape(size)
    value, weight = _on_grid(pixels, distance, shape, cell)
    guide = None if picture is None else _guide(picture, shape, cell)
    scan = Scan.of(weight > 0, directions, guide)
    seeded, floor = weight.copy(), directions.floor
    if floor is not None:
        _seed_ground(value, seeded, weight, floor)
    guides: Guides = [] if guide is None else [(guide, COLOUR_STEP)]
    filled, mass = _fill(value, seeded, floor, guides)
    filled, mass = _fill(value, seeded, floor, [*guides, (filled, DEPTH_STEP)])
    known = np.minimum(mass / 0.1, 1.0)
    if sky is None:
        sky = sky_on_canvas(sky_cells(scan, guide), scan.edge, cell, picture, guide, pixels, size)
    far = np.ascontiguousarray(_on_canvas(filled, cell)[:height, :width])
    if refine and picture is not None and guide is not None:
        ground = None if floor is None else _on_ground(filled, floor, cell)[:height, :width]
        levels, plates = levels_of(picture), find_plates(value, weight > 0, directions)
        rims, posts = find_rims(levels, plates, cell), find_posts(levels, plates, directions, cell)
        for post in posts:
            (top, bottom), (left, right) = post.rows, post.columns
            known[top // cell : bottom // cell + 1, max(0, left // cell - 1) : right // cell + 2] = 1.0
        far = sharpened(far, picture, pixels, distance, ground, posts, rims)
        far = faded(far, known, guide, sky, cell)
    far = cv2.exp(far)
    far[sky] = SKY_DISTANCE
    sure = _enlarged(known, cell, cv2.INTER_LINEAR)[:height, :width]
    return Completion(far, np.ascontiguousarray(sure))


def _on_canvas(filled: Array, cell: int) -> Array:
    """The grid on the canvas: smooth over surfaces, but no pixel between two of them."""
    if cell == 1:
        return filled
    around = np.ones((3, 3), np.uint8)
    step = (cv2.dilate(filled, around) - cv2.erode(filled, around) > STEP).astype(np.uint8)
    smooth, crisp = (_enlarged(filled, cell, how) for how in (cv2.INTER_LINEAR, cv2.INTER_NEAREST))
    cv2.copyTo(crisp, _enlarged(step, cell, cv2.INTER_NEAREST), smooth)
    return smooth


def _on_ground(filled: Array, floor: Array, cell: int) -> Array:
    """Where on the canvas the grid shows the ground, bool."""
    off = np.abs(filled - np.log(np.clip(floor, 1e-3, SKY_DISTANCE)))
    return _enlarged((off < ON_GROUND).astype(np.uint8), cell, cv2.INTER_NEAREST) > 0


def _enlarged(grid: Array, cell: int, how: int) -> Array:
    """A grid with every cell ``cell`` pixels wide."""
    return cv2.resize(grid, (grid.shape[1] * cell, grid.shape[0] * cell), interpolation=how)


def _on_grid(pixels: Array, distance: Array, shape: tuple[int, int], cell: int) -> tuple[Array, Array]:
    """Logarithm of distance and weight of every cell; the nearest point wins a cell."""
    value, weight = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    order = np.argsort(-distance, kind="stable")  # nearer points are written later
    u, v = cell_of((pixels[order] + 0.5) / cell).astype(int).clip(0).T
    where = (v.clip(max=shape[0] - 1), u.clip(max=shape[1] - 1))
    value[where], weight[where] = np.log(np.maximum(distance[order], 1e-3)), 1.0
    return value, weight


def _guide(picture: Array, shape: tuple[int, int], cell: int) -> Array:
    """The picture on the grid, float32 in [0, 1]."""
    below, right = shape[0] * cell - picture.shape[0], shape[1] * cell - picture.shape[1]
    if below or right:
        picture = cv2.copyMakeBorder(picture, 0, below, 0, right, cv2.BORDER_REPLICATE)
    small = cv2.resize(picture, shape[::-1], interpolation=cv2.INTER_AREA).astype(np.float32)
    return small / 255 if picture.dtype == np.uint8 else small


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
