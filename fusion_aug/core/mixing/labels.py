"""Boxes and tracks of a donor among those of the receiver."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from fusion_aug.core.mixing.transform import new_instance
from fusion_aug.sample import REF, Sample
from fusion_aug.streams import EGO, Boxes2D, Boxes3D, Waypoints, strings
from fusion_aug.streams.columns import concat

B = TypeVar("B", Boxes2D, Boxes3D)
NO_RECORD = ""  # of a box that no record of the receiver's log stands for


def boxes_of(sample: Sample) -> tuple[str, Boxes3D] | None:
    """Name and stream of the boxes of a keyframe; None where it has none."""
    return next(iter(sample.of_type(Boxes3D).items()), None)


def box_refusal(sample: Sample, donor: Sample) -> str:
    """Why the boxes of two samples cannot be joined; "" where they can: both or none, at one time, in ``ref``."""
    streams = [s.of_type(Boxes3D) for s in (sample, donor)]
    if streams[0].keys() != streams[1].keys():
        return "only one of them has boxes"
    for found in streams:
        for name, boxes in found.items():
            if len(boxes) != 1 or boxes.frame != REF:
                return f"{name!r} holds {len(boxes)} items in frame {boxes.frame!r}; only keyframes are mixed"
    return ""


def taken_boxes(boxes: Boxes3D, donor: Sample, rows: Tensor) -> Boxes3D:
    """Some boxes (rows,) bool of a donor, with instances of their own and no record."""
    taken = boxes.select(rows)
    changed: dict[str, Any] = {}
    if "instance" in taken.values:
        changed["instance"] = strings(new_instance(donor.id, str(i)) for i in taken["instance"])
    if "record" in taken.values:
        changed["record"] = strings([NO_RECORD] * taken.rows)
    return taken.with_values(**changed) if changed else taken


def joined_boxes(mine: B, taken: B) -> B:
    """Boxes of the receiver, then those of the donor; what the donor's do not say is unknown."""
    values = {n: concat([v, taken.values.get(n, _unknown(v, taken.rows))]) for n, v in mine.values.items()}
    return mine.repacked([values])


def _unknown(like: Any, rows: int) -> Any:
    if isinstance(like, np.ndarray):
        return strings([""] * rows)
    value = float("nan") if like.is_floating_point() else 0
    return torch.full((rows, *like.shape[1:]), value, dtype=like.dtype)


def joined_tracks(
    mine: Waypoints, other: Waypoints | None, donor: Sample, kept: set[str], taken: set[str]
) -> Waypoints:
    """Waypoints of the receiver's vehicle and of its boxes that stay, and those of the donor's boxes that come.

    Args:
        mine, other: of receiver and donor. donor: gives. kept, taken: instances of the boxes that stay and come.
    """
    stay = torch.tensor([str(i) in ("", EGO) or str(i) in kept for i in mine["instance"]], dtype=torch.bool)
    mine = mine.select(stay)
    if other is None or not {*mine.values} <= {*other.values}:
        return mine
    come = other.select(torch.tensor([str(i) in taken for i in other["instance"]], dtype=torch.bool))
    values = {n: concat([v, come.values[n]]) for n, v in mine.values.items() if n != "instance"}
    called = [new_instance(donor.id, str(i)) for i in come["instance"]]
    values["instance"] = strings([*map(str, mine["instance"]), *called])
    return mine.repacked([values])
