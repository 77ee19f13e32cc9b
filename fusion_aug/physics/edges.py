"""Distances that end where things end: every pixel joins the surface of the point that the picture ties it to.

A coarse map knows how far surfaces are, but its steps lie on a grid. Here every pixel finds the point to which the
cheapest way leads, where a step of colour costs as much as many pixels of way: the image foresting transform (Falcao,
Stolfi and Lotufo 2004) with costs that add up. Where the map shows another surface than that point lies on, the pixel
takes the point's distance. All costs are whole numbers, so that every processor finds the same ways.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import cv2
import numpy as np

from calib.ties import nearest_whole
from fusion_aug.physics.posts import Post
from fusion_aug.physics.rims import Rim

Array = np.ndarray
Places = tuple[Array, Array]  # rows and columns of pixels

ROUNDS = 4  # of ways along rows, then columns: a way may turn that often
LENGTH, COLOUR = 1, 2  # cost of a pixel of way, and of the square of a step of colour, levels
DEAREST = 20  # levels of a step that is an edge for certain: larger ones cost no more
SMOOTH = 0.8  # pixels, sigma of the blur that takes noise off the picture
OUTLINE = 3  # pixels across of the median that takes single pixels off outlines
SPOT = 1  # pixels to either side of a point that its beam lights
OTHER_SURFACE = 0.2  # of the logarithm of distance: what differs by more lies on another surface
POINT_BITS = 24  # of a packed way: the number of its point, below its cost
# of going on by a pixel, packed, by the largest step among the colours
COST = (LENGTH + COLOUR * np.minimum(np.arange(256, dtype=np.int64), DEAREST) ** 2) << POINT_BITS
NO_WAY = np.int64(1) << 61


def sharpened(
    coarse: Array,
    picture: Array,
    pixels: Array,
    distance: Array,
    ground: Array | None = None,
    posts: Sequence[Post] = (),
    rims: Sequence[Rim] = (),
) -> Array:
    """A map of distances with its steps where the picture has them.

    Args:
        coarse: (H, W) float32, logarithm of distance in metres.
        picture: (H, W, 3) uint8, or float32 from 0 to 1.
        pixels: (n, 2) canvas, of one or more points. distance: (n,) metres.
        ground: (H, W) bool, where the map shows the ground, which between two rings is no step however far it goes.
        posts: which stand before what lies around them. rims: of things that are what they enclose.

    Returns:
        (H, W) float32, logarithm of distance.
    """
    nearest_first = np.argsort(distance, kind="stable")  # of points in one pixel the nearest is seen
    rows, columns = _places(pixels[nearest_first], coarse.shape)
    value = np.log(np.maximum(distance[nearest_first], 1e-3)).astype(np.float32)
    level = np.zeros(len(rows), bool) if ground is None else ground[rows, columns]
    for post in posts:
        rows, columns, value, level = _with_post(post, rows, columns, value, level)
    point = nearest_points(picture, (rows, columns))
    own = value[point]
    same = np.abs(own - coarse) < OTHER_SURFACE
    if ground is not None:
        same |= ground & level[point]
    found = np.where(same, coarse, own)
    for rim in rims:
        within = cv2.fillPoly(np.zeros(found.shape, np.uint8), [rim.outline.astype(np.int32)], 1) > 0
        found[within & (found > rim.value)] = rim.value
    found = cv2.medianBlur(found, OUTLINE)
    _keep_points(found, (rows, columns), value)
    return found


def _keep_points(found: Array, places: Places, value: Array) -> None:
    """Lay the spots of beams whose points stand before what a map shows there, where a median took them off."""
    rows, columns = places
    lost = found[rows, columns] - value > OTHER_SURFACE
    rows, columns, value = rows[lost], columns[lost], value[lost]
    for down in range(-SPOT, SPOT + 1):
        for right in range(-SPOT, SPOT + 1):
            v, u = (rows + down).clip(0, found.shape[0] - 1), (columns + right).clip(0, found.shape[1] - 1)
            np.minimum.at(found, (v, u), value)


def _with_post(post: Post, rows: Array, columns: Array, value: Array, level: Array) -> tuple[Array, ...]:
    """Rows, columns, values of points and whether they lie on the ground, with those of a post instead of what is
    behind it."""
    (top, bottom), (left, right) = post.rows, post.columns
    behind = (rows >= top) & (rows < bottom) & (columns >= left) & (columns < right) & (value > post.value)
    v, u = (g.ravel() for g in np.mgrid[top:bottom, left + (right - left) // 3 : right - (right - left) // 3])
    new = v, u, np.full(len(v), post.value, np.float32), np.zeros(len(v), bool)
    return tuple(np.concatenate([b, a[~behind]]) for a, b in zip((rows, columns, value, level), new, strict=True))


def nearest_points(picture: Array, seeds: Places) -> Array:
    """The number of the point that the cheapest way through a picture leads to, (H, W) int64, from every pixel.

    Args:
        picture: (H, W, 3) uint8, or float32 from 0 to 1. seeds: of one or more points; the first of a pixel has it.
    """
    way = np.full(picture.shape[:2], NO_WAY)
    np.minimum.at(way, seeds, np.arange(len(seeds[0])))
    planes = cv2.split(cv2.GaussianBlur(levels_of(picture), (0, 0), SMOOTH))
    down, right = _costs(planes), _costs([cv2.transpose(p) for p in planes])
    for _ in range(ROUNDS):
        along_rows = _transposed(way)
        _walk(along_rows, right)
        way = _transposed(along_rows)
        _walk(way, down)
    return way & ((1 << POINT_BITS) - 1)


def levels_of(picture: Array) -> Array:
    """A picture (H, W, 3) of uint8, or of float32 from 0 to 1, as uint8."""
    return picture if picture.dtype == np.uint8 else nearest_whole(np.clip(picture, 0, 1) * 255).astype(np.uint8)


def _costs(planes: Sequence[Array]) -> Array:
    """The cost of going from each row to the next, (rows - 1, columns) int64, packed; of colours (rows, columns)."""
    if len(planes[0]) < 2:
        return np.zeros((0, planes[0].shape[1]), np.int64)
    step = functools.reduce(np.maximum, [cv2.absdiff(p[1:], p[:-1]) for p in planes])
    return COST[step]


def _walk(way: Array, cost: Array) -> None:
    """Go down and up all columns, and keep the cheaper ways; of equal ones that to the lower number."""
    longer = np.empty_like(way[0])
    for i in range(1, len(way)):
        np.add(way[i - 1], cost[i - 1], out=longer)
        np.minimum(way[i], longer, out=way[i])
    for i in range(len(way) - 2, -1, -1):
        np.add(way[i + 1], cost[i], out=longer)
        np.minimum(way[i], longer, out=way[i])


def _transposed(way: Array) -> Array:
    """Faster than NumPy copies."""
    return cv2.transpose(way.view(np.float64)).view(np.int64)


def _places(pixels: Array, size: tuple[int, ...]) -> Places:
    """Rows and columns of the pixels that points (n, 2) lie in."""
    columns, rows = nearest_whole(pixels).astype(np.int64).T
    return rows.clip(0, size[0] - 1), columns.clip(0, size[1] - 1)
