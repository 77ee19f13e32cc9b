"""Streams of messages whose type has rules, read and written by them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch

from fusion_aug.errors import DataError
from fusion_aug.logs.mcap.definitions import typestore
from fusion_aug.logs.mcap.fields import CODECS, Codec, member, same_numbers, with_member
from fusion_aug.logs.mcap.file import stamp, stamp_of
from fusion_aug.logs.mcap.messages import ReceivedMessage, register_reader
from fusion_aug.logs.mcap.rules import MessageRules
from fusion_aug.logs.mcap.writing import WRITERS
from fusion_aug.streams import Ragged, Stream
from fusion_aug.streams.ragged import offsets_of

TYPES: dict[str, MessageRules] = {}
_prepared: WeakKeyDictionary[Stream, dict[str, Any]] = WeakKeyDictionary()


def add_rules(rules: MessageRules) -> None:
    """Register a type with its rules: how it is read, written and told of in the table."""
    TYPES[rules.kind] = rules
    register_reader(rules.kind)(read_typed)
    WRITERS[rules.stream] = write_typed


def read_typed(messages: list[ReceivedMessage], stream_fields: dict[str, Any], where: str) -> Stream:
    """The stream of a type with rules.

    Raises:
        DataError: a message holds what the rules do not know.
    """
    found = [h.message for h in messages]
    rules = TYPES[found[0].__msgtype__]
    reason = why_not(rules, found)
    if reason:
        raise DataError(f"{where}: {reason}")
    parts, more = found, dict(stream_fields)
    if rules.rows:
        lists = [member(m, rules.rows) for m in found]
        parts = [part for rows in lists for part in rows]
        more["offsets"] = offsets_of(torch.tensor([len(rows) for rows in lists]))
    values = {f.column: CODECS[f.codec].read([member(p, f.path) for p in parts]) for f in rules.fields}
    if rules.adjust is not None:
        values = rules.adjust(values, messages)
    table = rules.stream.column_table()
    if any(table[c].kind == "pose" and np.isnan(v[:, :3, :3]).any() for c, v in values.items()):
        raise DataError(f"{where}: a rotation in it is not a quaternion (all 0, or not finite)")
    child = str(member(found[0], rules.child)).strip("/") if rules.child else ""
    tensors = {c: torch.from_numpy(np.ascontiguousarray(v)) for c, v in values.items()}
    return rules.stream(**more, child=child, values=tensors)


def why_not(rules: MessageRules, messages: list[Any]) -> str:
    """Why the rules of a type do not hold for the messages of a topic; empty where they do."""
    own = numbers_of_its_own(messages[0])
    if own:
        return f"its field {own[0]} is not one that {rules.kind} has in ROS 2 Humble"
    children = {str(member(m, rules.child)).strip("/") for m in messages} if rules.child else set()
    if len(children) > 1:
        return f"its {rules.child} changes from message to message ({', '.join(sorted(children))})"
    return rules.look(messages) if rules.look is not None else ""


def numbers_of_its_own(message: Any, path: str = "") -> list[str]:
    """Paths of fields that ROS's type does not have and that may be of the scene: numbers with a fraction.

    Texts, flags and whole numbers that a vendor added stay as they are.
    """
    kind = str(message.__msgtype__)
    known = {n for n, _ in typestore().fielddefs.get(kind, (None, ()))[1]}
    out = []
    for name, value in vars(message).items():
        first = value[0] if isinstance(value, list) and value else value
        nested = hasattr(first, "__msgtype__")
        if name not in known and not name.startswith("__"):
            holds_fractions = isinstance(first, float) or (isinstance(value, np.ndarray) and value.dtype.kind == "f")
            out += [f"{path}{name}"] if nested or holds_fractions else []
        elif nested:
            out += numbers_of_its_own(first, f"{path}{name}.")
    return out


def write_typed(stream: Stream, template: Any, i: int) -> Any:
    """The message of item ``i``: its template with the parts that the item changed.

    Raises:
        DataError: the template is of another kind of data.
    """
    rules = TYPES.get(getattr(template, "__msgtype__", ""))
    if rules is None or not isinstance(stream, rules.stream):
        raise DataError(f"{type(stream).__name__} has no message of type {getattr(template, '__msgtype__', '?')}")
    if rules.rows:
        return _with_rows(stream, rules, template, i)
    return _with_fields(stream, rules, template, i)


def _with_fields(stream: Stream, rules: MessageRules, part: Any, row: int) -> Any:
    """A part of a message with one row of the columns of its fields."""
    for field in rules.fields:
        if field.column in stream.values:
            codec, old = CODECS[field.codec], member(part, field.path)
            part = with_member(part, field.path, _put(codec, old, _rows(stream, field.column, codec)[row]))
    return part


def _with_rows(stream: Stream, rules: MessageRules, template: Any, i: int) -> Any:
    """A message with the rows of an item as the elements of its list, and their stamps.

    Raises:
        DataError: the item has another number of rows than its message.
    """
    assert isinstance(stream, Ragged)
    old, rows = member(template, rules.rows), range(stream.rows)[stream.item_slice(i)]
    if len(old) != len(rows):
        raise DataError(f"{rules.kind}: {rules.rows}: {len(rows)} rows for a message of {len(old)}")
    parts = [_with_fields(stream, rules, part, row) for part, row in zip(old, rows, strict=True)]
    if rules.row_stamps:
        time, after = int(stream.capture_times[i]), (stream["time"][rows.start : rows.stop] * 1e9).round().tolist()
        parts = [with_stamp(p, time + int(s)) for p, s in zip(parts, after, strict=True)]
    return with_member(template, rules.rows, parts)


def with_stamp(part: Any, time: int) -> Any:
    """A part with another stamp (ns) in its header, unless that was never set."""
    return part if stamp_of(part) in (0, time) else replace(part, header=stamp(part.header, time))


def _put(codec: Codec, part: Any, row: Any) -> Any:
    if isinstance(row, tuple):  # a pose, which decides for position and rotation apart
        return codec.put(part, row)
    return part if same_numbers(codec.held(part), row) else codec.put(part, row)


def _rows(stream: Stream, column: str, codec: Codec) -> Sequence[Any]:
    """A column as messages hold it, worked out once for all items of a stream."""
    known = _prepared.setdefault(stream, {})
    if column not in known:
        known[column] = codec.prepare(stream[column].detach().cpu().to(torch.float64).numpy())
    return known[column]
