"""The account of a sample: what every stream held in the source, what is written of it, and why they differ.

``lost`` and ``added`` count rows (points, boxes) of streams that have rows, and items of all others; where a stream
with rows also gains or loses whole items (sweeps), ``items_lost`` and ``items_added`` say so. With them,

    before - sum(lost) + sum(added) = after

holds exactly. Items that were dropped, there but empty, do not count. Of a cloud that is copied from file to file
and that nobody has counted, ``rows`` is missing, and ``uncounted`` says how many items that are. ``labels`` are points
by class, before and after, of clouds with labels that were read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fusion_aug.core.tally import count_difference
from fusion_aug.logs.core.label_counts import LABELS, added, is_label_account, labels_before_and_after
from fusion_aug.logs.core.writer import Writer
from fusion_aug.sample import Sample
from fusion_aug.sample.meta import Change
from fusion_aug.streams import Ragged, Stream
from fusion_aug.streams.counts import counts_of

StreamAccount = dict[str, Any]
KINDS = ("lost", "added", "items_lost", "items_added")


def sample_account(source: Sample, made: Sample, written: Sample, writer: Writer) -> dict[str, StreamAccount]:
    """Account of every stream of one sample.

    Args:
        source: as it was read. made: by the pipeline, with its ``changes``. written: as the writer's files hold it.
        writer: says why it leaves out what ``made`` has and ``written`` has not.
    """
    out = {}
    for name in dict.fromkeys((*source.streams, *made.streams, *written.streams)):
        left_out = source.meta.left_out.get(name, {})
        changes = [Change(reason, name, 0, 0, rows, 0) for reason, rows in left_out.items()]
        changes += [c for c in made.meta.changes if c.stream == name]
        change = count_difference(made.streams.get(name), written.streams.get(name))
        if change is not None:
            changes.append(Change(writer.account_reason(written, name), name, *change))
        streams = (source.streams.get(name), written.streams.get(name))
        out[name] = stream_account(*streams, changes, sum(left_out.values()))
    return out


def stream_account(
    source: Stream | None, written: Stream | None, changes: Iterable[Change], left_out: int = 0
) -> StreamAccount:
    """Account of one stream.

    Args:
        source, written: None where it is not there. changes: on the way. left_out: rows that were not even read.
    """
    sums: dict[str, dict[str, int]] = {kind: {} for kind in KINDS}
    has_rows = any(isinstance(s, Ragged) for s in (source, written))
    for c in changes:
        rows, whole = (c.rows_lost, c.rows_added), (c.items_lost, c.items_added)
        numbers = (*rows, *whole) if has_rows else whole
        for kind, number in zip(KINDS, numbers, strict=False):
            if number:
                sums[kind][c.path] = sums[kind].get(c.path, 0) + number
    items = [0 if s is None else int(s.present.sum()) for s in (source, written)]
    out: StreamAccount = {"items": items}
    if has_rows:
        before, after = (_rows(s) for s in (source, written))
        change = sum(sums["added"].values()) - sum(sums["lost"].values()) + left_out
        if before is None and after is not None:  # what was read on the way is forgotten again
            before = after - change
        if after is None and before is not None:
            after = before + change
        out |= {"uncounted": items[1]} if before is None else {"rows": [before + left_out, after]}
        labels = labels_before_and_after(source, written)
        out |= {LABELS: labels} if labels else {}
    return out | {kind: counts for kind, counts in sums.items() if counts}


def _rows(stream: Stream | None) -> int | None:
    counts = None if stream is None else counts_of(stream)
    return 0 if stream is None else None if counts is None else int(counts.rows.sum())


def is_account(value: Any) -> bool:
    """Whether a value from a file is what ``sample_account`` returns."""
    return isinstance(value, dict) and all(isinstance(own, dict) and _is_stream_account(own) for own in value.values())


def _is_stream_account(own: Mapping[str, Any]) -> bool:
    pairs = [own.get("items"), *([own["rows"]] if "rows" in own else [])]
    counts = [own.get(kind, {}) for kind in KINDS]
    if not is_label_account(own.get(LABELS, {})):
        return False
    if not all(isinstance(p, list) and len(p) == 2 for p in pairs) or not all(isinstance(c, dict) for c in counts):
        return False
    numbers = [*(n for p in pairs for n in p), *(n for c in counts for n in c.values()), own.get("uncounted", 0)]
    return all(type(n) is int for n in numbers)


def total_account(accounts: Iterable[Mapping[str, StreamAccount]]) -> dict[str, StreamAccount]:
    """Sums over samples, stream by stream; ``uncounted`` items have rows that nobody has counted."""
    totals: dict[str, StreamAccount] = {}
    for account in accounts:
        for name, own in account.items():
            total = totals.setdefault(name, {"items": [0, 0]})
            total["items"] = [a + b for a, b in zip(total["items"], own["items"], strict=True)]
            if "rows" in own:
                total["rows"] = [a + b for a, b in zip(total.get("rows", (0, 0)), own["rows"], strict=True)]
            if "uncounted" in own:
                total["uncounted"] = total.get("uncounted", 0) + own["uncounted"]
            if LABELS in own:
                total[LABELS] = added(total.get(LABELS, {}), own[LABELS])
            for kind in KINDS:
                for reason, number in own.get(kind, {}).items():
                    sums = total.setdefault(kind, {})
                    sums[reason] = sums.get(reason, 0) + number
    return totals
