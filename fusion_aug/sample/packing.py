"""How a sample travels between processes: all of its tensors in one buffer.

Between processes torch hands on every tensor in shared memory of its own, at the price of a file descriptor each. A
sample has a hundred small ones (stamps, indices, poses), so a loader would soon run out of descriptors.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

ALIGNMENT = 64  # bytes: every tensor starts where vector instructions like it


class Place(NamedTuple):
    """Where a tensor lies in the buffer: first byte, dtype, shape, strides (in entries) and bytes that it spans."""

    start: int
    dtype: torch.dtype
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    size: int


class Packed(NamedTuple):
    """An object taken apart.

    Attributes:
        skeleton: pickle of all but its tensors.
        buffer: (n,) uint8 with the values of tensors on the CPU.
        tensors: for every tensor its place in the buffer, or the tensor itself where that is on a device or carries a
            gradient.
    """

    skeleton: bytes
    buffer: Tensor
    tensors: tuple[Place | Tensor, ...]


class Parcel:
    """Something that arrives in another process as ``value``, with all of its tensors in one buffer."""

    def __init__(self, value: Any):
        self.value = value

    def __reduce__(self) -> tuple[Any, ...]:
        return unpack, pack(self.value)


class _Skeleton(pickle.Pickler):
    """Pickles everything but the tensors, which it numbers."""

    def __init__(self, file: io.BytesIO):
        super().__init__(file, protocol=5)
        self.tensors: list[Tensor] = []
        self.number: dict[int, int] = {}

    def persistent_id(self, value: Any) -> int | None:
        if type(value) is not Tensor:
            return None
        if id(value) not in self.number:
            self.number[id(value)] = len(self.tensors)
            self.tensors.append(value)  # also keeps it alive, so that its id stays its own
        return self.number[id(value)]


class _Body(pickle.Unpickler):
    """Puts tensors back in their places."""

    def __init__(self, skeleton: bytes, tensors: Sequence[Tensor]):
        super().__init__(io.BytesIO(skeleton))
        self.tensors = tensors

    def persistent_load(self, number: int) -> Tensor:
        return self.tensors[number]


def with_tensors(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """Return a copy of an object with every tensor in it changed, each once."""
    skeleton, tensors = _take_apart(value)
    return _Body(skeleton, [change(t) for t in tensors]).load()


def pack(value: Any) -> Packed:
    """Take an object apart; its tensors are copied."""
    skeleton, tensors = _take_apart(value)
    placed: list[Place | Tensor] = []
    spans: list[tuple[int, Tensor]] = []
    end = 0
    for tensor in tensors:
        if not _fits_the_buffer(tensor):
            placed.append(tensor)
            continue
        span, strides = _span(tensor)
        start = -(-end // ALIGNMENT) * ALIGNMENT
        end = start + span.numel()
        spans.append((start, span))
        placed.append(Place(start, tensor.dtype, tuple(tensor.shape), strides, span.numel()))
    buffer = torch.empty(end, dtype=torch.uint8)
    for start, span in spans:
        buffer[start : start + span.numel()] = span
    return Packed(skeleton, buffer, tuple(placed))


def unpack(skeleton: bytes, buffer: Tensor, tensors: Sequence[Place | Tensor]) -> Any:
    """Put an object together again; its tensors are views of the buffer."""
    return _Body(skeleton, [t if isinstance(t, Tensor) else _view(buffer, t) for t in tensors]).load()


def _take_apart(value: Any) -> tuple[bytes, list[Tensor]]:
    file = io.BytesIO()
    pickler = _Skeleton(file)
    pickler.dump(value)
    return file.getvalue(), pickler.tensors


def _fits_the_buffer(tensor: Tensor) -> bool:
    plain = tensor.is_cpu and tensor.layout == torch.strided and not tensor.is_conj() and not tensor.is_neg()
    return plain and not tensor.requires_grad


def _span(tensor: Tensor) -> tuple[Tensor, tuple[int, ...]]:
    """Bytes (n,) from the first to the last entry of a tensor, and its strides in them.

    A repeated entry (stride 0) is held once; of a tensor with gaps between its entries a copy without them is taken.
    """
    if tensor.numel() == 0:
        return torch.empty(0, dtype=torch.uint8), tuple(tensor.stride())
    length = 1 + sum((n - 1) * step for n, step in zip(tensor.shape, tensor.stride(), strict=True))
    if length > tensor.numel():
        tensor = tensor.contiguous()
        length = tensor.numel()
    return tensor.as_strided((length,), (1,)).view(torch.uint8), tuple(tensor.stride())


def _view(buffer: Tensor, place: Place) -> Tensor:
    values = buffer[place.start : place.start + place.size].view(place.dtype)
    return values.as_strided(place.shape, place.strides)
