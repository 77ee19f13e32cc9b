"""robomimic HDF5 data sets: rows of every data set of every demonstration."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from fusion_aug.check.counts.core import Counted, Counts, counter, is_excluded, samples_per_frame, streams_of
from fusion_aug.check.counts.files import LogFiles
from fusion_aug.errors import DataError
from fusion_aug.safe.hdf5 import open_hdf5

PICTURE_AXES = 4  # row, height, width, channel


@counter("robomimic")
def count(root: Path, options: Mapping[str, Any]) -> Counted:
    """Frames of every vector and pictures of every camera."""
    files = LogFiles(root, options)
    path = next((p for p in files.matching("*") if p.suffix in (".hdf5", ".h5")), root / "*.hdf5")
    files.checked(path)
    try:
        with open_hdf5(path) as file:
            return {str(name): partial(count_demo, path, str(name), options) for name in file["data"]}
    except (OSError, KeyError) as error:
        raise DataError(f"{path}: is not a readable HDF5 file of demonstrations ({error})") from None


def count_demo(path: Path, demo: str, options: Mapping[str, Any]) -> Counts:
    """One demonstration: what lies in it, in ``obs``, and in groups that a run copies unread."""
    import h5py

    out: dict[str, dict[str, int]] = {}
    with open_hdf5(path) as file:
        found = dict(members(file["data"][demo], h5py.Dataset))
    for name, shape in found.items():
        if not (is_excluded(name, options) or is_excluded(name.partition("/")[0], options)) and shape:
            word = "pictures" if len(shape) == PICTURE_AXES else "frames"
            number = int(shape[0]) * (1 if word == "pictures" else samples_per_frame(name, shape[1:], options))
            stream = name_of(name)
            joints = stream.replace("joint_vel", "joint_pos")
            stream = joints if stream.endswith("joint_vel") and any(name_of(n) == joints for n in found) else stream
            out |= {n: {word: number} for n in streams_of(stream, name, options)}
    return out


def members(group: Any, kind: Any) -> list[tuple[str, tuple[int, ...]]]:
    """(name, shape) of the data sets of a group and of the groups in it."""
    found: list[tuple[str, tuple[int, ...]]] = []

    def look(name: str, item: Any) -> None:
        if isinstance(item, kind):
            found.append((name, item.shape))

    group.visititems(look)
    return found


def name_of(dataset: str) -> str:
    """What the stream of a data set is called."""
    return dataset.removeprefix("obs/").removesuffix("_image").replace("_depth", "/depth")
