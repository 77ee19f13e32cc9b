"""Scans of two samples beside each other, on one grid of rings and columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from calib.se3 import invert
from fusion_aug.core.mixing.meeting import T_into, T_ref_item, partner_items
from fusion_aug.ops.beam_grid import column_count, columns_of, mean_by, ring_shift, rings_by_order
from fusion_aug.sample import Sample
from fusion_aug.streams import Lidar
from fusion_aug.streams.columns import concat
from fusion_aug.streams.ragged import FIRST_ADDED

Array = np.ndarray


@dataclass(frozen=True)
class Half:
    """The returns of one scan.

    Attributes:
        values: columns (n, ...) in the receiver's sensor frame. numbers: (n,) of its rows.
        xyz: (n, 3) float64, places in that frame. ring, column: (n,) int64 cells; ring -1 of a return without a place.
    """

    values: dict[str, Any]
    numbers: Tensor
    xyz: Array
    ring: Array
    column: Array


@dataclass(frozen=True)
class ScanPair:
    """An item of the receiver's cloud, and the donor's item beside it.

    Attributes:
        name, item: of the receiver's. own: its returns. other: the donor's, None where it has no scan at that time.
        elevations: (rings,) mean elevation of each, radians. columns: of a revolution.
        T_sensor_ref: (4, 4) from the receiver's reference frame to that of its sensor.
        offset: seconds after the reference time.
        cloud: the donor's scan, whose columns ``other`` has.
    """

    name: str
    item: int
    own: Half
    other: Half | None
    elevations: Array
    columns: int
    T_sensor_ref: Array
    offset: float
    cloud: Lidar | None = None

    def cell(self, xyz: Array) -> tuple[int, int]:
        """Ring and column nearest to a place (3,) of the sensor frame."""
        elevation = np.arctan2(xyz[2], np.hypot(xyz[0], xyz[1]))
        ring = int(np.nanargmin(np.round(np.abs(self.elevations - elevation), 6)))
        return ring, int(columns_of(np.arctan2(xyz[1:2], xyz[:1]), self.columns)[0])


def scan_pairs(sample: Sample, donor: Sample) -> Iterator[ScanPair]:
    """All scans of the receiver's LiDARs, each with the donor's beside it."""
    for name, stream in sample.of_type(Lidar).items():
        mine, other = stream.realized().loaded(), donor[name].realized().loaded()  # type: ignore[attr-defined]
        for i, j in enumerate(partner_items(sample, donor, name)):
            rows = mine.item_slice(i)
            own = {n: v[rows] for n, v in mine.values.items()}
            moved = None
            if j is not None:
                moved = other.take_items(torch.tensor([j])).transformed(T_into(sample, donor, name, i, j)[None])
            time = int(stream.true_capture_times[i])
            frames = [_T_scanner(sample, stream, origin, time) for origin in stream.origins]
            halves, elevations, columns = _on_one_grid(own, None if moved is None else moved.values, frames)
            first = Half(own, mine.row_keys[rows], *halves[0])
            second = None
            if moved is not None:
                second = Half(dict(moved.values), FIRST_ADDED + moved.noise_rows(0), *halves[1])
            T = invert(T_ref_item(sample, name, i)).numpy()
            yield ScanPair(name, i, first, second, elevations, columns, T, (time - sample.ref.time) * 1e-9, moved)


def beams_refusal(sample: Sample, donor: Sample, name: str) -> str:
    """Why nobody knows the beams of a cloud of either sample; "" where they are known."""
    for which in (sample, donor):
        stream = which[name].realized().loaded()  # type: ignore[attr-defined]
        if "ring" in stream.values or not stream.rows:
            continue
        if any(rings_by_order(_places(stream.values["xyz"][stream.item_slice(i)])) is None for i in range(len(stream))):
            return (
                f"{name!r} of {which.id!r} has no column 'ring', and its points are not listed ring by ring, as those "
                f"of a spinning LiDAR are: its beams are unknown"
            )
    return ""


def joined_scans(cloud: Lidar, parts: Sequence[tuple[ScanPair, Array, Array, dict[str, Any]]]) -> Lidar:
    """A cloud of the receiver's returns that stay and the donor's that come.

    Args:
        cloud: the receiver's. parts: of every item the pair, (n,) bool of both which rows stay and come, and columns of
            those that come which change.
    """
    items, numbers = [], []
    fresh = _new_instances(cloud, parts)
    for pair, stays, comes, changed in parts:
        keep = torch.from_numpy(stays)
        own = {n: v[keep] if isinstance(v, Tensor) else v[stays] for n, v in pair.own.values.items()}
        rows = pair.own.numbers[keep]
        if pair.other is not None:
            take = torch.from_numpy(comes)
            added = {n: v[take] if isinstance(v, Tensor) else v[comes] for n, v in pair.other.values.items()} | changed
            if "instance" in added:
                added["instance"] = _renumbered(added["instance"], fresh)
            own = {n: concat([v, added[n].to(v.dtype) if isinstance(v, Tensor) else added[n]]) for n, v in own.items()}
            rows = torch.cat([rows, pair.other.numbers[take]])
        items.append(own)
        numbers.append(rows)
    return cloud.realized().loaded().repacked(items, torch.cat(numbers))


def _new_instances(cloud: Lidar, parts: Sequence[tuple[ScanPair, Array, Array, dict[str, Any]]]) -> dict[int, int]:
    """Number of each of the donor's objects -> the smallest that no object of the receiver has."""
    if "instance" not in cloud.values:
        return {}
    taken = set(cloud.values["instance"].unique().tolist())
    come = [p.other.values["instance"][torch.from_numpy(c)] for p, _, c, _ in parts if p.other is not None]
    found = torch.cat(come).unique().tolist() if come else []
    free = (n for n in range(1, len(taken) + len(found) + 2) if n not in taken)
    return {n: next(free) for n in found if n > 0}


def _renumbered(instance: Tensor, fresh: dict[int, int]) -> Tensor:
    known, where = instance.unique(return_inverse=True)
    new = torch.tensor([fresh.get(n, n) for n in known.tolist()], dtype=instance.dtype)
    return new[where] if len(known) else instance


def _T_scanner(sample: Sample, stream: Lidar, origin: str, time: int) -> Array:
    T: Array = sample.true_rig.T(origin, stream.frame, time, time).numpy()
    return T


def _on_one_grid(
    own: dict[str, Any], other: dict[str, Any] | None, scanners: Sequence[Array]
) -> tuple[list[tuple[Array, Array, Array]], Array, int]:
    """Of both scans places, rings and columns; the mean elevation of every ring; the columns of a revolution."""
    found = []
    for values in (own, other):
        if values is None:
            continue
        xyz = _places(values["xyz"])
        about, ring = xyz.copy(), values["ring"].numpy().astype(np.int64) if "ring" in values else rings_by_order(xyz)
        ring = np.zeros(len(xyz), np.int64) if ring is None else ring.copy()
        if scanners and "origin" in values:
            scanner = values["origin"].numpy().astype(np.int64)
            for k, T in enumerate(scanners):
                about[scanner == k] = xyz[scanner == k] @ T[:3, :3].T + T[:3, 3]
            ring = ring * len(scanners) + scanner.clip(0, len(scanners) - 1)
        azimuth = np.arctan2(about[:, 1], about[:, 0])
        elevation = np.arctan2(about[:, 2], np.hypot(about[:, 0], about[:, 1]))
        found.append([xyz, ring, azimuth, elevation, np.isfinite(xyz).all(1) & (ring >= 0)])
    if "ring" not in own and len(found) == 2 and all(len(f[0]) for f in found):
        a, b = (mean_by(f[1][f[4]], f[3][f[4]], int(f[1].max()) + 1) for f in found)
        shift = ring_shift(a, b)
        found[0][1], found[1][1] = found[0][1] + max(0, -shift), found[1][1] + max(0, shift)
    ring, azimuth, elevation = (np.concatenate([f[k][f[4]] for f in found]) for k in (1, 2, 3))
    largest = max(found, key=lambda f: len(f[0]))
    columns = column_count(largest[2][largest[4]], largest[1][largest[4]])
    rings = int(ring.max(initial=0)) + 1
    halves = [
        (xyz, np.where(there, r, -1), np.where(there, columns_of(np.where(there, a, 0.0), columns), 0))
        for xyz, r, a, _, there in found
    ]
    return halves, mean_by(ring, elevation, rings), columns


def _places(xyz: Tensor) -> Array:
    places: Array = xyz.detach().to(torch.float64).numpy()
    return places
