"""Streams as the folder format and the sidecars hold them: ``stream.json``, ``arrays.npz`` and pictures."""

from __future__ import annotations

import zipfile
from pathlib import Path
from urllib.parse import unquote

import numpy as np

from calib.regular_files import check_regular
from fusion_aug.check.counts.core import Counts, is_whole_picture, read_json
from fusion_aug.errors import DataError

SIDECAR = "fusion_aug"
CLOUDS, BOXES = ("Points", "Lidar", "Radar"), ("Boxes2D", "Boxes3D")


def count_streams(folder: Path) -> Counts:
    """All streams below a folder."""
    found = sorted(folder.glob("*/stream.json"))
    return {unquote(p.parent.name): count_stream(p.parent) for p in found}


def count_stream(folder: Path) -> dict[str, int]:
    """One stream, by the shapes of its arrays."""
    header = read_json(folder / "stream.json")
    kind, named = str(header.get("class")), list(header.get("pictures", ()))
    sizes, present = shapes(folder / "arrays.npz"), items_present(folder / "arrays.npz")
    items = sum(present)
    arrays = sum(name.startswith("items/") for name in sizes)
    if named or arrays:
        whole = [is_whole_picture(folder / Path(n).name) for n in named] or [True] * arrays
        return {"pictures": sum(w and p for w, p in zip(whole, present, strict=False))}
    rows = max((shape[0] for name, shape in sizes.items() if name.startswith("values/") and shape), default=0)
    if kind in CLOUDS:
        return {"sweeps": items, "points": rows}
    if kind in BOXES:
        return {"boxes": rows}
    return {"items": items, "rows": rows} if "fields/offsets" in sizes else {"items": items}


def items_present(path: Path) -> list[bool]:
    """Which items were received, of those that have a time.

    Raises:
        DataError: the arrays are damaged.
    """
    try:
        check_regular(path)
        with np.load(path, allow_pickle=False) as arrays:
            count = len(arrays["fields/capture_times"])
            return list(arrays["fields/present"]) if "fields/present" in arrays else [True] * count
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: the arrays are damaged ({error})") from None


def shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Name -> shape of the arrays of an npz file, from their headers.

    Raises:
        DataError: it is missing or damaged.
    """
    out = {}
    try:
        check_regular(path)
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                with archive.open(name) as file:
                    version = np.lib.format.read_magic(file)
                    read = (
                        np.lib.format.read_array_header_1_0
                        if version == (1, 0)
                        else np.lib.format.read_array_header_2_0
                    )
                    out[name.removesuffix(".npy")] = read(file)[0]
    except (OSError, zipfile.BadZipFile, ValueError) as error:
        raise DataError(f"{path}: the arrays are damaged ({error})") from None
    return out


def renamed(root: Path) -> dict[str, str]:
    """Id in a log -> id in the manifest, of the samples that a run renamed."""
    path = root / SIDECAR / "ids.json"
    return {str(k): str(v) for k, v in read_json(path).items()} if path.is_file() else {}


def count_sidecar(root: Path, sample_id: str) -> Counts:
    """Streams of a sample that the format of a log has no place for.

    Args:
        root: of the log. sample_id: as the manifest has it, where a run wrote the log.
    """
    return count_streams(root / SIDECAR / "samples" / sample_id / "streams")
