"""Which sample owns every cell of the beams, so that no box is cut: boxes that share cells go together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from calib.ties import cell_of
from fusion_aug.ops.beam_grid import columns_of
from fusion_aug.sample import Sample
from fusion_aug.streams import Boxes3D
from fusion_aug.transforms.mix.beam_scans import ScanPair

Array = np.ndarray
MARGIN = 0.003  # radians, by which returns of a box may lie outside of the directions of its edges
Pattern = Callable[[ScanPair], Array]  # (rings, columns) bool, True where the donor's returns are taken


class Division(NamedTuple):
    """Who owns what.

    Attributes:
        grids: of every pair (rings, columns) bool, True where the donor's returns are taken.
        stay, come: (n,) bool of the receiver's boxes, and of the donor's.
    """

    grids: list[Array]
    stay: Array
    come: Array


class Rectangles(NamedTuple):
    """Cells of boxes, each of one pair: rings and columns from a first to a last, columns around the circle.

    Attributes:
        box, pair: (m,) numbers. first_ring, last_ring: (m,). column: (m,) the first. width: (m,) columns.
    """

    box: Array
    pair: Array
    first_ring: Array
    last_ring: Array
    column: Array
    width: Array


def divided(sample: Sample, donor: Sample, pairs: Sequence[ScanPair], pattern: Pattern) -> Division:
    """The cells of every scan by a pattern, except that boxes whose cells overlap are wholly one sample's.

    The cells of a box are those in which its scanner sees it, and one beside. Who owns a group of boxes is what the
    pattern says at most of their centres, the receiver where it is even.
    """
    mine, other = _boxes(sample), _boxes(donor)
    own = 0 if mine is None else mine.rows
    grids = [pattern(p) for p in pairs]
    owners = np.zeros(own + (0 if other is None else other.rows), bool)
    if mine is None or other is None or not len(owners):
        return Division(grids, ~owners[:own], owners[own:])
    poses, sizes, speeds = (
        np.concatenate([_column(b, n) for b in (mine, other)]) for n in ("pose", "size", "velocity")
    )
    found = _rectangles(pairs, poses, sizes, speeds)
    key = min(range(len(pairs)), key=lambda k: abs(pairs[k].offset))
    votes = _at_centres(pairs[key], grids[key], poses[:, :3, 3])
    group = _groups(found, len(owners), [p.columns for p in pairs])
    owners = (np.bincount(group, votes) * 2 > np.bincount(group))[group]
    for box, pair, low, high, column, width in zip(*found, strict=True):
        columns = (column + np.arange(width)) % pairs[pair].columns
        grids[pair][low : high + 1, columns] = owners[box]
    return Division(grids, ~owners[:own], owners[own:])


def _boxes(sample: Sample) -> Boxes3D | None:
    return next(iter(sample.of_type(Boxes3D).values()), None)


def _column(boxes: Boxes3D, name: str) -> Array:
    known = boxes.values.get(name)
    found = torch.zeros(boxes.rows, 3) if known is None else known
    column: Array = found.detach().to(torch.float64).nan_to_num(0.0).numpy()
    return column


def _at_centres(pair: ScanPair, grid: Array, places: Array) -> Array:
    """(n,) bool, whether the donor owns the cells at places (n, 3) of the reference frame."""
    if pair.is_empty:
        return np.zeros(len(places), bool)
    xyz = places @ pair.T_sensor_ref[:3, :3].T + pair.T_sensor_ref[:3, 3]
    elevation = np.arctan2(xyz[:, 2], np.hypot(xyz[:, 0], xyz[:, 1]))
    apart = np.round(np.abs(pair.elevations - elevation[:, None]), 6)
    owned: Array = grid[np.nanargmin(apart, axis=1), columns_of(np.arctan2(xyz[:, 1], xyz[:, 0]), pair.columns)]
    return owned


def _rectangles(pairs: Sequence[ScanPair], poses: Array, sizes: Array, speeds: Array) -> Rectangles:
    """The cells of all directions in which a box is seen by every scanner."""
    parts = [np.zeros((6, 0), np.int64)]
    for k, pair in enumerate(pairs):
        there = poses.copy()
        there[:, :3, 3] += speeds * pair.offset
        there = pair.T_sensor_ref @ there
        scanners = pair.scanners or [np.eye(4)]
        each = len(pair.elevations) // len(scanners) or 1
        for s, T in enumerate(scanners):
            rings = slice(s * each, None if s == len(scanners) - 1 else (s + 1) * each)
            found = _seen(T @ there, sizes, pair.lowest[rings], pair.highest[rings], pair.columns)
            box, low, high, column, width = found
            parts.append(np.stack([box, np.full(len(box), k), low + s * each, high + s * each, column, width]))
    return Rectangles(*np.concatenate(parts, 1))


def _seen(T: Array, sizes: Array, lowest: Array, highest: Array, columns: int) -> tuple[Array, ...]:
    """Numbers of the boxes (n, 4, 4) that rings meet, first and last ring, first column, and columns of each."""
    edges = EDGES * sizes[:, None] / 2
    xyz = edges @ T[:, :3, :3].transpose(0, 2, 1) + T[:, None, :3, 3]
    elevation = np.arctan2(xyz[..., 2], np.hypot(xyz[..., 0], xyz[..., 1]))
    below, above = elevation.min(1) - MARGIN, elevation.max(1) + MARGIN
    meets = (lowest <= above[:, None]) & (highest >= below[:, None])
    middle = np.arctan2(T[:, 1, 3], T[:, 0, 3])
    beside = (np.arctan2(xyz[..., 1], xyz[..., 0]) - middle[:, None] + np.pi) % (2 * np.pi) - np.pi
    scale = columns / (2 * np.pi)
    first = cell_of((middle + beside.min(1) + np.pi) * scale).astype(np.int64) - 1
    last = cell_of((middle + beside.max(1) + np.pi) * scale).astype(np.int64) + 1
    local = np.abs(np.einsum("nji,nj->ni", T[:, :3, :3], T[:, :3, 3]))
    around = (local[:, :2] <= sizes[:, :2] / 2 + MARGIN).all(1)  # the scanner is above, below or in it
    width = np.where(around, columns, np.minimum(last - first + 1, columns))
    some = meets.any(1)
    low, high = meets.argmax(1), meets.shape[1] - 1 - meets[:, ::-1].argmax(1)
    low, high = np.where(around, 0, low), np.where(around, meets.shape[1] - 1, high)
    return tuple(v[some] for v in (np.arange(len(T)), low, high, first % columns, width))


def _edges() -> Array:
    """(m, 3) places on the edges of a box from -1 to 1."""
    steps, ends = np.linspace(-1, 1, 9), (-1.0, 1.0)
    out = []
    for axis in range(3):
        for a in ends:
            for b in ends:
                line = np.empty((len(steps), 3))
                line[:, axis], line[:, (axis + 1) % 3], line[:, (axis + 2) % 3] = steps, a, b
                out.append(line)
    return np.concatenate(out)


EDGES = _edges()


def _groups(found: Rectangles, boxes: int, columns: Sequence[int]) -> Array:
    """(boxes,) number of the group of every box, of which some rectangles overlap."""
    together = np.eye(boxes, dtype=bool)
    for k in np.unique(found.pair):
        box, _, low, high, first, width = (v[found.pair == k] for v in found)
        begins = (first - first[:, None]) % columns[k] < width[:, None]  # the second within the first
        meet = (low[:, None] <= high) & (low <= high[:, None]) & (begins | begins.T)
        one, other = np.nonzero(meet)
        together[box[one], box[other]] = True
    group: Array = connected_components(csr_array(together), directed=False)[1]
    return group
