"""Pictures of a folder of the user's, of which transforms take pixels; records know each by a hash of its bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from fusion_aug.errors import ConfigError, DataError
from fusion_aug.streams.source import Source

ENDINGS = (".jpg", ".jpeg", ".png")
_PATHS: dict[str, Path] = {}  # hash -> file, of those that this process has drawn or been told of


@dataclass(frozen=True)
class PictureFolder:
    """JPEG and PNG files of a folder, in the order of their names.

    Attributes:
        folder: as it was given.
        names: of the files.
    """

    folder: str
    names: tuple[str, ...]

    @classmethod
    def from_config(cls, value: Any, where: str = "PictureFolder") -> PictureFolder:
        """The pictures of a folder.

        Args:
            value: the folder. where: transform and field, for messages.

        Raises:
            ConfigError: there is no such folder, or it holds no picture.
        """
        if not isinstance(value, str | Path):
            raise ConfigError(f"{where}: expected a folder of pictures, got {value!r}")
        folder = Path(value).expanduser()
        if not folder.is_dir():
            raise ConfigError(f"{where}: there is no folder {str(value)!r}")
        names = sorted(p.name for p in folder.iterdir() if p.suffix.lower() in ENDINGS and p.is_file())
        if not names:
            raise ConfigError(f"{where}: {str(value)!r} holds no file that ends in {', '.join(ENDINGS)}")
        return cls(str(value), tuple(names))

    def recorded(self) -> str:
        """What a record says of the folder: its name."""
        return Path(self.folder).name

    def to_config(self) -> str:
        """What ``from_config`` takes."""
        return self.folder

    def drawn(self, rng: np.random.Generator) -> dict[str, str]:
        """One of the pictures, as records hold it."""
        name = self.names[int(rng.integers(len(self.names)))]
        return {"file": name, "hash": self._known(name)}

    def know(self) -> None:
        """Find all pictures again in records, as a replay needs it."""
        for name in self.names:
            self._known(name)

    def _known(self, name: str) -> str:
        path = Path(self.folder).expanduser().absolute() / name
        hash = _hash_of(path)
        _PATHS[hash] = path
        return hash


def know_pictures(folder: str | Path) -> None:
    """Make the pictures of a folder known, for a replay of records that hold some of them."""
    PictureFolder.from_config(folder, "know_pictures").know()


def recorded_picture(record: Mapping[str, str], who: str) -> np.ndarray:
    """The picture (H, W, 3) uint8 that a record holds.

    Raises:
        DataError: it is not known here, was changed, or cannot be decoded.
    """
    path = _PATHS.get(record["hash"])
    if path is None:
        raise DataError(f"{who}: the picture {record['file']!r} is not known here; call fa.know_pictures(FOLDER) first")
    return _decoded(path, record["hash"], who)


@lru_cache(maxsize=8)
def _decoded(path: Path, hash: str, who: str) -> np.ndarray:
    if _hash_of(path) != hash:
        raise DataError(f"{who}: {path} has changed since it was drawn; put back what it was")
    picture = Source(path, "image").value
    if picture.dtype != torch.uint8:
        raise DataError(f"{who}: {path} holds {picture.dtype}; convert it to 8 bits")
    found: np.ndarray = picture.numpy()
    return found


def _hash_of(path: Path) -> str:
    return hashlib.blake2b(Source(path, "image").bytes(), digest_size=16).hexdigest()


def covering(picture: np.ndarray, size: tuple[int, int], x: float, y: float) -> np.ndarray:
    """A part of a picture as large as it can be, brought to a size.

    Args:
        picture: (H, W, 3). size: (height, width). x, y: where the part lies in what is left over, 0 to 1.
    """
    height, width = size
    by = min(picture.shape[0] / height, picture.shape[1] / width)
    tall, wide = (max(1, min(round(n * by), m)) for n, m in zip(size, picture.shape[:2], strict=True))
    top, left = (int(share * (whole - part)) for share, whole, part in (
        (y, picture.shape[0], tall), (x, picture.shape[1], wide)
    ))  # fmt: skip
    how = cv2.INTER_AREA if by > 1 else cv2.INTER_LINEAR
    part = np.ascontiguousarray(picture[top : top + tall, left : left + wide])
    return cv2.resize(part, (width, height), interpolation=how)
