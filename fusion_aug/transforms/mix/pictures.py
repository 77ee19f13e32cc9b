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
_FOLDERS: dict[Path, None] = {}  # those that this process has been told of


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
        _FOLDERS[folder.absolute()] = None
        return cls(str(value), tuple(names))

    def recorded(self) -> str:
        """What a record says of the folder: its name."""
        return Path(self.folder).name

    def to_config(self) -> str:
        """What ``from_config`` takes."""
        return self.folder

    def drawn(self, rng: np.random.Generator) -> dict[str, str]:
        """One of the pictures, as records hold it."""
        name, folder = self.names[int(rng.integers(len(self.names)))], Path(self.folder).expanduser().absolute()
        _FOLDERS[folder] = None  # a transform may have come from another process
        return {"file": name, "hash": _hash_of(folder / name)}


def know_pictures(folder: str | Path) -> None:
    """Tell this process of a folder, for a replay of records that hold some of its pictures.

    Raises:
        ConfigError: there is no such folder, or it holds no picture.
    """
    PictureFolder.from_config(folder, "know_pictures")


def known_folders() -> list[str]:
    """The folders that this process has been told of."""
    return [str(folder) for folder in _FOLDERS]


def recorded_picture(record: Mapping[str, str], who: str) -> np.ndarray:
    """The picture (H, W, 3) uint8 that a record holds.

    Raises:
        DataError: it is in no folder that is known here, was changed, or cannot be decoded.
    """
    name = Path(record["file"]).name  # of somebody else's record no path is taken
    there = [folder / name for folder in _FOLDERS if (folder / name).is_file()]
    found = next((path for path in there if _hash_of(path) == record["hash"]), None)
    if found is None:
        what = f"{there[0]} has changed since it was drawn; put back what it was" if there else (
            f"the picture {name!r} is in no folder that is known here; call fa.know_pictures(FOLDER) first"
        )  # fmt: skip
        raise DataError(f"{who}: {what}")
    return _decoded(found, record["hash"], who)


@lru_cache(maxsize=8)
def _decoded(path: Path, hash: str, who: str) -> np.ndarray:
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
