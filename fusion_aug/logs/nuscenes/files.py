"""Files that the records of nuScenes tables name, and where they lie."""

from __future__ import annotations

from array import array
from functools import cached_property
from pathlib import Path, PurePosixPath

from fusion_aug.logs.core.kept import Kept
from fusion_aug.logs.nuscenes.grids import sample_of_grid
from fusion_aug.logs.nuscenes.index import Index, value_digest
from fusion_aug.logs.nuscenes.labels import PointLabels
from fusion_aug.logs.nuscenes.tables import Row, Tables

ENDINGS = (".pcd.bin",)  # of two words
MOST_FOLDERS = 1000
NOT_READ = -1  # in place of the number of a sample: no scene has it, or log.exclude leaves the record out


class Files:
    """Files of a log.

    Args:
        tables: of the log. Where they lie in a folder such as Lyft's ``train_data``, the others may be ``train_images``
            and so on, though the tables call them ``images``.
    """

    def __init__(self, tables: Tables):
        self.tables, self.labels = tables, PointLabels(tables)
        head, mark, tail = tables.folder.name.rpartition("_")
        self.prefix = head + mark if tail == "data" else ""
        self._folders: Kept[str, str] = Kept(MOST_FOLDERS)

    def name_of(self, data: Row) -> str:
        """Path of a sample_data record's file from the root, where it lies."""
        first, mark, rest = str(data["filename"]).partition("/")
        return self.folder(first) + mark + rest

    def folder(self, named: str) -> str:
        """Name of a folder of the root that the tables name."""
        return self._folders.get(named, self._where_it_lies)

    def _where_it_lies(self, named: str) -> str:
        root, other = self.tables.tree.root, self.prefix + named
        return other if self.prefix and not (root / named).exists() and (root / other).exists() else named

    def path(self, data: Row) -> Path:
        """Path of a record's file, which need not exist.

        Raises:
            DataError: the name leads out of the log.
        """
        return self.tables.tree.path(self.name_of(data), self.tables.where("sample_data", data["token"]))

    def samples_of(self, path: str) -> list[str]:
        """Samples, of those of all scenes, that have a record with a file; it is called by its path from the root."""
        if (grid := sample_of_grid(self.tables, path)) is not None:
            return grid
        index, samples, _ = self._records
        numbers = (samples[row] for row in index.rows(path))
        return [self.tables.samples[n] for n in numbers if n != NOT_READ]

    def may_hold(self, path: str) -> bool:
        """Whether a path from the root is of an outermost folder and an ending that records have."""
        return _kind(path) in self._records[2]

    def pose_tokens(self) -> Index:
        """Tokens of the ego poses that the records of all samples name, also those that log.exclude leaves out."""
        samples, digests = set(self.tables.samples), bytearray()
        for row in self.tables.rows("sample_data"):
            if row["sample_token"] in samples:
                digests += value_digest(row["ego_pose_token"])
        return Index(digests)

    @cached_property
    def _records(self) -> tuple[Index, array[int], set[tuple[str, str]]]:
        """Of all records: the paths of their files, the numbers of their samples, and the kinds of their files."""
        number = {token: i for i, token in enumerate(self.tables.samples)}
        digests, samples, kinds = bytearray(), array("i"), set[tuple[str, str]]()
        rows = self.tables.rows("sample_data")
        for table in self.labels.there:
            for row in self.tables.rows(table):
                data = None if self.labels.is_excluded(row) else rows.first_of("token", row["sample_data_token"])
                is_read = data is not None and not self.tables.is_excluded(data)
                digests += value_digest(row["filename"])
                samples.append(number.get(data["sample_token"], NOT_READ) if data is not None and is_read else NOT_READ)
                kinds.add(_kind(row["filename"]))
        for row in rows:
            name = self.name_of(row)
            digests += value_digest(name)
            samples.append(NOT_READ if self.tables.is_excluded(row) else number.get(row["sample_token"], NOT_READ))
            kinds.add(_kind(name))
        return Index(digests), samples, kinds


def ending(name: str) -> str:
    """Ending of a file's name, ``.pcd.bin`` as a whole."""
    return next((e for e in ENDINGS if name.endswith(e)), PurePosixPath(name).suffix)


def _kind(path: str) -> tuple[str, str]:
    folder, mark, _ = path.partition("/")
    return (folder if mark else ""), ending(path)
