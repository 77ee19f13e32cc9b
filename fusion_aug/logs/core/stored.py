"""Where the files of a stored sample lie: in a folder, or in whatever else a format packs them into."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Self

import numpy as np

from calib.regular_files import is_there
from fusion_aug.logs.core.files import read_json
from fusion_aug.logs.core.npz import read_npz
from fusion_aug.logs.core.tree import Tree
from fusion_aug.streams.source import Source


class Stored(ABC):
    """Files below one name; names have no slashes.

    Its text is the place, for messages.
    """

    @abstractmethod
    def below(self, name: str) -> Self:
        """The files below a further name."""

    @abstractmethod
    def names(self) -> list[str]:
        """Names that further files lie below, sorted."""

    @abstractmethod
    def has(self, name: str) -> bool:
        """Whether there is a file of a name."""

    @abstractmethod
    def where(self, name: str) -> str:
        """The place of a file, for messages."""

    @abstractmethod
    def json(self, name: str) -> Any:
        """What a JSON file holds.

        Raises:
            DataError: it is missing or damaged.
        """

    @abstractmethod
    def arrays(self, name: str) -> dict[str, np.ndarray]:
        """Arrays of an npz file, see ``read_npz``."""

    @abstractmethod
    def picture(self, name: str) -> Source:
        """A picture, which need not be there."""


class StoredFolder(Stored):
    """Files in a folder.

    Args:
        folder: that they lie in. tree: of the log; by default the folder is a tree of its own.
    """

    def __init__(self, folder: Path, tree: Tree | None = None):
        self.folder, self.tree = folder, tree or Tree(folder)

    def __str__(self) -> str:
        return str(self.folder)

    def below(self, name: str) -> StoredFolder:
        return StoredFolder(self._path(name), self.tree)

    def names(self) -> list[str]:
        return [entry.name for entry in self.tree.entries(self.folder)]

    def has(self, name: str) -> bool:
        return is_there(self._path(name))

    def where(self, name: str) -> str:
        return str(self.folder / name)

    def json(self, name: str) -> Any:
        return read_json(self._path(name))

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        return read_npz(self._path(name))

    def picture(self, name: str) -> Source:
        return Source(self._path(name), "image")

    def _path(self, name: str) -> Path:
        return self.tree.path(name, str(self.folder), self.folder)
