"""Windows of recordings: what of a file a sample is."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np

from fusion_aug.errors import ConfigError, DataError
from fusion_aug.logs.mcap.definitions import ENCODINGS, DamagedDefinition, has_header
from fusion_aug.logs.mcap.recording import Channel, Recording, StoredMessage, recording
from fusion_aug.logs.mcap.times import Stamped, head_of, jumps_of

MOST_WINDOWS = 10**6  # of a recording: its summary may say that it lasts for centuries


class Place(NamedTuple):
    """Where a message of a topic lies in a file: its log time (ns), and which of those of that time it is."""

    log_time: int
    nth: int


class Original(NamedTuple):
    """A message as its file holds it: log and publish time (ns), and its bytes."""

    log_time: int
    publish_time: int
    data: bytes | memoryview


@dataclass(frozen=True, eq=False)
class Window:
    """A part of a recording.

    Attributes:
        file: of the recording. start, end: log times [start, end) in ns.
        part: topic -> its first message and the one after its last, as they lie in the file, where a clock of the
            recording jumps back; None of a recording in one piece.
    """

    file: Recording
    start: int
    end: int
    part: Mapping[str, tuple[int, int]] | None = None

    @property
    def path(self) -> Path:
        """The file."""
        return self.file.path

    def messages(self, topics: Any = None) -> Iterator[StoredMessage]:
        """The messages of some topics (all by default) in the window, by log time."""
        if self.part is None:
            return self.file.messages(self.start, self.end, topics)
        return in_log_order(lambda: (m for m in self.in_file_order(topics) if self.start <= m.log_time < self.end))

    @property
    def is_whole(self) -> bool:
        """Whether it is all of the recording."""
        _, first, last = self.file.summary()
        return self.part is None and self.start <= first and last < self.end

    def in_file_order(self, topics: Any, margin: int | None = None) -> Iterator[StoredMessage]:
        """The messages of some topics as they lie in the file: of the whole recording, or of the window and beside it.

        Args:
            topics: names. margin: ns before and after the window; None for the whole recording.
        """
        return (raw for raw, _ in self.with_places(topics, margin))

    def with_places(self, topics: Any, margin: int | None = None) -> Iterator[tuple[StoredMessage, int]]:
        """The messages of ``in_file_order``, each with how many of its topic and log time another part holds before."""
        if self.part is None:
            since = None if margin is None else max(0, self.start - margin)
            until = None if margin is None else self.end + margin
            for raw in self.file.messages(since, until, topics, in_file_order=True):
                yield raw, 0
            return
        before: Counter[tuple[str, int]] = Counter()
        for raw in self.file.messages(topics=topics, in_file_order=True):
            first, end = self.part.get(raw.topic, (0, 0))
            if raw.number < first:
                before[raw.topic, raw.log_time] += 1
            elif raw.number < end:
                yield raw, before.get((raw.topic, raw.log_time), 0)

    def originals(self, topic: str, places: Sequence[Place]) -> Callable[[int], Original]:
        """Return a function from the number of a message of a topic, by log time, to the message.

        Where files have chunks each is read where it lies, so that topics that are written side by side read every
        chunk once; else they are read one after another, as long as the numbers rise.

        Args:
            topic: of them. places: of all its messages in the window, by log time.
        """

        def by_place(number: int) -> Original:
            return Original(places[number].log_time, *self.file.published(topic, *places[number]))

        if self.file.in_chunks:
            return by_place
        found = enumerate(self.messages([topic]))
        last, message = -1, cast("StoredMessage | None", None)

        def in_turn(number: int) -> Original:
            nonlocal last, message
            while last < number:
                last, message = next(found)
            if last > number or message is None:
                return by_place(number)
            return Original(message.log_time, message.publish_time, message.data)

        return in_turn

    def before(self, topics: Any) -> list[tuple[StoredMessage, Place]]:
        """The messages of some topics from before the window, as if they were logged at its start, and their places."""
        if not topics:
            return []
        if self.part is None:
            found = [m.apart() for m in self.file.messages(None, self.start, topics)]
        else:
            ends = {t: self.part.get(t, (0, 0))[0] for t in topics}
            passing = self.file.messages(topics=topics, in_file_order=True)
            found = [m.apart() for m in passing if m.number < ends[m.topic]]
        out, nth = [], Counter[tuple[str, int]]()
        for m in found:
            place = Place(m.log_time, nth[m.topic, m.log_time])
            nth[m.topic, m.log_time] += 1
            out.append((replace(m, log_time=self.start, publish_time=self.start), place))
        return out


def in_log_order(messages: Callable[[], Iterable[StoredMessage]]) -> Iterator[StoredMessage]:
    """Messages by log time, those of one time as they come. No more of them are held than came too early.

    Args:
        messages: yields them, the same whenever it is called.
    """
    times = np.fromiter((m.log_time for m in messages()), np.int64)
    rank = np.empty(len(times), np.int64)
    rank[np.argsort(times, kind="stable")] = np.arange(len(times))
    early: dict[int, StoredMessage] = {}
    turn = 0
    for own, message in zip(rank.tolist(), messages(), strict=True):
        early[own] = message if own == turn else message.apart()
        while turn in early:
            yield early.pop(turn)
            turn += 1


def windows_of(root: Path, paths: Iterable[Path], length: Any, split: bool = False) -> dict[str, Window]:
    """Id of every sample -> its window. A recording that cannot be read is one sample, whose reading says why.

    Args:
        root: of the log. paths: of its recordings.
        length: of a window, seconds (``log.window``); None makes one of a whole recording.
        split: whether a recording whose clock jumps back is several (``log.split_on_jump``).

    Raises:
        ConfigError: the length is no such number. DataError: one lasts for too many windows, or two have one name.
    """
    number = isinstance(length, int | float) and not isinstance(length, bool)
    if length is not None and not (number and length >= 1e-3):
        raise ConfigError(f"log.window: expected seconds, at least 0.001, got {length!r}")
    found: dict[str, Window] = {}
    names: dict[str, Path] = {}
    for path in paths:
        file = recording(path)
        name = path.relative_to(root).with_suffix("").as_posix()
        if name in names:
            raise DataError(f"{path}: log.root: {names[name].name} beside it is of the same name; rename one of them")
        names[name] = path
        _, first, last = file.summary() if is_readable(file) else ([], 0, 0)
        whole = [Window(file, first, last + 1)]
        pieces = pieces_of(file) if split and is_readable(file) else whole
        for k, piece in enumerate(pieces):
            own = name if len(pieces) == 1 else f"{name}/part{k}"
            found |= {own: piece} if length is None else _cut(own, piece, length)
    return found


def _cut(name: str, piece: Window, length: float) -> dict[str, Window]:
    step = round(length * 1e9)
    count = (piece.end - 1 - piece.start) // step + 1
    if count > MOST_WINDOWS:
        lasts = (piece.end - piece.start) / 1e9
        raise DataError(
            f"{piece.path}: lasts {lasts:.0f} s by its summary, {count:,} windows; give a longer log.window"
        )
    starts = [piece.start + k * step for k in range(count)]
    return {f"{name}/{k:05d}": replace(piece, start=s, end=min(s + step, piece.end)) for k, s in enumerate(starts)}


def pieces_of(file: Recording) -> list[Window]:
    """A recording in pieces, cut where a clock jumps back; in one piece where none does."""
    headed = {c.topic: c.encoding for c in file.summary()[0] if begins_with_header(c)}
    order: list[str] = []
    rows: dict[str, list[Stamped]] = {}
    for raw in file.messages(in_file_order=True):
        head = head_of(raw.data, headed[raw.topic]) if raw.topic in headed else None
        rows.setdefault(raw.topic, []).append((head.stamp if head else None, raw.log_time))
        order.append(raw.topic)
    places: dict[str, list[int]] = {}
    for at, topic in enumerate(order):
        places.setdefault(topic, []).append(at)
    pieces, begun = [], dict.fromkeys(rows, 0)
    while True:
        jumps = jumps_of({t: r[begun[t] :] for t, r in rows.items()})
        cut = min((places[j.topic][begun[j.topic] + j.place] for j in jumps), default=len(order))
        ends = {t: bisect_left(at, cut) for t, at in places.items()}
        logged = [log for t, r in rows.items() for _, log in r[begun[t] : ends[t]]]
        if logged:
            part = {t: (begun[t], ends[t]) for t in rows}
            pieces.append(Window(file, min(logged), max(logged) + 1, part))
        if cut == len(order):
            return pieces if len(pieces) > 1 else [Window(file, *_span(file))]
        begun = ends


def _span(file: Recording) -> tuple[int, int]:
    _, first, last = file.summary()
    return first, last + 1


def begins_with_header(channel: Channel) -> bool:
    """Whether messages of a channel begin with a header that can be read."""
    try:
        return channel.encoding in ENCODINGS and has_header(channel.kind, channel.text)
    except DamagedDefinition:
        return False


def is_readable(file: Recording) -> bool:
    """Whether a recording has a summary to be read by."""
    try:
        file.summary()
    except DataError:
        return False
    return True
