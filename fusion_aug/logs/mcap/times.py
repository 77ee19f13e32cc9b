"""Times of messages in the field: stamps of headers, those that are none, and clocks that jump back."""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from fusion_aug.streams import Opaque, Stream

FAR = 3_600_000_000_000  # ns between a stamp and its log time, from which they are of different clocks
LATE = 10_000_000_000  # ns by which a message may be logged after its stamp, and still tell when a recording begins
JUMP = 1_000_000_000  # ns by which a clock goes back; less is the order in which messages came
HEAD = {True: struct.Struct("<iII"), False: struct.Struct(">iII")}  # seconds, nanoseconds, length of the frame's name
CDR_HEAD = 4  # bytes before the stamp: the representation of CDR, and in ROS 1 the header's sequence number
CDR = "cdr"

Stamped = tuple[int | None, int]  # header stamp, None without header, and log time, ns


class Head(NamedTuple):
    """The header of a message: its stamp (ns) and frame."""

    stamp: int
    frame: str


def _is_little(data: bytes | memoryview, encoding: str) -> bool:
    return encoding != CDR or bool(data[1] & 1)


def head_of(data: bytes | memoryview, encoding: str = CDR) -> Head | None:
    """The header that the bytes of a message begin with, in CDR or as ROS 1 does; None where they are too short."""
    start = CDR_HEAD + HEAD[True].size
    if len(data) < start:
        return None
    seconds, rest, length = HEAD[_is_little(data, encoding)].unpack_from(data, CDR_HEAD)
    if length > len(data) - start:
        return None
    frame = bytes(data[start : start + length]).split(b"\0")[0].decode(errors="replace")
    return Head(seconds * 1_000_000_000 + rest, frame.strip("/"))


def with_stamp(data: bytes | memoryview, stamp: int, encoding: str = CDR) -> bytes:
    """The bytes of a message that begins with a header, in CDR or as ROS 1 does, with another stamp (ns)."""
    seconds, rest = divmod(stamp, 1_000_000_000)
    told = struct.pack("<iI" if _is_little(data, encoding) else ">iI", seconds, rest)
    return b"".join((data[:CDR_HEAD], told, memoryview(data)[CDR_HEAD + len(told) :]))


def is_far(stamp: int, log_time: int) -> bool:
    """Whether a stamp (ns) is of another clock than a log time (ns)."""
    return abs(stamp - log_time) > FAR


def headers_follow_log(topics: Iterable[Sequence[Stamped]]) -> bool:
    """Whether the stamps of a recording are of the clock of its log times; those of a simulator may all be others."""
    of_topics = [[is_far(s, log) for s, log in rows if s] for rows in topics]
    of_topics = [rows for rows in of_topics if rows]
    return not of_topics or any(sum(rows) <= len(rows) / 2 for rows in of_topics)


def capture_times(rows: Sequence[Stamped], follow_log: bool) -> tuple[list[int], int]:
    """When the messages of a topic were captured (ns), and how many of its headers are not stamped among such that are.

    A stamp of zero is none, nor is one of another clock where those of the recording follow the log times. Such
    messages take their log time; where no header is stamped, all do.

    Args:
        rows: of the messages. follow_log: see ``headers_follow_log``.
    """
    good = [bool(s) and not (follow_log and is_far(s or 0, log)) for s, log in rows]
    times = [(s or 0) if ok else log for ok, (s, log) in zip(good, rows, strict=True)]
    return times, len(good) - sum(good) if any(good) else 0


def reference_time(streams: Collection[Stream], default: int) -> int:
    """The time (ns) at which a sample begins: the first capture time of a message that was logged soon after.

    A latched message may be hours old. What is not understood counts where there is nothing else.

    Args:
        streams: of the recording. default: where there is none.
    """
    known = [s for s in streams if len(s) and not isinstance(s, Opaque)] or [s for s in streams if len(s)]
    times = [s.capture_times for s in known]
    soon = [t[s.arrival_times - t <= LATE] for s, t in zip(known, times, strict=True)]
    firsts = [int(t.min()) for t in ([t for t in soon if len(t)] or times)]
    return min(firsts, default=default)


def span_of(streams: Collection[Stream], start: int, end: int) -> tuple[int, int]:
    """First and last time (ns) of a recording: of what was captured, and of the log where stamps are of its clock.

    Args:
        streams: of the recording. start, end: log times [start, end) in ns.
    """
    times = [s.capture_times for s in streams if len(s)]
    ends = [(int(t.min()), int(t.max())) for t in times]
    near = [(a, b) for a, b in ends if not is_far(a, start)] or ends
    if not near or not is_far(near[0][0], start):
        near = [*((a, b) for a, b in near if start - a <= LATE), (start, end - 1)]
    return min(a for a, _ in near), max(b for _, b in near)


class Jump(NamedTuple):
    """A clock that jumps back: the message at which it does, by its place among those of the topic.

    Attributes:
        topic: of the message. place: its index. log_time: of the message, ns. before, after: what the clock showed, ns.
        clock: which: "log time" or "header stamp".
    """

    topic: str
    place: int
    log_time: int
    before: int
    after: int
    clock: str

    def __str__(self) -> str:
        back = (self.before - self.after) * 1e-9
        return (
            f"topic {self.topic}: the {self.clock} jumps back by {back:.3f} s at log time {self.log_time} ns (from "
            f"{self.before} to {self.after} ns)"
        )


def first_jump(topic: str, rows: Sequence[Stamped]) -> Jump | None:
    """The first jump back of a clock within the messages of a topic, as they lie in the file.

    One message alone that comes late is none.
    """
    logged = np.array([log for _, log in rows], np.int64)
    stamps = np.array([s or 0 for s, _ in rows], np.int64)
    found = []
    for clock, values in (("log time", logged), ("header stamp", stamps)):
        places = np.flatnonzero(values != 0)
        if clock == "header stamp":  # only stamps of the clock that most of them have
            far = np.abs(stamps - logged) > FAR
            places = places[far[places] == (2 * far[places].sum() > len(places))]
        own = values[places]
        top = np.maximum.accumulate(own)[:-1] if len(own) else own
        back = own[1:] < top - JUMP
        stays = back & np.append(own[2:] < top[:-1] - JUMP, False) if len(own) > 2 else back & False
        if stays.any():
            k = int(np.flatnonzero(stays)[0])
            place = int(places[k + 1])
            found.append(Jump(topic, place, int(logged[place]), int(top[k]), int(own[k + 1]), clock))
    return min(found, key=lambda j: j.place, default=None)


def jumps_of(topics: Mapping[str, Sequence[Stamped]]) -> list[Jump]:
    """The first jump of every topic that has one."""
    return [jump for topic, rows in topics.items() if (jump := first_jump(topic, rows)) is not None]
