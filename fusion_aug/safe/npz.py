"""Arrays in npz files, whose sizes are compared with that of their file before one of them is unpacked."""

from __future__ import annotations

import math
import zipfile
from typing import Any

import numpy as np

from fusion_aug.errors import DataError

MAX_ARRAY_BYTES = 8 * 2**30
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
        version = np.lib.format.read_magic(file)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = header(file)
    place = f"{where}: {info.filename.removesuffix('.npy')}"
    if dtype.kind not in "biufU":
        raise DataError(f"{place}: arrays of type {dtype} are not read")
    if math.prod(shape) * dtype.itemsize > info.file_size:
        raise DataError(f"{place}: declares {shape} numbers, more than it holds")
    return tuple(shape)


def checked_array(archive: zipfile.ZipFile, info: zipfile.ZipInfo, where: Any) -> np.ndarray:
    """One array; see ``checked_shape``."""
    checked_shape(archive, info, where)
    with archive.open(info) as file:
        array: np.ndarray = np.lib.format.read_array(file, allow_pickle=False)
    return array
