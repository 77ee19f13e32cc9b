"""Drawn parameters of a batch, and the scopes that they are shared over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fusion_aug.errors import DataError
from fusion_aug.sample import Sample, SampleMeta
from fusion_aug.streams import Stream

SCOPES = ("scene", "sample", "sensor", "timestep")
# per sample of a batch: instance -> parameters; None of a sample that it leaves as it is
DrawnParameters = Sequence[Mapping[str, Mapping[str, Any]] | None]


class ParameterRows:
    """Drawn parameters of a batch: one row per sample and scope instance.

    Attributes:
        per_sample: instance ("", a sensor's name or the start of a timestep) -> parameters, of every sample.
    """

    def __init__(self, per_sample: DrawnParameters):
        self.per_sample = [rows or {} for rows in per_sample]

    def asks(self, index: int) -> bool:
        """Whether a sample of the batch is to be changed."""
        return bool(self.per_sample[index])

    def of(self, index: int, instance: str = "") -> Mapping[str, Any]:
        """Parameters of one sample and instance; the shared draw where the scope is wider than a sensor.

        Args:
            index: of the sample in the batch. instance: "", or a sensor's name.
        """
        rows = self.per_sample[index]
        return rows[instance] if instance in rows else rows[""]

    def per_item(self, name: str, stream: Stream) -> list[Any]:
        """Parameters of every item of a stream, in order; items that share a draw share the mapping.

        None of the items of a sample that the transform leaves as it is.
        """
        instance = stream.instance(name)
        if len(self.per_sample) == 1 and (own := self.per_sample[0]) and (instance in own or "" in own):
            return [own[instance] if instance in own else own[""]] * len(stream)
        out: list[Any] = []
        for index, time in zip(stream.sample_index.tolist(), stream.capture_times.tolist(), strict=True):
            rows = self.per_sample[index]
            if not rows:
                out.append(None)
            elif instance in rows:
                out.append(rows[instance])
            elif "" in rows:
                out.append(rows[""])
            else:
                out.append(rows[timestep_at(list(rows), time)])
        return out


def timestep_at(stamps: list[str], time: int) -> str:
    """The last timestep that starts at or before a time (ns); the first one for anything earlier."""
    earlier = [s for s in stamps if int(s) <= time]
    return max(earlier, key=int) if earlier else min(stamps, key=int)


def timestep_starts(sample: Sample, index: int) -> list[str]:
    """Starts of the timesteps of one sample: the capture times (ns) of its clock stream, as strings.

    Raises:
        DataError: the sample has no item of it.
    """
    chosen: SampleMeta = sample.metas[index]
    clock = chosen.clock or next(iter(sample.streams))
    stream = sample[clock]
    times = stream.capture_times[stream.sample_index == index].tolist()
    if not times:
        raise DataError(
            f"sample {chosen.id!r}: has no item of {clock!r}, whose items start its timesteps; use another scope"
        )
    return [str(t) for t in times]
