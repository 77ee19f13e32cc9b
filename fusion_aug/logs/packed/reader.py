"""Base of the readers of packed formats."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from calib.regular_files import open_regular
from fusion_aug.errors import DataError
from fusion_aug.logs.core.contents import Fields
from fusion_aug.logs.core.log import Log
from fusion_aug.logs.folder.reader import read_sample
from fusion_aug.logs.packed.members import Member, StoredMembers
from fusion_aug.sample import Sample

INDEX = "index.jsonl"
VERSION = 1


def date_of(path: Path) -> int:
    """When a file was written (ns), 0 where it is not there: what is kept of it is of that one only."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


class Place(NamedTuple):
    """Where a sample is: its pack; and its scene."""

    pack: str
    scene: str


class PackedLog(Log):
    """Log of samples in packs. ``log.select`` takes ids, scenes, or shell patterns.

    ``index.jsonl`` has a line with the version, then one for each pack: its name, and id and scene of its samples.
    """

    @abstractmethod
    def members(self, sample_id: str, place: Place) -> Mapping[str, Member]:
        """Name in the pack -> where it lies, of a sample.

        Raises:
            DataError: the pack is damaged.
        """

    def fields(self) -> Mapping[str, Fields]:
        """Fields of the index."""
        return {INDEX: {key for line in self._lines for key in line}}

    @cached_property
    def _lines(self) -> list[dict[str, Any]]:
        where = self.path_in(INDEX, "log.root")
        try:
            with open_regular(where) as file:
                lines = [json.loads(line) for line in file]
        except OSError as error:
            raise DataError(f"{where}: cannot be read ({error.strerror})") from None
        except (ValueError, RecursionError) as error:
            raise DataError(f"{where}: is not valid JSON ({error})") from None
        number = next((n for n, line in enumerate(lines, 1) if not isinstance(line, dict)), None)
        if number is not None:
            raise DataError(f"{where}: line {number}: expected a mapping")
        return lines

    @cached_property
    def places(self) -> dict[str, Place]:
        """Id of every sample -> where it is, in the order in which they were written."""
        where = self.path_in(INDEX, "log.root")
        found: dict[str, Place] = {}
        lines = self._lines
        if not lines or lines[0] != {"format": self.format.name, "version": VERSION}:
            got = lines[0] if lines else "nothing"
            raise DataError(f"{where}: line 1: this reads {self.format.name} of version {VERSION}, got {got!r}")
        for number, line in enumerate(lines[1:], 2):
            try:
                places = [(str(sample), Place(str(line["pack"]), str(scene))) for sample, scene in line["samples"]]
            except (KeyError, TypeError, ValueError) as error:
                raise DataError(f"{where}: line {number}: expected a pack and its samples ({error!r})") from None
            for sample, place in places:
                if found.setdefault(sample, place) is not place:
                    raise DataError(f"{where}: line {number}: sample {sample!r} is there twice")
        return found

    @property
    def all_ids(self) -> list[str]:
        """Ids of all samples, in the order in which they were written."""
        return list(self.places)

    def is_selected_file(self, path: str) -> bool:
        """Whether a file is a pack with a selected sample, or none."""
        return path not in self._packs or path in self._selected

    @cached_property
    def _packs(self) -> set[str]:
        return {place.pack for place in self.places.values()}

    @cached_property
    def _selected(self) -> set[str]:
        return {self.places[i].pack for i in self.ids}

    def scene_of(self, sample_id: str) -> str:
        """Scene of a sample."""
        return self._place(sample_id).scene

    def read(self, sample_id: str) -> Sample:
        """Read one sample; its pictures stay in the pack until used."""
        place = self._place(sample_id)
        where = f"{self.root / place.pack}: {sample_id}"
        return read_sample(StoredMembers(self.members(sample_id, place), where), sample_id)

    def cloud_file(self, sample_id: str, stream: str) -> Path:
        """The pack of the sample."""
        return self.pack(self._place(sample_id).pack)

    def _place(self, sample_id: str) -> Place:
        try:
            return self.places[sample_id]
        except KeyError:
            raise DataError(f"{self.root / INDEX}: there is no sample {sample_id!r}") from None

    def pack(self, name: str) -> Path:
        """Path of a pack."""
        return self.path_in(name, str(self.root / INDEX))
