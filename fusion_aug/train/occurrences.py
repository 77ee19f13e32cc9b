"""Samples that a sampler draws several times in an epoch, told apart.

A data set in a worker does not see what the sampler drew before, so how often a sample came travels with its index.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from torch.utils.data import Sampler

from fusion_aug.core.random import whole_number
from fusion_aug.errors import ConfigError


class OccurrenceIndex(int):
    """Index of an item in a data set, with how often the item came before in the epoch.

    It is an int to everything else. Differences keep the occurrence, since ``ConcatDataset`` goes from its own index to
    that in one of its data sets by a difference.

    Attributes:
        occurrence: 0 the first time.
    """

    occurrence: int

    def __new__(cls, index: int, occurrence: int) -> OccurrenceIndex:
        """An index with its occurrence."""
        self = super().__new__(cls, index)
        self.occurrence = occurrence
        return self

    def __getnewargs__(self) -> tuple[int, int]:  # type: ignore[override]  # both travel between processes
        return int(self), self.occurrence

    def __sub__(self, other: int) -> OccurrenceIndex:
        return OccurrenceIndex(int(self) - other, self.occurrence)

    def __repr__(self) -> str:
        return f"{int(self)} (occurrence {self.occurrence})"


class Occurrences(Sampler[Any]):
    """A sampler whose indices say how often each came before in the epoch, for oversampling.

    With it and ``AugmentedDataset(by_occurrence=True)`` a sample that comes five times in an epoch is drawn five times.
    Occurrences are counted in the order of the sampler by the process that runs it, so the number of workers and the
    order in which they end do not matter; the occurrences of a sample are 0, 1, 2, ... in every order.

    Args:
        sampler: the indices of an epoch, such as a ``WeightedRandomSampler`` or a list; lists of them where it is for
            ``DataLoader(batch_sampler=...)``.
        num_replicas: processes that train together and share the epoch, each with ``sampler`` giving the same
            indices (seeded alike). Occurrences are counted over all of them, then every process takes its share of
            equal length; up to ``num_replicas - 1`` draws at the end are left out. A ``DistributedSampler`` gives each
            process its share already: leave this at 1.
        rank: of this process.

    Raises:
        ConfigError: there is no such rank, or one of the numbers is no whole one.
    """

    def __init__(self, sampler: Iterable[Any], *, num_replicas: int = 1, rank: int = 0):
        num_replicas, rank = whole_number(num_replicas, "num_replicas"), whole_number(rank, "rank")
        if not 0 <= rank < num_replicas:
            raise ConfigError(
                f"Occurrences.rank: expected a number from 0 to num_replicas - 1, got {rank} of {num_replicas}"
            )
        self.sampler, self.num_replicas, self.rank = sampler, num_replicas, rank

    def __iter__(self) -> Iterator[Any]:
        numbered = self._numbered()
        while len(draws := list(islice(numbered, self.num_replicas))) == self.num_replicas:  # the last is not for all
            yield draws[self.rank]

    def __len__(self) -> int:
        return len(self.sampler) // self.num_replicas  # type: ignore[arg-type]  # without a length, none

    def set_epoch(self, epoch: int) -> None:
        """Hand the epoch on to the sampler, where that takes one."""
        if hasattr(self.sampler, "set_epoch"):
            self.sampler.set_epoch(epoch)

    def _numbered(self) -> Iterator[Any]:
        seen: Counter[int] = Counter()

        def number(drawn: Any) -> OccurrenceIndex:
            try:
                index = whole_number(drawn, "index")
            except ConfigError:
                raise ConfigError(f"Occurrences.sampler: expected indices or lists of indices, got {drawn!r}") from None
            seen[index] += 1
            return OccurrenceIndex(index, seen[index] - 1)

        for drawn in self.sampler:
            yield [number(d) for d in drawn] if isinstance(drawn, list) else number(drawn)
