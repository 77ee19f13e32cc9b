"""Columns of clouds that still lie in files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor

from fusion_aug.errors import DataError
from fusion_aug.streams.columns import concat
from fusion_aug.streams.held_columns import HeldColumns
from fusion_aug.streams.ragged import offsets_of
from fusion_aug.streams.source import Source

UNLABELLED = -1  # class of a point that nobody labelled
# labels of points that nobody labelled; ``panoptic_label``: the class by a second file, which ignores points (as
# nuScenes-panoptic does those of objects without a box, or in several) that the first one has a class for
OF_NOBODY = {"label": UNLABELLED, "instance": 0, "panoptic_label": UNLABELLED}
CLASSES = ("label", "panoptic_label")  # columns that hold numbers of classes
ExtraSources = Sequence[Source | Sequence[Source] | None]


class LazyColumns(HeldColumns):
    """Columns that are read from one file per item when the first of them is asked for.

    Args:
        sources: one file per item, each a mapping of columns.
        names: of all columns.
        extra_sources: further files, one or several per item, with columns that the first do not hold, of which a later
            one replaces that of an earlier; None for an item without, where such columns are those of nobody's points:
            ``UNLABELLED`` labels, instances of 0.
    """

    copied_whole: ClassVar[bool] = True  # as of Source

    def __init__(self, sources: Sequence[Source], names: Sequence[str], extra_sources: ExtraSources = ()):
        self.sources, self.names = tuple(sources), tuple(names)
        self.extra_sources: tuple[tuple[Source, ...], ...] = tuple(
            () if e is None else (e,) if isinstance(e, Source) else tuple(e) for e in extra_sources
        )

    @cached_property
    def columns(self) -> dict[str, Any]:
        """All columns, packed."""
        parts = [dict(s.value) for s in self.sources]
        self.__dict__.setdefault("offsets", offsets_of(torch.tensor([len(p[self.names[0]]) for p in parts])))
        for part, extra in zip(parts, self.extra_sources, strict=False):
            rows = len(next(iter(part.values())))
            for source in extra:
                for name, column in source.value.items():
                    if len(column) != rows:
                        raise DataError(f"{source.path}: {name}: {len(column)} rows for a cloud of {rows} points")
                    part[name] = column
            for name in (n for n in OF_NOBODY if n in self.names and n not in part):
                part[name] = torch.full((rows,), OF_NOBODY[name])
        return {n: parts[0][n] if len(parts) == 1 else concat([p[n] for p in parts]) for n in self.names}

    @cached_property
    def offsets(self) -> Tensor:
        """(n + 1,) row offsets."""
        if not all(s.keeps_value for s in self.sources):  # they would be decoded once more for the columns
            self.columns  # noqa: B018  (which finds them)
            return vars(self)["offsets"]
        return offsets_of(torch.tensor([len(s.value[self.names[0]]) for s in self.sources]))

    def row_counts(self, *, read: bool = False) -> Tensor | None:
        """(n,) rows of every item, from what is in memory or from the sizes of the files.

        Args:
            read: whether files of which neither tells are decoded, one by one, and forgotten again.

        Returns:
            None where neither tells and nothing is to be read.
        """
        if "offsets" in self.__dict__ or "columns" in self.__dict__:
            return self.offsets.diff()
        counts = [s.rows() for s in self.sources]
        if read:
            first = self.names[0]
            pairs = zip(self.sources, counts, strict=True)
            counts = [len(s.decoded()[first]) if n is None else n for s, n in pairs]
        return None if None in counts else torch.tensor(counts, dtype=torch.int64)

    def take(self, index: Sequence[int]) -> LazyColumns:
        """The columns of some items."""
        return LazyColumns(
            [self.sources[i] for i in index], self.names, [self.extra_sources[i] for i in index if self.extra_sources]
        )

    @classmethod
    def join(cls, parts: Sequence[Any]) -> LazyColumns | None:
        """The columns of several streams one after another; None where one has other columns."""
        if any(p.names != parts[0].names for p in parts):
            return None
        extra = [e for p in parts for e in p.extra_sources or ((),) * len(p.sources)]
        some = any(p.extra_sources for p in parts)  # if only to say that an item has none
        return LazyColumns([s for p in parts for s in p.sources], parts[0].names, extra if some else ())

    def with_extra(self, sources: ExtraSources, names: Sequence[str]) -> LazyColumns:
        """These columns and those of further files, one per item."""
        more = LazyColumns(self.sources, (), sources).extra_sources
        own = self.extra_sources or ((),) * len(self.sources)
        return LazyColumns(
            self.sources, list(dict.fromkeys((*self.names, *names))), [a + b for a, b in zip(own, more, strict=True)]
        )

    def __getitem__(self, name: str) -> Any:
        return self.columns[name]

    def __contains__(self, name: object) -> bool:
        return name in self.names  # without reading the column, as Mapping does

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def __getstate__(self) -> dict[str, Any]:
        return {"sources": self.sources, "names": self.names, "extra_sources": self.extra_sources}
