"""Taxels of one message that lie on many links: a sensor of the rig file for each link, with its rows of the numbers.

    hand/touch:thumb: {kind: taxels, frame: thumb_tip, rows: [0, 16], poses: [...]}
    hand/touch:palm:  {kind: taxels, frame: palm, rows: [16, 64], poses: [...]}

Each becomes a stream of its name, in the frame of its link. Rows that no sensor names stay numbers of unknown meaning,
in a stream with the name of the message. What is written are whole messages again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

import torch
from torch import Tensor

from calib import TaxelSensor
from calib.sensors import Sensor
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.logs.core.parts import rows_left
from fusion_aug.sample import Sample
from fusion_aug.streams import Opaque, Signal, Stream, Taxels
from fusion_aug.streams.naming import SET_MARK, message_of

Rows = dict[str, tuple[int, int]]  # sensor -> [start, stop] of the numbers of its message
REMEDY = "name them as rows of a sensor in the rig file (log.rig), or leave all of it out with log.exclude"


def taxel_rows(name: str, sensors: Mapping[str, Sensor]) -> Rows:
    """The sensors whose taxels are rows of one message.

    Args:
        name: of the message. sensors: of the rig.
    """
    return {
        n: s.rows
        for n, s in sensors.items()
        if isinstance(s, TaxelSensor) and s.rows is not None and n.startswith(f"{name}{SET_MARK}")
    }


def told_rows(listed: Mapping[str, Any]) -> dict[str, Sensor]:
    """The sensors with rows that a rig file lists, without their poses, for who only asks which numbers are told.

    Raises:
        CalibrationError: rows are none.
    """
    found = {str(n): s["rows"] for n, s in listed.items() if isinstance(s, Mapping) and s.get("rows") is not None}
    return {n: TaxelSensor(frame="", rows=tuple(r) if isinstance(r, list) else r) for n, r in found.items()}


def with_taxel_rows(streams: Mapping[str, Stream], sensors: Mapping[str, Sensor], file: str) -> dict[str, Stream]:
    """The streams with those of messages of several sensors parted; see ``by_sensor``."""
    hinted = {name: _with_misnamed(s, name, sensors, streams, file) for name, s in streams.items()}
    return {n: part for name, s in hinted.items() for n, part in by_sensor(s, name, sensors, file).items()}


def _with_misnamed(
    stream: Stream, name: str, sensors: Mapping[str, Sensor], streams: Mapping[str, Stream], file: str
) -> Stream:
    """Numbers that nothing is known of, with the sensors that may be theirs: no message has the name of these."""
    if not isinstance(stream, Opaque) or not isinstance(stream.values.get("value"), Tensor):
        return stream
    rows = [n for n, s in sensors.items() if isinstance(s, TaxelSensor) and s.rows is not None]
    near = [n for n in rows if message_of(n) not in streams and get_close_matches(message_of(n), [name], 1)]
    if not near or taxel_rows(name, sensors):
        return stream
    found = f"{file} has rows of {', '.join(near)}, but no message of that name"
    remedy = f"call the sensors with these rows {name}{SET_MARK}PART in the rig file if they are its own, or"
    ways = tuple(way.replace(": ", f": {remedy} ", 1) for way in stream.ways)
    return replace(stream, reason=f"{stream.reason} ({found})", remedy_here=f"{remedy} {stream.remedy_here}", ways=ways)


def by_sensor(stream: Stream, name: str, sensors: Mapping[str, Sensor], file: str) -> dict[str, Stream]:
    """The numbers of a message as a stream for each of its sensors, and one of those that belong to none.

    Args:
        stream: of the message. name: its name. sensors: of the rig. file: with the sensors, for messages.

    Returns:
        the stream under its own name where no sensor has rows of it.

    Raises:
        ConfigError: rows overlap or lie beyond the message, a part tells none, or the message holds no such numbers.
    """
    mine = [n for n, s in sensors.items() if isinstance(s, TaxelSensor) and n.startswith(f"{name}{SET_MARK}")]
    rows = taxel_rows(name, sensors)
    if not mine:
        _check_whole(name, sensors, file)
        return {name: stream}
    bare = next((n for n in mine if n not in rows), None)
    if bare is not None:
        raise ConfigError(f"{file}: sensors.{bare}.rows: tell which numbers of {name!r} are its taxels, as [0, 16]")
    value = stream.values.get("value")
    if not isinstance(value, Tensor) or value.ndim != 2:
        raise ConfigError(
            f"{file}: sensors.{mine[0]}.rows: {name!r} has no messages of numbers that are all as many; name another "
            f"topic or feature, or take its sensors out of the rig file"
        )
    if isinstance(sensors.get(name), TaxelSensor):
        raise ConfigError(
            f"{file}: sensors.{name}: its numbers are rows of {mine[0]!r} already; give every number once"
        )
    spans = {f"{n}.rows": (a, b, 1.0) for n, (a, b) in rows.items()}
    left = rows_left(spans, value.shape[1], f"{file}: sensors")
    out = {n: replace(stream, values={"value": value[:, a:b]}) for n, (a, b) in rows.items()}
    return out if not left else {**out, name: _rest(stream, value[:, left], left)}


def _check_whole(name: str, sensors: Mapping[str, Sensor], file: str) -> None:
    own = sensors.get(name)
    if isinstance(own, TaxelSensor) and own.rows is not None and SET_MARK not in name:
        raise ConfigError(
            f"{file}: sensors.{name}.rows: a sensor with a part of the numbers is called {name}{SET_MARK}PART"
        )


def _rest(stream: Stream, value: Tensor, left: list[int]) -> Stream:
    """The numbers that belong to no sensor; they keep what is known of the message, with a reason of their own."""
    rest = replace(stream, values={"value": value})
    if not isinstance(rest, Opaque):
        return rest
    reason = f"no sensor of the rig file names {len(left)} of its numbers, from number {left[0]} on"
    ways = tuple(way.replace(rest.remedy_here, REMEDY) for way in rest.ways)
    return replace(rest, reason=reason, remedy_here=REMEDY, ways=ways)


def joined_rows(name: str, sample: Sample) -> Tensor:
    """The numbers (n, k) of the messages whose rows are in several streams, float64.

    Args:
        name: of the messages. sample: with their streams, item by item of the same messages.
    """
    rows = taxel_rows(name, sample.rig.sensors)
    rest = sample.streams.get(name)
    left = rest["value"].to(torch.float64) if rest is not None else None
    first = sample[next(iter(rows))]
    width = sum(b - a for a, b in rows.values()) + (0 if left is None else left.shape[1])
    out = torch.zeros(len(first), width, dtype=torch.float64)
    free = torch.ones(width, dtype=torch.bool)
    for n, (a, b) in rows.items():
        out[:, a:b] = sample[n]["force"].detach().cpu().to(torch.float64)
        free[a:b] = False
    if left is not None:
        out[:, free] = left
    return out


def with_rest(sample: Sample, source: Sample) -> Sample:
    """The sample whose messages are whole: numbers that belong to no sensor are those of the message of every item.

    Args:
        sample: what is written. source: the sample that it was made from.

    Raises:
        DataError: parts of one message are gone, or at other times than the others.
    """
    streams = dict(sample.streams)
    for name, rows in _changed(sample, source):
        first = _first(name, rows, sample)
        rest = source.streams.get(name)
        if first is None:
            streams.pop(name, None)
        elif rest is not None:
            streams[name] = _beside(rest, first)
    return sample.with_streams(streams)


def as_messages_of_numbers(sample: Sample, source: Sample) -> tuple[Sample, Sample]:
    """Both samples with one stream for every message of several sensors that was changed, as a writer needs them.

    Args:
        sample: what ``with_rest`` returned. source: the sample that it was made from.
    """
    pairs = [dict(s.streams) for s in (sample, source)]
    for name, rows in _changed(sample, source):
        for streams, own in zip(pairs, (sample, source), strict=True):
            first = own.streams.get(next(iter(rows)))
            for n in (*rows, name):
                streams.pop(n, None)
            if first is not None:
                streams[name] = _numbers(first, joined_rows(name, own))
    return sample.with_streams(pairs[0]), source.with_streams(pairs[1])


def _numbers(first: Stream, value: Tensor) -> Signal:
    held = {f: getattr(first, f) for f in ("frame", "capture_times", "receive_times", "present", "records")}
    return Signal(**held, clock_offset=first.clock_offset, values={"value": value})


def _changed(sample: Sample, source: Sample) -> Iterator[tuple[str, Rows]]:
    """Name and rows of every message of several sensors whose streams are not those of the source."""
    names = {message_of(n): None for n, s in source.streams.items() if isinstance(s, Taxels) and SET_MARK in n}
    for name in names:
        rows = taxel_rows(name, source.rig.sensors)
        if rows and any(sample.streams.get(n) is not source.streams.get(n) for n in (*rows, name)):
            yield name, rows


def _first(name: str, rows: Rows, sample: Sample) -> Stream | None:
    """The stream whose times are those of the messages; None where all are gone."""
    there = {n: sample.streams[n] for n in rows if n in sample.streams}
    if not there:
        return None
    head, first = next(iter(there.items()))
    for n in rows:
        if n not in there or not _same_items(there[n], first):
            what = "is gone" if n not in there else "has other times"
            raise DataError(
                f"{sample.id}: {n!r} {what} than {head!r}, and one message of {name!r} holds both; change all of "
                f"{name}{SET_MARK}* alike, and give all of them a mirror_of in one other message, or none"
            )
    return first


def _same_items(a: Stream, b: Stream) -> bool:
    return a.records == b.records and all(
        torch.equal(x, y)
        for x, y in ((a.capture_times, b.capture_times), (a.arrival_times, b.arrival_times), (a.present, b.present))
    )


def _beside(rest: Stream, first: Stream) -> Stream:
    """The rest of the numbers of the messages that the items of another part were made from, at its times."""
    place = {record: k for k, record in enumerate(rest.records)}
    index = [place.get(r, len(rest) - 1) for r in first.records] or [min(k, len(rest) - 1) for k in range(len(first))]
    held = {f: getattr(first, f) for f in ("capture_times", "receive_times", "present", "clock_offset")}
    if index == list(range(len(rest))) and _same_items(rest, first):
        return rest
    return replace(rest.take_items(torch.tensor(index, dtype=torch.int64)), **held)
