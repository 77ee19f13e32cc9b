"""The folder ``fusion_aug/`` beside a log, for what its format has no place for.

The official tool ignores it; our readers merge it. It holds the streams, and the sensors and frames that they need.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote, unquote

from calib import Rig, rig_from_dict, rig_to_dict
from fusion_aug.errors import DataError
from fusion_aug.logs.files import inside, read_json, write_json
from fusion_aug.logs.store import column_sources, read_streams, write_columns, write_streams
from fusion_aug.sample import Sample
from fusion_aug.streams import LazyColumns, Points, Stream

FOLDER = "fusion_aug"
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


def merge_sidecar(sample: Sample, root: Path, *, rig_first: bool = False) -> Sample:
    """A sample with the streams, sensors and columns of its sidecar, if there is one.

    Args:
        sample: as the format's own files tell it. root: of the log.
        rig_first: whether the sidecar's rig comes before the sample's, for formats that hold no calibration.
    """
    folder = inside(root, f"{FOLDER}/samples/{sample.id}", "sidecar")
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
    return merged.with_unit(0, rig=rig, truth=rig)


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


__all__ = ["FOLDER", "merge_sidecar", "write_sidecar"]
