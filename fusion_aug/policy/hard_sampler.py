"""A sampler that draws hard samples more often."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from torch.utils.data import Sampler

from fusion_aug.core.random import Keys, whole_number
from fusion_aug.core.schedules import is_number
from fusion_aug.errors import ConfigError


class Difficulties(Protocol):
    """What tells how hard samples are: ``HardExamples``."""

    @property
    def difficulties(self) -> np.ndarray:
        """(n,) of all samples of the data set, in order, 0 to 1."""

    def set_epoch(self, epoch: int) -> None:
        """Let them follow from the losses that are known now."""


class HardSampler(Sampler[int]):
    """Indices of an epoch, of which the hardest sample comes ``ratio`` times as often as the easiest.

    The weight of a sample grows evenly with its difficulty. Each comes as often as its weight asks for, rounded up or
    down (systematic resampling), in an order by chance; seed and epoch decide both. To draw a sample that comes several
    times anew each time, give the loader ``fa.Occurrences(sampler)``, see there for several processes too.

    Args:
        table: tells how hard samples are.
        ratio: 1 for evenly.
        length: how many indices an epoch has; as many as there are samples by default.
        seed: of the draws.
        num_replicas, rank: processes that train together, which share an epoch, and this one's number. Each has its
            own table: ``update(..., gather=True)`` keeps them the same. Leave them where ``Occurrences`` takes them.

    Raises:
        ConfigError: one of them is no such number.
    """

    def __init__(
        self,
        table: Difficulties,
        *,
        ratio: float = 3.0,
        length: int | None = None,
        seed: int = 0,
        num_replicas: int = 1,
        rank: int = 0,
    ):
        if not is_number(ratio) or ratio < 1:
            raise ConfigError(f"HardSampler.ratio: expected a number of at least 1, got {ratio!r}")
        self.table, self.ratio = table, float(ratio)
        self.length = len(table.difficulties) if length is None else whole_number(length, "HardSampler.length")
        self.num_replicas = whole_number(num_replicas, "HardSampler.num_replicas")
        self.rank = whole_number(rank, "HardSampler.rank")
        if not 0 <= self.rank < self.num_replicas:
            raise ConfigError(f"HardSampler.rank: expected 0 to num_replicas - 1, got {rank} of {num_replicas}")
        if self.length < self.num_replicas:
            raise ConfigError(f"HardSampler.length: {self.length} indices are too few for {num_replicas} processes")
        self.keys = Keys(seed, 0)

    def set_epoch(self, epoch: int) -> None:
        """Draw another epoch from now on, by the losses that are known now."""
        self.keys = Keys(self.keys.seed, epoch)
        self.table.set_epoch(epoch)

    def __len__(self) -> int:
        return self.length // self.num_replicas

    def __iter__(self) -> Iterator[int]:
        mine = self.whole_epoch()[: len(self) * self.num_replicas][self.rank :: self.num_replicas]
        return iter(mine.tolist())

    def whole_epoch(self) -> np.ndarray:
        """(length,) indices of the epoch, of all processes."""
        rng = self.keys.generator("HardSampler", "order", "choice")
        ends = np.cumsum(1 + (self.ratio - 1) * self.table.difficulties)
        at = (np.arange(self.length) + rng.random()) * (ends[-1] / self.length)
        return rng.permutation(np.minimum(np.searchsorted(ends, at, side="right"), len(ends) - 1))
