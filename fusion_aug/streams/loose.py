"""What streams are made of by hand: NumPy arrays and lists, of which streams hold tensors, tuples and text arrays."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fusion_aug.errors import DataError

WHOLE = ("offsets", "sample_index")
HELD = (Tensor, str)  # what stays as it is
NUMBERS = (*WHOLE, "capture_times", "receive_times", "clock_offset", "present")  # fields that become tensors of lists


def as_held(stream: Any) -> dict[str, Any]:
    """Fields of a stream that are NumPy arrays or lists, as the stream holds them; all others are left out.

    Raises:
        DataError: an array holds neither numbers nor text.
    """
    kind, out = type(stream).__name__, {}
    for name, value in stream.__dict__.items():
        if value is None or isinstance(value, HELD):
            continue
        if name == "values":
            # columns that still lie in files are tensors
            loose = {n: v for n, v in value.items() if _is_loose(v)} if type(value) is dict else {}
            if loose:
                out[name] = value | {n: tensor_of(v, f"{kind}: {n}") for n, v in loose.items()}
        elif name in NUMBERS and _is_loose(value):
            held = tensor_of(value, f"{kind}.{name}")
            whole = not len(held) or (name in WHOLE and not held.is_floating_point())
            out[name] = held.to(torch.bool) if name == "present" else held.to(torch.int64) if whole else held
        elif name == "items" and any(isinstance(v, np.ndarray) for v in value):
            out[name] = tuple(tensor_of(v, f"{kind}: item {i}") if _is_loose(v) else v for i, v in enumerate(value))
        elif isinstance(value, list):
            out[name] = tuple(value)
        elif _is_loose(value):
            out[name] = tensor_of(value, f"{kind}.{name}")
    return out


def _is_loose(value: Any) -> bool:
    return isinstance(value, list) or (isinstance(value, np.ndarray) and value.dtype.kind != "U")


def tensor_of(values: Any, where: str) -> Any:
    """Numbers as a tensor, text as a text array, in the memory of the argument where it can stay there.

    Args:
        values: list or array. where: names it in messages.

    Raises:
        DataError: it holds neither numbers nor text, or rows of different lengths.
    """
    if isinstance(values, list) and any(isinstance(v, Tensor) for v in values):
        values = [v.tolist() if isinstance(v, Tensor) else v for v in values]
    try:
        array = np.asarray(values)
    except ValueError:
        raise DataError(f"{where}: rows of different lengths") from None
    if array.dtype.kind == "U":
        return array
    if array.dtype.kind not in "biuf":
        raise DataError(f"{where}: expected numbers or text, got an array of {array.dtype}")
    native = array.astype(array.dtype.newbyteorder("="), order="C", copy=False)
    # a read-only array is copied: a tensor over it could be written to
    return torch.from_numpy(native if native.flags.writeable else native.copy())


def check_offsets(stream: Any, where: str) -> None:
    """Raise where the row offsets of a stream are not those of its items.

    Args:
        stream: a ``Ragged`` one. where: names it in messages.

    Raises:
        DataError: they are not whole numbers that rise from 0, one more than there are items.
    """
    offsets = stream.offsets
    if offsets is None:  # of columns that still lie in files
        return
    if offsets.dtype != torch.int64 or tuple(offsets.shape) != (len(stream) + 1,):
        got = f"{tuple(offsets.shape)} of {str(offsets.dtype).removeprefix('torch.')}"
        raise DataError(f"{where}: offsets: expected {len(stream) + 1} int64 for {len(stream)} items, got {got}")
    if int(offsets[0]) != 0 or bool((offsets.diff() < 0).any()):
        raise DataError(f"{where}: offsets: must rise from 0, got {offsets.tolist()[:6]}")


def strings(values: Iterable[str]) -> np.ndarray[Any, Any]:
    """A label column of Python strings."""
    return np.array(list(values), dtype=np.str_).reshape(-1)
