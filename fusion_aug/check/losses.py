"""What an output lacks: source and output are counted from their raw files, and every difference needs a reason.

The reasons are those that the run wrote into the manifest, sample by sample: what each transform took, what the reader
was asked to leave out, and what the writer says that it leaves out. ``before - lost + added`` must be what is there.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from calib.regular_files import open_regular
from fusion_aug.check.counts import COUNTERS, Counted, Counts
from fusion_aug.check.counts.core import CALIBRATIONS, ROW_WORDS
from fusion_aug.check.counts.stored import count_sidecar, renamed
from fusion_aug.check.counts.tracks import STREAM as WAYPOINTS
from fusion_aug.check.counts.tracks import asks_for_tracks
from fusion_aug.check.measurement import Row
from fusion_aug.check.reasons import Reasons
from fusion_aug.check.stays import frames_that_stay, items_that_stay, rows_that_stay
from fusion_aug.errors import USER_ERRORS
from fusion_aug.logs.core.log import Log
from fusion_aug.logs.core.writer import Writer
from fusion_aug.safe.guard import reads_file
from fusion_aug.sample import Sample
from fusion_aug.sample.manifest import NAME, Entry
from fusion_aug.streams import Stream, Taxels
from fusion_aug.streams.naming import message_of

NO_COUNTER = "nothing counts logs of the format {!r} (fusion_aug.extend.counter)"
MADE = "nothing counts what log.past and log.future make of the samples before and after in this log"
NO_ACCOUNT = "the manifest is of a version that wrote no account; run again to have one"
# formats whose items are frames at one rate, resampled where the pipeline has more
ONE_RATE = ("lerobot", "robomimic", "aloha")


class Part(NamedTuple):
    """Items, or rows, of a stream in source and output.

    Attributes:
        word: what they are, "points". before, after: how many.
        lost, added: reason -> how many, by the account.
        said: before and after by the account; None where it says nothing.
        least: how many there are at least, whatever the reasons are.
    """

    word: str
    before: int
    after: int
    lost: Mapping[str, int]
    added: Mapping[str, int]
    said: tuple[int, int] | None
    least: int

    def missing(self, known: Container[str]) -> int:
        """How many are gone without a known reason; below 0 where there are more than there should be."""
        lost, added = (sum(n for reason, n in by.items() if reason in known) for by in (self.lost, self.added))
        missing = self.before - lost + added - self.after
        return missing if missing < 0 else max(missing, self.least - self.after)


class Losses:
    """Counts of the samples of a run, in source and output.

    Args:
        source, written: the logs. writer: of the written one, which says what it leaves out.
    """

    def __init__(self, source: Log, written: Log, writer: Writer):
        self.source, self.written, self.writer = source, written, writer
        self.lines = {str(line.get("id")): line for line in manifest_lines(written.root)}
        self.names = {out: read for read, out in renamed(written.root).items()}

    @cached_property
    def counted(self) -> tuple[Counted, Counted] | None:
        """Counters of the samples of both logs; None where nothing counts one of the formats."""
        logs = (self.source, self.written)
        if any(log.format.name not in COUNTERS for log in logs):
            return None
        found = [reads_file(COUNTERS[log.format.name])(log.root, vars(log.options)) for log in logs]
        return found[0], found[1]

    def rows(self, entry: Entry, before: Sample, made: Sample) -> Iterator[Row]:
        """Rows of one sample.

        Args:
            entry: of the manifest. before: the source. made: by the pipeline, before it was written.
        """
        account = self.lines.get(entry.id, {}).get("account")
        if self.counted is None:
            unknown = [g.format.name for g in (self.source, self.written) if g.format.name not in COUNTERS]
            yield Row.not_compared("counts", "all", NO_COUNTER.format(unknown[0]))
        elif account is None:
            yield Row.not_compared("counts", "all", NO_ACCOUNT)
        else:
            try:
                old, new = reads_file(lambda root: self.counts_of(entry))(self.written.root)
            except USER_ERRORS as error:
                yield Row("unreadable", f"{entry.id} (counts)", "samples", 0, np.ones(1), f"{entry.id}: {error}")
                return
            same = self.source.format.name == self.written.format.name
            stay = rows_that_stay(made), self.items_that_stay(made, before)
            old = old if same else {n: c for n, c in old.items() if set(c) != {CALIBRATIONS}}
            topics = {n: topic_of(n, old) for n in (*account, *made.streams, *new)}
            streams = {**made.streams, **before.streams}
            account, new = (merged(counted_once(c, streams, topics), topics) for c in (account, new))
            stay = summed(stay[0], topics), summed(stay[1], topics)
            reasons = Reasons(self.source, self.writer, same, entry, before, account)
            for name in dict.fromkeys((*old, *new, *account)):
                if name == WAYPOINTS and name not in old and asks_for_tracks(vars(self.source.options)):
                    yield Row.not_compared("counts", name, MADE)
                    continue
                # calibrations count as one, however many messages repeat them, also those that are not understood
                of_stream = {} if old.get(name) == {CALIBRATIONS: 1} else account.get(name, {})
                known = reasons.of_stream(name, name not in new)
                least = [of_kind.get(name, 0) if name in old else 0 for of_kind in stay]
                for part in parts_of(old.get(name, {}), new.get(name, {}), of_stream, least):
                    yield from compare_part(name, part, known)

    def items_that_stay(self, made: Sample, before: Sample) -> Mapping[str, int]:
        """How many items of a stream no writer may leave out; see ``stays``."""
        if self.written.format.name not in ONE_RATE:
            return items_that_stay(made)
        if self.source.format.name != self.written.format.name:
            return {}  # the rate, and the stretch that all streams have in common, are those of the output
        return frames_that_stay(made, before)

    def counts_of(self, entry: Entry) -> tuple[Counts, Counts]:
        """Counts of a sample in source and output, with those of their sidecars."""
        assert self.counted is not None
        source = self.counted[0][entry.source]()
        read = renamed(self.source.root).get(entry.source, entry.source)
        beside = count_sidecar(self.source.root, read, vars(self.source.options))
        name = self.names.get(entry.id, entry.id)
        written = self.counted[1][name]() if name in self.counted[1] else {}
        return {**source, **beside}, {**written, **count_sidecar(self.written.root, entry.id)}

    def rest(self) -> Iterator[Row]:
        """Rows of the whole log: samples that the manifest names and that are not there, and others."""
        if self.counted is None:
            return
        there = {renamed(self.written.root).get(i, i) for i in self.counted[1]}
        named = set(self.lines)
        yield Row("samples missing", "all", "samples", 0, np.array([float(len(named - there))]))
        if there - named:
            yield Row("samples unexpected", "all", "samples", 0, np.array([float(len(there - named))]))


def topic_of(stream: str, counted: Container[str]) -> str:
    """What the counts call a stream; a topic of several sets of joints is one there (``topic:first joint``)."""
    head = message_of(stream)
    return head if stream not in counted and head in counted else stream


def counted_once(counts: Mapping[str, Any], streams: Mapping[str, Stream], topics: Mapping[str, str]) -> dict[str, Any]:
    """Counts by stream, those of messages whose taxels are several streams by the first of these alone."""
    first: dict[str, str] = {}
    for name in counts:
        if isinstance(streams.get(name), Taxels) and topics[name] != name:
            first.setdefault(topics[name], name)
    return {n: c for n, c in counts.items() if first.get(topics[n], n) == n}


def merged(account: Mapping[str, Any], topics: Mapping[str, str]) -> dict[str, Any]:
    """An account, or counts, by stream, with those of one topic as one."""
    out: dict[str, Any] = {}
    for name, entry in account.items():
        known = out.get(topics[name])
        if known is None:
            out[topics[name]] = dict(entry)
            continue
        for word, value in entry.items():  # items [before, after], and numbers by reason
            if isinstance(value, int):
                known[word] = known.get(word, 0) + value
            elif isinstance(value, Mapping):
                known[word] = summed([*known.get(word, {}).items(), *value.items()], {})
            else:
                known[word] = [a + b for a, b in zip(known.get(word, [0] * len(value)), value, strict=True)]
    return out


def summed(numbers: Any, names: Mapping[str, str]) -> dict[str, Any]:
    """Numbers by name (or pairs of both), added up under other names."""
    out: dict[str, Any] = {}
    for name, number in numbers.items() if isinstance(numbers, Mapping) else numbers:
        new = names.get(name, name)
        out[new] = out.get(new, 0) + number
    return out


def compare_part(name: str, part: Part, known: Container[str]) -> Iterator[Row]:
    """Rows of the items, or of the rows, of one stream."""
    missing = part.missing(known)
    yield Row(f"{part.word} missing", name, part.word, 0, np.array([float(max(missing, 0))]))
    if missing < 0:
        yield Row(f"{part.word} unexpected", name, part.word, 0, np.array([float(-missing)]))
    if part.said not in (None, (part.before, part.after)):
        off = max(abs(a - b) for a, b in zip(part.said, (part.before, part.after), strict=True))
        yield Row(f"{part.word} in the account", name, part.word, 0, np.array([float(off)]))


def manifest_lines(root: Path) -> Iterator[dict[str, Any]]:
    """Lines of a manifest, without its first one and without the histories."""
    with open_regular(root / NAME) as file:
        next(file, None)
        for text in file:
            line = json.loads(text)
            yield {k: line.get(k) for k in ("id", "account")}


def parts_of(
    old: Mapping[str, int], new: Mapping[str, int], account: Mapping[str, Any], least: Sequence[int]
) -> Iterator[Part]:
    """Items and rows of a stream, by the words of its counts and with what the account says of them.

    ``lost`` and ``added`` of an account are of rows where a stream has rows, else of items. ``least``: rows and items
    that stay.
    """
    has_rows = "rows" in account or "uncounted" in account
    for rows in (False, True):
        words = [w for w in (*old, *new) if (w in ROW_WORDS) == rows]
        if not words:
            continue
        before, after = (sum(n for w, n in c.items() if (w in ROW_WORDS) == rows) for c in (old, new))
        prefix = "" if rows or not has_rows else "items_"
        said = account.get("rows" if rows else "items")
        yield Part(
            words[0],
            before,
            after,
            account.get(f"{prefix}lost", {}),
            account.get(f"{prefix}added", {}),
            None if said is None else (int(said[0]), int(said[1])),
            least[0] if rows else least[1],
        )
