"""Streams of the topics of a recording: by the readers of their types, or opaque, with what the user told of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from calib.regular_files import is_there
from calib.replacing import replace_unchecked
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.logs.core.parts import Parts
from fusion_aug.logs.core.robots import BASE, RobotLog
from fusion_aug.logs.mcap import clouds
from fusion_aug.logs.mcap.bag import NAME, split_files
from fusion_aug.logs.mcap.gathering import (
    JOINTS,
    MARGIN,
    Topic,
    received,
)
from fusion_aug.logs.mcap.joints import is_command_topic, joint_sets, targets
from fusion_aug.logs.mcap.messages import READERS, ReceivedMessage, common_fields
from fusion_aug.logs.mcap.opaque import RawMessages, Unread, unread_by
from fusion_aug.logs.mcap.recording import Recording, recording
from fusion_aug.logs.mcap.rig_sensors import without_slashes
from fusion_aug.logs.mcap.vectors import told_parts, told_stream
from fusion_aug.logs.mcap.windows import Window
from fusion_aug.sample.manifest import NAME as MANIFEST
from fusion_aug.sample.sensors import matches, unmatched
from fusion_aug.streams import JointState, Opaque, RobotState, Stream
from fusion_aug.streams.opaque import LIGHT


class TopicLog(RobotLog):
    """A log of recordings whose topics become streams. ``MCAP_OPTIONS`` say what the user may tell of topics."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        if self._rig_file and self._sensors_of_file:
            self._rig_file["sensors"] = without_slashes(self._sensors_of_file, self.rig_name)
        self._restamp_only = self._topic_patterns("restamp_only")
        self._no_geometry = self._topic_patterns("no_geometry")

    def _topic_patterns(self, option: str) -> tuple[str, ...]:
        """Topics, or shell patterns of them, that an option names.

        Raises:
            ConfigError: it holds something else, or a pattern matches no topic.
        """
        value = getattr(self.options, option)
        names = [value] if isinstance(value, str) else value or []
        if not isinstance(names, list | tuple) or not all(isinstance(n, str) for n in names):
            raise ConfigError(f"log.{option}: expected names or shell patterns of topics, got {value!r}")
        self._refuse_unmatched(option, names, self.excludable)
        return tuple(names)

    def _refuse_unmatched(self, option: str, names: Iterable[str], topics: Iterable[str]) -> None:
        """Stop at names that match none of the topics; an output lacks those that its run left out.

        Raises:
            ConfigError: naming what matches nothing, and the topics.
        """
        known = sorted(topics)
        wrong = unmatched(names, known) if not (self.root / MANIFEST).is_file() else []
        if wrong:
            raise ConfigError(
                f"log.{option}: {wrong[0]!r} matches nothing of {self.root}; it has {', '.join(known) or 'none'}"
            )

    @cached_property
    def told_parts(self) -> dict[str, Parts]:
        """Topic -> the meaning of its numbers, as the user tells it."""
        return told_parts(self.declared_parts, self.excludable)

    def told_joints(self, streams: Mapping[str, Stream]) -> dict[str, Stream]:
        """Streams of joint readings whose messages are plain numbers."""
        told = {t.strip("/") for t in self.told_parts}
        return {n: s for n, s in streams.items() if n in told and isinstance(s, JointState | RobotState)}

    def _inside(self, topic: Topic, window: Window) -> list[ReceivedMessage]:
        """The messages of a topic in a window, by capture time, with their places by log time."""
        inside = [m for m in topic.messages if window.start <= m.log_time < window.end]
        return sorted((replace_unchecked(m, position_in_topic=i) for i, m in enumerate(inside)), key=lambda m: m.time)

    def _streams(self, topic: Topic, window: Window) -> dict[str, Stream]:
        """The streams of a topic by name: one, or one for each set of joints; none where it has no messages."""
        messages = self._inside(topic, window)
        if not messages:
            return {}
        if topic.kind == JOINTS and topic.unread is None:
            where = f"{window.path}: topic {topic.channels[0].topic}"
            read = targets if self._holds_commands(topic) else READERS[JOINTS]
            try:
                sets = joint_sets(messages, topic.name)
                return {n: read(part, common_fields(part, part[0].frame or BASE), where) for n, part in sets.items()}
            except DataError as error:
                topic.unread = unread_by(error, topic.kind, where)
        return {topic.name: self._stream(topic, window, messages)}

    def _holds_commands(self, topic: Topic) -> bool:
        name = topic.channels[0].topic
        return is_command_topic(name, self.target_patterns, self.is_target(name))

    def _stream(self, topic: Topic, window: Window, messages: list[ReceivedMessage]) -> Stream:
        """The stream of messages of a topic, an opaque one where they are not understood."""
        where = f"{window.path}: topic {topic.channels[0].topic}"
        frames = dict.fromkeys(m.frame for m in messages)
        if topic.unread is None and len(frames) > 1:
            names = ", ".join(repr(f) for f in list(frames)[:4])
            topic.unread = unread_by(f"its frame_id changes from message to message ({names})", topic.kind, where)
        if topic.unread is not None:
            return self._opaque(topic, messages)
        fields = common_fields(messages, messages[0].frame or BASE)
        if topic.kind == clouds.CLOUD:
            messages = clouds.with_told_fields(messages, self.options.fields, topic.channels[0].topic)
        try:
            stream = READERS[topic.kind](messages, fields, where)
        except DataError as error:
            topic.unread = unread_by(error, topic.kind, where)
            return self._opaque(topic, messages)
        name = topic.channels[0].topic
        if name in self.told_parts:
            joints = tuple(self.robot.joints) if self.robot is not None else ()
            parts, command = self.told_parts[name], self._holds_commands(topic)
            return told_stream(stream, name, topic.kind, parts, joints, command)
        if isinstance(stream, Opaque) and not stream.place:  # its reader does not know what the user told
            unchanged_by = tuple(f for f in stream.untouched_by if not stream.like or f not in LIGHT)
            topic.unread = Unread(stream.reason, stream.remedy_here, stream.like, unchanged_by)
            opaque = self._opaque(topic, messages)
            told = {f: getattr(opaque, f) for f in ("place", "reason", "remedy_here", "ways", "like", "untouched_by")}
            return replace(stream, **told) if isinstance(stream, RawMessages) else replace(opaque, values=stream.values)
        return stream

    def _opaque(self, topic: Topic, messages: list[ReceivedMessage]) -> RawMessages:
        """Messages that are not understood, with what is known of them and what the user has told."""
        name, unread = topic.channels[0].topic, topic.unread or Unread("")
        told = unread.fields(name, topic.kind, matches(name, self._restamp_only), matches(name, self._no_geometry))
        frame = messages[0].frame if messages and messages[0].frame else BASE
        return RawMessages(**common_fields(messages, frame), **told)

    def _joint_streams(
        self, topics: Sequence[Topic], streams: Mapping[str, Stream], window: Window
    ) -> dict[str, Stream]:
        """Streams of joints with the readings beyond the window."""
        joints: dict[str, Stream] = {}
        for name in dict.fromkeys(t.name for t in topics if t.kind == JOINTS and t.unread is None):
            if any(t.name == name and self._holds_commands(t) for t in topics):
                continue
            parts = [t for t in topics if t.name == name]
            ordered = sorted((m for t in parts for m in t.messages), key=lambda m: m.time)
            where = f"{window.path}: topic {parts[0].channels[0].topic}"
            for own, messages in joint_sets(ordered, name).items():
                joints[own] = READERS[JOINTS](messages, common_fields(messages, BASE), where)
        return joints

    def _joints_of_other_parts(self, window: Window, topics: Mapping[str, Topic]) -> list[Topic]:
        """Joint readings beside a window that lie in other files of its recording."""
        names = {t: topic.name for t, topic in topics.items() if topic.kind == JOINTS and topic.unread is None}
        if not names or window.part is not None:
            return []
        span = (max(0, window.start - MARGIN), window.end + MARGIN)
        out = {t: Topic(topics[t].channels, name, None) for t, name in names.items()}
        for file in self._other_parts(window.path, span):
            for raw in file.messages(*span, topics=list(names)):
                out[raw.topic].messages.append(received(out[raw.topic], raw, file.path, 0))
        return [t for t in out.values() if t.messages and t.unread is None]

    def _other_parts(self, path: Path, span: tuple[int, int]) -> list[Recording]:
        """Return the other files of a split recording, as ``metadata.yaml`` lists them, that overlap a span (ns)."""
        parts = split_files(self.tree.path(NAME, str(path.parent), path.parent).parent)
        others = [p for p in parts if p != path.name and Path(p).suffix == path.suffix] if path.name in parts else []
        files = [recording(self.tree.path(p, f"{path.parent / NAME}", path.parent)) for p in others]
        files = [f for f in files if is_there(f.path)]
        return [f for f in files if f.summary()[1] < span[1] and f.summary()[2] >= span[0]]


def words_of(topics: Mapping[str, Topic]) -> list[str]:
    """What a user should know of how the topics of a window were read."""
    return [
        f"topic {name}: {topic.unstamped} of {len(topic.messages)} headers hold no stamp of the recording's clock; "
        f"their log time is taken"
        for name, topic in topics.items()
        if topic.unstamped
    ]
