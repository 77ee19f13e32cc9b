"""Recordings whose clock jumps back, in pieces (``log.split_on_jump``), counted without the reader."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from fusion_aug.check.counts.ros_files import Message, messages_of, stamp_of, topics_of

SECOND, HOUR = 10**9, 3600 * 10**9  # a clock that goes back by less than a second does not jump
Piece = dict[str, tuple[int, int]]  # topic -> its first message, and the one after its last, as they lie in the file


def pieces_of(path: Path) -> list[Piece]:
    """The pieces of a recording; one where no clock jumps back."""
    rows = [(m.topic, m.time, stamp) for m, stamp in _stamped(path)]
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


def _stamped(path: Path) -> list[tuple[Message, int | None]]:
    """All messages without their data and their header stamps (ns or None), as they lie in the file."""
    topics, out = topics_of(path), []
    for m in messages_of(path):
        headed = topics[m.topic].headed and len(m.data) >= 12
        out.append((m._replace(data=b""), stamp_of(m.data, topics[m.topic].is_ros1) if headed else None))
    return sorted(out, key=lambda found: found[0].place)


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


def messages_of_piece(path: Path, piece: Piece, held: Sequence[str]) -> Iterator[Message]:
    """The messages of a piece, and of those before it that still hold.

    Args:
        path: of the file. piece: of it. held: topics whose messages hold for those who listen later.
    """
    places: dict[str, list[Any]] = {}
    for m, _ in _stamped(path):
        places.setdefault(m.topic, []).append(m.place)
    for m in messages_of(path):
        number, (first, end) = bisect_left(places[m.topic], m.place), piece[m.topic]
        if number < end and (number >= first or m.topic in held):
            yield m
