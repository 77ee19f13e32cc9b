"""The folder ``fusion_aug/`` beside a log, for what its format has no place for.

The official tool ignores it; our readers merge it. It holds the streams, and the sensors and frames that they need.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from calib import Rig, rig_from_dict, rig_to_dict
from fusion_aug.logs.files import inside, read_json, write_json
from fusion_aug.logs.store import read_streams, write_streams
from fusion_aug.sample import Sample

FOLDER = "fusion_aug"


def write_sidecar(sample: Sample, held: Collection[str], out_id: str, folder: Path, link: str = "copy") -> None:
    """Write the streams that the format does not hold; nothing if it holds all.

    Args:
        sample: what is written.
        held: names of the streams that the format holds.
        out_id: id of the output sample.
        folder: root of the output (or of its staging area).
        link: how untouched files are taken over.
    """
    extra = {n: s for n, s in sample.streams.items() if n not in held}
    if not extra:
        return
    target = folder / FOLDER / "samples" / out_id
    write_streams(extra, target / "streams", link)
    write_json(rig_to_dict(sample.rig, exact=True), target / "rig.json")


def merge_sidecar(sample: Sample, root: Path) -> Sample:
    """A sample with the streams and sensors of its sidecar, if there is one."""
    folder = inside(root, f"{FOLDER}/samples/{sample.id}", "sidecar")
    if not folder.is_dir():
        return sample
    extra = read_streams(folder / "streams")
    told = rig_from_dict(read_json(folder / "rig.json"), str(folder / "rig.json"))
    # what the format itself says comes first
    rig = Rig({**told.frames, **sample.rig.frames}, {**told.sensors, **sample.rig.sensors})
    merged = sample.with_streams({**sample.streams, **extra})
    return merged.with_unit(0, rig=rig, truth=rig)


__all__ = ["FOLDER", "merge_sidecar", "write_sidecar"]
