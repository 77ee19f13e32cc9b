"""Recordings whose clock jumps back, in pieces (``log.split_on_jump``), counted without the reader."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

SECOND, HOUR = 10**9, 3600 * 10**9  # a clock that goes back by less than a second does not jump
Piece = dict[str, tuple[int, int]]  # topic -> its first message, and the one after its last, as they lie in the file


def has_header(schema: Any) -> bool:
    """Whether a type begins with a header, by the first field of its text."""
    text = schema.data.decode(errors="replace") if schema is not None and schema.encoding == "ros2msg" else ""
    lines = (line.split("#")[0].split() for line in text.splitlines())
    first = next((words for words in lines if words), [])
    return first[:2] in (["std_msgs/Header", "header"], ["std_msgs/msg/Header", "header"])


def stamp_of(data: bytes) -> int:
    """Stamp (ns) that CDR bytes begin with."""
    seconds, rest = struct.unpack_from("<iI" if data[1] & 1 else ">iI", data, 4)
    return int(seconds) * SECOND + int(rest)


def messages_in_file(stream: Any) -> Iterator[tuple[str, int, int | None, bytes]]:
    """Topic, log time (ns), header stamp (ns or None) and data of all messages, as they lie in the file."""
    from mcap.reader import make_reader

    for schema, channel, message in make_reader(stream).iter_messages(log_time_order=False):
        headed = channel.message_encoding == "cdr" and len(message.data) >= 12 and has_header(schema)
        yield channel.topic, message.log_time, stamp_of(message.data) if headed else None, message.data


def pieces_of(path: Path) -> list[Piece]:
    """The pieces of a recording; one where no clock jumps back."""
    with path.open("rb") as stream:
        rows = [(topic, logged, stamp) for topic, logged, stamp, _ in messages_in_file(stream)]
    out: list[Piece] = []
    start, ends = 0, dict.fromkeys({topic for topic, _, _ in rows}, 0)
    while start < len(rows):
        places: dict[str, list[int]] = {}
        for at in range(start, len(rows)):
            places.setdefault(rows[at][0], []).append(at)
        cut = min((c for at in places.values() if (c := first_cut(rows, at)) is not None), default=len(rows))
        begun, ends = ends, {t: ends[t] + sum(a < cut for a in places.get(t, ())) for t in ends}
        out.append({t: (begun[t], ends[t]) for t in ends})
        start = cut
    return out


def first_cut(rows: Sequence[tuple[str, int, int | None]], places: Sequence[int]) -> int | None:
    """Where in a file a clock of one topic jumps back and stays; None where none does."""
    stamped = [(p, s, abs(s - rows[p][1]) > HOUR) for p in places if (s := rows[p][2])]
    usual = 2 * sum(far for _, _, far in stamped) > len(stamped)
    clocks = [[(p, rows[p][1]) for p in places], [(p, s) for p, s, far in stamped if far is usual]]
    found = []
    for clock in clocks:
        latest: int | None = None
        for (place, shown), after in zip_longest(clock, clock[1:]):
            if latest is not None and after is not None and max(shown, after[1]) < latest - SECOND:
                found.append(place)
                break
            latest = shown if latest is None else max(latest, shown)
    return min(found, default=None)


def messages_of_piece(path: Path, piece: Piece, held: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """Topic and data of the messages of a piece, and of those before it that still hold.

    Args:
        path: of the file. piece: of it. held: topics whose messages hold for those who listen later.
    """
    numbers = dict.fromkeys(piece, 0)
    with path.open("rb") as stream:
        for topic, _, _, data in messages_in_file(stream):
            number, (first, end) = numbers[topic], piece[topic]
            numbers[topic] += 1
            if number < end and (number >= first or topic in held):
                yield topic, data
