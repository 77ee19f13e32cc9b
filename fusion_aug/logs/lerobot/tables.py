"""Parquet tables of LeRobotDataset, and the pictures in them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from calib.regular_files import check_regular
from fusion_aug.errors import DataError, MissingPackage
from fusion_aug.logs.core.files import decoded_picture, millimetres
from fusion_aug.ops.color import levels_of
from fusion_aug.safe.arrow import check_parquet
from fusion_aug.streams.source import Coding, Source


@dataclass(frozen=True, eq=False)
class TableSource(Source):
    """A picture in a parquet table; ``options`` hold feature, episode and row."""

    def bytes(self) -> bytes:
        """The encoded picture, or the numbers of an array (H, W) as float32."""
        cell = self.cell()
        if isinstance(cell, dict):
            return bytes(cell["bytes"] or b"")
        return np.asarray(cell, dtype=np.float32).tobytes()

    def cell(self) -> Any:
        """What the table holds."""
        table = episode_rows(self.path, self.options["episode"])
        return table[self.options["feature"]][self.options["row"]].as_py()

    @property
    def coding(self) -> Coding:
        """Pictures as they are encoded; depth in a picture is in whole millimetres, in an array as it is."""
        cell = self.cell()
        if not isinstance(cell, dict):
            return Coding()
        return Coding(step=1e-3) if self.options["shape"][2:] == [1] else super().coding

    @cached_property
    def value(self) -> Tensor:
        """RGB (H, W, 3) uint8; depth (H, W) float32, metres, of a 16-bit picture in millimetres or an array in metres.

        Raises:
            DataError: it is not a picture.
        """
        cell, where = self.cell(), f"{self.path}: {self.options['feature']}: row {self.options['row']}"
        picture = _decoded(cell["bytes"] or b"") if isinstance(cell, dict) else _numbers(cell)
        if picture is None:
            raise DataError(f"{where} is not a picture")
        height, width, *channels = self.options["shape"]
        if picture.shape[:2] != (height, width):
            sizes = f"{picture.shape[1]}x{picture.shape[0]}, but info.json says {width}x{height}"
            raise DataError(f"{where}: the picture is {sizes}")
        if isinstance(cell, dict) and channels == [1]:
            if picture.dtype != np.uint16:
                raise DataError(f"{where}: depth needs 16 bits, and this is {picture.dtype}")
            return torch.from_numpy(picture.astype(np.float32) / 1000)
        if not isinstance(cell, dict):
            return torch.from_numpy(picture)
        if picture.dtype != np.uint8:
            raise DataError(f"{where}: a picture of {channels[0] if channels else 3} channels needs 8 bits")
        if picture.ndim == 2:
            return torch.from_numpy(cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB))
        return torch.from_numpy(cv2.cvtColor(picture[..., :3], cv2.COLOR_BGR2RGB))


def _decoded(raw: bytes) -> np.ndarray | None:
    """Decode a picture at its own bit depth; None if it is not a picture or too large."""
    try:
        return decoded_picture(raw, cv2.IMREAD_UNCHANGED, "")
    except DataError:
        return None


def _numbers(cell: Any) -> np.ndarray | None:
    """Return rows of numbers (H, W) as float32; None if they are not such."""
    try:
        array = np.asarray(cell, dtype=np.float32)
    except (TypeError, ValueError):
        return None
    return array if array.ndim == 2 else None


def cell_of(picture: Tensor, old: Any) -> Any:
    """Return a picture as a table holds it: encoded as PNG where the old one was, else rows of numbers."""
    if not isinstance(old, dict):
        return picture.numpy().tolist()
    if picture.ndim == 2:
        pixels = millimetres(picture.numpy())
    else:
        pixels = cv2.cvtColor(levels_of(picture).numpy(), cv2.COLOR_RGB2BGR)
    return {**old, "bytes": cv2.imencode(".png", pixels)[1].tobytes()}


@lru_cache(maxsize=8)
def _episode_rows(path: Path, changed: int, episode: int) -> Any:
    import pyarrow.compute as pc

    table = read_table(path)
    return table.filter(pc.equal(table["episode_index"], episode))


def episode_rows(path: Path, episode: int) -> Any:
    """The rows of one episode of a data file, as a table."""
    return _episode_rows(path, path.stat().st_mtime_ns, episode)


@lru_cache(maxsize=4)
def _table(path: Path, changed: int) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        check_regular(path)
        check_parquet(path)
        return pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: is not a readable parquet file ({str(error).splitlines()[0]})") from None


def read_table(path: Path) -> Any:
    """A parquet file as a table.

    Raises:
        MissingPackage: pyarrow is not installed. DataError: the file is missing or damaged.
    """
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        raise MissingPackage("LeRobot logs need the package pyarrow: pip install '.[lerobot]'") from None
    try:
        return _table(path, path.stat().st_mtime_ns)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None


def count_rows(path: Path) -> int:
    """Rows of a parquet file, from its footer.

    Raises:
        DataError: the file is missing or damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        check_regular(path)
        return int(pq.read_metadata(path).num_rows)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: is not a readable parquet file ({str(error).splitlines()[0]})") from None


def column(table: Any, name: str, where: Path) -> np.ndarray:
    """A column as an array (n, ...) of its own dtype.

    Raises:
        DataError: it is missing, holds no numbers, or its rows have different lengths; ``where`` is its file.
    """
    if name not in table.column_names:
        raise DataError(f"{where}: column {name!r} is missing (there are {', '.join(table.column_names)})")
    array = table[name].combine_chunks()
    shape: list[int] = []
    import pyarrow as pa

    while pa.types.is_list(array.type) or pa.types.is_large_list(array.type) or pa.types.is_fixed_size_list(array.type):
        inner = array.flatten()
        outer = len(array)
        if outer and len(inner) % outer:
            raise DataError(f"{where}: column {name!r}: rows of different lengths")
        shape.append(len(inner) // outer if outer else 0)
        array = inner
    if not (pa.types.is_integer(array.type) or pa.types.is_floating(array.type) or pa.types.is_boolean(array.type)):
        raise DataError(f"{where}: column {name!r}: expected numbers, got {array.type}")
    if array.null_count:
        raise DataError(f"{where}: column {name!r}: holds null")
    return array.to_numpy(zero_copy_only=False).reshape(len(table), *shape)
