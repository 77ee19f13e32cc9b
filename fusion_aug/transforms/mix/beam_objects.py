"""Which sample owns every cell of the beams, so that no box is cut: boxes that share cells go together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch

from fusion_aug.ops.points import points_in_boxes
from fusion_aug.sample import Sample
from fusion_aug.streams import Boxes3D
from fusion_aug.transforms.mix.beam_scans import Half, ScanPair

Array = np.ndarray
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

    The cells of a box are those between its outermost returns, of both samples. Who owns a group of boxes is what the
    pattern says at most of their centres, the receiver where it is even.
    """
    mine, other = _boxes(sample), _boxes(donor)
    own = 0 if mine is None else mine.rows
    grids = [pattern(p) for p in pairs]
    owners = np.zeros(own + (0 if other is None else other.rows), bool)
    if mine is None or other is None or not len(owners):
        return Division(grids, ~owners[:own], owners[own:])
    poses = torch.cat([mine["pose"], other["pose"]]).to(torch.float64)
    sizes = torch.cat([mine["size"], other["size"]]).to(torch.float64)
    speeds = torch.cat([_velocity(mine), _velocity(other)])
    found = _rectangles(pairs, poses, sizes, speeds)
    key = min(range(len(pairs)), key=lambda k: abs(pairs[k].offset))
    votes = np.array([_at_centre(pairs[key], grids[key], T) for T in poses.numpy()])
    group = _groups(found, len(owners), [p.columns for p in pairs])
    owners = (np.bincount(group, votes) * 2 > np.bincount(group))[group]
    for box, pair, low, high, column, width in zip(*found, strict=True):
        columns = (column + np.arange(width)) % pairs[pair].columns
        grids[pair][low : high + 1, columns] = owners[box]
    return Division(grids, ~owners[:own], owners[own:])


def _boxes(sample: Sample) -> Boxes3D | None:
    return next(iter(sample.of_type(Boxes3D).values()), None)


def _velocity(boxes: Boxes3D) -> torch.Tensor:
    known = boxes.values.get("velocity")
    empty = torch.zeros(boxes.rows, 3, dtype=torch.float64)
    return empty if known is None else known.to(torch.float64).nan_to_num(0.0)


def _at_centre(pair: ScanPair, grid: Array, pose: Array) -> bool:
    centre = pair.T_sensor_ref[:3, :3] @ pose[:3, 3] + pair.T_sensor_ref[:3, 3]
    return bool(grid[pair.cell(centre)]) if np.isfinite(pair.elevations).any() else False


def _rectangles(
    pairs: Sequence[ScanPair], poses: torch.Tensor, sizes: torch.Tensor, speeds: torch.Tensor
) -> Rectangles:
    rows = []
    for k, pair in enumerate(pairs):
        there = poses.clone()
        there[:, :3, 3] += speeds * pair.offset
        there = torch.from_numpy(pair.T_sensor_ref) @ there
        halves = [pair.own] if pair.other is None else [pair.own, pair.other]
        inside = [points_in_boxes(torch.from_numpy(h.xyz), there, sizes) for h in halves]
        for box in range(len(there)):
            cells = [_cells(h, i[box]) for h, i in zip(halves, inside, strict=True)]
            ring, column = (np.concatenate(c) for c in zip(*cells, strict=True))
            if len(ring):
                start, width = _arc(column, pair.columns)
                rows.append((box, k, int(ring.min()), int(ring.max()), start, width))
    table = np.array(rows, np.int64).reshape(-1, 6)
    return Rectangles(*table.T)


def _cells(half: Half, rows: torch.Tensor) -> tuple[Array, Array]:
    index = rows.numpy()[half.ring[rows.numpy()] >= 0]
    return half.ring[index], half.column[index]


def _arc(columns: Array, count: int) -> tuple[int, int]:
    """The shortest arc of a circle that holds all of some columns: its first, and how many."""
    found = np.unique(columns)
    gaps = np.diff(np.append(found, found[0] + count))
    widest = int(gaps.argmax())
    return int(found[(widest + 1) % len(found)]), int(count - gaps[widest] + 1)


def _groups(found: Rectangles, boxes: int, columns: Sequence[int]) -> Array:
    """(boxes,) number of the group of every box, of which some rectangles overlap."""
    parent = np.arange(boxes)
    for k in np.unique(found.pair):
        of = found.pair == k
        box, low, high, first, width = (
            v[of] for v in (found.box, found.first_ring, found.last_ring, found.column, found.width)
        )
        rings = (low[:, None] <= high) & (low <= high[:, None])
        ahead = (first - first[:, None]) % columns[k]  # of the second's first column to the first's
        begins = ahead < width[:, None]
        meet = rings & (begins | begins.T)
        for a, b in zip(*np.nonzero(np.triu(meet, 1)), strict=True):
            one, other = parent[box[a]], parent[box[b]]
            parent[parent == other] = one
    _, group = np.unique(parent, return_inverse=True)
    return group
