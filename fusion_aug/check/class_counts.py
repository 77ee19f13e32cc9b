"""Classes of points in source and output, counted by the raw files of both.

A run moves no point from one class into another, but for returns that come from the air instead: so a class gains no
more points than the account says were added, and all together lose no more than it says were lost or went to the air.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import numpy as np

from fusion_aug.check.counts.classes import CLASS_COUNTERS, CountedByClass
from fusion_aug.check.losses import Losses
from fusion_aug.check.measurement import Row
from fusion_aug.check.reasons import KEEPS
from fusion_aug.core.registry import find_transform
from fusion_aug.errors import USER_ERRORS
from fusion_aug.logs.core.run_writer import is_made_anew
from fusion_aug.safe.guard import reads_file
from fusion_aug.sample import Sample
from fusion_aug.sample.manifest import Entry
from fusion_aug.streams import Points
from fusion_aug.streams.lazy_columns import UNLABELLED

RENUMBERED = "log.classes gives the points other numbers than their files have"


class ClassCounts:
    """Points by class of the samples of a run, in source and output, where both are of one format.

    Args:
        losses: of the same run, which has logs and accounts.
    """

    def __init__(self, losses: Losses):
        self.anew = is_made_anew(losses.writer)
        self.source, self.written, self.lines, self.names = losses.source, losses.written, losses.lines, losses.names

    @cached_property
    def counted(self) -> tuple[CountedByClass, CountedByClass] | None:
        """Counters of both logs; None where nothing counts the format's points by class."""
        name = self.source.format.name
        if self.anew or name != self.written.format.name or name not in CLASS_COUNTERS:
            return None
        before, after = (
            reads_file(CLASS_COUNTERS[name])(log.root, vars(log.options)) for log in (self.source, self.written)
        )
        return before, after

    def rows(self, entry: Entry, before: Sample) -> Iterator[Row]:
        """Rows of one sample.

        Args:
            entry: of the manifest. before: the source.
        """
        try:
            found, name = self.counted, self.names.get(entry.id, entry.id)
            if found is None or name not in found[1]:
                return
            old = reads_file(lambda root: found[0][entry.source]())(self.source.root)
            new = reads_file(lambda root: found[1][name]())(self.written.root)
        except USER_ERRORS as error:
            yield Row("unreadable", f"{entry.id} (classes)", "samples", 0, np.ones(1), f"{entry.id}: {error}")
            return
        account = self.lines.get(entry.id, {}).get("account")
        for stream in dict.fromkeys((*old, *new)):
            if self.source.options.classes is not None:
                yield Row.not_compared("labels", stream, RENUMBERED)
            elif account is not None:
                air = air_class(entry, before, stream)
                counts = old.get(stream, {}), new.get(stream, {})
                yield from compare_classes(stream, *counts, account.get(stream, {}), air)


def air_class(entry: Entry, before: Sample, stream: str) -> int | None:
    """The class that points may have got as returns from the air; None where nothing of the history makes such."""
    cloud = before.streams.get(stream)
    made = [find_transform(record.name) for record in entry.history if record.applied]
    changes = any(cls is not None and KEEPS in cls.exemptions for cls in made)
    return cloud.air_label if changes and isinstance(cloud, Points) and cloud.air_label != UNLABELLED else None


def compare_classes(
    stream: str, old: Mapping[int, int], new: Mapping[int, int], account: Mapping[str, Any], air: int | None
) -> Iterator[Row]:
    """Rows of one cloud: labels that are gone without a reason, and labels too many.

    Args:
        stream: its name. old, new: points by class in source and output. account: of the stream.
        air: class that points may have got as returns from the air; None where none may.
    """
    change = {c: new.get(c, 0) - old.get(c, 0) for c in {*old, *new}}
    lost, added = (sum(account.get(kind, {}).values()) for kind in ("lost", "added"))
    to_air = change.pop(air) if air is not None and change.get(air, 0) > 0 else 0
    gone = sum(-n for n in change.values() if n < 0) - lost - to_air
    gained = sum(n for n in change.values() if n > 0) - added
    yield Row("labels missing", stream, "points", 0, np.array([float(max(gone, 0))]))
    if gained > 0:
        yield Row("labels unexpected", stream, "points", 0, np.array([float(gained)]))
