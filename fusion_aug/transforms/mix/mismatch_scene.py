"""``MismatchScene``: one sensor shows another sample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from calib.agreement import difference
from calib.replacing import replace_unchecked
from fusion_aug.core.mixing.meeting import partner_items
from fusion_aug.core.mixing.transform import MixTransform, new_instance
from fusion_aug.core.strength import Strengths
from fusion_aug.sample import Sample
from fusion_aug.sample.sensors import matches
from fusion_aug.streams import Boxes2D, ImageStream, Points, Stream, strings


@dataclass(frozen=True, kw_only=True)
class MismatchScene(MixTransform):
    """Take all data of one sensor from another sample: the kind ``scene`` of ``Mismatch``, whose label is the donor.

    The sensor's depth, masks and flat boxes come with it, since they say what it shows; boxes, captions and all other
    sensors stay. Items are paired by their offset to the reference time, within 5 ms, and keep the receiver's stamps;
    an item without a partner is dropped. ``realign(sample, original=...)`` undoes it.

    Attributes:
        sensors: names or shell patterns of the sensors that are drawn from: cameras, LiDARs, radars.
    """

    sensors: tuple[str, ...] = ("*",)

    takes: ClassVar[tuple[type[Stream], ...]] = (ImageStream, Points, Boxes2D)
    strengths: ClassVar[Strengths] = {}
    example: ClassVar[dict[str, Any]] = {"sensors": ["CAM*"]}

    def plan(self, rng: np.random.Generator, sample: Sample, donor: Sample) -> dict[str, Any] | str:
        """A sensor that both samples have, with the same mounting and lens."""
        able = sorted({s.instance(n) for n, s in sample.streams.items() if isinstance(s, ImageStream | Points)})
        able = [n for n in able if matches(n, self.sensors)]
        if not able:
            return f"the sample has no camera, LiDAR or radar that {', '.join(self.sensors)} names"
        sensor = able[int(rng.integers(len(able)))]
        rigs, bodies = (sample.rig, donor.rig), (sample.ref.frame, donor.ref.frame)
        if why := difference(*rigs, [sensor], bodies, (sample.ref.time, donor.ref.time)):
            return why
        for name in _streams_of(sample, sensor):
            other = donor.streams.get(name)
            if other is None or type(other) is not type(sample[name]):
                return f"it has no {name!r} of the same kind"
            if all(j is None for j in partner_items(sample, donor, name)):
                return f"{name!r} has no item within 5 ms of the receiver's"
        return {"kind": "scene", "sensor": sensor}

    @classmethod
    def mixed(cls, sample: Sample, donor: Sample, params: Mapping[str, Any]) -> Sample:
        """The sample with the donor's data of the sensor."""
        streams = dict(sample.streams)
        for name in _streams_of(sample, str(params["sensor"])):
            streams[name] = _taken(sample, donor, name)
        return sample.with_streams(streams)


def _streams_of(sample: Sample, sensor: str) -> list[str]:
    kinds = ImageStream | Points | Boxes2D
    return [n for n, s in sample.streams.items() if isinstance(s, kinds) and s.instance(n) == sensor]


def _taken(sample: Sample, donor: Sample, name: str) -> Stream:
    """A stream of the donor with the stamps of the receiver's items that it goes with."""
    mine, pairs = sample[name], partner_items(sample, donor, name)
    at = torch.tensor([i for i, j in enumerate(pairs) if j is not None])
    kept = mine.take_items(at)
    taken = donor[name].take_items(torch.tensor([j for j in pairs if j is not None]))
    if isinstance(taken, Boxes2D) and "instance" in taken.values:
        taken = taken.with_values(instance=strings(new_instance(donor.id, str(i)) for i in taken["instance"]))
    of_receiver = ("capture_times", "sample_index", "records", "receive_times", "clock_offset", "source_items")
    return replace_unchecked(taken, **{f: getattr(kept, f) for f in of_receiver})
