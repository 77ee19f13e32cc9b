"""Other names for the sensors of a sample, such as those that a loader of another format looks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from calib import Rig
from calib.replacing import replace_unchecked
from fusion_aug.errors import DataError
from fusion_aug.sample.sample import Sample
from fusion_aug.streams import Stream


def rename_sensors(sample: Sample, names: Mapping[str, str]) -> Sample:
    """The sample with sensors and streams under other names; frames of the rig keep theirs.

    Streams that belong to a sensor go along (``CAMERA/depth``), and so do mirror partners.

    Args:
        sample: one sample, before any transform, whose record would hold the old names.
        names: old name -> new name.

    Raises:
        DataError: there is no sensor or stream of a name, two would get one name, or the sample has a history.
    """
    known = {*sample.streams, *sample.rig.sensors}
    for name in names:
        if name not in known:
            raise DataError(f"rename_sensors: there is no sensor {name!r} (there are {', '.join(sorted(known))})")
    if sample.history:
        raise DataError(
            "rename_sensors: the sample has a history, which holds the old names; rename before the pipeline"
        )
    streams = {_new(n, names): _renamed(s, names) for n, s in sample.streams.items()}
    rigs = {field: _renamed_rig(getattr(sample.meta, field), names) for field in ("rig", "true_rig")}
    if len(streams) < len(sample.streams) or len(rigs["rig"].sensors) < len(sample.rig.sensors):
        raise DataError(f"rename_sensors: two sensors would have one name ({', '.join(names.values())})")
    if sample.true_rig is sample.rig:
        rigs["true_rig"] = rigs["rig"]
    return sample.with_streams(streams).with_meta(0, **rigs, clock=_new(sample.meta.clock, names))


def _new(name: str, names: Mapping[str, str]) -> str:
    head, slash, tail = name.partition("/")
    return names.get(name, names.get(head, head) + slash + tail)


def _renamed(stream: Stream, names: Mapping[str, str]) -> Stream:
    camera: Any = getattr(stream, "camera", "")
    return replace(stream, camera=_new(camera, names)) if camera else stream  # type: ignore[call-arg]


def _renamed_rig(rig: Rig, names: Mapping[str, str]) -> Rig:
    sensors = {
        _new(n, names): s if s.mirror_of is None else replace_unchecked(s, mirror_of=_new(s.mirror_of, names))
        for n, s in rig.sensors.items()
    }
    return Rig(rig.frames, sensors)


__all__ = ["rename_sensors"]
