"""Arrays as npz files, whose bytes depend on the arrays alone, and which hold no pickles."""

from __future__ import annotations

import io
import math
import os
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from calib.regular_files import open_regular
from fusion_aug.errors import DataError
from fusion_aug.safe.guard import reads_file

MAX_ARRAY_BYTES = 8 * 2**30
SMALL_BYTES, MOST_PACKED = 2**29, 200  # of arrays whatever the size of their file, and per byte of it


@reads_file
def npz_names(path: Path) -> list[str]:
    """Names of the arrays in an npz file.

    Raises:
        DataError: it is missing or damaged.
    """
    with open_regular(path) as file, zipfile.ZipFile(file) as archive:
        return [n.removesuffix(".npy") for n in archive.namelist()]


@reads_file
def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Arrays of an npz file, refusing pickles and more bytes than a file of its size may stand for.

    Raises:
        DataError: the file is missing, damaged, too large or holds objects.
    """
    with open_regular(path) as file:
        return _arrays(file, os.fstat(file.fileno()).st_size, path)


@reads_file
def parse_npz(path: Path, raw: bytes) -> dict[str, np.ndarray]:
    """Arrays of the bytes of an npz file, see ``read_npz``; ``path`` is where they are from."""
    return _arrays(io.BytesIO(raw), len(raw), path)


def _arrays(file: BinaryIO | io.BytesIO, size: int, path: Path) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(file) as archive:
        total = sum(i.file_size for i in archive.infolist())
        most = min(MAX_ARRAY_BYTES, SMALL_BYTES + MOST_PACKED * size)
        if total > most:
            raise DataError(f"{path}: {total} bytes of arrays are more than the {most} of a file of its size")
        return {i.filename.removesuffix(".npy"): _member(archive, i, path) for i in archive.infolist()}


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> np.ndarray:
    """One array of an npz file; the size that it declares is compared with that of its member before it is made."""
    with archive.open(info) as file:
        version = np.lib.format.read_magic(file)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = header(file)
    where = f"{path}: {info.filename.removesuffix('.npy')}"
    if dtype.kind not in "biufU":
        raise DataError(f"{where}: arrays of type {dtype} are not read")
    if math.prod(shape) * dtype.itemsize > info.file_size:
        raise DataError(f"{where}: declares {shape} numbers, more than it holds")
    with archive.open(info) as file:
        array: np.ndarray = np.lib.format.read_array(file, allow_pickle=False)
    return array


def write_npz(arrays: dict[str, Any], path: Path) -> None:
    """Write an npz whose bytes depend on the arrays alone (NumPy's own writer stores the time of writing)."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, array in arrays.items():
            info = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(info, "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.ascontiguousarray(array), allow_pickle=False)
