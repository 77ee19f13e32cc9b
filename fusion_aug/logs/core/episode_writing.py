"""Base of writers of episodes: one rate for every stream, and a sidecar for what the format cannot hold."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from calib import rig_to_dict
from fusion_aug.errors import DataError
from fusion_aug.logs.core.episode_facts import write_start
from fusion_aug.logs.core.episodes import CAPTURE_TIMES_FILE
from fusion_aug.logs.core.files import write_json
from fusion_aug.logs.core.joint_readings import streams_within
from fusion_aug.logs.core.robots import SCALE_REASON
from fusion_aug.logs.core.sidecar import FOLDER, write_sidecar
from fusion_aug.logs.core.touch import with_first_gel
from fusion_aug.logs.core.writer import NEEDS_EVERY_SENSOR, NEEDS_ONE_SCENE, Writer, all_present
from fusion_aug.ops.resample import nearest
from fusion_aug.sample import Ref, Sample
from fusion_aug.streams import Stream
from fusion_aug.transforms.temporal.reading import interpolate_signal

NEAR = 1e-3  # of a period: within it of a frame, a last item is at the frame


class EpisodeWriter(Writer):
    """Writes every stream at the rate of the format: signals are interpolated, of pictures the nearest is taken.

    Where data arrive later than they were captured (``Stream.receive_times``), a frame holds what had arrived by then.
    The capture times of these go to the sidecar, as does the rig: these formats hold no calibration.
    """

    loss_reasons: ClassVar[Mapping[str, str]] = {"": "the format holds one item per frame"}
    unsupported_effects: ClassVar[Mapping[str, tuple[str, str]]] = {
        **NEEDS_EVERY_SENSOR,
        **NEEDS_ONE_SCENE,
        "scale": SCALE_REASON,
    }

    @property
    @abstractmethod
    def rate(self) -> float:
        """Frames per second."""

    @property
    @abstractmethod
    def streams_by_feature(self) -> Mapping[str, str]:
        """Feature of the format -> name of its stream."""

    def frame_times(self, sample: Sample, source: Sample) -> Tensor:
        """Times (n,) of the frames, int64 ns: those of the source, more or fewer where the duration changed.

        They begin as much later as the first item does, and none is later than the last item, since nothing says what
        is there.
        """
        slow = [n for f, m in self.streams_by_feature.items() if self.log.window_of(f) is None
                for n in streams_within(m, sample.streams)]  # fmt: skip
        first, last = (int(t) for t in source[slow[0]].arrival_times[[0, -1]])
        spans = [[s[n].true_capture_times[[0, -1]] for n in slow] for s in (source, sample)]
        (begin, end), (new_begin, new_end) = (torch.stack(s).aminmax(dim=0) for s in spans)
        later, longer = int(new_begin[0] - begin[0]), int(new_end[1] - end[1])
        count = max(1, math.floor((last - first - later + longer) * 1e-9 * self.rate + NEAR) + 1)
        return first + later + torch.from_numpy(np.round(np.arange(count) / self.rate * 1e9).astype(np.int64))

    def as_read_back(self, sample: Sample, source: Sample, *, standalone: bool = False) -> Sample:
        """Return the sample with exactly one item per frame of the episode in every stored stream.

        Signals are interpolated, of pictures the nearest is taken; where receive times differ from capture times, the
        latest item that had arrived.

        Raises:
            DataError: a stream that the format stores is missing.
        """
        sample = super().as_read_back(sample, source, standalone=standalone)
        frame_times, streams = self.frame_times(sample, source), dict(sample.streams)
        for feature, name in self.streams_by_feature.items():
            held = streams_within(name, source.streams)
            if not held or any(n not in streams for n in held):
                raise DataError(f"{sample.id}: stream {name!r} is gone, and the format has no place for an absent one")
            window, times = self.log.window_of(feature), frame_times
            if window is not None:
                steps = torch.arange(len(source[held[0]]) // len(self.frame_times(source, source)))
                times = (frame_times[:, None] + window[0] + window[1] * steps).reshape(-1)
            for n in held:
                streams[n] = with_first_gel(all_present(at_frame_times(streams[n], n, times)))
        begin, was = (int(t[0]) for t in (frame_times, self.frame_times(source, source)))
        ref = sample.ref if begin == was else Ref(sample.ref.frame, begin)  # a segment begins an episode of its own
        return sample.with_streams(streams).with_meta(0, ref=ref)

    def is_kept(self, sample: Sample, source: Sample, name: str) -> bool:
        """Whether the stream of a feature, or all of its hands, are those of the source."""
        return all(sample.streams.get(n) is source[n] for n in streams_within(name, source.streams))

    def sidecar(self, sample: Sample, source: Sample, out_id: str, folder: Path) -> None:
        """Write what the format has no place for; ``sample`` is what ``as_read_back`` returned."""
        features = dict.fromkeys(self.streams_by_feature.values())
        names = [n for feature in features for n in streams_within(feature, sample.streams)]
        write_sidecar(sample, dict.fromkeys([*names, "task"]), out_id, folder, self.link)
        target = folder / FOLDER / "samples" / out_id
        if sample.rig is not source.rig or self.log.facts is not None:
            write_json(rig_to_dict(sample.rig, exact=True), target / "rig.json")
        late = {n: sample[n].capture_times.tolist() for n in names if sample[n].receive_times is not None}
        begin, was = (int(self.frame_times(s, source)[0]) for s in (sample, source))
        if self.log.facts is not None or begin != was:
            write_start(begin, out_id, folder)
        if late:
            write_json(late, target / CAPTURE_TIMES_FILE)


def at_frame_times(stream: Stream, name: str, times: Tensor) -> Stream:
    """Return a stream with one item at each of (n,) times of a fixed rate, ns; the stream itself if it has these."""
    if stream.receive_times is None and torch.equal(stream.capture_times, times):
        return stream if stream.clock_offset is None else replace(stream, clock_offset=None)
    if stream.receive_times is None and stream.is_continuous and stream.columns:
        step = int((times if len(times) > 1 else stream.capture_times).diff().median()) if len(stream) > 1 else 0
        return replace(interpolate_signal(stream, name, times, times + step), clock_offset=None)
    if stream.receive_times is None:
        index = nearest(stream.capture_times, times)
    else:
        index = (torch.searchsorted(stream.receive_times, times, right=True) - 1).clamp(min=0)
    picked = stream.take_items(index)
    same = torch.equal(picked.capture_times, times)
    return replace(picked, receive_times=None if same else times, clock_offset=None)
