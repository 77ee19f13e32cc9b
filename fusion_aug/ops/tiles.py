"""A picture through a function of smaller pictures, tile by tile, with no seam where they meet."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Array = np.ndarray

FADE = 8  # pixels over which a tile gives way to the next


def in_tiles(
    planes: Array, function: Callable[[Array], Array], tile: tuple[int, int] | None, stride: int, margin: int
) -> Array:
    """A function of a picture, worked out on tiles that lie over one another by what it looks at beside a pixel.

    Within ``margin`` pixels of a tile's edge the function sees less than it would see in the whole picture; these are
    not used. Beyond them two tiles are cross-faded over ``FADE`` pixels, in which both say the same. The picture is
    continued by its mirror image where it does not fill the tiles.

    Args:
        planes: (channels, H, W) float32. function: of (channels, h, w), gives (any, h, w).
        tile: (height, width) of every part; None for the whole picture at once.
        stride: sides and places of parts are multiples of this many pixels, as of a network that halves its picture.
        margin: pixels beside a pixel that the function looks at.

    Returns:
        (any, H, W) float32.

    Raises:
        ValueError: a side of the tile is no multiple of ``stride``, or is too short for the margins.
    """
    height, width = planes.shape[1:]
    sides = [_side(length, t, stride) for length, t in zip((height, width), tile or (None, None), strict=True)]
    whole = np.pad(
        planes, [(0, 0), *((0, side[0] - n) for side, n in zip(sides, (height, width), strict=True))], "reflect"
    )
    (tall, high), (wide, broad) = sides
    rows, columns = _places(tall, high, stride, margin), _places(wide, broad, stride, margin)
    if len(rows) == len(columns) == 1:
        return np.ascontiguousarray(function(whole)[:, :height, :width], np.float32)
    total, weights = None, np.zeros((tall, wide), np.float32)
    for top in rows:
        for left in columns:
            found = function(np.ascontiguousarray(whole[:, top : top + high, left : left + broad]))
            share = np.outer(_share(top, high, tall, margin), _share(left, broad, wide, margin)).astype(np.float32)
            total = np.zeros((len(found), tall, wide), np.float32) if total is None else total
            total[:, top : top + high, left : left + broad] += found * share
            weights[top : top + high, left : left + broad] += share
    assert total is not None
    return np.ascontiguousarray((total / weights)[:, :height, :width])


def _side(length: int, tile: int | None, stride: int) -> tuple[int, int]:
    """Length of a side that tiles cover, at least ``length``, and of a tile's side."""
    if tile is None:
        whole = -(-length // stride) * stride
        return whole, whole
    if tile % stride:
        raise ValueError(f"a side of {tile} pixels is no multiple of the stride, {stride}")
    return tile + max(0, -(-(length - tile) // stride)) * stride, tile


def _places(whole: int, tile: int, stride: int, margin: int) -> list[int]:
    """Where tiles begin along a side, evenly."""
    if whole == tile:
        return [0]
    new = (tile - 2 * margin - FADE) // stride * stride  # by which a tile may go on
    if new <= 0:
        raise ValueError(
            f"a side of {tile} pixels is too short for margins of {margin}; {2 * margin + FADE + stride} do"
        )
    steps, count = (whole - tile) // stride, -(-(whole - tile) // new)
    return [steps * i // count * stride for i in range(count + 1)]


def _share(start: int, tile: int, whole: int, margin: int) -> Array:
    """How much of a tile counts along a side, (tile,): 0 within the margins, but at the picture's own edges."""
    at = np.arange(tile) + 0.5 - margin
    rising = np.ones(tile) if start == 0 else np.clip(at / FADE, 0, 1)
    falling = np.ones(tile) if start + tile == whole else np.clip(at / FADE, 0, 1)[::-1]
    return rising * falling
