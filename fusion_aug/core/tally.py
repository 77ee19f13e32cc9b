"""Gains and losses of items and rows, counted around every transform that is applied.

Only streams that came out as other objects are looked at, and no cloud is read that the pipeline left in its files:
where a transform changed one without reading it, its rows are counted file by file.
"""

from __future__ import annotations

from fusion_aug.sample import Sample
from fusion_aug.sample.meta import Change
from fusion_aug.streams import Stream
from fusion_aug.streams.counts import Counts, counts_of, share_counts


def with_changes(before: Sample, after: Sample, path: str) -> Sample:
    """The sample after a transform, with what it gained and lost added to the metadata of every sample of the batch.

    Args:
        before, after: the transform; a sample or a batch, with the same samples in the same order.
        path: of the transform, the reason.
    """
    found: list[list[Change]] = [[] for _ in after.metas]
    for name in dict.fromkeys((*before.streams, *after.streams)):
        for index, changes in enumerate(found):
            change = count_difference(before.streams.get(name), after.streams.get(name), index)
            if change is not None:
                changes.append(Change(path, name, *change))
    for index, changes in enumerate(found):
        if changes:
            after = after.with_meta(index, changes=(*after.metas[index].changes, *changes))
    return after


def count_difference(before: Stream | None, after: Stream | None, index: int = 0) -> tuple[int, int, int, int] | None:
    """Items lost and added, rows lost and added; item by item where there are as many of them. None if there are none.

    Args:
        before, after: None where the stream is not there. index: of the sample in a batch.
    """
    if before is after or (before is not None and after is not None and share_counts(before, after)):
        return None
    old, new = (_counts_in(s, index) for s in (before, after))
    if len(old.present) == len(new.present):
        items, rows = new.present.long() - old.present.long(), new.rows - old.rows
    else:
        items, rows = ((b.sum() - a.sum())[None] for a, b in zip(old, new, strict=True))
    lost, added = ([int(v.clamp(min=0).sum()) for v in (sign * items, sign * rows)] for sign in (-1, 1))
    return (lost[0], added[0], lost[1], added[1]) if any(lost + added) else None


def _counts_in(stream: Stream | None, index: int) -> Counts:
    counts = None if stream is None else counts_of(stream, read=True)
    if stream is None or counts is None:
        return Counts.empty()
    mine = stream.sample_index == index
    return Counts(counts.present[mine], counts.rows[mine])
