"""The sidecar: the folder ``fusion_aug/`` in a log, for what its format cannot hold.

The official tool ignores it; our readers merge it. It holds the streams, and the sensors and frames that they need.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import quote, unquote

import torch
from torch import Tensor

from calib import Frame, Rig, Trajectory, rig_from_dict, rig_to_dict
from calib.regular_files import is_there, status
from calib.replacing import replace_unchecked
from fusion_aug.errors import DataError
from fusion_aug.logs.core.files import read_json, write_json
from fusion_aug.logs.core.store import column_sources, read_streams, write_columns, write_streams
from fusion_aug.logs.core.stored import StoredFolder
from fusion_aug.logs.core.tree import Tree, tree_of
from fusion_aug.sample import Sample
from fusion_aug.streams import LazyColumns, Points, Stream
from fusion_aug.streams.lazy_columns import CLASSES, UNLABELLED
from fusion_aug.streams.meanings import read_meaning

FOLDER = "fusion_aug"
IDS = "ids.json"  # id in the log -> id in the manifest, where a format renames samples
CHANGES = "rig_changes.json"  # changed frames and sensors that the format's own files do not hold
StoredColumns = Mapping[str, Collection[str] | None]


def write_sidecar(sample: Sample, stored: StoredColumns, out_id: str, folder: Path, link: str = "copy") -> None:
    """Write what the format does not hold; nothing if it holds all.

    Args:
        sample: what is written.
        stored: stream that the format holds -> columns of a cloud that it has a place for, None for all.
        out_id: id of the output sample.
        folder: root of the output, or of its staging area.
        link: "copy" or "hard", for untouched files.
    """
    target = folder / FOLDER / "samples" / out_id
    extra = {n: s for n, s in sample.streams.items() if n not in stored}
    if extra:
        write_streams(extra, target / "streams", link)
        write_json(rig_to_dict(sample.rig, exact=True), target / "rig.json")
    for name, columns in stored.items():
        stream = sample.streams.get(name)
        if columns is None or not isinstance(stream, Points):
            continue
        left = [c for c in stream.values if c not in columns]
        if left:
            path = target / "columns" / f"{quote(name, safe=' ')}.npz"
            write_columns(stream, left, path)
            _write_facts(stream, left, path.with_suffix(".json"))


def _write_facts(cloud: Points, columns: Collection[str], path: Path) -> None:
    """Write what the cloud knows of the columns of the sidecar: classes of points, and what its own columns mean."""
    facts: dict[str, Any] = {}
    if any(c in CLASSES for c in columns) and (cloud.label_names or cloud.air_label != UNLABELLED):
        facts = {"air_label": cloud.air_label, "label_names": list(cloud.label_names)}
    meanings = [m for m in cloud.meanings if read_meaning(m).name in columns]
    if facts or meanings:
        write_json(facts | ({"meanings": meanings} if meanings else {}), path)


def _facts(path: Path) -> dict[str, Any]:
    """Fields of a cloud that ``_write_facts`` wrote; none where it wrote nothing."""
    if not is_there(path):
        return {}
    data = read_json(path)
    data = data if isinstance(data, dict) else {"label_names": None}
    names, meanings, air = (
        data.get(n, d) for n, d in (("label_names", []), ("meanings", []), ("air_label", UNLABELLED))
    )
    texts = [*names, *meanings] if isinstance(names, list) and isinstance(meanings, list) else [None]
    if not all(isinstance(n, str) for n in texts) or type(air) is not int:
        raise DataError(f"{path}: expected air_label, a whole number, label_names and meanings, lists of texts")
    for meaning in meanings:
        read_meaning(meaning)
    found = {"air_label": air, "label_names": tuple(names), "meanings": tuple(meanings)}
    return {n: v for n, v in found.items() if n in data}


def sidecar_of(root: Path | Tree, sample_id: str) -> Path:
    """Folder of a sample's sidecar, which may not exist."""
    name = ids_in_manifest(root).get(sample_id, sample_id)
    return tree_of(root).path(f"{FOLDER}/samples/{name}", "sidecar")


def ids_in_manifest(root: Path | Tree) -> Mapping[str, str]:
    """Return id in the log -> id in the manifest, of the samples that a run renamed."""
    path = tree_of(root).path(f"{FOLDER}/{IDS}", "sidecar")
    if not is_there(path):
        return {}
    try:
        facts = status(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    return _ids_of(path, facts.st_ino, facts.st_size, facts.st_mtime_ns)


@lru_cache(maxsize=8)
def _ids_of(path: Path, *facts: int) -> Mapping[str, str]:
    """What a file says that the file system tells such facts of; every sample asks for it."""
    return MappingProxyType({str(k): str(v) for k, v in read_json(path).items()})


def write_ids(out: Path, ids: Mapping[str, str]) -> None:
    """Write the ids that differ (id in the log -> id in the manifest); nothing if none does."""
    differ = {k: v for k, v in ids.items() if k != v}
    if differ:
        (out / FOLDER).mkdir(parents=True, exist_ok=True)
        write_json(differ, out / FOLDER / IDS)


def write_changes(rig: Rig, before: Rig, in_format: Collection[str], out_id: str, folder: Path) -> None:
    """Write the changes of a rig that no file of the format holds; nothing if there are none.

    Args:
        rig, before: of the sample and of its source.
        in_format: frames whose poses the format's own files hold.
        out_id: id of the output sample.
        folder: root of the output, or of its staging area.
    """
    if rig is before:
        return
    new, old = (rig_to_dict(_static_frames(r, in_format), exact=True) for r in (rig, before))
    changes = {
        part: {n: v for n, v in new[part].items() if v != old[part].get(n) and not _format_holds(v, old[part].get(n))}
        for part in ("frames", "sensors")
    }
    if any(changes.values()):
        write_json(changes, folder / FOLDER / "samples" / out_id / CHANGES)


def _static_frames(rig: Rig, in_format: Collection[str]) -> Rig:
    """Return the rig with the frames that neither move nor are held by the format."""
    fixed = {
        n: f for n, f in rig.frames.items() if n not in in_format and (f.pose is None or isinstance(f.pose, Tensor))
    }
    return Rig(fixed, rig.sensors)


def _format_holds(sensor: Mapping[str, object], before: Mapping[str, object] | None) -> bool:
    """Whether the format holds everything that changed of a sensor: lens and pixel map of a camera."""
    camera = sensor.get("kind") == "camera"
    return camera and before is not None and sensor.get("readout") == before.get("readout")


def with_changes(rig: Rig, root: Path | Tree, sample_id: str) -> Rig:
    """Return a rig with the changes that ``write_changes`` wrote for a sample."""
    folder = sidecar_of(root, sample_id)
    path = tree_of(root).path(CHANGES, str(folder), folder)
    return rig_from_dict(read_json(path), str(path), rig) if is_there(path) else rig


def rig_of_sidecar(root: Path | Tree, sample_id: str) -> Rig | None:
    """The calibration that a sample's sidecar holds; None where it holds none.

    Raises:
        DataError: the file is damaged.
    """
    folder = sidecar_of(root, sample_id)
    path = tree_of(root).path("rig.json", str(folder), folder)
    return rig_from_dict(read_json(path), str(path)) if is_there(path) else None


def merge_sidecar(sample: Sample, root: Path | Tree, *, rig_first: bool = False) -> Sample:
    """Return a sample with the streams, sensors and columns of its sidecar, if there is one.

    Args:
        sample: as read from the format's own files.
        root: of the log, or ``Log.tree``, which knows the links that are followed.
        rig_first: whether the sidecar's rig takes precedence, for formats that hold no calibration.

    Raises:
        DataError: a file of the sidecar is damaged, or its columns do not fit the cloud.
    """
    tree = tree_of(root)
    folder = sidecar_of(tree, sample.id) if is_there(tree.path(FOLDER, "sidecar")) else None
    if folder is None or not folder.is_dir():
        return sample
    extra = read_streams(StoredFolder(folder / "streams", tree))
    found = [tree.path(e.name, str(folder), folder / "columns") for e in tree.entries(folder / "columns")]
    columns = {unquote(p.stem): p for p in found if p.suffix == ".npz"}
    merged = sample.with_streams({**_with_columns(sample, columns, tree), **extra})
    stored_rig = rig_of_sidecar(tree, sample.id)
    if stored_rig is None:
        return merged
    # the calibration in the format's own files takes precedence
    rig = (
        stored_rig
        if rig_first
        else Rig(_joined_frames(stored_rig, sample.rig), {**stored_rig.sensors, **sample.rig.sensors})
    )
    return merged.with_meta(0, rig=rig, true_rig=rig)


def _joined_frames(stored: Rig, official: Rig) -> dict[str, Frame]:
    """Frames of the format's own files and those of the sidecar, which also knows poses at times of its own streams."""
    frames = {**stored.frames, **official.frames}
    for name in stored.frames.keys() & official.frames.keys():
        own, more = official.frames[name], stored.frames[name]
        if isinstance(own.pose, Trajectory) and isinstance(more.pose, Trajectory) and own.parent == more.parent:
            times, poses = (own.pose.times, more.pose.times), (own.pose.poses, more.pose.poses)
            frames[name] = replace_unchecked(own, pose=Trajectory.from_unsorted(torch.cat(times), torch.cat(poses)))
    return frames


def _with_columns(sample: Sample, files: Mapping[str, Path], tree: Tree) -> dict[str, Stream]:
    streams: dict[str, Stream] = dict(sample.streams)
    for name, path in files.items():
        stream = sample.streams.get(name)
        if not isinstance(stream, Points) or not isinstance(stream.values, LazyColumns):
            raise DataError(f"{path}: the log has no cloud {name!r} that the columns could belong to")
        sources, names = column_sources(path, len(stream))
        about = _facts(tree.path(path.with_suffix(".json").name, str(path.parent), path.parent))
        streams[name] = replace(stream, values=stream.values.with_extra(sources, names), offsets=None, **about)
    return streams


__all__ = [
    "FOLDER", "ids_in_manifest", "merge_sidecar", "rig_of_sidecar", "sidecar_of", "with_changes", "write_changes",
    "write_ids", "write_sidecar",
]  # fmt: skip
