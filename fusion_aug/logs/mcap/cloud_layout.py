"""Where the points of a PointCloud2 lie in its bytes, and how changed ones are put back among bytes that stay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fusion_aug.errors import DataError
from fusion_aug.logs.mcap.file import typestore

FIELDS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 8: "f8"}  # of PointField, by datatype
CODES = {v: k for k, v in FIELDS.items()}
PADDING = ("", "_")  # names by which PCL fills gaps, as often as it needs them
MOST_BYTES_PER_POINT = 2**20


@dataclass(frozen=True)
class CloudLayout:
    """The places of points and fields.

    Attributes:
        point: dtype of a point with its fields, as many bytes as ``point_step``.
        height, width: rows, and points of a row. stride: bytes from one row to the next.
    """

    point: np.dtype
    height: int
    width: int
    stride: int

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the fields, without those that fill gaps."""
        return self.point.names or ()

    @property
    def count(self) -> int:
        """Points in all."""
        return self.height * self.width

    def points(self, data: np.ndarray) -> np.ndarray:
        """(height, width) points in bytes (uint8), in the same memory."""
        strides = (self.stride, self.point.itemsize)
        return np.ndarray((self.height, self.width), self.point, data, 0, strides)

    def point_bytes(self, data: np.ndarray, size: int) -> np.ndarray:
        """(height, width, size) the first bytes of each point, fill between fields included, in the same memory."""
        return np.ndarray((self.height, self.width, size), np.uint8, data, 0, (self.stride, self.point.itemsize, 1))


def cloud_problem(message: Any, topic: str) -> tuple[str, str] | None:
    """Why a PointCloud2 cannot be read as points, and what to do; None where it can. It looks at no point.

    Args:
        message: as rosbags returns it. topic: for the remedy.
    """
    reason = _problem(message)
    return None if reason is None else (reason, f"leave the topic out with log.exclude=[{topic}]")


def _problem(message: Any) -> str | None:
    fields = {f.name: f for f in message.fields if f.name not in PADDING}
    named = [f.name for f in message.fields if f.name not in PADDING]
    again = next((n for i, n in enumerate(named) if n in named[:i]), None)
    if again is not None:
        return f"fields: two are called {again!r}"
    if not {"x", "y", "z"} <= set(fields):
        return f"fields: x, y, z are missing (it has {', '.join(named) or 'none'})"
    step, limit = int(message.point_step), MOST_BYTES_PER_POINT
    for f in fields.values():
        if f.datatype not in FIELDS:
            return f"fields: {f.name}: datatype {f.datatype} is not one of PointField"
        if int(f.offset) + max(1, int(f.count)) * np.dtype(FIELDS[f.datatype]).itemsize > step:
            return f"fields: {f.name}: reaches beyond point_step, {step} bytes"
    if any(FIELDS[fields[a].datatype][0] != "f" or int(fields[a].count) > 1 for a in "xyz"):
        return "fields: x, y, z are no single floating-point numbers, so their unit is not known"
    if step > limit:
        return f"point_step: {step} bytes for a point are more than {limit}"
    height, width = int(message.height), int(message.width)
    needed = 0 if height * width == 0 else (height - 1) * _stride(message) + width * step
    if needed > len(message.data):
        return f"data: {len(message.data)} bytes are too few for {height} x {width} points of {step} bytes"
    return None


def _stride(message: Any) -> int:
    """Bytes from one row to the next; drivers of clouds in one row, and some others, leave ``row_step`` unset."""
    return max(int(message.row_step), int(message.point_step) * int(message.width))


def layout_of(message: Any, where: str) -> CloudLayout:
    """The layout of a message.

    Raises:
        DataError: it cannot be read as points; ``where`` names it.
    """
    reason = _problem(message)
    if reason is not None:
        raise DataError(f"{where}: {reason}")
    order = ">" if message.is_bigendian else "<"
    fields = {f.name: f for f in message.fields if f.name not in PADDING}
    point = np.dtype({
        "names": list(fields), "formats": [_format(f, order) for f in fields.values()],
        "offsets": [int(f.offset) for f in fields.values()], "itemsize": int(message.point_step),
    })  # fmt: skip
    height, width = (int(message.height), int(message.width)) if message.height and message.width else (0, 0)
    return CloudLayout(point, height, width, _stride(message) if height else point.itemsize)


def _format(field: Any, order: str) -> Any:
    one = order + FIELDS[field.datatype]
    return one if field.count <= 1 else (one, (int(field.count),))


def packed_rows(message: Any, where: str) -> np.ndarray:
    """The points (n,) of a message row by row, a field of NumPy for every field.

    Raises:
        DataError: it cannot be read as points.
    """
    layout = layout_of(message, where)
    return layout.points(np.ascontiguousarray(message.data)).reshape(-1)


def with_points(template: Any, columns: Mapping[str, np.ndarray], new: Mapping[str, np.dtype], dense: bool) -> Any:
    """A message with other numbers in the place of its own.

    Where it has as many points as before, all bytes stay that are not those of changed numbers: fill between fields
    and after rows, the order of bytes, rows and columns. Otherwise it is one row of points in the same layout.

    Args:
        template: the message as it was. dense: whether no coordinate is NaN or infinite.
        columns: field -> its numbers (n, ...), in a type that the field holds, of all points in the order of rows.
            Fields that are not there are left out.
        new: fields that the template does not have -> their types; they go behind the others.
    """
    before, n = layout_of(template, "PointCloud2"), len(columns["x"])
    same = n == before.count
    after = _extended(before, new, template.is_bigendian)
    if not same:
        after = replace(after, height=1, width=n, stride=n * after.point.itemsize)
    old_bytes = np.ascontiguousarray(template.data).view(np.uint8)
    if same and not new:
        data = old_bytes.copy()
    else:
        data = np.zeros(after.height * after.stride, np.uint8)
        if same:
            size = before.point.itemsize
            after.point_bytes(data, size)[...] = before.point_bytes(old_bytes, size)
    points = after.points(data)
    for name, values in columns.items():
        _put(points[name], values.reshape(points[name].shape))
    return replace(
        template, height=int(template.height) if same else 1, width=int(template.width) if same else n,
        fields=_point_fields(template, after, columns, new), point_step=after.point.itemsize,
        row_step=int(template.row_step) if same and not new else after.stride, data=data, is_dense=dense,
    )  # fmt: skip


def _extended(layout: CloudLayout, new: Mapping[str, np.dtype], is_bigendian: bool) -> CloudLayout:
    """A layout with further fields behind the others; rows then follow one another without bytes between them."""
    if not new:
        return layout
    places: Any = layout.point.fields
    kinds = {n: places[n] for n in layout.names}
    end = layout.point.itemsize
    for name, kind in new.items():
        kinds[name] = (kind.newbyteorder(">" if is_bigendian else "<"), end)
        end += kind.itemsize
    point = np.dtype({
        "names": list(kinds), "formats": [k[0] for k in kinds.values()], "offsets": [k[1] for k in kinds.values()],
        "itemsize": end,
    })  # fmt: skip
    return CloudLayout(point, layout.height, layout.width, layout.width * end)


def _put(target: np.ndarray, values: np.ndarray) -> None:
    """Write the numbers that differ; a NaN that stays one keeps its bits."""
    values = values.astype(target.dtype)
    differ = values != target
    if values.dtype.kind == "f":
        differ &= ~(np.isnan(values) & np.isnan(target))
        differ |= (values == 0) & (np.signbit(values) != np.signbit(target))
    target[differ] = values[differ]


def _point_fields(
    template: Any, layout: CloudLayout, columns: Mapping[str, np.ndarray], new: Mapping[str, np.dtype]
) -> list[Any]:
    kept = [f for f in template.fields if f.name in PADDING or f.name in columns]
    make: Any = typestore().types["sensor_msgs/msg/PointField"]
    places: Any = layout.point.fields
    codes = {n: CODES[k.kind + str(k.itemsize)] for n, k in new.items()}
    return kept + [make(name=n, offset=int(places[n][1]), datatype=c, count=1) for n, c in codes.items()]
