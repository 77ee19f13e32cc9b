"""HDF5 files whose data all lie in them.

A link to another file may stand anywhere, and a link within the file may lead through one; so all links of a file are
looked at once, before the first of them is followed; and so are the places where its data sets keep their numbers.
"""

from __future__ import annotations

from functools import lru_cache
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from calib.regular_files import check_regular
from fusion_aug.errors import DataError, MissingPackage
from fusion_aug.safe.arrow import check_declared
from fusion_aug.safe.guard import reads_file

MAX_DEPTH = 32  # groups within groups
ROW_BYTES = 8  # of memory, at the least, also of a row that holds nothing


def h5() -> Any:
    """h5py.

    Raises:
        MissingPackage: it is not installed.
    """
    try:
        import h5py
    except ImportError:
        raise MissingPackage("HDF5 logs need the package h5py: pip install '.[robomimic]'") from None
    return h5py


@reads_file
def open_hdf5(path: Path) -> Any:
    """Open an HDF5 file for reading.

    Raises:
        DataError: it cannot be read, or names another file.
    """
    check_regular(path)
    try:
        file = h5().File(path, "r")
    except OSError as error:
        raise DataError(f"{path}: is not a readable HDF5 file ({str(error).splitlines()[0]})") from None
    found = path.stat()
    try:
        _check_inside(path, found.st_mtime_ns, found.st_size)
    except BaseException:
        file.close()
        raise
    return file


@lru_cache(maxsize=16)
def _check_inside(path: Path, changed: int, size: int) -> None:
    """Raise unless all that a file names lies in it; once for a file that does not change."""
    h5py = h5()

    def look_at_link(name: bytes, link: Any) -> str | None:
        where = f"{path}: /{name.decode(errors='replace')}"
        if link.type not in (h5py.h5l.TYPE_HARD, h5py.h5l.TYPE_SOFT):
            return f"{where}: is a link to another file, which is not followed"
        return f"{where}: lies in more than {MAX_DEPTH} groups" if name.count(b"/") > MAX_DEPTH else None

    def look_at_data(name: str, found: Any) -> str | None:
        if not isinstance(found, h5py.Dataset):
            return None
        if found.external or found.is_virtual:
            return f"{path}: /{name}: its data lie in another file, which is not read"
        chunk = prod(found.chunks or (0,)) * found.dtype.itemsize  # which is unpacked as a whole
        check_declared(chunk, found.id.get_storage_size(), f"{path}: /{name}: chunks")
        return None

    with h5py.File(path, "r") as file:
        refusal = file.id.links.visit(look_at_link, info=True) or file.visititems(look_at_data)
    if refusal is not None:
        raise DataError(refusal)


def count_rows(dataset: Any, path: Path) -> int:
    """Rows of a dataset, unless they are far more than it stores: what was never written reads as zeros.

    Raises:
        DataError: they are.
    """
    rows = len(dataset)
    check_declared(max(dataset.nbytes, ROW_BYTES * rows), dataset.id.get_storage_size(), f"{path}: {dataset.name}")
    return rows


def read_rows(dataset: Any, rows: int | slice, path: Path) -> np.ndarray:
    """One row of a dataset, or all of them.

    Raises:
        DataError: they are damaged, or far more than it stores.
    """
    where = f"{path}: {dataset.name}"
    wanted = dataset.nbytes // (max(len(dataset), 1) if isinstance(rows, int) else 1)
    check_declared(wanted, dataset.id.get_storage_size(), where)
    try:
        return np.asarray(dataset[rows])
    except OSError as error:
        raise DataError(f"{where}: is damaged ({str(error).splitlines()[0]})") from None


def check_filters(dataset: Any, path: Path) -> None:
    """Raise unless all filters that a dataset is packed with are there, also such as a chunk may do without.

    Raises:
        DataError: one is not.
    """
    h5py = h5()
    for code, name in ((f[0], f[3]) for f in _filters(dataset)):
        if not h5py.h5z.filter_avail(code):
            about = f"{code} ({name.decode(errors='replace')})" if name else str(code)
            raise DataError(
                f"{path}: {dataset.name}: is packed with the HDF5 filter {about}, which is not installed; install its "
                f"plugin, or pack the data anew (h5repack -f GZIP=4)"
            )


def packing_of(dataset: Any) -> dict[str, Any]:
    """Arguments of ``create_dataset`` for a dataset packed as another one, also by the filter of a plugin."""
    if dataset.compression != "unknown":
        return {"compression": dataset.compression, "compression_opts": dataset.compression_opts}
    h5py = h5()
    own = next(f for f in _filters(dataset) if f[0] > h5py.h5z.FILTER_SCALEOFFSET)  # those of HDF5 are the first ones
    return {"compression": int(own[0]), "compression_opts": tuple(own[2])}


def _filters(dataset: Any) -> list[tuple[int, int, tuple[int, ...], bytes]]:
    """Code, flags, numbers and name of every filter of a dataset."""
    made = dataset.id.get_create_plist()
    return [made.get_filter(i) for i in range(made.get_nfilters())]


def get_member(group: Any, name: str, path: Path) -> Any:
    """Return a group or dataset of a file of ``open_hdf5`` by its path below a group.

    Raises:
        DataError: it is missing or damaged.
    """
    where = f"{path}: {group.name}/{name}".replace("//", "/")
    try:
        return group[name]
    except Exception:  # the library's many
        raise DataError(f"{where}: is missing or damaged") from None
