"""One sheet of a sample before and after, of a street or of a robot, with what it holds and what was drawn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fusion_aug.sample import Sample
from fusion_aug.show.draw import BIRD, PAPER, TILE, banner, birds_eye, camera_tile, fitted
from fusion_aug.show.numbers import drawn_lines, held_lines
from fusion_aug.show.panel import fits, panel, strip
from fusion_aug.show.robot import draw_robot, is_robot
from fusion_aug.streams import Camera

GAP = 6  # pixels between the cameras and the view from above


def draw_sheet(before: Sample, after: Sample, overlay: bool = True) -> np.ndarray:
    """A picture of a sample before and after.

    Args:
        before, after: the samples; the history of the latter tells what was drawn.
        overlay: whether points, boxes, maps, paths and links of robots are drawn into the pictures of cameras.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    if is_robot(before):
        return draw_robot(before, after, before.id, overlay)
    done = ", ".join(r.path for r in after.history if r.applied) or "nothing"
    drawn = ["drawn:", *drawn_lines(after.history)] if after.history else []
    parts = [
        draw_sample(before, f"before  {before.id}", held_lines(before), overlay, needed=False),
        draw_sample(after, f"after  {done}", drawn, overlay),
    ]
    width = max(p.shape[1] for p in parts)
    return np.concatenate([np.pad(p, ((0, 0), (0, width - p.shape[1]), (0, 0)), constant_values=24) for p in parts])


def draw_sample(
    sample: Sample, title: str, lines: Sequence[str] = (), overlay: bool = True, needed: bool = True
) -> np.ndarray:
    """A picture of one sample: its cameras, beside them the view from above, and lines where there is room.

    Args:
        sample: one sample. title: written above. lines: of text. overlay: see ``draw_sheet``.
        needed: whether the lines get a strip of their own where there is no room.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    cameras = list(sample.of_type(Camera))
    width = TILE if len(cameras) > 1 else 2 * TILE
    tiles = [camera_tile(sample, name, overlay, width) for name in cameras]
    columns = columns_of(len(tiles))
    rows = [_row(tiles[i : i + columns]) for i in range(0, len(tiles), columns)]
    missing, told = -len(tiles) % columns, False
    if missing:
        room = (missing * width, rows[-1].shape[0])
        told = not needed or fits(lines, *room)
        rows[-1] = np.concatenate([rows[-1], panel(lines if told else held_lines(sample), *room)], 1)
    left = np.concatenate(rows) if rows else np.full((0, width, 3), PAPER, np.uint8)
    bird = birds_eye(sample, max(BIRD, left.shape[0]))
    height, free = bird.shape[0], bird.shape[0] - left.shape[0]
    if not missing and (not needed or fits(lines, left.shape[1], free)):
        left, told = np.concatenate([left, panel(lines, left.shape[1], free)]), True
    body = np.concatenate([fitted(left, height), np.full((height, GAP, 3), PAPER, np.uint8), bird], 1)
    below = [strip(lines, body.shape[1])] if lines and needed and not told else []
    return np.concatenate([banner(title, body.shape[1]), body, *below])


def columns_of(count: int) -> int:
    """In how many columns pictures stand: with as few empty places as can be, in about two rows."""
    if count <= 2:
        return 1
    return min((2, 3, 4), key=lambda columns: (-count % columns, abs(-(-count // columns) - 2)))


def _row(tiles: list[np.ndarray]) -> np.ndarray:
    height = max(t.shape[0] for t in tiles)
    return np.concatenate([fitted(t, height) for t in tiles], 1)
