"""PointCloud2 messages: every field is read and written again, in its own place and type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fusion_aug.errors import DataError
from fusion_aug.logs.core.intensity import spread
from fusion_aug.logs.mcap.file import McapFile, decode, stamp_of, typestore
from fusion_aug.logs.mcap.messages import ReceivedMessage, register_reader
from fusion_aug.logs.mcap.writing import register_writer
from fusion_aug.streams import LazyColumns, Lidar, Points, Stream
from fusion_aug.streams.points import OF_NOBODY
from fusion_aug.streams.source import decoder

FIELDS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 8: "f8"}
CODES = {np.dtype(v).kind + str(np.dtype(v).itemsize): k for k, v in FIELDS.items()}
TIMES = ("t", "time", "time_stamp", "timestamp", "offset_time", "time_offset")  # Ouster, Velodyne, Hesai, Livox
OWN_FIELD_TYPES = {"intensity": np.float32, "ring": np.int64}
ABSOLUTE_TIME_FROM = 1e6  # seconds: a larger time of a point is absolute, not an offset
CLOUD = "sensor_msgs/msg/PointCloud2"


@register_reader(CLOUD)
def cloud(messages: list[ReceivedMessage], stream_fields: dict[str, Any], where: str) -> Stream:
    """Read clouds: intensity, ring, time offset, and all other fields by their names. They are decoded when used."""
    names = tuple(messages[0].source.value)  # of the first, which all others must have
    sources = [replace(h.source, options={**h.source.options, "columns": names}) for h in messages]
    return Lidar(**stream_fields, values=LazyColumns(sources, names))


def spread_clouds(files: Mapping[McapFile, Mapping[str, str]], count: int) -> Iterator[Any]:
    """Clouds of every topic that has intensities, spread evenly over recordings laid end to end; see ``Log.clouds``.

    Args:
        files: file -> topic of clouds -> name of its stream. count: of clouds of a topic at most.
    """
    recordings = list(files)
    for number, place in spread(count, len(recordings)) if recordings else ():  # none can be read
        file, (_, first, last) = recordings[number], recordings[number].summary()
        for topic, name in files[file].items():
            yield name, partial(_cloud_from, file, topic, first + (last - first) * place // 64), None


def _cloud_from(file: McapFile, topic: str, start: int) -> dict[str, Tensor]:
    """Columns of the first cloud of a topic from a log time (ns) on; none where there is no further one."""
    raw = next(file.messages(start, topics=[topic]), None)
    if raw is None:
        return {}
    return decode_cloud(file.path, raw.data, {"topic": topic, "type": raw.kind, "definition": raw.definition})


@decoder("ros_cloud")
def decode_cloud(path: Path, raw: bytes, options: dict[str, Any]) -> dict[str, Tensor]:
    """Columns of a PointCloud2 message."""
    where = f"{path}: topic {options['topic']}"
    message = decode(raw, options["type"], options["definition"], where)
    rows = packed_rows(message, where)
    out = {"xyz": torch.from_numpy(np.stack([rows[a] for a in "xyz"], 1).astype(np.float32))}
    clock = time_field(rows.dtype.names)
    for name in rows.dtype.names or ():
        if name in ("x", "y", "z"):
            continue
        if name == clock:
            out["time_offset"] = torch.from_numpy(decode_point_times(rows[name], stamp_of(message) or 0))
        else:
            out[name] = torch.from_numpy(rows[name].astype(OWN_FIELD_TYPES.get(name) or _torch_type(rows[name].dtype)))
    missing = [c for c in options.get("columns", ()) if c not in out]
    if missing:
        raise DataError(f"{where}: fields: {missing[0]!r} is missing in one of the clouds")
    return out


def packed_rows(message: Any, where: str) -> np.ndarray:
    """The points of a message, a field of NumPy for every field.

    Raises:
        DataError: x, y, z are missing, a type is unknown, or the data are too short.
    """
    fields = {f.name: f for f in message.fields}
    count = int(message.width) * int(message.height)
    if not {"x", "y", "z"} <= set(fields) or count * int(message.point_step) > len(message.data):
        raise DataError(f"{where}: fields: x, y, z are missing, or the data are too short")
    if any(f.datatype not in FIELDS for f in fields.values()):
        raise DataError(f"{where}: fields: a datatype is unknown")
    order = ">" if message.is_bigendian else "<"
    try:
        kind = np.dtype({
            "names": list(fields), "formats": [_format(f, order) for f in fields.values()],
            "offsets": [int(f.offset) for f in fields.values()], "itemsize": int(message.point_step),
        })  # fmt: skip
    except ValueError:
        raise DataError(f"{where}: fields: they reach beyond point_step") from None
    return np.frombuffer(np.ascontiguousarray(message.data).tobytes(), kind, count)


def _format(field: Any, order: str) -> Any:
    one = order + FIELDS[field.datatype]
    return one if field.count <= 1 else (one, (int(field.count),))


def _torch_type(kind: np.dtype) -> type:
    """Type in which torch holds a field without loss."""
    base = kind.base
    return base.type if base.kind == "f" else np.int64


def time_field(names: tuple[str, ...] | None) -> str | None:
    """Name of the field that holds the times of the points; None if there is none."""
    return next((n for n in TIMES if n in (names or ())), None)


def decode_point_times(field_values: np.ndarray, stamp: int) -> np.ndarray:
    """Return seconds (n,) after a stamp (ns): integers are ns, floats are seconds, large ones since the epoch."""
    if field_values.dtype.kind in "iu":
        return field_values.astype(np.float64) * 1e-9
    seconds = field_values.astype(np.float64)
    if len(seconds) == 0 or np.nanmax(np.abs(seconds)) < ABSOLUTE_TIME_FROM:
        return seconds
    if np.nanmax(np.abs(seconds)) > 1e3 * ABSOLUTE_TIME_FROM**2:  # nanoseconds
        return (seconds - stamp) * 1e-9
    return seconds - stamp * 1e-9


def encode_point_times(seconds: np.ndarray, like: np.ndarray, before: int, now: int) -> np.ndarray:
    """Encode times of points as their field did.

    Args:
        seconds: (n,) after the stamp ``now``.
        like: the numbers that the field held, relative to the stamp ``before``. before, now: ns.
    """
    if like.dtype.kind in "iu":
        return np.round(seconds * 1e9).astype(like.dtype)
    size = np.nanmax(np.abs(like.astype(np.float64))) if len(like) else 0.0
    if size < ABSOLUTE_TIME_FROM:
        return seconds.astype(like.dtype)
    return (seconds * 1e9 + now if size > 1e3 * ABSOLUTE_TIME_FROM**2 else seconds + now * 1e-9).astype(like.dtype)


def fitting(column: np.ndarray, kind: np.dtype, name: str) -> np.ndarray:
    """Numbers of classes or objects of points, which a field must hold as they are.

    Raises:
        DataError: it cannot; the message says what to do.
    """
    if kind.base.kind not in "iu":
        return column
    limits = np.iinfo(kind.base)
    wrong = column[(column < limits.min) | (column > limits.max)]
    if len(wrong):
        raise DataError(
            f"PointCloud2: fields: {name}: {len(wrong)} points have the number {wrong[0]}, which {kind.base.name} "
            f"cannot hold; say which class returns from the air get with log.air_label, or write output=folder"
        )
    return column


@register_writer(Points)
def write_cloud(stream: Points, template: Any, i: int) -> Any:
    """Write a cloud with the fields of its source, and with intensity and ring if they are new."""
    values = {k: v[stream.item_slice(i)].detach().cpu().numpy() for k, v in stream.realized().values.items()}
    before = packed_rows(template, "PointCloud2")
    kinds = {n: before.dtype[n] for n in before.dtype.names or ()}
    count, clock = len(values["xyz"]), time_field(before.dtype.names)
    for name, kind in (("intensity", np.dtype("<f4")), ("ring", np.dtype("<u2"))):
        if name in values:
            kinds.setdefault(name, kind)
    kinds = {n: k for n, k in kinds.items() if n in ("x", "y", "z") or n in values or n == clock}
    packed = np.zeros(count, np.dtype([(n, k.newbyteorder("<")) for n, k in kinds.items()]))
    for k, axis in enumerate("xyz"):
        packed[axis] = values["xyz"][:, k]
    for name in kinds:
        if name == clock and "time_offset" in values:
            stamps = (stamp_of(template) or 0, int(stream.capture_times[i]))
            packed[name] = encode_point_times(values["time_offset"], before[name], *stamps)
        elif name in values:
            packed[name] = fitting(values[name], kinds[name], name) if name in OF_NOBODY else values[name]
    field = typestore().types["sensor_msgs/msg/PointField"]
    places: Any = packed.dtype.fields
    fields = [
        field(name=n, offset=int(places[n][1]), datatype=CODES[k.base.kind + str(k.base.itemsize)],
              count=int(np.prod(k.shape, dtype=int)) if k.shape else 1)
        for n, k in kinds.items()
    ]  # fmt: skip
    data = np.frombuffer(packed.tobytes(), np.uint8)
    organized = count == int(template.height) * int(template.width)
    height = int(template.height) if organized else 1
    width = int(template.width) if organized else count
    dense = bool(np.isfinite(values["xyz"]).all())
    return replace(
        template, height=height, width=width, fields=fields, is_bigendian=False, point_step=packed.dtype.itemsize,
        row_step=packed.dtype.itemsize * width, data=data, is_dense=dense,
    )  # fmt: skip
