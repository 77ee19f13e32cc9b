"""Base of writers of driving logs: formats that store every item once, under its capture time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

import torch

from fusion_aug.logs.core.writer import NEEDS_EVERY_SENSOR, NEEDS_ONE_SCENE, Writer, all_present
from fusion_aug.sample import Sample
from fusion_aug.streams import Stream

USE_FOLDER_FORMAT = "write the folder format (output=folder), or use it in training"
Reasons = Mapping[str, tuple[str, str]]
ONE_STAMP_EFFECTS: Reasons = {
    **NEEDS_EVERY_SENSOR,
    "delays": ("its files hold capture times and no receive times", USE_FOLDER_FORMAT),
    "clock": (
        "its files match sensors and labels by their stamps, which a wrong clock would separate",
        USE_FOLDER_FORMAT,
    ),
    "weights": ("its labels hold no weights, without which all of them would count fully", USE_FOLDER_FORMAT),
    "segment": (
        "its samples are keyframes with the sweeps before them, of which none can be left out",
        USE_FOLDER_FORMAT,
    ),
}
LINKED_KEYFRAME_EFFECTS: Reasons = {**ONE_STAMP_EFFECTS, **NEEDS_ONE_SCENE}
NO_STAMP_EFFECTS: Reasons = {
    **ONE_STAMP_EFFECTS,
    "time": ("its files hold neither stamps nor velocities, so nothing in them would change", USE_FOLDER_FORMAT),
}


class CaptureTimeWriter(Writer):
    """Writes each item once, under its reported capture time."""

    unsupported_effects: ClassVar[Reasons] = ONE_STAMP_EFFECTS
    loss_reasons: ClassVar[Mapping[str, str]] = {"": "each capture is stored once, whether it was received or not"}

    def as_read_back(self, sample: Sample, source: Sample, *, standalone: bool = False) -> Sample:
        """Return the sample as these formats store it: one stamp per item, that of capture.

        Receive times, clock offsets and what was not received are left out, and so are items that only repeat an
        earlier capture.
        """
        sample = super().as_read_back(sample, source, standalone=standalone)
        return sample.with_streams({n: with_capture_times_only(s) for n, s in sample.streams.items()})


def with_capture_times_only(stream: Stream) -> Stream:
    """Return a stream without receive times, clock offset and repeated captures, all items present."""
    stream = all_present(stream)
    if stream.receive_times is None and stream.clock_offset is None:
        return stream
    if stream.receive_times is not None:
        new = torch.ones(len(stream), dtype=torch.bool)
        new[1:] = (stream.capture_times[1:] != stream.capture_times[:-1]) | (
            stream.sample_index[1:] != stream.sample_index[:-1]
        )
        stream = stream if bool(new.all()) else stream.take_items(new.nonzero()[:, 0])
    return replace(stream, receive_times=None, clock_offset=None)
