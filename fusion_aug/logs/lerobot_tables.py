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

from fusion_aug.errors import DataError
from fusion_aug.logs.files import MAX_PIXELS
from fusion_aug.source import Source


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

    @cached_property
    def value(self) -> Tensor:
        """RGB (H, W, 3) uint8; depth (H, W) float32, metres, of a 16-bit picture in millimetres or an array in metres.

        Raises:
            DataError: it is not a picture.
        """
        cell = self.cell()
        if not isinstance(cell, dict):
            return torch.from_numpy(np.asarray(cell, dtype=np.float32))
        raw = np.frombuffer(cell["bytes"] or b"", np.uint8)
        picture = cv2.imdecode(raw, cv2.IMREAD_UNCHANGED) if len(raw) else None
        if picture is None or picture.shape[0] * picture.shape[1] > MAX_PIXELS:
            raise DataError(f"{self.path}: {self.options['feature']}: row {self.options['row']} is not a picture")
        if picture.ndim == 2 and picture.dtype == np.uint16:
            return torch.from_numpy(picture.astype(np.float32) / 1000)
        if picture.ndim == 2:
            return torch.from_numpy(cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB))
        return torch.from_numpy(cv2.cvtColor(picture[..., :3], cv2.COLOR_BGR2RGB))


def cell_of(picture: Tensor, old: Any) -> Any:
    """A picture as a table holds it: encoded as PNG where the old one was, else rows of numbers."""
    if not isinstance(old, dict):
        return picture.numpy().tolist()
    if picture.ndim == 2:
        known = np.where(np.isfinite(picture.numpy()), picture.numpy(), 0)
        pixels: np.ndarray = (known * 1000).round().clip(0, 65535).astype(np.uint16)
    else:
        levels = picture if picture.dtype == torch.uint8 else (picture * 255).round().clamp(0, 255).to(torch.uint8)
        pixels = cv2.cvtColor(levels.numpy(), cv2.COLOR_RGB2BGR)
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
        return pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: is not a readable parquet file ({str(error).splitlines()[0]})") from None


def read_table(path: Path) -> Any:
    """A parquet file as a table.

    Raises:
        DataError: pyarrow is not installed, or the file is missing or damaged.
    """
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        raise DataError("LeRobot logs need the package pyarrow: pip install 'fusion_aug[lerobot]'") from None
    try:
        return _table(path, path.stat().st_mtime_ns)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None


def column(table: Any, name: str) -> np.ndarray:
    """A column as an array (n, ...) of its own dtype.

    Raises:
        DataError: it is missing, or its rows have different lengths.
    """
    if name not in table.column_names:
        raise DataError(f"column {name!r} is missing (there are {', '.join(table.column_names)})")
    array = table[name].combine_chunks()
    shape: list[int] = []
    import pyarrow as pa

    while pa.types.is_list(array.type) or pa.types.is_large_list(array.type) or pa.types.is_fixed_size_list(array.type):
        inner = array.flatten()
        outer = len(array)
        if outer and len(inner) % outer:
            raise DataError(f"column {name!r}: rows of different lengths")
        shape.append(len(inner) // outer if outer else 0)
        array = inner
    return array.to_numpy(zero_copy_only=False).reshape(len(table), *shape)
