"""Pictures that are blended by weight, and pulses of which each is drawn from one of two samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fusion_aug.core.mixing.meeting import T_into, partner_items
from fusion_aug.ops.beam_grid import columns_of
from fusion_aug.ops.hashed import chance, row_key
from fusion_aug.sample import Sample
from fusion_aug.streams import Camera, Lidar, Radar, Stream
from fusion_aug.streams.columns import concat
from fusion_aug.streams.deferred import Deferred
from fusion_aug.streams.ragged import FIRST_ADDED
from fusion_aug.transforms.mix.beam_scans import joined_scans, scan_pairs
from fusion_aug.transforms.mix.sector_clouds import in_memory, seen_from

UNIT = 1 << 16  # of a weight of levels, so that sums of whole numbers decide them
BEARINGS = 180  # of a radar, around


def blended_pictures(sample: Sample, donor: Sample, name: str, weight: float) -> Stream:
    """Pictures of a camera of both, each with its partner of the donor.

    Args:
        sample: receives. donor: gives. name: of the stream. weight: of the receiver's.
    """
    stream, other = sample[name], donor[name]
    assert isinstance(stream, Camera) and isinstance(other, Camera)
    items, pending = list(stream.items), list(stream.pending)
    for i, j in enumerate(partner_items(sample, donor, name)):
        assert j is not None

        def change(picture: Tensor, j: int = j) -> Tensor:
            return blended(picture, other.image(j, keep=False), weight)

        later = not isinstance(items[i], Tensor) or not isinstance(other.items[j], Tensor)
        items[i] = Deferred(stream, i, change) if later else change(stream.image(i))
        pending[i] = None
    return replace(stream, items=tuple(items), pending=tuple(pending))


def blended(a: Tensor, b: Tensor, weight: float) -> Tensor:
    """``weight a + (1 - weight) b``, levels to the nearest whole one.

    Args:
        a, b: of one shape and type.
    """
    if a.is_floating_point():
        return torch.lerp(b, a, weight)
    whole = round(weight * UNIT)
    total = a.to(torch.int32) * whole + b.to(torch.int32) * (UNIT - whole)
    return ((total + UNIT // 2) >> 16).to(a.dtype)


def drawn_scans(sample: Sample, donor: Sample, names: Sequence[str], weight: float, lots: str) -> dict[str, Lidar]:
    """Clouds of LiDARs of which every cell is drawn from one of both.

    Args:
        sample: receives. donor: gives. names: of the clouds. weight: probability of the receiver's. lots: key.
    """
    parts: dict[str, list[Any]] = {}
    for pair in scan_pairs(sample, donor) if names else ():
        if pair.name not in names or pair.other is None:
            continue
        cells = len(pair.elevations) * pair.columns
        grid = chance(row_key(lots, pair.name, pair.item), np.arange(cells), 1 - weight)
        taken = [grid[np.where(h.ring >= 0, h.ring * pair.columns + h.column, 0)] for h in (pair.own, pair.other)]
        stays, comes = ~taken[0] | (pair.own.ring < 0), taken[1] & (pair.other.ring >= 0)
        parts.setdefault(pair.name, []).append((pair, stays, comes))
    out = {}
    for name, own in parts.items():
        cloud = sample[name]
        assert isinstance(cloud, Lidar)
        out[name] = joined_scans(cloud, own)
    return out


def drawn_echoes(sample: Sample, donor: Sample, name: str, weight: float, lots: str) -> Stream:
    """Detections of a radar, of which all at one bearing are drawn from one of both.

    Args:
        sample: receives. donor: gives. name: of the radar. weight: probability of the receiver's. lots: key.
    """
    mine, other = in_memory(sample, name), in_memory(donor, name)
    parts, numbers = [], []
    for i, j in enumerate(partner_items(sample, donor, name)):
        assert j is not None and isinstance(mine, Radar)
        rows = mine.item_slice(i)
        own = {n: v[rows] for n, v in mine.values.items()}
        moved = other.take_items(torch.tensor([j])).transformed(T_into(sample, donor, name, i, j)[None])
        grid = torch.from_numpy(chance(row_key(lots, name, i), np.arange(BEARINGS), 1 - weight))
        stays, comes = ~grid[_bearing(own["xyz"])], grid[_bearing(moved["xyz"])]
        added = {n: moved.values[n][comes] for n in own}
        added |= seen_from(sample, name, i, added)
        parts.append({n: concat([own[n][stays], added[n].to(own[n].dtype)]) for n in own})
        numbers.append(torch.cat([mine.row_keys[rows][stays], FIRST_ADDED + comes.nonzero()[:, 0]]))
    return mine.repacked(parts, torch.cat(numbers))


def _bearing(xyz: Tensor) -> Tensor:
    places = xyz.to(torch.float64).numpy()
    return torch.from_numpy(columns_of(np.arctan2(places[:, 1], places[:, 0]), BEARINGS))
