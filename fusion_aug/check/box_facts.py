"""What a log says of its boxes, in source and output, by the raw files: facts that stay, and official point counts.

A data set counts points by a rule of its own, so its figure changes by what entered or left a box, counted with one
rule in both logs: ``count' = max(0, count - (ours before - ours after))``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property

import numpy as np

from fusion_aug.check.counts.labels import LABELLERS, Label, Labelled
from fusion_aug.check.counts.stored import renamed
from fusion_aug.check.measurement import Row
from fusion_aug.errors import USER_ERRORS
from fusion_aug.logs.core.log import Log
from fusion_aug.safe.guard import reads_file
from fusion_aug.sample.manifest import Entry

BOXES = "boxes"


class BoxFacts:
    """Labels of the samples of a run in source and output, where both are of one format.

    Args:
        source, written: the logs.
    """

    def __init__(self, source: Log, written: Log):
        self.source, self.written = source, written
        self.names = {out: read for read, out in renamed(written.root).items()}

    @cached_property
    def labelled(self) -> tuple[Labelled, Labelled] | None:
        """Labels of both logs; None where a format has none besides what its reader reads."""
        name = self.source.format.name
        if name != self.written.format.name or name not in LABELLERS:
            return None
        before, after = (
            reads_file(LABELLERS[name])(log.root, vars(log.options)) for log in (self.source, self.written)
        )
        return before, after

    def rows(self, entry: Entry) -> Iterator[Row]:
        """Rows of one sample."""
        try:
            found, name = self.labelled, self.names.get(entry.id, entry.id)
            if found is None or name not in found[1]:
                return
            before = reads_file(lambda root: found[0][entry.source]())(self.source.root)
            after = reads_file(lambda root: found[1][name]())(self.written.root)
        except USER_ERRORS as error:
            yield Row("unreadable", f"{entry.id} (labels)", "samples", 0, np.ones(1), f"{entry.id}: {error}")
            return
        yield from compare_labels(before, after, entry.id.removeprefix(entry.source))


def compare_labels(before: Mapping[str, Label], after: Mapping[str, Label], suffix: str) -> Iterator[Row]:
    """Rows of the labels of one sample; those that are gone are counted elsewhere.

    Args:
        before, after: in source and output, by name. suffix: what a copy has behind its names.
    """
    names = {name: name.removesuffix(suffix) if suffix else name for name in after}
    pairs = [(before[old], after[new]) for new, old in names.items() if old in before]
    for field in dict.fromkeys(f for a, _ in pairs for f in a.facts):
        differ = [float(b.facts.get(field) != a.facts[field]) for a, b in pairs if field in a.facts]
        yield Row(field, BOXES, "entries", 0, np.array(differ))
    for field in dict.fromkeys(f for a, _ in pairs for f in a.official):
        off = [points_off(a, b, field) for a, b in pairs if field in a.official]
        yield Row(field, BOXES, "points", 0, np.array(off))


def points_off(before: Label, after: Label, field: str) -> float:
    """How far an official count is from what it should be; infinite where it is gone.

    Points at a face of the box may be counted in either log or not.
    """
    if field not in after.official:
        return float("inf")
    (least, most), (least_now, most_now) = before.inside[field], after.inside[field]
    low, high = (max(0, before.official[field] - n) for n in (most - least_now, least - most_now))
    return float(max(low - after.official[field], after.official[field] - high, 0))
