"""One written stream against the one that it should be: facts, times, place, pictures, columns and fields."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

import numpy as np
from torch import Tensor

from calib import CalibrationError, CameraSensor
from fusion_aug.check import (  # noqa: F401  register their parts of the table
    cloud_comparisons,
    reading_comparisons,
    rotation_comparisons,
)
from fusion_aug.check.calibration import compare_calibration, compare_rectification
from fusion_aug.check.comparisons import (
    LOSSY,
    VIDEO,
    VIDEO_BLOCK,
    Comparison,
    column_comparisons,
    column_of,
    comparisons_of,
)
from fusion_aug.check.measurement import Row
from fusion_aug.check.placement import common_frame, moved, moves
from fusion_aug.sample import Sample
from fusion_aug.streams import ImageStream, Ragged, Stream
from fusion_aug.streams.source import Coding, Source

STAMP_LIMIT = 1e-3  # ms
MAX_PLACES = 64  # items whose place in the reference frame is compared
PLAIN = (str, int, float, bool)
# fields that are compared by a way of their own, ``records``, which says where items lie in the files, ``reason``,
# which may tell a log time that a change of time moved, and ``source_rows``, which begin anew in what is written
OWN_WAY = {*Stream.item_fields, "values", "items", "pending", "offsets", "reason", "source_rows"}
NO_RULE = "nothing says how {} is compared (fusion_aug.extend.register_comparison)"
OTHER_ROWS = "its rows are not those that are expected"
DERIVED = "no file holds it: the reader works it out from neighbouring samples"


@dataclass(frozen=True)
class StreamPair:
    """A stream as it should be and as it was found.

    Attributes:
        name: of the stream in both samples.
        expected, found: the samples.
        steps: column -> step between two values that the files can tell apart.
        derived: columns that no file holds, since the reader works them out from other samples.
        suffix: what the writer puts behind the names of a copy.
    """

    name: str
    expected: Sample
    found: Sample
    steps: Mapping[str, float] = field(default_factory=dict)
    derived: Sequence[str] = ()
    suffix: str = ""

    @cached_property
    def streams(self) -> tuple[Any, Any]:
        """The expected and the found stream, pictures undecoded."""
        return self.expected[self.name], self.found[self.name]

    @cached_property
    def tables(self) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """Columns of both, with pending motions applied."""
        a, b = (s.values if isinstance(s, ImageStream) else s.realized().values for s in self.streams)
        return a, b

    @cached_property
    def rows(self) -> tuple[list[int], list[int]]:
        """Rows of every item of both."""
        a, b = (s.counts.tolist() if isinstance(s, Ragged) else [1] * len(s) for s in self.streams)
        return a, b

    @cached_property
    def places(self) -> tuple[tuple[Tensor, Tensor] | None, str]:
        """Where the frames of both are in a common frame, (n, 4, 4) each; or None and why there is none."""
        try:
            return common_frame(self.expected, self.found, self.name)[1:], ""
        except CalibrationError as error:
            return None, str(error)

    def row(self, title: str, comparison: Comparison, values: np.ndarray, step: float = 0.0) -> Row:
        """A row of errors of this stream; half a step of the files is allowed."""
        sensor = self.expected.rig.sensors.get(self.streams[0].instance(self.name))
        unit = comparison.unit_for(column_of(self.streams[0], title), sensor)
        limit = comparison.limit + step / 2
        return Row(comparison.title.format(title), self.name, unit, limit, values, comparison.nothing)

    def failed(self, what: str) -> Row:
        """A row that says what is another than expected."""
        return Row(what, self.name, "-", 0, np.ones(1))


def compare_stream(pair: StreamPair) -> Iterator[Row]:
    """Compare everything of a stream; each row names the stream and what of it was compared."""
    yield from compare_facts(pair)
    if len(pair.streams[0]) == len(pair.streams[1]):
        yield from compare_times(pair)
        yield from compare_place(pair)
        if all(isinstance(s, ImageStream) for s in pair.streams):
            yield from compare_pictures(pair)
    yield from compare_columns(pair)
    yield from compare_fields(pair)


# --- facts -----------------------------------------------------------------------------------------------------------
def compare_facts(pair: StreamPair) -> Iterator[Row]:
    """Class, plain fields, and numbers of items and rows: one row where all of them are as expected."""
    expected, found = pair.streams
    facts: dict[str, tuple[Any, Any]] = {"class": (type(expected).__name__, type(found).__name__)}
    for name in own_fields(expected):
        if is_plain(getattr(expected, name)):
            facts[name] = (getattr(expected, name), getattr(found, name, None))
    facts["items"] = (len(expected), len(found))
    if len(expected) == len(found):
        facts["items present"] = (expected.present.tolist(), found.present.tolist())
        facts["rows"] = pair.rows
    differ = {what: values for what, values in facts.items() if values[0] != values[1]}
    for what, values in differ.items():
        a, b = (sum(v) if isinstance(v, list) else v for v in values)
        a, b = values if a == b else (a, b)  # as many in all, but not of the same items
        yield pair.failed(f"{what} ({_short(a)} expected, {_short(b)} found)")
    if not differ:
        yield Row("class, frame, counts", pair.name, "differ", 0, np.zeros(len(facts)))


def own_fields(stream: Stream) -> list[str]:
    """Fields of a stream that are compared by what they hold."""
    return [f.name for f in fields(stream) if f.name not in OWN_WAY]


def is_plain(value: Any) -> bool:
    """Whether a field holds text, a number, a flag, or a list of such."""
    return isinstance(value, PLAIN) or (isinstance(value, tuple) and all(isinstance(v, PLAIN) for v in value))


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


# --- times and place -------------------------------------------------------------------------------------------------
def compare_times(pair: StreamPair) -> Iterator[Row]:
    """Times of capture and receipt, and how far a clock is off."""
    expected, found = pair.streams
    off = [(expected.capture_times - found.capture_times, "stamps")]
    if expected.receive_times is not None or found.receive_times is not None:
        off.append((expected.arrival_times - found.arrival_times, "receive times"))
    if expected.clock_offset is not None or found.clock_offset is not None:
        offsets = [s.capture_times - s.true_capture_times for s in pair.streams]
        off.append((offsets[0] - offsets[1], "clock offset"))
    for difference, what in off:
        yield Row(what, pair.name, "ms", STAMP_LIMIT, difference.abs().numpy() * 1e-6, "there are no items")


def compare_place(pair: StreamPair) -> Iterator[Row]:
    """Calibration of a camera, or where a sensor's frame is, for streams whose columns do not show it.

    A stream that belongs to another one, as depth to its camera, has the place of that one.
    """
    stream = pair.streams[0]
    sensor = stream.instance(pair.name)
    if sensor != pair.name and sensor in pair.expected.streams:
        return
    if isinstance(stream, ImageStream) and isinstance(pair.expected.rig.sensors.get(sensor), CameraSensor):
        yield compare_calibration(pair.expected, pair.found, pair.name)
        yield from compare_rectification(pair.expected, pair.found, pair.name)
        return
    places, reason = pair.places
    if places is None:
        yield pair.failed(f"place of the frame ({_short(reason)})")
    elif not any(moves(column_of(stream, name)) for name in pair.tables[0]):
        step = max(1, len(stream) // MAX_PLACES)
        for comparison in comparisons_of("pose").values():
            yield pair.row("place of the frame", comparison, comparison.errors(*(T[::step] for T in places)))


# --- pictures --------------------------------------------------------------------------------------------------------
def compare_pictures(pair: StreamPair) -> Iterator[Row]:
    """Pictures one by one: exactly, but where their coding changes levels or holds steps of a size."""
    expected, found = pair.streams
    known = comparisons_of((type(expected), "items"))
    errors: dict[str, list[np.ndarray]] = {}
    codings = [item.coding if isinstance(item, Source) else Coding() for item in found.items]
    for i, coding in enumerate(codings):
        a, b = expected.image(i), found.image(i)
        alike = a.shape == b.shape
        # a copy is as it was; what was written again is as its coding gives it back
        wanted = [a, *([coding.stored(a)] if coding.stored is not None and alike else [])]
        for part in parts_of_coding(coding, known):
            off = [known[part].errors(w, b) if alike else np.array([np.inf]) for w in wanted]
            errors.setdefault(part, []).append(min(off, key=lambda e: float(e.max(initial=0.0))))
    step = max((coding.step for coding in codings), default=0.0)
    for part in errors:
        yield pair.row("items", known[part], np.concatenate(errors[part]), step)


def parts_of_coding(coding: Coding, known: Mapping[str, Comparison]) -> Sequence[str]:
    """The comparisons of a kind of picture that hold for a coding."""
    parts = (VIDEO, VIDEO_BLOCK) if coding.video else (LOSSY,) if coding.lossy else ()
    return [p for p in parts if p in known] or [""]


# --- columns ---------------------------------------------------------------------------------------------------------
def compare_columns(pair: StreamPair) -> Iterator[Row]:
    """Every column of either stream by its declared kind."""
    expected, found = pair.tables
    for name in dict.fromkeys((*expected, *found)):
        if name in pair.derived:
            yield Row.not_compared(name, pair.name, DERIVED)
        elif name not in found or name not in expected:
            yield pair.failed(f"{name} ({'missing' if name in expected else 'unexpected'} column)")
        elif pair.rows[0] != pair.rows[1]:
            yield Row.not_compared(name, pair.name, OTHER_ROWS)
        else:
            yield from compare_column(pair, name)


def compare_column(pair: StreamPair, name: str) -> Iterator[Row]:
    """One column, in one frame where its numbers are given in the stream's own."""
    stream, values = pair.streams[0], [table[name] for table in pair.tables]
    if not all(isinstance(v, Tensor | np.ndarray) for v in values):
        yield Row.not_compared(name, pair.name, NO_RULE.format(f"a column of type {type(values[0]).__name__}"))
        return
    comparisons = column_comparisons(stream, name, values[0])
    if not comparisons:
        yield Row.not_compared(name, pair.name, NO_RULE.format(f"a column of kind {column_of(stream, name).kind!r}"))
        return
    if values[0].shape != values[1].shape or isinstance(values[0], Tensor) != isinstance(values[1], Tensor):
        shapes = [tuple(v.shape) for v in values]
        yield pair.failed(f"{name} ({shapes[0]} expected, {shapes[1]} found)")
        return
    column = column_of(stream, name)
    if moves(column) and pair.places[0] is not None:
        items = pair.streams[0].row_item
        values = [moved(v, column, T[items]) for v, T in zip(values, pair.places[0], strict=True)]
    if isinstance(values[0], np.ndarray):
        values[1] = without_suffix(values[0], values[1], pair.suffix)
    for comparison in comparisons.values():
        yield pair.row(name, comparison, comparison.errors(*values), pair.steps.get(name, 0.0))


def without_suffix(expected: np.ndarray, found: np.ndarray, suffix: str) -> np.ndarray:
    """Names of a copy (n,) as the source has them, where that is all that differs."""
    if not suffix or expected.dtype.kind != "U":
        return found
    return np.where(found == np.char.add(expected, suffix), expected, found)


# --- fields ----------------------------------------------------------------------------------------------------------
def compare_fields(pair: StreamPair) -> Iterator[Row]:
    """Fields that are neither plain nor of every stream, each entry by its type."""
    for name in own_fields(pair.streams[0]):
        a, b = (getattr(s, name, None) for s in pair.streams)
        if is_plain(a) or (a is None and b is None):
            continue  # a fact
        entries = [list(v) if isinstance(v, tuple) else [v] for v in (a, b)]
        if [type(v) for v in entries[0]] != [type(v) for v in entries[1]] or any(
            isinstance(v, Tensor) and v.shape != w.shape for v, w in zip(*entries, strict=True)
        ):
            yield pair.failed(f"{name} (of another number, type or shape)")
            continue
        # entries that items share are compared once
        pairs = list({(id(v), id(w)): (v, w) for v, w in zip(*entries, strict=True)}.values())
        comparisons = field_comparisons(type(pair.streams[0]), name, pairs[0][0])
        if not comparisons:
            yield Row.not_compared(name, pair.name, NO_RULE.format(f"a field of type {type(pairs[0][0]).__name__}"))
        for comparison in comparisons.values():
            errors = np.concatenate([comparison.errors(v, w) for v, w in pairs])
            yield pair.row(name, comparison, errors)


def field_comparisons(kind: type, name: str, entry: Any) -> dict[str, Comparison]:
    """The comparisons of a field by its class and name, by the type of its entries, or by the numbers that they are."""
    own = comparisons_of((kind, name)) or comparisons_of(type(entry))
    if own or not isinstance(entry, Tensor | np.ndarray):
        return own
    floating = entry.is_floating_point() if isinstance(entry, Tensor) else entry.dtype.kind == "f"
    return comparisons_of("plain" if floating else "entries")
