"""What an output lacks: source and output are counted from their raw files, and every difference needs a reason.

The reasons are those that the run wrote into the manifest, sample by sample: what each transform took, what the reader
was asked to leave out, and what the writer says that it leaves out. ``before - lost + added`` must be what is there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Container, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fusion_aug.check.counts import COUNTERS, Counted, Counts
from fusion_aug.check.counts.core import ROW_WORDS
from fusion_aug.check.counts.stored import count_sidecar, renamed
from fusion_aug.check.measurement import Row
from fusion_aug.check.stays import frames_that_stay, items_that_stay, rows_that_stay
from fusion_aug.errors import USER_ERRORS
from fusion_aug.logs.core.log import Log
from fusion_aug.logs.core.writer import Writer
from fusion_aug.safe.guard import reads_file
from fusion_aug.sample import Sample
from fusion_aug.sample.manifest import NAME, Entry

NO_COUNTER = "nothing counts logs of the format {!r} (fusion_aug.extend.counter)"
NO_ACCOUNT = "the manifest is of a version that wrote no account; run again to have one"
ONE_RATE = ("lerobot", "robomimic")  # formats whose items are frames at one rate, resampled where the pipeline has more
OPTION = re.compile(r"\blog\.(\w+)")
JOINED = " + "  # between the paths of transforms that were applied together
Account = Mapping[str, Mapping[str, Any]]


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
        lost, added = (sum(n for reason, n in by.items() if is_known(reason, known)) for by in (self.lost, self.added))
        missing = self.before - lost + added - self.after
        return missing if missing < 0 else max(missing, self.least - self.after)


def is_known(reason: str, known: Container[str]) -> bool:
    """Whether something is a reason: one that is known, or transforms that were applied together."""
    return reason in known or all(path in known for path in reason.split(JOINED))


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
            one_rate = self.written.format.name in ONE_RATE
            stay = rows_that_stay(made), frames_that_stay(made, before) if one_rate else items_that_stay(made)
            for name in dict.fromkeys((*old, *new, *account)):
                of_stream = account.get(name, {})
                known = self.reasons(name, name not in new, of_stream, entry, before)
                least = [of_kind.get(name, 0) if name in old else 0 for of_kind in stay]
                for part in parts_of(old.get(name, {}), new.get(name, {}), of_stream, least):
                    yield from compare_part(name, part, known)

    def counts_of(self, entry: Entry) -> tuple[Counts, Counts]:
        """Counts of a sample in source and output, with those of their sidecars."""
        assert self.counted is not None
        source = self.counted[0][entry.source]()
        beside = count_sidecar(self.source.root, renamed(self.source.root).get(entry.source, entry.source))
        name = self.names.get(entry.id, entry.id)
        written = self.counted[1][name]() if name in self.counted[1] else {}
        return {**source, **beside}, {**written, **count_sidecar(self.written.root, entry.id)}

    def reasons(self, name: str, gone: bool, account: Mapping[str, Any], entry: Entry, before: Sample) -> set[str]:
        """What may be a reason: transforms of the history, what the reader was told, what the writer declares.

        What a writer says of all streams explains a stream that is gone as a whole, and whole items with their rows,
        but no rows where all items are left; that a format has no place for something is no reason where its own log
        held it.
        """
        declared = self.writer.loss_reasons
        general = {declared[""]} if "" in declared else set()
        if self.source.format.name == self.written.format.name:
            general -= set(Writer.loss_reasons.values())
        if not gone and "rows" in account and not ("items_lost" in account or "items_added" in account):
            general = set()
        own = {self.writer.loss_reason(name)} - {declared.get("", Writer.loss_reasons[""])}
        told = {r for r in (*before.meta.left_out.get(name, ()), *own, *general) if self.is_asked_for(r)}
        return {r.path for r in entry.history} | told

    def is_asked_for(self, reason: str) -> bool:
        """Whether the options that a reason names (``log.classes``) were given."""
        return all(getattr(self.source.options, name, None) for name in OPTION.findall(reason))

    def rest(self) -> Iterator[Row]:
        """Rows of the whole log: samples that the manifest names and that are not there, and others."""
        if self.counted is None:
            return
        there = {renamed(self.written.root).get(i, i) for i in self.counted[1]}
        named = set(self.lines)
        yield Row("samples missing", "all", "samples", 0, np.array([float(len(named - there))]))
        if there - named:
            yield Row("samples unexpected", "all", "samples", 0, np.array([float(len(there - named))]))


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
    with (root / NAME).open(encoding="utf-8") as file:
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
