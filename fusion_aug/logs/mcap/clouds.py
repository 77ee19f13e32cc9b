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
from fusion_aug.logs.core.number_types import fitting, in_range
from fusion_aug.logs.mcap.cloud_fields import AXES, Told, meanings_of, told_fields
from fusion_aug.logs.mcap.cloud_layout import cloud_problem, layout_of, packed_rows, with_points
from fusion_aug.logs.mcap.cloud_times import TimeCoding, coding_of
from fusion_aug.logs.mcap.file import Recording, decode, stamp_of
from fusion_aug.logs.mcap.messages import ReceivedMessage, register_reader
from fusion_aug.logs.mcap.one_message import naming_its_message
from fusion_aug.logs.mcap.writing import register_writer
from fusion_aug.streams import LazyColumns, Lidar, Points, Stream
from fusion_aug.streams.columns import RULES
from fusion_aug.streams.lazy_columns import OF_NOBODY
from fusion_aug.streams.meanings import VECTORS, Meaning, read_meaning
from fusion_aug.streams.source import decoder

CLOUD = "sensor_msgs/msg/PointCloud2"
FIRST = 8  # clouds of a topic in which one with points is looked for, which shows how it counts times
# columns that a run may add, and the types that they are written in
NEW_FIELDS = {
    "intensity": "<f4", "ring": "<u2", "status": "<u1", "true_range": "<f4", "label": "<i4", "instance": "<i4",
}  # fmt: skip
REMEDY = "say which class returns from the air get with log.air_label, or write output=folder"


def check_told_fields(option: Any) -> None:
    """Raise where ``log.fields`` is not what it should be.

    Raises:
        ConfigError: it is no mapping of topics and fields to meanings.
    """
    told_fields(option, "")


def with_told_fields(messages: list[ReceivedMessage], option: Any, topic: str) -> list[ReceivedMessage]:
    """The messages of a topic with what ``log.fields`` says of its fields, for their reader."""
    told = told_fields(option, topic)
    if not told:
        return messages
    return [replace(m, source=replace(m.source, options={**m.source.options, "fields": told})) for m in messages]


@register_reader(CLOUD)
def cloud(messages: list[ReceivedMessage], stream_fields: dict[str, Any], where: str) -> Stream:
    """Read clouds: intensity, ring, time offset, and all other fields by their meaning. They are decoded when used.

    The source of the first message may hold ``fields``: what the user says of fields of the topic.
    """
    told: Told = messages[0].source.options.get("fields") or {}
    first: Any = None
    meanings: tuple[str, ...] = ()
    for received in messages[:FIRST]:
        options = received.source.options
        first = decode(received.source.bytes(), options["type"], options["definition"], where)
        meanings = meanings_of_cloud(first, told, where, received.time, _period(messages))
        if first.width and first.height:
            break
    names = ["xyz", *columns_of(layout_of(first, where).names, meanings)]
    held = {"columns": tuple(names), "meanings": meanings}
    sources = [replace(h.source, options={**h.source.options, **held, "time": h.time}) for h in messages]
    return Lidar(**stream_fields, values=LazyColumns(sources, names), meanings=meanings)


def _period(messages: list[ReceivedMessage]) -> float:
    """Seconds from one message to the next; 0 where that is not known."""
    return float(np.median(np.diff([h.time for h in messages]))) * 1e-9 if len(messages) > 1 else 0.0


def meanings_of_cloud(message: Any, told: Told, where: str, time: int, period: float = 0.0) -> tuple[str, ...]:
    """What the fields of a cloud mean that its class does not declare, with the unit of its times.

    Args:
        message: the cloud. told: what the user says. where: file and topic. time: of the cloud, ns.
        period: seconds from one cloud to the next, 0 where it is not known.
    """
    rows, out = packed_rows(message, where), []
    for m in meanings_of({n: rows.dtype[n] for n in rows.dtype.names or ()}, told, where):
        if m.kind == "time":
            coding = coding_of(rows[m.fields[0]], time, m.unit, period)
            m = Meaning(m.name, f"time_{coding.unit}", m.fields, "absolute" if coding.is_absolute else "")
        out.append(m.text)
    return tuple(out)


def columns_of(fields: tuple[str, ...], meanings: tuple[str, ...]) -> dict[str, Meaning | None]:
    """Columns besides ``xyz`` that fields make, in the order of the fields; None for one that is its field as it is."""
    by_field = {f: m for m in map(read_meaning, meanings) for f in m.fields}
    found = {f: by_field.get(f) for f in fields if f not in AXES}
    return {m.name if m else f: m for f, m in found.items()}


def spread_clouds(files: Mapping[Recording, Mapping[str, str]], count: int) -> Iterator[Any]:
    """Clouds of every topic that has intensities, spread evenly over recordings laid end to end; see ``Log.clouds``.

    Args:
        files: file -> topic of clouds -> name of its stream. count: of clouds of a topic at most.
    """
    recordings = list(files)
    for number, place in spread(count, len(recordings)) if recordings else ():  # none can be read
        file, (_, first, last) = recordings[number], recordings[number].summary()
        for topic, name in files[file].items():
            yield name, partial(_cloud_from, file, topic, first + (last - first) * place // 64), None


def _cloud_from(file: Recording, topic: str, start: int) -> dict[str, Tensor]:
    """Columns of the first cloud of a topic from a log time (ns) on; none where none further can be read as points."""
    raw = next(file.messages(start, topics=[topic]), None)
    if raw is None:
        return {}
    message = decode(raw.data, raw.kind, raw.definition, f"{file.path}: topic {topic}")
    if cloud_problem(message, topic) is not None:
        return {}
    return decode_cloud(file.path, raw.data, {"topic": topic, "type": raw.kind, "definition": raw.definition})


# --- reading ---------------------------------------------------------------------------------------------------------
@decoder("ros_cloud")
@naming_its_message
def decode_cloud(path: Path, raw: bytes, options: dict[str, Any]) -> dict[str, Tensor]:
    """Columns of a PointCloud2 message."""
    where = f"{path}: topic {options['topic']}"
    message = decode(raw, options["type"], options["definition"], where)
    rows, meanings = packed_rows(message, where), options.get("meanings")
    time = int(options.get("time") or stamp_of(message) or 0)
    if meanings is None:
        meanings = meanings_of_cloud(message, {}, where, time)
    columns, names = columns_of(rows.dtype.names or (), meanings), set(rows.dtype.names or ())
    missing = [f for m in map(read_meaning, meanings) for f in m.fields if f not in names]
    missing += [c for c in options.get("columns", ()) if c not in columns and c != "xyz"]
    if missing:
        raise DataError(f"{where}: fields: {missing[0]!r} is missing in one of the clouds")
    out = {"xyz": torch.from_numpy(_vectors(rows, AXES))}
    for name, meaning in columns.items():
        values = _own_values(rows[name], name) if meaning is None else _values(rows, meaning, time)
        out[name] = torch.from_numpy(values)
    return out


def _own_values(values: np.ndarray, name: str) -> np.ndarray:
    """Numbers of a field that the class of clouds has a column for."""
    if name == "intensity":
        return values.astype(_real_type(values.dtype))
    return values.astype(np.int64 if name == "ring" else _torch_type(values.dtype))


def _values(rows: np.ndarray, meaning: Meaning, time: int) -> np.ndarray:
    """Numbers of a column that was given a meaning; ``time`` of the cloud, ns."""
    first = rows[meaning.fields[0]]
    if meaning.kind == "time":
        return _coding(meaning).decoded(first, time)
    if meaning.kind in VECTORS:
        return _vectors(rows, meaning.fields)
    return first.astype(_real_type(first.dtype) if meaning.column.kind in RULES else _torch_type(first.dtype))


def _vectors(rows: np.ndarray, fields: tuple[str, ...]) -> np.ndarray:
    """(n, 3) of three fields, of two with a third number of 0, or of one field of three numbers."""
    parts = [rows[f] for f in fields]
    kind = np.result_type(*(_real_type(p.dtype) for p in parts))
    if parts[0].ndim == 2:
        return parts[0].astype(kind)
    parts += [np.zeros(len(rows), kind)] * (3 - len(parts))
    return np.stack(parts, 1).astype(kind)


def _coding(meaning: Meaning) -> TimeCoding:
    return TimeCoding(meaning.unit or "s", meaning.stored == "absolute")


def _torch_type(kind: np.dtype) -> type:
    """Type in which torch holds a field without loss."""
    base = kind.base
    return base.type if base.kind == "f" else np.int64


def _real_type(kind: np.dtype) -> type:
    """Type of fractions that holds the numbers of a field without loss."""
    base = kind.base
    return base.type if base.kind == "f" else np.float32 if base.itemsize < 4 else np.float64


# --- writing ---------------------------------------------------------------------------------------------------------
@register_writer(Points)
def write_cloud(stream: Points, template: Any, i: int) -> Any:
    """Write a cloud with the fields of its source, and with those of ``NEW_FIELDS`` that it got.

    Raises:
        DataError: a field cannot hold the number of a class, of an object or a time.
    """
    stream = stream.realized()
    rows = stream.item_slice(i)
    values = {n: v[rows].detach().cpu().numpy() for n, v in stream.values.items() if isinstance(v, Tensor)}
    before = packed_rows(template, "PointCloud2")
    names = before.dtype.names or ()
    stamps = (stamp_of(template) or 0, int(stream.capture_times[i]))
    meanings = stream.meanings or meanings_of_cloud(template, {}, "PointCloud2", stamps[0])
    new = {n: np.dtype(k) for n, k in NEW_FIELDS.items() if n in values and n not in names}
    columns = {a: values["xyz"][:, k] for k, a in enumerate(AXES)}
    for name, meaning in columns_of(names, meanings).items():
        if name in values:
            columns |= _fields(name, values[name], meaning, before, stamps)
    for name, kind in new.items():
        columns[name] = _whole(values[name], kind, name)
    return with_points(template, columns, new, _is_dense(template, before, values["xyz"]))


def _fields(
    name: str, values: np.ndarray, meaning: Meaning | None, before: np.ndarray, stamps: tuple[int, int]
) -> dict[str, np.ndarray]:
    """Fields that a column is written to, with their numbers.

    Args:
        name: of the column. values: (n, ...) of it. meaning: None where it is its field as it is.
        before: points of the source. stamps: of the source and of what is written, ns.
    """
    if meaning is None:
        return {name: _whole(values, before.dtype[name].base, name)}
    kinds = [before.dtype[f].base for f in meaning.fields]
    if meaning.kind == "time":
        field = meaning.fields[0]
        return {field: _times(values, _coding(meaning), before[field], stamps)}
    if meaning.kind in VECTORS and len(meaning.fields) > 1:
        parts = zip(meaning.fields, kinds, range(3), strict=False)
        return {f: _whole(values[:, k], kind, f) for f, kind, k in parts}
    return {meaning.fields[0]: _whole(values, kinds[0], meaning.fields[0])}


def _times(seconds: np.ndarray, coding: TimeCoding, old: np.ndarray, stamps: tuple[int, int]) -> np.ndarray:
    """Numbers of a field of times; those that did not change are the source's own."""
    before, now = stamps
    numbers = coding.encoded(seconds, now, old.dtype, "PointCloud2: times of points")
    if now != before or len(old) != len(seconds):
        return numbers
    return np.where(coding.decoded(old, before) == seconds, old, numbers)


def _whole(values: np.ndarray, kind: np.dtype, name: str) -> np.ndarray:
    """Numbers that a type can hold: classes and objects as they are, others rounded and clipped."""
    if name in OF_NOBODY:
        return fitting(values, kind, f"PointCloud2: fields: {name}", REMEDY)
    return in_range(values, kind)


def _is_dense(template: Any, before: np.ndarray, xyz: np.ndarray) -> bool:
    """What the source says, but false where coordinates are NaN or infinite that were not."""
    finite = np.isfinite(xyz).all(1)
    if bool(finite.all()):
        return bool(template.is_dense)
    known = np.isfinite(_vectors(before, AXES)).all(1)
    return bool(template.is_dense) and len(known) == len(finite) and bool((known == finite).all())
