"""What writers of episodes share: one rate for every stream, and a sidecar for what such a format has no place for."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from calib import rig_to_dict
from fusion_aug.core.transform import Transform
from fusion_aug.errors import DataError
from fusion_aug.logs.core.episodes import CAPTURED
from fusion_aug.logs.core.files import write_json
from fusion_aug.logs.core.robots import robot_problems
from fusion_aug.logs.core.sidecar import FOLDER, write_sidecar
from fusion_aug.logs.core.writer import ALL_SENSORS, Problem, Writer
from fusion_aug.ops.resample import nearest
from fusion_aug.sample import Sample
from fusion_aug.streams import Stream
from fusion_aug.transforms.temporal.reading import between


class EpisodeWriter(Writer):
    """Writes every stream at the rate of the format: signals are read at its frames, of pictures the nearest is taken.

    Where data arrive later than they were captured (``Stream.stamps``), a frame holds what had arrived by then. When
    that was captured goes to the sidecar, as does the rig: these formats hold no calibration.
    """

    cannot: ClassVar[Mapping[str, tuple[str, str]]] = ALL_SENSORS

    @property
    @abstractmethod
    def rate(self) -> float:
        """Frames per second."""

    @property
    @abstractmethod
    def held(self) -> Mapping[str, str]:
        """Feature of the format -> name of its stream."""

    def can_express(self, transform: Transform, sample: Sample | None = None) -> list[Problem]:
        """See ``Writer``."""
        return super().can_express(transform, sample) + robot_problems(transform)

    def ticks(self, sample: Sample, source: Sample) -> Tensor:
        """Stamps of the frames: the source's, more or fewer where the episode became longer or shorter."""
        slow = [n for f, n in self.held.items() if self.log.window_of(f) is None and n in sample.streams]
        first = int(source[slow[0]].capture_times[0])
        end = max(int(sample[n].true_capture_times[-1]) for n in slow)
        count = max(1, round((end - first) * 1e-9 * self.rate) + 1)
        return first + torch.from_numpy(np.round(np.arange(count) / self.rate * 1e9).astype(np.int64))

    def as_written(self, sample: Sample, source: Sample, *, alone: bool = False) -> Sample:
        """See ``Writer``."""
        ticks, streams = self.ticks(sample, source), dict(sample.streams)
        for feature, name in self.held.items():
            if name not in streams:
                raise DataError(f"{sample.id}: stream {name!r} is gone, and the format has no place for an absent one")
            window, slots = self.log.window_of(feature), ticks
            if window is not None:
                steps = torch.arange(len(source[name]) // len(self.ticks(source, source)))
                slots = (ticks[:, None] + window[0] + window[1] * steps).reshape(-1)
            streams[name] = on_slots(streams[name], name, slots)
        return sample.with_streams(streams)

    def sidecar(self, sample: Sample, source: Sample, out_id: str, folder: Path) -> None:
        """What the format has no place for. ``sample`` is as it is written."""
        names = list(dict.fromkeys(self.held.values()))
        write_sidecar(sample, dict.fromkeys([*names, "task"]), out_id, folder, self.link)
        target = folder / FOLDER / "samples" / out_id
        if sample.rig is not source.rig:
            write_json(rig_to_dict(sample.rig, exact=True), target / "rig.json")
        late = {n: sample[n].capture_times.tolist() for n in names if sample[n].receive_times is not None}
        if late:
            write_json(late, target / CAPTURED)


def on_slots(stream: Stream, name: str, slots: Tensor) -> Stream:
    """A stream with one item for every slot (n,) of a fixed rate; the stream itself where it has that already."""
    if stream.receive_times is None and torch.equal(stream.capture_times, slots):
        return stream if stream.clock_offset is None else replace(stream, clock_offset=None)
    if stream.receive_times is None and stream.sampled and stream.columns:
        step = int((slots if len(slots) > 1 else stream.capture_times).diff().median()) if len(stream) > 1 else 0
        return replace(between(stream, name, slots, slots + step), clock_offset=None)
    if stream.receive_times is None:
        index = nearest(stream.capture_times, slots)
    else:
        index = (torch.searchsorted(stream.receive_times, slots, right=True) - 1).clamp(min=0)
    picked = stream.take_items(index)
    same = torch.equal(picked.capture_times, slots)
    return replace(picked, receive_times=None if same else slots, clock_offset=None)
