"""Reader of the WebDataset shards that a run wrote."""

from __future__ import annotations

import tarfile
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from calib.regular_files import open_regular
from fusion_aug.errors import DataError
from fusion_aug.logs.packed.members import Member
from fusion_aug.logs.packed.reader import PackedLog, Place, date_of
from fusion_aug.logs.webdataset.writer import key_of

SHARDS_KEPT = 4  # whose lists of files are kept


class WebDatasetLog(PackedLog):
    """Reader of WebDataset shards with the index that our writer puts beside them."""

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
                found.setdefault(key, {})[name] = Member(path, info.offset_data, info.size)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from None
    except tarfile.TarError as error:
        raise DataError(f"{path}: is no tar file, or is damaged ({error})") from None
    return found


def _split(name: str) -> tuple[str, str, str]:
    folder, slash, base = name.rpartition("/")
    stem, dot, rest = base.partition(".")
    return f"{folder}{slash}{stem}", dot, rest
