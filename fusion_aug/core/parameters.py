"""Drawn parameters of a batch, and the scopes that they are shared over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fusion_aug.sample import Sample, Unit
from fusion_aug.streams import Stream

SCOPES = ("log", "rig", "sensor", "step")
Drawn = Sequence[Mapping[str, Mapping[str, Any]]]  # per unit: instance -> parameters


class Rows:
    """Parameters of all units of a batch: one row per (unit, scope instance).

    Attributes:
        per_unit: instance -> parameters, of every unit.
    """

    def __init__(self, per_unit: Drawn):
        self.per_unit = per_unit

    def of(self, unit: int, instance: str = "") -> Mapping[str, Any]:
        """Parameters of one unit and instance; the shared draw where the scope is wider than a sensor."""
        rows = self.per_unit[unit]
        return rows[instance] if instance in rows else rows[""]

    def per_item(self, name: str, stream: Stream) -> list[Mapping[str, Any]]:
        """Parameters of every item of a stream."""
        instance = stream.instance(name)
        out = []
        for unit, time in zip(stream.sample_index.tolist(), stream.times.tolist(), strict=True):
            rows = self.per_unit[unit]
            if instance in rows:
                out.append(rows[instance])
            elif "" in rows:
                out.append(rows[""])
            else:
                out.append(rows[step_of(list(rows), time)])
        return out


def step_of(stamps: list[str], time: int) -> str:
    """The last step at or before a time; the first step for anything earlier."""
    earlier = [s for s in stamps if int(s) <= time]
    return max(earlier, key=int) if earlier else min(stamps, key=int)


def step_stamps(sample: Sample, unit: int) -> list[str]:
    """Stamps of the clock stream of a unit, which delimit its steps."""
    chosen: Unit = sample.units[unit]
    clock = chosen.clock or next(iter(sample.streams))
    stream = sample[clock]
    return [str(t) for t in stream.times[stream.sample_index == unit].tolist()]
