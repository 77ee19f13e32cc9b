"""Reader of the WebDataset shards that a run wrote."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Collection, Mapping
from functools import lru_cache, partial
from pathlib import Path

from calib.regular_files import open_regular
from fusion_aug.errors import DataError
from fusion_aug.logs.core.contents import CHANGED, LEFT_OUT, Fields, Part
from fusion_aug.logs.packed.members import Member
from fusion_aug.logs.packed.reader import PackedLog, Place, date_of
from fusion_aug.logs.webdataset.writer import key_of

SAMPLE, HEADER, ARRAYS, PICTURES = "sample.json", "stream.json", "arrays.npz", "pictures"
PICTURE = re.compile(r"\d+\.(png|jpe?g)")
NOT_LISTED = "not listed"
SHARD = Part("shard-*.tar", CHANGED, "files of the samples")
MEMBERS = (
    Part(f"{SHARD.pattern}:{SAMPLE}", CHANGED, "reference, scene, both rigs of a sample"),
    Part(f"{SHARD.pattern}:{HEADER}", CHANGED, "class of a stream, and what lies where"),
    Part(f"{SHARD.pattern}:{ARRAYS}", CHANGED, "values, stamps, and pictures that are no files"),
    Part(f"{SHARD.pattern}:{PICTURES}", CHANGED, "pictures of a stream"),
    Part(f"{SHARD.pattern}:{NOT_LISTED}", LEFT_OUT,
         "files that belong to no sample: shards in a store are not fetched for a list; inspect a copy of one"),
)  # fmt: skip
SHARDS_KEPT = 4  # whose lists of files are kept


class WebDatasetLog(PackedLog):
    """Reader of WebDataset shards with the index that our writer puts beside them."""

    def part_of(self, path: str) -> Part | None:
        """The part that a file is; shards are those that the index names."""
        part = super().part_of(path)
        return SHARD if path in self._packs else None if part == SHARD else part

    def field_part(self, table: str, name: str) -> Part | None:
        """The part that a field is; of a shard what lies in it, whatever the index calls the shard."""
        return super().field_part(SHARD.pattern if table in self._packs else table, name)

    def fields(self) -> Mapping[str, Fields]:
        """Fields of the index, and what lies in the shards of the selected samples."""
        return {**super().fields(), **{pack: partial(self._kinds, pack) for pack in sorted(self._selected)}}

    def _kinds(self, pack: str) -> set[str]:
        """What lies in a shard: kinds of files that are read, and patterns of all others."""
        if self.mirror is not None:
            return {NOT_LISTED}
        known, path = {key_of(i) for i, place in self.places.items() if place.pack == pack}, self.pack(pack)
        return {
            kind_of(name, files) if key in known else f"{key[: key.rfind('/') + 1]}*.{name}"
            for key, files in _members(path, date_of(path)).items() for name in files
        }  # fmt: skip

    def members(self, sample_id: str, place: Place) -> Mapping[str, Member]:
        """Files of a sample in its shard."""
        key = key_of(sample_id)
        path = self.pack(place.pack)
        found = _members(path, date_of(path)).get(key)
        if found is None:
            raise DataError(
                f"{self.root / place.pack}: {sample_id}: no file of it is there; its names begin with {key}."
            )
        return found


@lru_cache(SHARDS_KEPT)
def _members(path: Path, date: int) -> dict[str, dict[str, Member]]:
    """Key of every sample of a shard -> its files."""
    found: dict[str, dict[str, Member]] = {}
    try:
        with open_regular(path) as file, tarfile.open(fileobj=file, mode="r:") as tar:
            for info in tar:
                if not info.isreg() or info.issparse():  # of which some bytes are not there
                    raise DataError(f"{path}: {info.name}: is no plain file; write the shard again")
                key, _, name = _split(info.name)
                if name in found.setdefault(key, {}):
                    raise DataError(f"{path}: {info.name}: is there twice; write the shard again")
                found[key][name] = Member(path, info.offset_data, info.size)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from None
    except tarfile.TarError as error:
        raise DataError(f"{path}: is no tar file, or is damaged ({error})") from None
    return found


def kind_of(name: str, files: Collection[str]) -> str:
    """What a file of a sample is, where it is one that is read; else a pattern of its name.

    Args:
        name: behind the key of the sample. files: all files of the sample.
    """
    stream, _, file = name.partition(".")
    if name == SAMPLE:
        return SAMPLE
    if f"{stream}.{HEADER}" in files:  # a stream
        if file in (HEADER, ARRAYS):
            return file
        if PICTURE.fullmatch(file):
            return PICTURES
    return f"*.{name}"


def _split(name: str) -> tuple[str, str, str]:
    folder, slash, base = name.rpartition("/")
    stem, dot, rest = base.partition(".")
    return f"{folder}{slash}{stem}", dot, rest
