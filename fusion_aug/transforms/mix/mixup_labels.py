"""Labels of two samples that were blended, each with its weight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from fusion_aug.core.mixing.labels import joined_boxes, joined_tracks, taken_boxes
from fusion_aug.core.mixing.meeting import partner_items
from fusion_aug.core.mixing.transform import new_instance
from fusion_aug.sample import Sample
from fusion_aug.streams import EGO, Boxes2D, Boxes3D, Stream, Text, Waypoints, strings
from fusion_aug.streams.columns import concat

WEIGHT = "weight"


def with_both_labels(sample: Sample, donor: Sample, streams: Mapping[str, Stream], weight: float) -> dict[str, Stream]:
    """Streams of a sample with labels of a donor beside its own.

    Args:
        sample: receives. donor: gives. streams: of the receiver, by name.
        weight: of the receiver's, which multiplies what they have.
    """
    out = dict(streams)
    for name, mine in streams.items():
        other = donor.streams.get(name)
        if isinstance(mine, Boxes3D) and isinstance(other, Boxes3D):
            everything = torch.ones(other.rows, dtype=torch.bool)
            out[name] = joined_boxes(
                _weighted(mine, weight), _weighted(taken_boxes(other, donor, everything), 1 - weight)
            )
        elif isinstance(mine, Boxes2D) and isinstance(other, Boxes2D):
            partners = partner_items(sample, donor, name)
            out[name] = _flat_boxes(_weighted(mine, weight), _weighted(other, 1 - weight), donor, partners)
        elif isinstance(mine, Text) and isinstance(other, Text):
            out[name] = _sentences(_weighted(mine, weight), _weighted(other, 1 - weight))
        elif isinstance(mine, Waypoints):
            known = other if isinstance(other, Waypoints) and other.frame == mine.frame else None
            kept = {str(i) for i in mine["instance"]}
            come = set() if known is None else {str(i) for i in known["instance"]} - {"", EGO}
            out[name] = joined_tracks(mine, known, donor, kept, come)
    return out


def _weighted(labels: Any, weight: float) -> Any:
    before = labels.values.get(WEIGHT)
    rows = len(next(iter(labels.values.values())))
    return labels.with_values(weight=torch.full((rows,), weight) if before is None else before * weight)


def _flat_boxes(mine: Boxes2D, other: Boxes2D, donor: Sample, partners: Sequence[int | None]) -> Boxes2D:
    if "instance" in other.values:
        other = other.with_values(instance=strings(new_instance(donor.id, str(i)) for i in other["instance"]))
    parts = []
    for i, j in enumerate(partners):
        assert j is not None
        own, theirs = mine.item_slice(i), other.item_slice(j)
        parts.append(
            {n: concat([v[own], other.values[n][theirs]]) for n, v in mine.values.items() if n in other.values}
        )
    return mine.repacked(parts)


def _sentences(mine: Text, other: Text) -> Text:
    """Sentences of both at the receiver's time: the donor's take the stamp of its first."""
    time = mine.capture_times[:1].expand(len(other)) if len(mine) else other.capture_times
    there = replace(other, capture_times=time.clone(), receive_times=None, clock_offset=None, records=())
    joined: Text = mine.concat([mine, there], [torch.zeros(len(s), dtype=torch.int64) for s in (mine, other)])
    return joined.take_items(torch.argsort(joined.capture_times, stable=True))
