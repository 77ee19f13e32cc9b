"""ALOHA HDF5 episodes: rows of every data set."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from fusion_aug.check.counts.core import (
    Counted,
    Counts,
    counter,
    declared_parts,
    is_excluded,
    samples_per_frame,
    streams_of,
)
from fusion_aug.check.counts.files import LogFiles
from fusion_aug.errors import DataError
from fusion_aug.safe.hdf5 import open_hdf5

IMAGES = "observations/images/"
JOINTS = ("observations/qvel", "observations/effort")  # of the stream of observations/qpos
NOT_DATA = ("compress_len",)


@counter("aloha")
def count(root: Path, options: Mapping[str, Any]) -> Counted:
    """Frames of every vector and pictures of every camera."""
    files = LogFiles(root, options)
    found = (p for p in files.matching("episode_*.hdf5") if p.stem[len("episode_") :].isdecimal())
    return {path.stem: partial(count_episode, files, path, options) for path in found}


def count_episode(files: LogFiles, path: Path, options: Mapping[str, Any]) -> Counts:
    """One episode; rows of another number than that of the frames are of no stream."""
    import h5py

    files.checked(path)
    found: dict[str, tuple[int, ...]] = {}
    try:
        with open_hdf5(path) as file:
            file.visititems(lambda n, item: found.update({n: item.shape}) if isinstance(item, h5py.Dataset) else None)
            frames = int(file["action"].shape[0])
    except (OSError, KeyError) as error:
        raise DataError(f"{path}: is not a readable HDF5 file of an episode ({error})") from None
    out: dict[str, dict[str, int]] = {}
    for dataset, shape in found.items():
        if is_excluded(dataset, options) or dataset in NOT_DATA or shape[:1] != (frames,):
            continue
        if dataset.startswith(IMAGES):
            out[dataset.removeprefix(IMAGES)] = {"pictures": frames}
        elif len(shape) <= 2:
            joined = (
                dataset in JOINTS and not declared_parts(dataset, options) and shape == found.get("observations/qpos")
            )
            stream = "qpos" if joined else dataset.removeprefix("observations/")
            each = {"frames": frames * samples_per_frame(dataset, shape[1:], options)}
            out |= dict.fromkeys(streams_of(stream, dataset, options), each)
    return out
