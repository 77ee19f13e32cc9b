"""Columns of clouds and boxes of any log as nuScenes' files and tables hold them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from calib import LidarSensor
from fusion_aug.errors import DataError
from fusion_aug.logs.nuscenes.clouds import FLAGS, LIDAR_COLUMNS, RADAR_COLUMNS
from fusion_aug.logs.nuscenes.reader import VISIBILITY, VISIBLE
from fusion_aug.logs.nuscenes.writer import visibility_token
from fusion_aug.ops.random import digest
from fusion_aug.sample import REF, Sample
from fusion_aug.sample.ego import with_both_velocities
from fusion_aug.streams import Boxes3D, Camera, Points, Radar, Stream, strings

BOXES = "boxes"
SCALE = 255.0  # of nuScenes' intensities
UNKNOWN_RING = -1
# codes of a detection of which the motion is not known: dynamic property unknown, valid, unambiguous
UNKNOWN_MOTION = {"dyn_prop": 4, "is_quality_valid": 1, "ambig_state": 3}


def token_of(table: str, *parts: Any) -> str:
    """The token of a record, 32 hex digits."""
    return digest("nuscenes", table, *parts)


def held_stream(sample: Sample, name: str) -> Stream:
    """A stream of a channel with the columns that its files hold; further ones go along for the sidecar.

    Raises:
        DataError: a cloud lacks a column, or the scale of its intensities is not known.
    """
    stream = sample[name]
    if isinstance(stream, Camera):
        return replace(stream, camera="")
    assert isinstance(stream, Points)
    stream = stream.loaded()
    if "xyz" not in stream.values:
        raise DataError(f"sample {sample.id!r}: {name}: has no column xyz")
    # the tables have no frames for several scanners of one cloud
    values = {k: v for k, v in stream.values.items() if k != "origin"}
    values["xyz"] = values["xyz"].to(torch.float32)
    if isinstance(stream, Radar):
        number = torch.arange(stream.rows) - stream.bounds[stream.row_item]
        values |= _radar_columns(values, with_both_velocities(sample, name), number)
        return replace(stream, values=_ordered(values, RADAR_COLUMNS), origins=(), motion="raw")
    values |= {"intensity": _intensity(sample, name, values), "ring": _ring(values)}
    return replace(stream, values=_ordered(values, LIDAR_COLUMNS), origins=(), motion="compensated")


def _ordered(values: Mapping[str, Any], first: tuple[str, ...]) -> dict[str, Any]:
    return {k: values[k] for k in (*first, *values)}


def _intensity(sample: Sample, name: str, values: Mapping[str, Any]) -> Tensor:
    if "intensity" not in values:
        raise DataError(f"sample {sample.id!r}: {name}: has no column intensity, which nuScenes' files hold")
    sensor = sample.rig.sensors.get(sample[name].instance(name))
    scale = sensor.intensity_scale if isinstance(sensor, LidarSensor) else None
    if scale is None:
        raise DataError(
            f"sample {sample.id!r}: {name}: the scale of its intensities is not known; give log.intensity_scale, or "
            f"in Python LidarSensor(intensity_scale=...)"
        )
    intensity: Tensor = values["intensity"].to(torch.float64) * (SCALE / scale)
    return intensity.round().to(torch.float32)


def _ring(values: Mapping[str, Any]) -> Tensor:
    unknown = torch.full((len(values["xyz"]),), UNKNOWN_RING, dtype=torch.int64)
    ring: Tensor = values.get("ring", unknown).to(torch.int64)
    return ring


def _radar_columns(values: Mapping[str, Any], moving: Radar, number: Tensor) -> dict[str, Tensor]:
    """Columns of the 18 fields.

    Args:
        values: columns of the stream. moving: the stream with raw and compensated velocities, NaN where unknown.
        number: (n,) of every detection in its scan, its id where it has none.
    """
    n = len(number)
    out = {"rcs": values.get("rcs", torch.zeros(n)).to(torch.float32)}
    for name in ("velocity", "velocity_comp"):  # the files hold no vertical part
        velocity = moving[name] if name in values else moving[name].nan_to_num(0.0)
        out[name] = velocity.to(torch.float32) * torch.tensor([1.0, 1.0, 0.0])
    flags = values.get("flags")
    if flags is None or tuple(flags.shape[1:]) != (len(FLAGS),):
        flags = torch.zeros((n, len(FLAGS)), dtype=torch.int64)
        flags[:, FLAGS.index("id")] = number % 2**15
        for word, code in UNKNOWN_MOTION.items():
            flags[:, FLAGS.index(word)] = code
    return {**out, "flags": flags}


def held_boxes(sample: Sample, time: int, T_new_ref: Tensor) -> Boxes3D:
    """The boxes with the columns that an annotation holds.

    Args:
        sample: with its boxes, or without. time: ns, of the annotations.
        T_new_ref: (4, 4) to the vehicle's frame at that time.

    Raises:
        DataError: they are of several times, or without a category.
    """
    boxes, where = sample.streams.get(BOXES), f"sample {sample.id!r}: {BOXES}"
    if not isinstance(boxes, Boxes3D) or not len(boxes):
        empty = torch.zeros(0, 4, 4, dtype=torch.float64)
        boxes = Boxes3D(
            frame=REF, capture_times=torch.tensor([time]),
            values={"pose": empty, "size": empty[:, :3, 0], "category": strings([])},
        )  # fmt: skip
        T = T_new_ref
    else:
        T = T_new_ref @ sample.T_ref(BOXES, 0)
    if len(boxes) != 1:
        raise DataError(f"{where}: nuScenes annotates one time of a sample, and these are of {len(boxes)}")
    if "category" not in boxes.values:
        raise DataError(f"{where}: have no category, which nuScenes' tables hold")
    n, given = boxes.rows, boxes.values
    unknown = torch.full((n, 3), float("nan"), dtype=torch.float64)
    velocity = given.get("velocity", unknown).to(torch.float64) @ T[:3, :3].T
    categories, tracks = ([str(v) for v in given.get(c, [""] * n)] for c in ("category", "instance"))
    own = [("track", t) if t else ("box", sample.id, i) for i, t in enumerate(tracks)]
    instances = (token_of("instance", sample.meta.scene, *o, c) for o, c in zip(own, categories, strict=True))
    seen = given.get("visible")
    levels = [VISIBLE] * n if seen is None else [VISIBILITY[visibility_token(float(v))] for v in seen]
    return Boxes3D(
        frame=REF, capture_times=torch.tensor([time]),
        values={
            "pose": T @ given["pose"].to(torch.float64), "size": given["size"].to(torch.float64), "velocity": velocity,
            "category": strings(categories), "instance": strings(instances),
            "record": strings(token_of("sample_annotation", sample.id, i) for i in range(n)),
            "visible": torch.tensor(levels, dtype=torch.float64),
        },
    )  # fmt: skip


__all__ = ["BOXES", "SCALE", "held_boxes", "held_stream", "token_of"]
