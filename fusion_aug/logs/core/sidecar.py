"""The folder ``fusion_aug/`` beside a log, for what its format has no place for.

The official tool ignores it; our readers merge it. It holds the streams, and the sensors and frames that they need.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote, unquote

from torch import Tensor

from calib import Rig, rig_from_dict, rig_to_dict
from fusion_aug.errors import DataError
from fusion_aug.logs.core.files import inside, read_json, write_json
from fusion_aug.logs.core.store import column_sources, read_streams, write_columns, write_streams
from fusion_aug.sample import Sample
from fusion_aug.streams import LazyColumns, Points, Stream

FOLDER = "fusion_aug"
IDS = "ids.json"  # id under which a sample is read -> id under which it was written, where a format renames
CHANGES = "rig_changes.json"  # frames and sensors of which the format's own files do not tell
Held = Mapping[str, Collection[str] | None]


def write_sidecar(sample: Sample, held: Held, out_id: str, folder: Path, link: str = "copy") -> None:
    """Write what the format does not hold; nothing if it holds all.

    Args:
        sample: what is written.
        held: streams that the format holds, and of clouds the columns that it has a place for (None for all).
        out_id: id of the output sample.
        folder: root of the output (or of its staging area).
        link: how untouched files are taken over.
    """
    target = folder / FOLDER / "samples" / out_id
    extra = {n: s for n, s in sample.streams.items() if n not in held}
    if extra:
        write_streams(extra, target / "streams", link)
        write_json(rig_to_dict(sample.rig, exact=True), target / "rig.json")
    for name, columns in held.items():
        stream = sample.streams.get(name)
        if columns is None or not isinstance(stream, Points):
            continue
        left = [c for c in stream.values if c not in columns]
        if left:
            write_columns(stream, left, target / "columns" / f"{quote(name, safe=' ')}.npz")


def sidecar_of(root: Path, sample_id: str) -> Path:
    """Folder of a sample's sidecar, which may not exist."""
    return inside(root, f"{FOLDER}/samples/{written_ids(root).get(sample_id, sample_id)}", "sidecar")


def written_ids(root: Path) -> dict[str, str]:
    """Ids of the samples of a log that a run wrote under another one: id in the log -> id in the manifest."""
    path = root / FOLDER / IDS
    return {str(k): str(v) for k, v in read_json(path).items()} if path.is_file() else {}


def write_ids(out: Path, ids: Mapping[str, str]) -> None:
    """Write the ids that differ; nothing if none does."""
    differ = {k: v for k, v in ids.items() if k != v}
    if differ:
        (out / FOLDER).mkdir(parents=True, exist_ok=True)
        write_json(differ, out / FOLDER / IDS)


def write_changes(rig: Rig, before: Rig, told: Collection[str], out_id: str, folder: Path) -> None:
    """Write what changed in a rig and stands in no file of the format; nothing if nothing did.

    Args:
        rig, before: of the sample and of its source.
        told: frames of which the format's own files tell.
        out_id, folder: see ``write_sidecar``.
    """
    if rig is before:
        return
    new, old = rig_to_dict(_still(rig, told), exact=True), rig_to_dict(_still(before, told), exact=True)
    changes = {
        part: {n: v for n, v in new[part].items() if v != old[part].get(n) and not _told(v, old[part].get(n))}
        for part in ("frames", "sensors")
    }
    if any(changes.values()):
        write_json(changes, folder / FOLDER / "samples" / out_id / CHANGES)


def _still(rig: Rig, told: Collection[str]) -> Rig:
    """The frames that no joint and no trajectory moves, without those that are told."""
    fixed = {n: f for n, f in rig.frames.items() if n not in told and (f.pose is None or isinstance(f.pose, Tensor))}
    return Rig(fixed, rig.sensors)


def _told(sensor: Mapping[str, object], before: Mapping[str, object] | None) -> bool:
    """Whether the format tells all that changed: lenses and pixel maps of cameras."""
    camera = sensor.get("kind") == "camera"
    return camera and before is not None and sensor.get("readout") == before.get("readout")


def with_changes(rig: Rig, root: Path, sample_id: str) -> Rig:
    """A rig with what ``write_changes`` wrote for a sample."""
    path = sidecar_of(root, sample_id) / CHANGES
    return rig_from_dict(read_json(path), str(path), rig) if path.is_file() else rig


def merge_sidecar(sample: Sample, root: Path, *, rig_first: bool = False) -> Sample:
    """A sample with the streams, sensors and columns of its sidecar, if there is one.

    Args:
        sample: as the format's own files tell it. root: of the log.
        rig_first: whether the sidecar's rig comes before the sample's, for formats that hold no calibration.
    """
    folder = sidecar_of(root, sample.id)
    if not folder.is_dir():
        return sample
    extra = read_streams(folder / "streams")
    columns = {unquote(p.stem): p for p in sorted((folder / "columns").glob("*.npz"))}
    merged = sample.with_streams({**_with_columns(sample, columns), **extra})
    if not (folder / "rig.json").is_file():
        return merged
    told = rig_from_dict(read_json(folder / "rig.json"), str(folder / "rig.json"))
    # what the format itself says comes first
    rig = told if rig_first else Rig({**told.frames, **sample.rig.frames}, {**told.sensors, **sample.rig.sensors})
    return merged.with_meta(0, rig=rig, true_rig=rig)


def _with_columns(sample: Sample, files: Mapping[str, Path]) -> dict[str, Stream]:
    streams: dict[str, Stream] = dict(sample.streams)
    for name, path in files.items():
        stream = sample.streams.get(name)
        if not isinstance(stream, Points) or not isinstance(stream.values, LazyColumns):
            raise DataError(f"{path}: the log has no cloud {name!r} that the columns could belong to")
        sources, names = column_sources(path, len(stream))
        values = LazyColumns(stream.values.sources, (*stream.values.names, *names), sources)
        streams[name] = replace(stream, values=values, offsets=None)
    return streams


__all__ = [
    "FOLDER", "merge_sidecar", "sidecar_of", "with_changes", "write_changes", "write_ids", "write_sidecar",
    "written_ids",
]  # fmt: skip
