"""Boxes of pasted objects among those of the receiver, in space and on pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from fusion_aug.core.mixing.labels import joined_boxes, joined_tracks, taken_boxes
from fusion_aug.core.mixing.transform import new_instance
from fusion_aug.sample import Sample
from fusion_aug.streams import Boxes2D, Boxes3D, Stream, Waypoints, strings
from fusion_aug.streams.columns import concat
from fusion_aug.transforms.mix.paste_objects import Solid


def pasted_boxes(sample: Sample, donor: Sample, solids: Sequence[Solid]) -> dict[str, Stream]:
    """Boxes and tracks of the receiver with those of the objects."""
    name, mine = next(iter(sample.of_type(Boxes3D).items()))
    other = donor[name]
    assert isinstance(other, Boxes3D)
    taken = taken_boxes(other, donor, _rows(other.rows, solids))
    taken = _turned(taken, sorted(solids, key=lambda s: s.row))
    out: dict[str, Stream] = {name: joined_boxes(mine, taken)}
    if "instance" in mine.values and "instance" in other.values:
        kept = {str(i) for i in mine["instance"]}
        come = {str(other["instance"][s.row]) for s in solids if not s.turn}
        for label, tracks in sample.of_type(Waypoints).items():
            theirs = donor.streams.get(label)
            known = theirs if isinstance(theirs, Waypoints) and theirs.frame == tracks.frame else None
            out[label] = joined_tracks(tracks, known, donor, kept, come)
    return out


def _rows(count: int, solids: Sequence[Solid]) -> torch.Tensor:
    rows = torch.zeros(count, dtype=torch.bool)
    rows[[s.row for s in solids]] = True
    return rows


def _turned(boxes: Boxes3D, solids: Sequence[Solid]) -> Boxes3D:
    """Boxes, one for each object, where these are pasted."""
    if not any(s.turn for s in solids):
        return boxes
    T = torch.from_numpy(np.stack([s.T_to for s in solids]))
    changed: dict[str, Any] = {"pose": (T @ boxes["pose"].to(torch.float64)).to(boxes["pose"].dtype)}
    for column in ("velocity", "angular_velocity"):
        if column in boxes.values:
            old = boxes[column].to(torch.float64)
            changed[column] = (T[:, :3, :3] @ old[..., None])[..., 0].to(boxes[column].dtype)
    return boxes.with_values(**changed)


def pasted_flat_boxes(sample: Sample, donor: Sample, solids: Sequence[Solid]) -> dict[str, Stream]:
    """Flat boxes of pictures with those that the donor has of the objects."""
    boxes = next(iter(donor.of_type(Boxes3D).values()))
    out: dict[str, Stream] = {}
    if "instance" not in boxes.values:
        return out
    names = {str(boxes["instance"][s.row]) for s in solids} - {""}
    for label, mine in sample.of_type(Boxes2D).items():
        other = donor.streams.get(label)
        if not isinstance(other, Boxes2D) or "instance" not in other.values or len(mine) != 1 or len(other) != 1:
            continue
        rows = torch.tensor([str(i) in names for i in other["instance"]], dtype=torch.bool)
        theirs = other.select(rows)
        theirs = theirs.with_values(instance=strings(new_instance(donor.id, str(i)) for i in theirs["instance"]))
        if {*mine.values} <= {*theirs.values}:
            out[label] = mine.repacked([{n: concat([v, theirs.values[n]]) for n, v in mine.values.items()}])
    return out
