"""Arrays as npz files, whose bytes depend on the arrays alone, and which hold no pickles."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from calib.regular_files import open_regular
from fusion_aug.safe.guard import reads_file
from fusion_aug.safe.npz import checked_array, checked_members


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
        return {name: checked_array(archive, i, path) for name, i in checked_members(archive, size, path).items()}


def write_npz(arrays: dict[str, Any], path: Path) -> None:
    """Write an npz whose bytes depend on the arrays alone (NumPy's own writer stores the time of writing)."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, array in arrays.items():
            info = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(info, "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.ascontiguousarray(array), allow_pickle=False)
