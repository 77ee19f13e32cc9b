"""Windows of episodes for policies: observations at some times, and the commands that follow.

A start is a stamp of the action stream. Only the pictures that a window observes are decoded; signals are read for the
whole episode, since they are small and warps of time need what lies around.
"""

from __future__ import annotations

import math
import warnings
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from fusion_aug.core.compose import leaves
from fusion_aug.core.engine import run
from fusion_aug.core.transform import Transform
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.ops.resample import nearest
from fusion_aug.sample import REF, Ref, Sample
from fusion_aug.streams import Action, ImageStream, Points, Signal, Stream, Text
from fusion_aug.streams.families import Temporal
from fusion_aug.streams.undecoded import undecoded
from fusion_aug.train.window_items import (
    CLOCK,
    ROUNDING,
    STAMPS,
    drawn_warps,
    holding,
    nearest_item,
    stamps_alone,
    taken,
    with_stand_ins,
    without_stand_ins,
)  # fmt: skip
from fusion_aug.transforms.temporal.laws import warp_stream, with_warped_times
from fusion_aug.transforms.temporal.speed import WarpTransform, warps_of

KEPT_EPISODES = 16  # read and kept, without pictures, in every process


class Windows:
    """The starts of all episodes of a log, and the window of each.

    Args:
        log: episodes. pipeline: that is applied.
        observe: seconds from a start at which observations are taken.
        chunk: seconds of commands from a start on; None for one command.
        pad: whether starts count whose window leaves the episode: its first or last item is repeated, and marked.
        action: the stream of commands whose stamps are the starts; by default the first of class ``Action``, or the
            first that is called so.

    Raises:
        ConfigError: a setting is of another kind, or no stream holds commands.
    """

    def __init__(
        self,
        log: Sequence[Sample],
        pipeline: Transform,
        observe: Any,
        chunk: float | None,
        pad: bool,
        action: str | None,
    ):
        times = [observe] if isinstance(observe, int | float) else list(observe)
        if not times or not all(_is_finite(t) for t in times):
            raise ConfigError(f"AugmentedDataset.observe: expected seconds such as [-0.1, 0], got {observe!r}")
        if chunk is not None and not (_is_finite(chunk) and chunk > 0):
            raise ConfigError(f"AugmentedDataset.chunk: expected seconds of commands above 0, got {chunk!r}")
        self.log, self.pipeline, self.pad, self.action = log, pipeline, bool(pad), action
        self.observe = [round(float(t) * 1e9) for t in times]
        self.chunk = 0.0 if chunk is None else float(chunk)
        steps = [t for t in leaves(pipeline.over_epochs()) if t.p > 0]
        self.warps = any(isinstance(t, WarpTransform) for t in steps)
        self.whole = [type(t).__name__ for t in steps if _needs_all(t)]
        if self.whole:
            warnings.warn(
                f"AugmentedDataset: {self.whole[0]} changes which pictures there are, or looks at those around, so "
                f"every window decodes its whole episode; leave it out to decode only what is observed",
                stacklevel=3,
            )
        self._read: OrderedDict[int, Sample] = OrderedDict()
        self._index: tuple[np.ndarray, np.ndarray, int] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_read": OrderedDict()}  # every process reads its own

    @property
    def index(self) -> tuple[np.ndarray, np.ndarray, int]:
        """Number of starts before each episode (n + 1,), the first start of each (n,), and commands in a chunk."""
        if self._index is None:
            spans = [self._span(i) for i in range(len(self.log))]
            lengths = {length for *_, length in spans if length}
            if len(lengths) > 1:
                raise DataError(
                    f"AugmentedDataset.chunk: {self.chunk:g} s are {min(lengths)} commands in one episode and "
                    f"{max(lengths)} in another, since their rates differ; select episodes of one rate (log.select)"
                )
            counts = [max(0, stop - start) for start, stop, _ in spans]
            if not any(counts):
                raise DataError(self._none_fits())
            before = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
            self._index = (before, np.array([s for s, *_ in spans], np.int64), lengths.pop() if lengths else 0)
        return self._index

    def __len__(self) -> int:
        return int(self.index[0][-1])

    def place(self, index: int) -> tuple[int, int]:
        """Episode and command of a start by its number; negative ones count from the end.

        Raises:
            IndexError: there is no such start.
        """
        before, first, _ = self.index
        number = index + len(self) if index < 0 else index
        if not 0 <= number < len(self):
            raise IndexError(f"AugmentedDataset: there is no start {index} among {len(self)}")
        episode = int(np.searchsorted(before, number, side="right")) - 1
        return episode, int(first[episode] + number - before[episode])

    def ids(self, episodes: Sequence[str]) -> list[str]:
        """Ids of all windows, from those of the episodes."""
        places = map(self.place, range(len(self)))
        return [f"{episodes[episode]}@{start}" for episode, start in places]

    def _none_fits(self) -> str:
        """Why there is no start at all."""
        times = [self._times(i)[0] for i in range(len(self.log))]
        most = max((float(t[-1] - t[0]) * 1e-9 for t in times if len(t)), default=0.0)
        return (
            f"AugmentedDataset.chunk: no window of observe={[t * 1e-9 for t in self.observe]} and {self.chunk:g} s of "
            f"commands fits into any of {len(times)} episodes, the longest of which lasts {most:.3g} s; ask for "
            f"shorter ones, or give pad=True"
        )

    def _times(self, episode: int) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Times (n,) of an episode's commands, ns, and when its last stream begins; None where that is at the first."""
        frames = getattr(self.log, "frame_times", None)
        times = None if frames is None or self.action is not None else frames(self.log.ids[episode])  # type: ignore[attr-defined]
        if times is not None:
            return times, None
        sample = self._episode(episode)
        seen = [s.arrival_times[0] for n, s in sample.streams.items() if len(s) and not isinstance(s, Text)]
        return sample[action_stream(sample, self.action)].capture_times, max(seen)

    def _span(self, episode: int) -> tuple[int, int, int]:
        """First start, last start + 1, and commands in a chunk, of an episode."""
        times, begin = self._times(episode)
        if len(times) < 2:
            return 0, 0, 0
        step = int(times.diff().median())
        length = max(1, round(self.chunk * 1e9 / max(step, 1)))
        if self.pad:
            return 0, len(times), length
        begin = times[0] if begin is None else begin
        first = int(torch.searchsorted(times + min(self.observe), begin - ROUNDING))
        last = int(torch.searchsorted(times + max(self.observe), times[-1] + step - ROUNDING)) - 1
        return first, min(last, len(times) - length) + 1, length

    def _episode(self, number: int) -> Sample:
        """An episode of the log, whose pictures are not decoded."""
        if number in self._read:
            self._read.move_to_end(number)
            return self._read[number]
        sample = self.log[number]
        if not isinstance(sample, Sample):
            raise ConfigError(f"AugmentedDataset.log: expected a sample at {number}, got a {type(sample).__name__}")
        self._read[number] = sample
        while len(self._read) > KEPT_EPISODES:
            self._read.popitem(last=False)
        return sample

    def window(
        self, index: int, *, seed: int, epoch: int, occurrence: int = 0, resources: Mapping[str, Any] | None = None
    ) -> Sample:
        """The augmented window of a start: observed items of every stream, and a chunk of the commands.

        Its id is that of the episode and the number of the command, ``episode_000003@12``.
        """
        episode, start = self.place(index)
        source = self._episode(episode)
        name = action_stream(source, self.action)
        source = source.with_meta(0, id=f"{source.id}@{start}", occurrence=occurrence)
        settings: dict[str, Any] = {"seed": seed, "epoch": epoch, "resources": resources}
        time = int(source[name].capture_times[start])
        if self.whole:
            part = source.with_streams({n: undecoded(s) for n, s in source.streams.items()})
        else:
            part = self._observed_part(source, name, time, settings)
        out = run(self.pipeline, part, **settings)
        out = without_stand_ins(out, source)
        return self._cut(out, source, name, self._new_time(out, time))

    def _new_time(self, sample: Sample, time: int) -> int:
        """The time of a start after the warps of a sample's history."""
        for warp in warps_of(sample.history) if self.warps else ():
            time = int(warp.new(torch.tensor([time]))[0])
        return time

    def _observed_part(self, source: Sample, name: str, time: int, settings: Mapping[str, Any]) -> Sample:
        """The episode with the observed pictures and clouds alone."""
        heavy: dict[str, Stream] = {n: s for n, s in source.streams.items() if isinstance(s, ImageStream | Points)}
        stamps = {n: s.arrival_times for n, s in heavy.items()}
        light = source.with_streams({n: s for n, s in source.streams.items() if n not in heavy})
        light = with_stand_ins(light, source, heavy)
        if self.warps:
            commands: Stream = Signal(frame=source.ref.frame, capture_times=source[name].capture_times)
            for warp in drawn_warps(self.pipeline, light, **settings):
                heavy = {n: with_warped_times(stamps_alone(s), warp) for n, s in heavy.items()}
                commands = warp_stream(commands, name, source, [warp])
                time = int(warp.new(torch.tensor([time]))[0])
            stamps = {n: s.arrival_times for n, s in heavy.items()}
            time = nearest_item(commands.capture_times, time)[1]
        at = torch.tensor([time + t for t in self.observe])
        chosen = {n: holding(times, at)[0] for n, times in stamps.items()}
        streams = dict(light.streams)
        for n, index in chosen.items():
            stream, wanted = source[n], [index]
            for other, items in chosen.items():  # what belongs to the same camera is looked up by time
                if other != n and source[other].instance(other) == stream.instance(n):
                    wanted.append(nearest(stream.capture_times, source[other].capture_times[items]))
            if isinstance(stream, Points):  # from which some transforms learn where the ground is
                wanted.append(torch.tensor([source.key_item(n)]))
            streams[n] = undecoded(stream.take_items(torch.cat(wanted).unique()))
        return light.with_streams({n: streams[n] for n in (*source.streams, STAMPS, CLOCK) if n in streams})

    def _renamed(self, source: Sample, out: Sample) -> str:
        """The name after the pipeline of the stream whose stamps are the starts."""
        name = action_stream(source, self.action)
        return name if name in out.streams else action_stream(out, None)

    def _cut(self, out: Sample, source: Sample, name: str, time: int) -> Sample:
        """The observed items and the chunk of commands of an augmented episode."""
        _, _, length = self.index
        commands = {n for n, s in source.streams.items() if n == name or isinstance(s, Action)}
        first, time = nearest_item(out[self._renamed(source, out)].capture_times, time)
        at = torch.tensor([time + t for t in self.observe])
        streams: dict[str, Stream] = {}
        for n, stream in out.streams.items():
            if not len(stream):
                continue
            if n in commands or isinstance(stream, Action):
                place = holding(stream.capture_times, torch.tensor([time]))[0] if n != name else torch.tensor([first])
                index = place + torch.arange(length)
                padded = index >= len(stream)
                index = index.clamp(max=len(stream) - 1)
            else:
                index, padded = holding(stream.arrival_times, at)
                padded = padded | (at > out[self._renamed(source, out)].capture_times[-1] + ROUNDING)
            streams[n] = taken(stream, index, padded)
        out = out.with_streams(streams)
        if all(s.frame != REF for s in streams.values()):
            out = out.with_meta(0, ref=Ref(out.ref.frame, time))
        return out.clone()


def action_stream(sample: Sample, name: str | None) -> str:
    """The stream of a sample whose stamps are the starts.

    Raises:
        ConfigError: the sample has none of this name, or none that holds commands.
    """
    known = ", ".join(sample.streams)
    if name is not None:
        if name not in sample.streams:
            raise ConfigError(f"AugmentedDataset.action: the log has no stream {name!r} (it has {known})")
        return name
    found = [n for n, s in sample.streams.items() if isinstance(s, Action)]
    found += [n for n in sample.streams if n.startswith("action")]
    if not found:
        raise ConfigError(f"AugmentedDataset.action: no stream of the log holds commands; name one of {known}")
    return found[0]


def _is_finite(value: Any) -> bool:
    """Whether a setting is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _needs_all(transform: Transform) -> bool:
    """Whether what a transform makes of a picture depends on other pictures, or on how many there are."""
    is_temporal = isinstance(transform, Temporal) and not isinstance(transform, WarpTransform)
    return is_temporal or transform.needs_neighbours
