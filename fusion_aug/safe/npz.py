"""Arrays in npz files, whose sizes are compared with that of their file before one of them is unpacked."""

from __future__ import annotations

import io
import math
import zipfile
from functools import lru_cache
from typing import IO, Any

import numpy as np

from fusion_aug.errors import DataError

MAX_ARRAY_BYTES = 8 * 2**30
BLOCK = 2**22  # bytes that are unpacked at a time
Head = tuple[tuple[int, ...], bool, np.dtype[Any]]  # shape, whether its first index runs fastest, type
SMALL_BYTES, MOST_PACKED = 2**29, 200  # of arrays whatever the size of their file, and per byte of it


def checked_members(archive: zipfile.ZipFile, size: int, where: Any) -> dict[str, zipfile.ZipInfo]:
    """Name -> member of every array of an npz file.

    Args:
        archive: the file. size: of it, bytes. where: file, for messages.

    Raises:
        DataError: the arrays have more bytes than a file of its size may stand for.
    """
    members = archive.infolist()
    total = sum(i.file_size for i in members)
    most = min(MAX_ARRAY_BYTES, SMALL_BYTES + MOST_PACKED * size)
    if total > most:
        raise DataError(f"{where}: {total} bytes of arrays are more than the {most} of a file of its size")
    return {i.filename.removesuffix(".npy"): i for i in members}


def checked_shape(archive: zipfile.ZipFile, info: zipfile.ZipInfo, where: Any) -> tuple[int, ...]:
    """Shape of an array, from its head.

    Args:
        archive: the file. info: the member. where: file, for messages.

    Raises:
        DataError: it holds no numbers and no text, or declares more of them than the member has bytes for.
    """
    with archive.open(info) as file:
        shape, _, _ = _checked_head(file, info, where)
    return shape


def checked_array(archive: zipfile.ZipFile, info: zipfile.ZipInfo, where: Any) -> np.ndarray:
    """One array; see ``checked_shape``."""
    with archive.open(info) as file:
        shape, by_columns, dtype = _checked_head(file, info, where)
        array = np.empty(math.prod(shape), dtype)
        room, done = array.view(np.uint8).data if array.nbytes else None, 0
        while done < array.nbytes:
            part = file.read(min(BLOCK, array.nbytes - done))
            if not part:
                raise ValueError(f"{done} of {array.nbytes} bytes of {info.filename} are there")
            room[done : done + len(part)] = part  # type: ignore[index]
            done += len(part)
    return array.reshape(shape[::-1]).T if by_columns else array.reshape(shape)


def _checked_head(file: IO[bytes], info: zipfile.ZipInfo, where: Any) -> Head:
    version = np.lib.format.read_magic(file)
    size = file.read(2 if version == (1, 0) else 4)
    shape, by_columns, dtype = _head(version, size + file.read(int.from_bytes(size, "little")))
    place = f"{where}: {info.filename.removesuffix('.npy')}"
    if dtype.kind not in "biufU":
        raise DataError(f"{place}: arrays of type {dtype} are not read")
    if math.prod(shape) * dtype.itemsize > info.file_size:
        raise DataError(f"{place}: declares {shape} numbers, more than it holds")
    return shape, by_columns, dtype


@lru_cache(maxsize=1024)
def _head(version: tuple[int, int], raw: bytes) -> Head:
    """What the head of an array says; the same few occur again and again."""
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, by_columns, dtype = read(io.BytesIO(raw))
    return tuple(shape), by_columns, dtype
