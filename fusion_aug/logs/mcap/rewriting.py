"""The messages of a written recording: copied, encoded anew, and of the calibration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import chain

import torch
from torch import Tensor

from calib import CameraSensor, UnknownLens
from fusion_aug.logs.core.joint_readings import streams_within
from fusion_aug.logs.mcap.cameras import camera_info, check_one_camera, info_topic, is_same
from fusion_aug.logs.mcap.encoding import ChangedStream
from fusion_aug.logs.mcap.file import Channel, StoredMessage, decode, encode, stamp
from fusion_aug.logs.mcap.gathering import ReadFacts
from fusion_aug.logs.mcap.opaque import INFO, TF
from fusion_aug.logs.mcap.output import OutputMessage
from fusion_aug.logs.mcap.pictures import OPACITY
from fusion_aug.logs.mcap.rules import restamped
from fusion_aug.logs.mcap.tf import NewTransforms
from fusion_aug.logs.mcap.times import is_far
from fusion_aug.logs.mcap.windows import Original, Window
from fusion_aug.sample import Sample
from fusion_aug.streams import ImageStream, Stream
from fusion_aug.transforms.temporal.crop import Segment, segment_now
from fusion_aug.transforms.temporal.speed import TimeMap, stamps_of

POSES_BESIDE = 1_000_000_000  # ns around a segment in which tf is kept: what was captured at its ends needs poses


class Rewriting:
    """The messages that a window of a recording becomes.

    Args:
        window: of the recording. sample, source: what is written, and what it was made from.
        names: topic -> name of its stream. channels: that are kept.
        facts: what was found while the window was read.
    """

    def __init__(
        self, window: Window, sample: Sample, source: Sample, names: Mapping[str, str], channels: Sequence[Channel],
        facts: ReadFacts,
    ):  # fmt: skip
        self.window, self.sample, self.source, self.names, self.channels = window, sample, source, names, channels
        self._by_topic = {c.topic: c for c in reversed(channels)}
        captured = [t for times in facts.captured.values() for t in times if not is_far(t, source.ref.time)]
        known = torch.tensor(captured, dtype=torch.int64)
        self.new_time = TimeMap(sample.meta.history, torch.cat([stamps_of(source, 0), known]))
        two_clocks = is_far(window.start, source.ref.time)  # no change of speed tells anything of the log's
        self.begin = window.start if two_clocks else self.new_time(window.start)
        self._is_warped, self._facts = bool(self.new_time.warps), facts
        self._segment = None if two_clocks else segment_now(sample.meta.history)

    def parts(self) -> list[Iterator[OutputMessage]]:
        """The messages in parts, each by log time."""
        copied = {t for t in self._by_topic if self._is_copied(t)}
        parts = [self._copied(copied)]
        if self._segment is not None:  # streams are cut already, and no segment reorders what of them holds on
            own = {t for t in copied if self._streams(t)}
            parts = [self._copied(own), self._in_segment(self._copied(copied - own))]
        for topic, channel in self._by_topic.items():
            if self._is_changed(topic):
                new_time = self.new_time if self._is_warped else None
                for name in self._streams(topic):
                    if name in self.sample.streams:
                        stream, before = self.sample[name], self.source[name]
                        opacity = self.sample.streams.get(f"{name}/{OPACITY}")
                        places = self._facts.places[topic]
                        changed = ChangedStream(stream, before, channel, self.window, places, new_time, opacity)
                        parts.append(changed.messages())
            elif self._is_info(topic) and not self._is_copied(topic):
                parts.append(self._in_segment(self._infos(topic)))
            elif self._is_tf(topic) and not self._is_copied(topic):
                parts.append(self._in_segment(self._transforms(topic)))
        return parts

    def _in_segment(self, messages: Iterator[OutputMessage]) -> Iterator[OutputMessage]:
        """Yield the messages in the segment that was cut out; of what is latched those before it at its begin."""
        if self._segment is None:
            yield from messages
            return
        latched = {c.topic for c in self.channels if c.latched}
        for m in messages:
            span = self._segment
            if self._is_tf(m.topic):
                span = Segment(span.begin - POSES_BESIDE, span.end + POSES_BESIDE)
            if m.log_time < span.begin and m.topic in latched:
                m = m._replace(log_time=span.begin, publish_time=span.begin)
            if span.begin <= m.log_time < span.end:
                yield m

    # --- what becomes of a topic ------------------------------------------------------------------------------------
    def _is_info(self, topic: str) -> bool:
        """Whether a topic is the calibration of a camera that is understood."""
        return self._by_topic[topic].kind == INFO and self.names[topic] not in self.source.streams

    def _is_tf(self, topic: str) -> bool:
        return self._by_topic[topic].kind == TF and self.names[topic] not in self.source.streams

    def _streams(self, topic: str) -> list[str]:
        """The streams that hold a topic's messages."""
        return streams_within(self.names[topic], self.source.streams)

    def _is_changed(self, topic: str) -> bool:
        """Whether a topic's streams were changed, and not left out as a whole."""
        names = self._streams(topic)
        is_same = all(self.sample.streams.get(n) is self.source[n] for n in names)
        return not is_same and any(n in self.sample.streams for n in names)

    def _is_copied(self, topic: str) -> bool:
        """Whether a topic is copied as it is."""
        names = self._streams(topic)
        if names:
            return all(self.sample.streams.get(n) is self.source[n] for n in names)
        if self._is_info(topic):
            return self._info_stays(topic)
        return self.sample.rig is self.source.rig if self._is_tf(topic) else not self._is_warped

    # --- copies -----------------------------------------------------------------------------------------------------
    def _copied(self, copied: set[str]) -> Iterator[OutputMessage]:
        """Yield the messages of the topics that are copied as they are."""
        latched = (replace(raw, log_time=self.begin, publish_time=self.begin) for raw in self._latched(copied))
        for raw in chain(latched, self.window.messages(sorted(copied)) if copied else ()):
            yield OutputMessage(raw.log_time, raw.topic, raw.publish_time, raw.data, raw.channel, raw.sequence)

    def _latched(self, topics: set[str]) -> list[StoredMessage]:
        """Return latched messages from before the window, which are repeated at its start."""
        found = self.window.before([c.topic for c in self.channels if c.latched and c.topic in topics])
        return [raw for raw, _ in found]

    # --- calibration ------------------------------------------------------------------------------------------------
    def _cameras(self, topic: str) -> list[str]:
        """Return the streams of pictures that a CameraInfo topic belongs to."""
        infos = {c.topic for c in self.channels if c.kind == INFO}
        return [
            n for t, n in self.names.items()
            if isinstance(self.source.streams.get(n), ImageStream) and info_topic(t, infos) == topic
        ]  # fmt: skip

    def _sensors(self, topic: str) -> tuple[CameraSensor, CameraSensor] | None:
        """The camera of a CameraInfo topic before and after; None where there is none.

        Raises:
            DataError: it is that of several topics of pictures, which became different cameras.
        """
        pairs = []
        for name in self._cameras(topic):
            old = self.source.rig.sensors.get(self.source[name].instance(name))
            left = self.sample.streams.get(name, self.source[name])
            new = self.sample.rig.sensors.get(left.instance(name))
            if isinstance(old, CameraSensor) and isinstance(new, CameraSensor):
                pairs.append((old, new))
        pairs = [p for p in pairs if not isinstance(p[0].model, UnknownLens)] or pairs  # not those of another size
        check_one_camera(pairs, f"{self.window.path}: topic {topic}")
        return pairs[0] if pairs else None

    def _pictures_changed(self, topic: str) -> bool:
        """Whether the pictures of a CameraInfo topic are others, or at times that a change of speed does not tell."""
        streams = self.sample.streams
        return any(n not in streams or self._differs(streams[n], self.source[n]) for n in self._cameras(topic))

    def _differs(self, stream: Stream, source: Stream) -> bool:
        captured = self.new_time.of_all(source.capture_times)
        arrived = captured + (source.arrival_times - source.capture_times)
        return not (
            torch.equal(stream.present, source.present)
            and torch.equal(stream.capture_times, captured)
            and torch.equal(stream.arrival_times, arrived)
        )

    @cached_property
    def _infos_inside(self) -> dict[str, bool]:
        """CameraInfo topic -> whether it has a message in the window."""
        return {t: bool(self._facts.places[t]) for t in self._by_topic if self._is_info(t)}

    def _info_stays(self, topic: str) -> bool:
        if self._pictures_changed(topic) or self._is_warped:
            return False
        sensors = self._sensors(topic)
        return sensors is None or (self._infos_inside[topic] and is_same(*sensors))

    def _infos(self, topic: str) -> Iterator[OutputMessage]:
        """Yield the CameraInfo messages of a topic: one per picture where these are others, else as they were."""
        data: bytes | memoryview
        sensors, channel = self._sensors(topic), self._by_topic[topic]
        lens = None if sensors is None or is_same(*sensors) else sensors[1]
        where = f"{self.window.path}: topic {topic}"
        per_picture = self._pictures_changed(topic) or not self._infos_inside[topic]
        streams = [self.sample.streams.get(n) for n in self._cameras(topic)] if per_picture else []
        shown = next((s for s in streams if s is not None and bool(s.present.any())), None)
        first = next(self.window.in_file_order([topic]), None)
        if shown is not None and first is not None:
            template = decode(first.data, INFO, channel.text, where)
            info, stream = template if lens is None else camera_info(lens, template, where), shown
            times, arrival_times = stream.capture_times.tolist(), stream.arrival_times.tolist()
            for i in sorted(stream.present.nonzero()[:, 0].tolist(), key=arrival_times.__getitem__):
                data = encode(replace(info, header=stamp(template.header, times[i])), INFO, channel.text)
                yield OutputMessage(arrival_times[i], topic, arrival_times[i], data)
            return
        for log_time, original in self._originals(topic):
            template = decode(original.data, INFO, channel.text, where)
            message = template if lens is None else camera_info(lens, template, where)
            if self._is_warped:
                message = restamped(message, self.new_time)
            data = original.data if message is template else encode(message, INFO, channel.text)
            yield _at(log_time, topic, original, data)

    def _originals(self, topic: str) -> Iterator[tuple[int, Original]]:
        """The messages of a topic by new log time (ns), latched ones from before the window first."""
        new, originals = self._log_times(topic), self.window.originals(topic, self._facts.places[topic])
        begin = min([self.begin, *new.tolist()])
        for raw in self._latched({topic}):
            yield begin, Original(raw.log_time, raw.publish_time, raw.data)
        for k in new.argsort(stable=True).tolist():
            yield int(new[k]), originals(k)

    def _log_times(self, topic: str) -> Tensor:
        """New log times (n,) int64 ns of a topic: as of streams, what a message took to arrive stays, in seconds."""
        captured = torch.tensor(self._facts.captured[topic], dtype=torch.int64)
        logged = torch.tensor([place.log_time for place in self._facts.places[topic]], dtype=torch.int64)
        told = torch.tensor([not is_far(t, self.source.ref.time) for t in captured.tolist()], dtype=torch.bool)
        return torch.where(told, self.new_time.of_all(captured) + (logged - captured), logged)

    def first_log_time(self, default: int) -> int:
        """The first log time (ns) of a window whose topics are all calibration; ``default`` where it has none."""
        times = [t for topic in self._by_topic for t in self._log_times(topic).tolist()]
        return min(times + [self.begin] * bool(self._latched(set(self._by_topic))), default=default)

    def _transforms(self, topic: str) -> Iterator[OutputMessage]:
        """Yield the tf messages with the poses of the rig."""
        channel, static = self._by_topic[topic], topic.endswith("tf_static")
        new = NewTransforms(self.sample.rig, self.source.rig, self.new_time, self._facts.follow_log)
        data: bytes | memoryview
        for log_time, original in self._originals(topic):
            message = decode(original.data, TF, channel.text, topic)
            moved = [new(t, static, original.log_time) for t in message.transforms]
            same = all(a is b for a, b in zip(moved, message.transforms, strict=True))
            data = original.data if same else encode(replace(message, transforms=moved), TF, channel.text)
            yield _at(log_time, topic, original, data)


def _at(log_time: int, topic: str, original: Original, data: bytes | memoryview) -> OutputMessage:
    """A message at a new log time (ns), published as long before or after it as the original was."""
    return OutputMessage(log_time, topic, max(0, original.publish_time + (log_time - original.log_time)), data)
