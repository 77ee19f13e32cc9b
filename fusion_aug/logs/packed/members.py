"""Files of a sample inside larger ones: their names, and reading them.

A sample is stored as the folder format stores it, one file after the other. ``streams/CAM_FRONT/000000.jpg`` is called
``CAM_FRONT.000000.jpg`` there: loaders cut names at the first dot and tell a file's kind by the last one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fusion_aug.errors import DataError
from fusion_aug.logs.core.npz import parse_npz
from fusion_aug.logs.core.stored import Stored
from fusion_aug.streams.source import Source

STREAMS_FOLDER = "streams"


class Member(NamedTuple):
    """Bytes of one file inside another."""

    path: Path
    offset: int
    size: int


def packed_files(folder: Path) -> list[tuple[str, Path]]:
    """Name in the pack and path of every file of a stored sample, in the order in which they are packed.

    Raises:
        DataError: two names differ in the case of letters only, which loaders do not tell apart.
    """
    files = {packed_name(p.relative_to(folder).parts): p for p in folder.rglob("*") if p.is_file()}
    seen: dict[str, str] = {}
    for name in files:
        other = seen.setdefault(name.lower(), name)
        if other != name:
            raise DataError(
                f"{folder.name}: {other} and {name} differ in capitals only, which loaders take for one file"
            )
    return sorted(files.items(), key=lambda item: (item[0] != "sample.json", item[0]))


def packed_name(parts: tuple[str, ...]) -> str:
    """Name in the pack of a file of a stored sample."""
    if parts[0] != STREAMS_FOLDER:
        return ".".join(parts)
    stream, file = parts[1:]
    return f"{stream.replace('.', '%2E')}.{file}"


class StoredMembers(Stored):
    """A stored sample whose files lie inside larger ones.

    Args:
        members: name in the pack -> where it lies. place: of the sample, for messages. prefix: that names begin with.
    """

    def __init__(self, members: Mapping[str, Member], place: str, prefix: str = ""):
        self.members, self.place, self.prefix = members, place, prefix

    def __str__(self) -> str:
        return self.place

    def below(self, name: str) -> StoredMembers:
        return (
            self if name == STREAMS_FOLDER else StoredMembers(self.members, self.place, f"{name.replace('.', '%2E')}.")
        )

    def names(self) -> list[str]:
        return sorted({n.partition(".")[0].replace("%2E", ".") for n in self.members if n.count(".") > 1})

    def has(self, name: str) -> bool:
        return self.prefix + name in self.members

    def where(self, name: str) -> str:
        return f"{self.place}: {self.prefix}{name}"

    def json(self, name: str) -> Any:
        try:
            return json.loads(self._source(name, "").bytes())
        except (ValueError, RecursionError) as error:
            raise DataError(f"{self.where(name)}: is not valid JSON ({error})") from None

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        return parse_npz(Path(self.where(name)), self._source(name, "").bytes())

    def picture(self, name: str) -> Source:
        return self._source(name, "image")

    def _source(self, name: str, decoder: str) -> Source:
        try:
            path, offset, size = self.members[self.prefix + name]
        except KeyError:
            raise DataError(f"{self.where(name)}: is missing") from None
        return Source(path, decoder, offset, size, {"suffix": Path(name).suffix})
