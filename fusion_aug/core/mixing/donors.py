"""Donors: the samples that a mix takes its parts from."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fusion_aug.core.mixing.facts import CONDITIONS, Facts, facts_of, read_index, write_index
from fusion_aug.core.mixing.identity import sample_hash
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.sample import Sample

MOST_TRIED = 32  # donors that are read until one fits
KEPT = 4  # donors that stay in memory


class NoPlace(str):
    """Why nothing of a donor that fits finds a place in a sample, which then stays as it is."""


class NoDonor(DataError):
    """None of the donors that were tried fits: ``reasons`` says why, ``hashes`` which they were, by their ids."""

    def __init__(self, message: str, reasons: Mapping[str, str], hashes: Mapping[str, str]):
        super().__init__(message)
        self.reasons, self.hashes = dict(reasons), dict(hashes)


class Donor(NamedTuple):
    """A sample that gives parts of itself, and the hash by which records know it."""

    sample: Sample
    hash: str


@dataclass(frozen=True)
class Wish:
    """Which donors are asked for.

    Attributes:
        classes: categories of boxes, one of which a donor has to have; any where empty.
        same: of ``scene``, ``weather`` and ``time_of_day`` those that have to be the receiving sample's, where both
            are known.
    """

    classes: tuple[str, ...] = ()
    same: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        unknown = [s for s in self.same if s not in CONDITIONS]
        if unknown:
            raise ConfigError(f"same: {unknown[0]!r} is not one of {', '.join(CONDITIONS)}")


class Donors(Sequence[Sample]):
    """The samples of a log as donors, with an index by scene, class, weather and time of day.

    The index is built when it is first asked for, by reading the boxes of every sample, and kept in a file where one
    is named. A sample is never its own donor, unless it is the only one.

    Args:
        log: samples, such as ``open_log`` gives; the log that is augmented, or another one.
        index: file of the index, made where it is not there; it belongs to the log's ids and is made anew for others.

    Raises:
        ConfigError: the log is a path or no sequence. DataError: it has no sample.
    """

    def __init__(self, log: Sequence[Sample], *, index: str | Path | None = None):
        if isinstance(log, str | bytes | Path) or not (hasattr(log, "__getitem__") and hasattr(log, "__len__")):
            raise ConfigError(f"donors: expected samples, as open_log(format, path) gives, got {log!r}")
        known = getattr(log, "ids", None)
        self.log = log
        self.ids = list(known) if known is not None else [log[i].id for i in range(len(log))]
        self.index_file = None if index is None else Path(index)
        self._places = {sample_id: i for i, sample_id in enumerate(self.ids)}
        self._facts: dict[str, Facts] | None = None
        self._kept: OrderedDict[str, Donor] = OrderedDict()
        if not self.ids:
            raise DataError("donors: the log has no sample")

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, place: Any) -> Any:
        return self.log[place]

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_kept": OrderedDict()}  # other processes read their own

    @property
    def facts(self) -> Mapping[str, Facts]:
        """Id -> what the index knows of a donor."""
        if self._facts is None:
            made = None if self.index_file is None else read_index(self.index_file, self.ids)
            if made is None:
                made = {sample_id: facts_of(self.log, sample_id, self._read) for sample_id in self.ids}
                if self.index_file is not None:
                    write_index(self.index_file, made)
            self._facts = made
        return self._facts

    def get(self, sample_id: str) -> Donor:
        """A donor by its id.

        Raises:
            DataError: there is none of that id, or it cannot be read.
        """
        if sample_id in self._kept:
            self._kept.move_to_end(sample_id)
            return self._kept[sample_id]
        sample = self._read(sample_id)
        donor = self._kept[sample_id] = Donor(sample, sample_hash(sample))
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return donor

    def recorded(self, sample_id: str, hash: str, who: str) -> Sample:
        """The donor that a record names.

        Args:
            sample_id, hash: of it. who: the transform, for messages.

        Raises:
            DataError: it is not there, or not what it was.
        """
        donor = self.get(sample_id)
        if donor.hash != hash:
            raise DataError(
                f"{who}: the donor {sample_id!r} has changed since: its hash was {hash}, it is {donor.hash} now; give "
                f"the donors as they were"
            )
        return donor.sample

    def partners(self, sample: Sample, rng: np.random.Generator, wish: Wish) -> Iterator[Donor]:
        """Donors that the index allows, in the order that is drawn for the sample.

        Args:
            sample: receives. rng: its random stream. wish: what is asked for.

        Raises:
            DataError: the index allows none.
        """
        able = [i for i in self._allowed(sample, wish) if i != sample.id]
        if not able and sample.id in self._places and len(self.ids) == 1:
            able = [sample.id]
        if not able:
            asked = ", ".join([*(f"same {s}" for s in wish.same), *(f"class {c}" for c in wish.classes)])
            raise DataError(f"donors: none of {len(self.ids)} fits sample {sample.id!r}{asked and f' ({asked})'}")
        for place in rng.permutation(len(able)).tolist():
            yield self.get(able[place])

    def partner(self, sample: Sample, rng: np.random.Generator, wish: Wish, refusal: Callable[[Sample], str]) -> Donor:
        """The first drawn donor that fits.

        Args:
            sample, rng, wish: as of ``partners``. refusal: why a donor does not fit, "" of one that does.

        Raises:
            NoDonor: none of those that were tried fits; the sentence says what parts them.
        """
        reasons, hashes = dict[str, str](), dict[str, str]()
        for donor in self.partners(sample, rng, wish):
            why = refusal(donor.sample)
            if not why:
                return donor
            reasons[donor.sample.id], hashes[donor.sample.id] = why, donor.hash
            if len(reasons) >= MOST_TRIED:
                break
        named, why = next(iter(reasons.items()))
        raise NoDonor(f"none of {len(reasons)} donors fits sample {sample.id!r}: of {named!r}, {why}", reasons, hashes)

    def _allowed(self, sample: Sample, wish: Wish) -> list[str]:
        if not wish.classes and not wish.same:
            return self.ids
        own = facts_of([sample], sample.id, lambda _: sample, conditions=self.facts.get(sample.id))
        return [i for i in self.ids if self.facts[i].fits(own, wish.same, wish.classes)]

    def _read(self, sample_id: str) -> Sample:
        if sample_id not in self._places:
            raise DataError(f"donors: there is no sample {sample_id!r} among the {len(self.ids)}")
        read = getattr(self.log, "read", None)
        found = read(sample_id) if read is not None else self.log[self._places[sample_id]]
        if not isinstance(found, Sample):
            raise ConfigError(f"donors: expected a sample at {sample_id!r}, got a {type(found).__name__}")
        return found
