"""What writers of driving logs share: formats that tell of every item once, by the moment at which it was captured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

import torch

from fusion_aug.logs.core.writer import ALL_SENSORS, Writer
from fusion_aug.sample import Sample
from fusion_aug.streams import Stream

FOLDER = "write the folder format (output=folder), or use it in training"
Reasons = Mapping[str, tuple[str, str]]
SHARED_STAMP: Reasons = {
    **ALL_SENSORS,
    "delays": ("its files tell when something was captured, not when it arrived", FOLDER),
    "clock": ("its files tie sensors and labels together by their stamps, which a wrong clock would part", FOLDER),
}
NO_STAMP: Reasons = {
    **SHARED_STAMP,
    "time": ("its files hold no stamps and no velocities, so that nothing in them would change", FOLDER),
}


class CapturedWriter(Writer):
    """Writes each item once, with the stamp that its sensor tells."""

    cannot: ClassVar[Reasons] = SHARED_STAMP

    def as_written(self, sample: Sample, source: Sample, *, alone: bool = False) -> Sample:
        """See ``Writer``."""
        return sample.with_streams({n: told_once(s) for n, s in sample.streams.items()})


def told_once(stream: Stream) -> Stream:
    """The stream without delays, without items that only fill a slot again, and without what only the truth knows."""
    if stream.receive_times is None and stream.clock_offset is None:
        return stream
    if stream.receive_times is not None:
        new = torch.ones(len(stream), dtype=torch.bool)
        new[1:] = (stream.capture_times[1:] != stream.capture_times[:-1]) | (
            stream.sample_index[1:] != stream.sample_index[:-1]
        )
        stream = stream if bool(new.all()) else stream.take_items(new.nonzero()[:, 0])
    return replace(stream, receive_times=None, clock_offset=None)
