"""Files that the records of nuScenes tables name, and where they lie."""

from __future__ import annotations

from functools import cache, cached_property
from pathlib import Path, PurePosixPath

from fusion_aug.logs.nuscenes.tables import Row, Tables

ENDINGS = (".pcd.bin",)  # of two words


class Files:
    """Files of a log.

    Args:
        tables: of the log. Where they lie in a folder such as Lyft's ``train_data``, the others may be ``train_images``
            and so on, though the tables call them ``images``.
    """

    def __init__(self, tables: Tables):
        self.tables = tables
        head, mark, tail = tables.folder.name.rpartition("_")
        self.prefix = head + mark if tail == "data" else ""

    def name_of(self, data: Row) -> str:
        """Path of a sample_data record's file from the root, where it lies."""
        first, mark, rest = str(data["filename"]).partition("/")
        return self.folder(first) + mark + rest

    @cache  # noqa: B019  (one Files object lives as long as its log)
    def folder(self, named: str) -> str:
        """Name of a folder of the root that the tables name."""
        root, other = self.tables.tree.root, self.prefix + named
        return other if self.prefix and not (root / named).exists() and (root / other).exists() else named

    def path(self, data: Row) -> Path:
        """Path of a record's file, which need not exist.

        Raises:
            DataError: the name leads out of the log.
        """
        return self.tables.tree.path(self.name_of(data), self.tables.where("sample_data", data["token"]))

    @cached_property
    def names(self) -> set[str]:
        """Paths from the root of the files of all records that are read: those of the samples of all scenes."""
        records = self.tables.data_of_sample
        return {self.name_of(row) for token in self.tables.samples for row in records.get(token, ())}

    def may_hold(self, path: str) -> bool:
        """Whether a path from the root is of an outermost folder and an ending that records have."""
        return _kind(path) in self._kinds

    @cached_property
    def _kinds(self) -> set[tuple[str, str]]:
        return {_kind(self.name_of(row)) for row in self.tables.rows("sample_data")}


def ending(name: str) -> str:
    """Ending of a file's name, ``.pcd.bin`` as a whole."""
    return next((e for e in ENDINGS if name.endswith(e)), PurePosixPath(name).suffix)


def _kind(path: str) -> tuple[str, str]:
    folder, mark, _ = path.partition("/")
    return (folder if mark else ""), ending(path)
