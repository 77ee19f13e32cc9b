"""The messages of a window of a recording, by topic, with what is not understood of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from calib.replacing import replace_unchecked
from fusion_aug.errors import DataError
from fusion_aug.logs.mcap.clouds import CLOUD
from fusion_aug.logs.mcap.file import Channel, MessageSource, StoredMessage, decode, stamp_of
from fusion_aug.logs.mcap.messages import READERS, ReceivedMessage
from fusion_aug.logs.mcap.opaque import INFO, TF, Unread, unread_by, unread_type
from fusion_aug.logs.mcap.problems import message_problem
from fusion_aug.logs.mcap.recording import recording
from fusion_aug.logs.mcap.times import capture_times, first_jump, head_of, headers_follow_log
from fusion_aug.logs.mcap.video import VIDEOS
from fusion_aug.logs.mcap.windows import Place, Window, begins_with_header

IMAGE, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
LAZY = {IMAGE: "ros_image", COMPRESSED: "ros_image", CLOUD: "ros_cloud", **dict.fromkeys(VIDEOS, "ros_message")}
JOINTS = "sensor_msgs/msg/JointState"
KNOWN = frozenset({INFO, TF})  # read into the rig
MARGIN = 500_000_000  # ns of readings beyond a window, so that poses are known up to its ends


@dataclass
class Topic:
    """A topic of a recording in a window.

    Attributes:
        channels: of it in the file. name: of its stream. unread: why its messages are not understood; None where they
            are. messages: of the window and ``MARGIN`` beside it, as they lie in the file, later by log time.
        unstamped: how many headers hold no stamp, among such that do.
    """

    channels: list[Channel]
    name: str
    unread: Unread | None
    messages: list[ReceivedMessage] = field(default_factory=list)
    unstamped: int = 0

    @property
    def kind(self) -> str:
        """Type of the messages."""
        return self.channels[0].kind

    @property
    def has_header(self) -> bool:
        """Whether the messages begin with a header."""
        return begins_with_header(self.channels[0])


@dataclass
class Gathered:
    """What is read of a window.

    Attributes:
        topics: by name, those that are read into the rig too.
        edges: topic -> child and parent of all transforms.
        infos: topic -> first CameraInfo of the whole recording. transforms: static or not, log time (ns), TFMessage.
        follow_log: whether the stamps of the recording are of the clock of its log times.
        words: what a user should know of how it was read.
    """

    topics: dict[str, Topic]
    infos: dict[str, Any] = field(default_factory=dict)
    transforms: list[tuple[bool, int, Any]] = field(default_factory=list)
    edges: dict[str, set[tuple[str, str]]] = field(default_factory=dict)
    follow_log: bool = True
    words: list[str] = field(default_factory=list)


class ReadFacts(NamedTuple):
    """What was found while a sample was read.

    Attributes:
        words: what a user should know. follow_log: whether header stamps are of the clock of the log times.
        places: topic -> where its messages of the window lie, by log time. captured: topic -> when each of these was
            captured, ns. edges: topic -> child and parent frames of the transforms of the recording.
    """

    words: list[str]
    follow_log: bool
    places: Mapping[str, Sequence[Place]]
    captured: Mapping[str, Sequence[int]]
    edges: Mapping[str, Collection[tuple[str, str]]]


def topics_of(window: Window, names: Mapping[str, str], is_excluded: Callable[[str], bool]) -> dict[str, Topic]:
    """The topics of a recording, as far as its channels tell of them."""
    channels: dict[str, list[Channel]] = {}
    for channel in window.file.summary()[0]:
        if not is_excluded(channel.topic):
            channels.setdefault(channel.topic, []).append(channel)
    known = {*READERS, *KNOWN}
    return {t: Topic(found, names[t], unread_type(found, known)) for t, found in channels.items()}


def gathered(
    window: Window, topics: dict[str, Topic], same_camera: Callable[[Any, Any], bool], first_alone: bool = False
) -> Gathered:
    """Read a window.

    Args:
        window: of a recording. topics: of it. same_camera: whether two CameraInfo say the same.
        first_alone: whether the first message of each topic is enough.

    Raises:
        DataError: the file is damaged, or a clock jumps back.
    """
    out = Gathered(topics)
    for_rig = {t for t, topic in topics.items() if topic.kind in KNOWN and topic.unread is None}
    passes: list[tuple[set[str], int | None]]
    # what is read into the rig was sent once, often before the window
    if not first_alone and not window.is_whole and window.part is None:
        for raw, message in _rig_messages(window.path, window.path.stat().st_mtime_ns, tuple(sorted(for_rig))):
            _read_for_rig(out, raw, 0, message, window, same_camera)
        passes = [(set(topics) - for_rig, MARGIN)]
    else:
        passes = [(set(topics), None)] if window.is_whole else [(for_rig, None), (set(topics) - for_rig, MARGIN)]
    for names, margin in passes:
        for raw, before in _messages(window, sorted(names), margin, first_alone):
            if raw.topic in for_rig:
                _read_for_rig(out, raw, before, _decoded(raw, window.path), window, same_camera)
            else:
                topics[raw.topic].messages.append(received(topics[raw.topic], raw, window.path, before))
    refuse_jumps(out, window.path)
    if not first_alone and not window.is_whole:
        _read_latched(out, window, for_rig)
    return out


def _read_latched(out: Gathered, window: Window, for_rig: Collection[str]) -> None:
    """Read what latched topics sent before a window, which whoever listens later gets too, as if sent at its start."""
    for name, topic in out.topics.items():
        if name in for_rig or not any(c.latched for c in topic.channels):
            continue
        inside = [m for m in topic.messages if m.log_time >= window.start]
        topic.messages = []
        for raw, place in window.before([name]):
            m = received(topic, replace(raw, log_time=place.log_time), window.path, place.nth)
            topic.messages.append(replace(m, log_time=window.start))
        topic.messages += inside


def _messages(
    window: Window, topics: list[str], margin: int | None, first_alone: bool
) -> Iterator[tuple[StoredMessage, int]]:
    if first_alone:
        firsts = (next(window.messages([t]), None) for t in topics)
        yield from ((raw, 0) for raw in firsts if raw is not None)
    elif topics:
        yield from window.with_places(topics, margin)


@lru_cache(maxsize=1)
def _rig_messages(path: Path, changed: int, topics: tuple[str, ...]) -> list[tuple[StoredMessage, Any]]:
    """What of a recording is read into the rig, for all windows of it."""
    found = recording(path).messages(topics=list(topics), in_file_order=True) if topics else ()
    return [(raw.apart(), _decoded(raw, path)) for raw in found]


def _decoded(raw: StoredMessage, path: Path) -> Any:
    """A message, or why it is none."""
    try:
        return decode(raw.data, raw.kind, raw.definition, f"{path}: topic {raw.topic}")
    except DataError as error:
        return error


def _read_for_rig(
    out: Gathered, raw: StoredMessage, before: int, message: Any, window: Window,
    same_camera: Callable[[Any, Any], bool],
) -> None:  # fmt: skip
    topic, where = out.topics[raw.topic], f"{window.path}: topic {raw.topic}"
    moves = raw.kind == TF and not raw.topic.endswith("tf_static") and not isinstance(message, DataError)
    if window.start <= raw.log_time < window.end:
        found = received(topic, raw, window.path, before)
        stamps = [stamp_of(t) for t in message.transforms[:1]] if moves else []
        topic.messages.append(replace(found, first_stamp=stamps[0]) if stamps else found)
    if topic.unread is not None:
        return
    if isinstance(message, DataError):
        topic.unread = unread_by(message, raw.kind, where)
    elif raw.kind == TF:
        out.transforms.append((not moves, raw.log_time, message))
        edges = ((str(t.child_frame_id).strip("/"), str(t.header.frame_id).strip("/")) for t in message.transforms)
        out.edges.setdefault(raw.topic, set()).update(edges)
    elif not same_camera(out.infos.setdefault(raw.topic, message), message):
        topic.unread = unread_by(
            f"the calibration changes within the recording, at log time {raw.log_time} ns", raw.kind, where
        )


def received(topic: Topic, raw: StoredMessage, path: Path, before: int) -> ReceivedMessage:
    """A message of a topic, decoded where its values are held in memory; what fails there makes the topic opaque.

    Args:
        topic: of it. raw: the message. path: of the file.
        before: how many messages of its topic and log time lie in other parts of the recording before.
    """
    where = f"{path}: topic {raw.topic}"
    options = {"topic": raw.topic, "log_time": raw.log_time, "nth": before}
    options |= {"type": raw.kind, "definition": raw.definition}
    if raw.publish_time != raw.log_time:
        options["publish_time"] = raw.publish_time
    source = MessageSource(path, LAZY.get(raw.kind, "ros_message"), options=options)
    head = head_of(raw.data, topic.channels[0].encoding) if topic.has_header else None
    message = None
    is_first = not topic.messages
    if topic.unread is None and raw.kind not in KNOWN and (raw.kind not in LAZY or is_first):
        try:
            message = decode(raw.data, raw.kind, raw.definition, where)
            problem = message_problem(message, raw.kind, raw.topic) if is_first else None
            topic.unread = problem
        except DataError as error:
            reason = str(error).removeprefix(f"{where}: ")
            topic.unread = unread_by(f"the message at log time {raw.log_time} ns {reason}", raw.kind, where)
    if topic.has_header and head is None and topic.unread is None:
        topic.unread = unread_by(f"a message at log time {raw.log_time} ns has no whole header", raw.kind, where)
    frame, stamp = (head.frame, head.stamp) if head is not None else ("", None)
    return ReceivedMessage(None if raw.kind in LAZY else message, source, frame, stamp, raw.log_time)


def facts_of(found: Gathered, window: Window, words: list[str]) -> ReadFacts:
    """What was found while a window was read, after ``with_times``; ``words`` are what a user should know."""
    inside = {
        t: [m for m in topic.messages if window.start <= m.log_time < window.end] for t, topic in found.topics.items()
    }
    places = {t: [_place_of(m) for m in messages] for t, messages in inside.items()}
    captured = {t: [_capture_time(m, found.follow_log) for m in messages] for t, messages in inside.items()}
    return ReadFacts(words, found.follow_log, places, captured, found.edges)


def _capture_time(message: ReceivedMessage, follow_log: bool) -> int:
    """When a message was captured (ns); of a tf message, which has no header, its first transform."""
    if message.first_stamp is None:
        return int(message.time)
    return capture_times([(message.first_stamp, message.log_time)], follow_log)[0][0]


def _place_of(message: ReceivedMessage) -> Place:
    """Where a message lies; one of a latched topic may lie before its window."""
    return Place(message.source.options["log_time"], message.source.options["nth"])


def refuse_jumps(out: Gathered, path: Path) -> None:
    """Stop where the clock of a topic jumps back.

    Raises:
        DataError: naming file, topic and time.
    """
    for name, topic in out.topics.items():
        understood = topic.unread is None
        jump = first_jump(name, [(m.time if understood else None, m.log_time) for m in topic.messages])
        if jump is not None:
            raise DataError(
                f"{path}: {jump}; log.split_on_jump=true makes two samples of it, log.exclude leaves the topic out"
            )


def with_times(topics: Mapping[str, Topic], more: Iterable[Topic] = ()) -> bool:
    """Sort the messages of all topics by log time, and give them their capture times.

    Returns:
        whether the headers of the recording follow the log times.
    """
    everything: Collection[Topic] = [*topics.values(), *more]
    follow_log = headers_follow_log([[(m.time, m.log_time) for m in t.messages] for t in everything])
    for topic in everything:
        topic.messages.sort(key=lambda m: m.log_time)
        last, nth = None, 0
        for m in topic.messages:  # of one time as they lie in the file
            if m.source.options["log_time"] != m.log_time:  # from before the window; its place is known
                continue
            last, nth = m.log_time, nth + 1 if m.log_time == last else 0
            m.source.options["nth"] += nth
        times, topic.unstamped = capture_times([(m.time, m.log_time) for m in topic.messages], follow_log)
        topic.messages = [replace_unchecked(m, time=time) for m, time in zip(topic.messages, times, strict=True)]
    return follow_log
