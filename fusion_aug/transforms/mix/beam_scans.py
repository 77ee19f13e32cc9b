"""Scans of two samples beside each other, on one grid of rings and columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from calib.se3 import invert
from fusion_aug.core.mixing.meeting import T_into, T_ref_item, partner_items
from fusion_aug.ops.beam_grid import Listing, column_count, columns_of, mean_by, ring_shift, rings_by_order
from fusion_aug.sample import Sample
from fusion_aug.streams import Lidar
from fusion_aug.streams.columns import take_rows
from fusion_aug.streams.ragged import FIRST_ADDED, offsets_of

Array = np.ndarray
SAMPLED = 8192  # returns that tell the elevations of rings
STRIDE = 2654435761  # a prime, by which they lie all over the scan


@dataclass(frozen=True)
class Half:
    """The returns of one scan.

    Attributes:
        values: columns (n, ...) in the receiver's sensor frame. numbers: (n,) of its rows.
        ring: (n,) int64; -1 of a return without a place. columns: of a revolution.
        scanners: ``T_scanner_sensor`` (4, 4) of every scanner that shares the cloud; none where the frame is its own.
        given: (n,) column of every return, where it was not measured.
    """

    values: Mapping[str, Any]
    numbers: Tensor
    ring: Array
    columns: int
    scanners: Sequence[Array] = ()
    given: Array | None = None

    @cached_property
    def xyz(self) -> Array:
        """(n, 3) float64, places in the receiver's sensor frame."""
        return _places(self.values["xyz"])

    @cached_property
    def column(self) -> Array:
        """(n,) int64 column of every return."""
        return self.column_of(np.arange(len(self.ring))) if self.given is None else self.given

    def column_of(self, rows: Array) -> Array:
        """(k,) int64 columns of some returns (k,); 0 of one without a place."""
        azimuth = azimuths(about_scanner(self.values, rows, self.scanners))
        return columns_of(np.where(self.ring[rows] >= 0, azimuth, 0.0), self.columns)


@dataclass(frozen=True)
class ScanPair:
    """An item of the receiver's cloud, and the donor's item beside it, on one grid of rings and columns.

    Rings of a second scanner that shares the cloud have numbers after those of the first.

    Attributes:
        name, item: of the receiver's. own: its returns. other: the donor's, None where it has no scan at that time.
        elevations: (rings,) mean elevation of each, radians; NaN of one without returns. lowest, highest: (rings,).
        columns: of a revolution. scanners: as of ``Half``.
        T_sensor_ref: (4, 4) from the receiver's reference frame to that of its sensor.
        offset: seconds after the reference time.
        cloud: the donor's scan, whose columns ``other`` has.
        listing: how the receiver's scan lists its returns, where that alone tells its rings.
    """

    name: str
    item: int
    own: Half
    other: Half | None
    elevations: Array
    lowest: Array
    highest: Array
    columns: int
    scanners: Sequence[Array]
    T_sensor_ref: Array
    offset: float
    cloud: Lidar | None = None
    listing: Listing | None = None

    @property
    def is_empty(self) -> bool:
        """Whether neither has a return with a place."""
        return not np.isfinite(self.elevations).any()


def scan_pairs(sample: Sample, donor: Sample) -> Iterator[ScanPair]:
    """All scans of the receiver's LiDARs, each with the donor's beside it."""
    for name, stream in sample.of_type(Lidar).items():
        mine, other = stream.realized().loaded(), donor[name].realized().loaded()  # type: ignore[attr-defined]
        for i, j in enumerate(partner_items(sample, donor, name)):
            rows = mine.item_slice(i)
            own = {n: v[rows] for n, v in mine.values.items()}
            moved = None if j is None else _one_item(other, j).transformed(T_into(sample, donor, name, i, j)[None])
            time = int(stream.true_capture_times[i])
            scanners = [sample.true_rig.T(o, stream.frame, time, time).numpy() for o in stream.origins]
            numbers = [_numbers(mine, i)] + ([FIRST_ADDED + moved.noise_rows(0)] if moved is not None else [])
            tables = [own] + ([moved.values] if moved is not None else [])
            rings = _rings(tables, len(scanners))
            columns = _columns(tables, rings, scanners)
            halves = [Half(v, n, r, columns, scanners) for v, n, r in zip(tables, numbers, rings, strict=True)]
            T = invert(T_ref_item(sample, name, i)).numpy()
            later = (time - sample.ref.time) * 1e-9
            grid = (*_elevations(halves), columns, scanners)
            listing = None if "ring" in own else rings_by_order(halves[0].xyz)
            yield ScanPair(
                name, i, halves[0], halves[1] if moved is not None else None, *grid, T, later, moved, listing
            )


def about_scanner(values: Mapping[str, Any], rows: Array, scanners: Sequence[Array]) -> Array:
    """(k, 3) float64 places of some returns (k,) about the scanner of each, along its own axes."""
    xyz = _places(values["xyz"][torch.from_numpy(rows)])
    if not scanners or "origin" not in values:
        return xyz
    origin, out = values["origin"][torch.from_numpy(rows)].numpy(), xyz.copy()
    for k, T in enumerate(scanners):
        out[origin == k] = xyz[origin == k] @ T[:3, :3].T + T[:3, 3]
    return out


def azimuths(xyz: Array) -> Array:
    """(n,) radians of places (n, 3)."""
    found: Array = torch.atan2(*(torch.from_numpy(np.ascontiguousarray(xyz[:, k])) for k in (1, 0))).numpy()
    return found


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


def joined_scans(cloud: Lidar, parts: Sequence[tuple[ScanPair, Array, Array]]) -> Lidar:
    """A cloud of the receiver's returns that stay and the donor's that come, listed as before where that tells rings.

    Args:
        cloud: the receiver's. parts: of every item the pair, and (n,) bool of both which rows stay and come.
    """
    fresh = _new_instances(cloud, parts)
    taken: list[tuple[Half, Tensor, bool]] = []
    counts, orders, start = [], [], 0
    for pair, stays, comes in parts:
        chosen = [(pair.own, stays, False)] + ([(pair.other, comes, True)] if pair.other is not None else [])
        rows = [(half, torch.from_numpy(mask.nonzero()[0]), donors) for half, mask, donors in chosen]
        taken += rows
        counts.append(sum(len(r) for _, r, _ in rows))
        if "ring" not in pair.own.values:
            xyz, ring = (np.concatenate([getattr(h, n)[r.numpy()] for h, r, _ in rows]) for n in ("xyz", "ring"))
            listed = np.arange(len(ring)) if pair.listing is None else pair.listing.order(xyz, ring)
            orders.append(start + listed)
        start += counts[-1]
    values = {n: _column(n, v, taken, fresh) for n, v in parts[0][0].own.values.items()}
    numbers = torch.cat([half.numbers[rows] for half, rows, _ in taken])
    if orders:
        order = torch.from_numpy(np.concatenate(orders))
        values, numbers = take_rows(values, order), numbers[order]
    whole = cloud.realized().loaded()
    return replace(whole, values=values, offsets=offsets_of(torch.tensor(counts)), source_rows=numbers)


def _column(name: str, like: Any, taken: Sequence[tuple[Half, Tensor, bool]], fresh: Mapping[int, int]) -> Any:
    """One column of the joined cloud; its rows are copied once."""
    if isinstance(like, np.ndarray):
        return np.concatenate([half.values[name][rows.numpy()] for half, rows, _ in taken])
    out = like.new_empty((sum(len(r) for _, r, _ in taken), *like.shape[1:]))
    start = 0
    for half, rows, donors in taken:
        part = out[start : start + len(rows)]
        value = half.values[name]
        if value.dtype == out.dtype and not (donors and name == "instance"):
            torch.index_select(value.detach(), 0, rows, out=part)
        else:
            found = value[rows]
            part.copy_(_renumbered(found, fresh) if donors and name == "instance" else found)
        start += len(rows)
    return out


def _new_instances(cloud: Lidar, parts: Sequence[tuple[ScanPair, Array, Array]]) -> dict[int, int]:
    """Number of each of the donor's objects -> the smallest that no object of the receiver has."""
    if "instance" not in cloud.values:
        return {}
    taken = set(cloud.values["instance"].unique().tolist())
    come = [p.other.values["instance"][torch.from_numpy(c)] for p, _, c in parts if p.other is not None]
    found = torch.cat(come).unique().tolist() if come else []
    free = (n for n in range(1, len(taken) + len(found) + 2) if n not in taken)
    return {n: next(free) for n in found if n > 0}


def _renumbered(instance: Tensor, fresh: Mapping[int, int]) -> Tensor:
    known, where = instance.unique(return_inverse=True)
    new = torch.tensor([fresh.get(n, n) for n in known.tolist()], dtype=instance.dtype)
    return new[where] if len(known) else instance


def _numbers(cloud: Lidar, item: int) -> Tensor:
    rows = cloud.item_slice(item)
    return torch.arange(rows.stop - rows.start) if cloud.source_rows is None else cloud.source_rows[rows]


def _one_item(cloud: Lidar, item: int) -> Lidar:
    if len(cloud) == 1:
        return cloud
    return cloud.take_items(torch.tensor([item]))


def _rings(tables: Sequence[Mapping[str, Any]], scanners: int) -> list[Array]:
    """Ring of every return of both scans, of one numbering; -1 where it has no place."""
    if "ring" in tables[0]:
        rings = [values["ring"].to(torch.int64).numpy() for values in tables]
    else:
        found = [rings_by_order(_places(values["xyz"])) for values in tables]
        rings = [np.zeros(len(v["xyz"]), np.int64) if r is None else r.ring for r, v in zip(found, tables, strict=True)]
        if len(rings) == 2 and all(len(r) for r in rings):
            means = []
            for ring, values in zip(rings, tables, strict=True):
                elevation = np.nan_to_num(_elevation(_places(values["xyz"])))
                means.append(mean_by(ring, elevation, int(ring.max()) + 1))
            shift = ring_shift(means[0], means[1])
            rings = [rings[0] + max(0, -shift), rings[1] + max(0, shift)]
    if scanners > 1 and all("origin" in values for values in tables):
        each = max(int(r.max(initial=0)) for r in rings) + 1
        rings = [r + each * v["origin"].numpy().astype(np.int64) for r, v in zip(rings, tables, strict=True)]
    return [_where_places(r, v["xyz"]) for r, v in zip(rings, tables, strict=True)]


def _where_places(ring: Array, xyz: Tensor) -> Array:
    flat = xyz.detach().reshape(-1)
    if bool(torch.isfinite(torch.dot(flat, flat))):  # then every one is, and this takes a tenth of the time
        return ring
    return np.where(torch.isfinite(xyz).all(1).numpy(), ring, -1)


def _columns(tables: Sequence[Mapping[str, Any]], rings: Sequence[Array], scanners: Sequence[Array]) -> int:
    """Columns of a revolution, as the fullest ring of the larger scan tells."""
    k = max(range(len(rings)), key=lambda i: len(rings[i]))
    known = rings[k][rings[k] >= 0]
    if not len(known):
        return column_count(np.zeros(0))
    rows = np.flatnonzero(rings[k] == np.bincount(known).argmax())
    return column_count(azimuths(about_scanner(tables[k], rows, scanners)))


def _elevations(halves: Sequence[Half]) -> tuple[Array, Array, Array]:
    """Mean, lowest and highest elevation (rings,) of every ring, of some returns from all over the scans."""
    rings, found = [np.zeros(0, np.int64)], [np.zeros(0)]
    for half in halves:
        n = len(half.ring)
        rows = np.arange(n) if n <= SAMPLED else np.arange(SAMPLED) * STRIDE % n
        rows = rows[half.ring[rows] >= 0]
        rings.append(half.ring[rows])
        found.append(_elevation(about_scanner(half.values, rows, half.scanners)))
    ring, elevation = np.concatenate(rings), np.concatenate(found)
    count = max(int(h.ring.max(initial=0)) for h in halves) + 1
    lowest, highest = np.full(count, np.inf), np.full(count, -np.inf)
    np.minimum.at(lowest, ring, elevation)
    np.maximum.at(highest, ring, elevation)
    return mean_by(ring, elevation, count), lowest, highest


def _elevation(xyz: Array) -> Array:
    elevation: Array = np.arctan2(xyz[:, 2], np.hypot(xyz[:, 0], xyz[:, 1]))
    return elevation


def _places(xyz: Tensor) -> Array:
    places: Array = xyz.detach().to(torch.float64).numpy()
    return places
