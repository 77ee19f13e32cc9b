"""Rays of scanners on a device: where each starts is told by numbers of its item, and its point is a row."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from fusion_aug.core.device.rows import Columns, Numbers
from fusion_aug.core.registry import Call
from fusion_aug.streams import Points
from fusion_aug.streams.on_device import ROW_ITEM
from fusion_aug.transforms.cloud.points import scanner_place

PLACES = "scanners"  # (scanners, 3) m of an item


def scanners_of(stream: Points) -> int:
    """How many scanners the column ``origin`` tells apart; 0 where all rays start at one place."""
    return len(stream.origins) if stream.origins and "origin" in stream.values else 0


def scanner_numbers(stream: Points, item: int, call: Call) -> dict[str, Any]:
    """Where the scanners of an item stand, in the cloud's frame, m, as numbers of the item."""
    if scanners_of(stream):
        meta, time = call.sample.metas[int(stream.sample_index[item])], int(stream.true_capture_times[item])
        places = [meta.true_rig.T(stream.frame, frame, time)[:3, 3].numpy() for frame in stream.origins]
        return {PLACES: np.stack(places)}
    place = scanner_place(stream, item, call)
    return {PLACES: np.zeros((1, 3)) if place is None else place.numpy()[None]}


def no_scanner(stream: Points) -> dict[str, Any]:
    """The same of an item that is left as it is."""
    return {PLACES: np.zeros((max(scanners_of(stream), 1), 3))}


def rays(columns: Columns, numbers: Numbers, scanners: int) -> tuple[Tensor, Tensor]:
    """Origins of the rays of a block's points, and the vectors from there to the points, both (rows, 3) float64, m.

    Args:
        columns: of the block. numbers: with ``scanner_numbers``. scanners: ``scanners_of`` the streams.
    """
    places, which = numbers[PLACES], columns[ROW_ITEM]
    if scanners:
        which = which * scanners + columns["origin"].long().remainder(scanners)
    start = places.flatten(0, 1).index_select(0, which)
    return start, columns["xyz"].to(torch.float64) - start


def distances(columns: Columns, numbers: Numbers, scanners: int) -> Tensor:
    """Distance (rows,) of a block's points from the scanners that measured them, metres, float64."""
    return torch.linalg.norm(rays(columns, numbers, scanners)[1], dim=1)
