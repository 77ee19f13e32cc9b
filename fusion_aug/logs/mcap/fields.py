"""Parts of ROS messages as rows of columns, and back into a message without touching what did not change.

A codec reads one part (a vector, a pose, a list of numbers) from every message of a topic. It puts a row back into a
part only where the row differs from what the part holds, bit by bit, so that an unchanged field keeps its bytes: a
quaternion is not rounded through a matrix, and its sign stays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from calib.se3 import quaternion_from_rotation, rotation_from_quaternion, se3

Rows = np.ndarray[Any, Any]
XYZ, WXYZ = ("x", "y", "z"), ("w", "x", "y", "z")
LEAST_NORM = 1e-6  # of a quaternion; a message that nobody filled in holds zeros


@dataclass(frozen=True)
class Codec:
    """How a part of a message is a row of a column.

    Attributes:
        read: parts of n messages -> (n, ...) array, float64 where they are numbers.
        put: part and a row, prepared -> the part with that row.
        held: part -> its numbers in the order of a row, to see whether they change; a pose sees to that in ``put``.
        prepare: column (n, ...) -> rows (n, ...) as messages hold them, at once for all.
    """

    read: Callable[[Sequence[Any]], Rows]
    put: Callable[[Any, Any], Any]
    held: Callable[[Any], Any] = np.asarray
    prepare: Callable[[Rows], Any] = np.asarray


def same(a: Rows, b: Rows) -> bool:
    """Whether two arrays hold the same numbers, NaN in the same places."""
    return bool(np.array_equal(a, b, equal_nan=a.dtype.kind == "f"))


def same_numbers(held: Any, row: Any) -> bool:
    """Whether what a part holds is a row already; of lists of any length only as many numbers as it has count."""
    if isinstance(held, np.ndarray):
        return same(held, np.reshape(row, -1)[: len(held)])
    return all(a == b or (a != a and b != b) for a, b in zip(held, np.reshape(row, -1).tolist(), strict=True))


def member(message: Any, path: str) -> Any:
    """A part of a message by its path, such as ``pose.pose.position``; the message itself for an empty path."""
    for name in path.split(".") if path else ():
        message = getattr(message, name)
    return message


def with_member(message: Any, path: str, value: Any) -> Any:
    """The message with another part; messages are not edited in place."""
    if not path:
        return value
    name, _, rest = path.partition(".")
    old = getattr(message, name)
    new = with_member(old, rest, value)
    return message if new is old else replace(message, **{name: new})


def _read_numbers(names: Sequence[str]) -> Callable[[Sequence[Any]], Rows]:
    def read(parts: Sequence[Any]) -> Rows:
        rows = [[getattr(p, n) for n in names] for p in parts]
        return np.array(rows, dtype=np.float64).reshape(len(parts), len(names))

    return read


def _put_numbers(names: Sequence[str]) -> Callable[[Any, Any], Any]:
    def put(part: Any, row: Any) -> Any:
        return replace(part, **{n: float(v) for n, v in zip(names, row, strict=True)})

    return put


def _numbers_of(names: Sequence[str]) -> Callable[[Any], list[float]]:
    return lambda part: [getattr(part, n) for n in names]


def _read_quaternion(parts: Sequence[Any]) -> Rows:
    """(n, 4) w x y z; NaN where a message holds none."""
    found = _read_numbers(WXYZ)(parts)
    found[~is_quaternion(found)] = np.nan
    return found


def is_quaternion(wxyz: Rows) -> Rows:
    """(n,) whether rows (n, 4) are quaternions: finite, and not all 0."""
    with np.errstate(invalid="ignore", over="ignore"):
        norm = np.linalg.norm(wxyz, axis=-1)
    return np.isfinite(wxyz).all(-1) & (norm > LEAST_NORM)


def _put_quaternion(part: Any, row: Any) -> Any:
    if np.isnan(row).any():  # unknown here; what the message holds is none, or a neighbour's
        return part
    return _put_numbers(WXYZ)(part, row)


def _read_pose(position: str, rotation: str) -> Callable[[Sequence[Any]], Rows]:
    def read(parts: Sequence[Any]) -> Rows:
        wxyz = torch.from_numpy(_read_quaternion([getattr(p, rotation) for p in parts]))
        places = _read_numbers(XYZ)([getattr(p, position) for p in parts])
        if not len(parts):
            return np.zeros((0, 4, 4))
        return se3(rotation_from_quaternion(wxyz), torch.from_numpy(places)).numpy()

    return read


def _prepare_pose(poses: Rows) -> Any:
    """Matrices, and their quaternions, whose signs are those of a continuous motion."""
    R = torch.from_numpy(np.ascontiguousarray(poses[:, :3, :3]))
    return list(zip(poses, continuous(quaternion_from_rotation(R).numpy()), strict=True))


def continuous(wxyz: Rows) -> Rows:
    """Quaternions (n, 4) with the sign of each nearest to the one before."""
    turns = (wxyz[1:] * wxyz[:-1]).sum(-1) < 0
    signs = np.where(np.cumsum(turns) % 2 == 1, -1.0, 1.0)
    return np.concatenate([wxyz[:1], wxyz[1:] * signs[:, None]])


def _put_pose(position: str, rotation: str) -> Callable[[Any, Any], Any]:
    read = _read_pose(position, rotation)

    def put(part: Any, row: Any) -> Any:
        (pose, quaternion), old = row, read([part])[0]
        changes = {}
        if not same(pose[:3, 3], old[:3, 3]):
            changes[position] = _put_numbers(XYZ)(getattr(part, position), pose[:3, 3])
        if not same(pose[:3, :3], old[:3, :3]):
            changes[rotation] = _put_numbers(WXYZ)(getattr(part, rotation), quaternion)
        return replace(part, **changes) if changes else part

    return put


def _read_square(parts: Sequence[Any]) -> Rows:
    table = np.array([np.asarray(p, dtype=np.float64) for p in parts]).reshape(len(parts), -1)
    size = round(table.shape[1] ** 0.5)
    return table.reshape(len(parts), size, size)


def _put_array(part: Any, row: Any) -> Any:
    old = np.asarray(part)
    return np.asarray(row).reshape(-1)[: len(old)].astype(old.dtype)


def _read_rows(parts: Sequence[Any]) -> Rows:
    """(n, W) of lists of any length; NaN beyond their ends."""
    out = np.full((len(parts), max((len(p) for p in parts), default=0)), np.nan)
    for row, p in zip(out, parts, strict=True):
        row[: len(p)] = np.asarray(p, dtype=np.float64)
    return out


def _read_number(parts: Sequence[Any]) -> Rows:
    return np.array(parts, dtype=np.float64).reshape(len(parts))


CODECS: dict[str, Codec] = {
    "vector": Codec(_read_numbers(XYZ), _put_numbers(XYZ), _numbers_of(XYZ)),
    "quaternion": Codec(_read_quaternion, _put_quaternion, _numbers_of(WXYZ)),
    "pose": Codec(_read_pose("position", "orientation"), _put_pose("position", "orientation"), prepare=_prepare_pose),
    "transform": Codec(
        _read_pose("translation", "rotation"), _put_pose("translation", "rotation"), prepare=_prepare_pose
    ),
    "square": Codec(_read_square, _put_array),
    "numbers": Codec(_read_rows, _put_array),
    "number": Codec(_read_number, lambda part, row: type(part)(row), lambda part: [part]),
}
