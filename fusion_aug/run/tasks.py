"""What a run writes: which samples, and which copies of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from fusion_aug.errors import ConfigError
from fusion_aug.sample.manifest import output_id

MOST = 2**40  # samples of an output, each of which has a place in the lock
Task = tuple[str, int, int | None]


class Tasks(Sequence[Task]):
    """All samples to write, in output order: source id, copy, epoch (None for the untouched original).

    Copies of one sample follow all samples of the copy before, so that each copy is a log of its own. None is in memory
    before it is asked for: how many copies there are is a number in a file, which may be anybody's.

    Args:
        ids: of the samples of the input. copies: augmented ones of each. keep_original: whether the untouched sample
            comes first, as copy 0.

    Raises:
        ConfigError: two would have the same id in the output, or there are more than an output can have.
    """

    def __init__(self, ids: Sequence[str], copies: int, keep_original: bool):
        self.ids, self.keep_original = ids, keep_original
        self.rounds = copies + keep_original
        if len(ids) * self.rounds > MOST:
            raise ConfigError(f"copies: {len(ids)} samples times {self.rounds} are more than the {MOST:,} of an output")
        self._refuse_collisions()

    def _refuse_collisions(self) -> None:
        """Raise if the id of a sample is that of a copy of another one; copies of two samples never have the same."""
        known = set(self.ids)
        for source in self.ids:
            base, _, copy = source.rpartition("__")
            number = int(copy) if re.fullmatch("[1-9][0-9]{0,12}", copy) else 0
            if base in known and 0 < number < self.rounds and output_id(base, number) == source:
                raise ConfigError(
                    f"copies: {source!r} would be both a copy of {source!r} and of {base!r}; use log.select"
                )

    @property
    def epochs(self) -> range:
        """The epochs that are drawn."""
        return range(int(self.keep_original), self.rounds)

    def __len__(self) -> int:
        return len(self.ids) * self.rounds

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return [self[i] for i in range(len(self))[place]]
        copy, number = divmod(range(len(self))[place], len(self.ids))
        return self.ids[number], copy, None if self.keep_original and copy == 0 else copy


def shard_of(shard: str | None) -> tuple[int, int] | None:
    """``(3, 64)`` of ``3/64``; None of None.

    Raises:
        ConfigError: it is something else.
    """
    if shard is None:
        return None
    found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", str(shard))
    if found is None or not 1 <= int(found[1]) <= int(found[2]):
        raise ConfigError(f"shard: expected NUMBER/COUNT such as 3/64, the first is 1, got {shard!r}")
    return int(found[1]), int(found[2])
