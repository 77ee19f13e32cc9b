"""How a sample travels between processes and is copied: taken apart into tensors and all else.

Between processes torch hands on every tensor in shared memory of its own, at the price of a file descriptor each. A
sample has a hundred small ones (stamps, indices, poses), so a loader would soon run out of descriptors. So a sample
packs itself into one buffer, and a batch is laid into one block of shared memory while it is still in the worker.
"""

from __future__ import annotations

import copyreg
import io
import os
import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from fusion_aug.errors import DataError
from fusion_aug.ops.modes import standard_modes
from fusion_aug.streams.recent import PASSED

ALIGNMENT = 64  # bytes: every tensor starts where vector instructions like it
MAX_DEPTH = 12  # of the place that a message names
_MARK = bytearray(os.urandom(16))  # at the end of the blocks that this process made


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
        buffer: (n,) uint8 with the values of tensors on the CPU; an array where it goes inside the pickle.
        tensors: for every tensor its place in the buffer, or the tensor itself where it does not fit one: on a device,
            with a gradient, sparse, nested or quantized.
    """

    skeleton: bytes
    buffer: Tensor | np.ndarray[Any, Any]
    tensors: tuple[Place | Tensor, ...]


class _Skeleton(pickle.Pickler):
    """Pickles everything but the tensors, which it numbers."""

    def __init__(self, file: io.BytesIO):
        super().__init__(file, protocol=5)
        self.tensors: list[Tensor] = []
        self.number: dict[int, int] = {}

    def persistent_id(self, value: Any) -> int | None:
        return self.numbered(value) if type(value) is Tensor else None

    def numbered(self, value: Tensor) -> int:
        """The number of a tensor, which is new where it was not met before."""
        if id(value) not in self.number:
            self.number[id(value)] = len(self.tensors)
            self.tensors.append(value)  # also keeps it alive, so that its id stays its own
        return self.number[id(value)]


class _Whole(_Skeleton):
    """For copies of samples: objects with ``copied_whole`` keep what their pickles leave out, or pack."""

    def reducer_override(self, value: Any) -> Any:
        if getattr(type(value), "copied_whole", False):
            held = {name: part for name, part in vars(value).items() if name != PASSED}
            return copyreg.__newobj__, (type(value),), held  # type: ignore[attr-defined]
        return NotImplemented


class _Here(_Whole):
    """For copies within the process, where tensors of a device stay there, whatever their class."""

    def persistent_id(self, value: Any) -> int | None:
        if isinstance(value, Tensor) and value.device.type != "cpu":
            return self.numbered(value)
        return super().persistent_id(value)


class _Sendable(_Whole):
    """For copies that another process gets: refuses what torch refuses later, in a thread that nobody hears."""

    def persistent_id(self, value: Any) -> int | None:
        if isinstance(value, Tensor) and value.requires_grad and not value.is_leaf:
            raise TypeError("it carries a gradient, which stays in its process: detach() it")
        return super().persistent_id(value)


class _Body(pickle.Unpickler):
    """Puts tensors back in their places."""

    def __init__(self, skeleton: bytes, tensors: Sequence[Tensor]):
        super().__init__(io.BytesIO(skeleton))
        self.tensors = tensors

    def persistent_load(self, number: int) -> Tensor:
        return self.tensors[number]


@standard_modes()
def with_tensors(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """Return a copy of an object with every tensor in it changed, each once; files that were read stay read."""
    skeleton, tensors = _take_apart(value, _Here)
    return _Body(skeleton, [change(t) for t in tensors]).load()


@standard_modes()
def pack(value: Any, *, inline: bool = False) -> Packed:
    """Take an object apart; its tensors are copied, unless they lie in one block that ``in_one_block`` made here.

    Args:
        value: the object.
        inline: whether the values of its tensors go inside the pickle, so that keeping one keeps nothing else alive.
    """
    skeleton, tensors = _take_apart(value, _Skeleton)
    block = None if inline else _block_of(tensors)
    if block is not None:
        return Packed(skeleton, block, tuple(_place_in_block(t) if _fits_a_buffer(t) else t for t in tensors))
    placed, spans, end = _laid_out(tensors)
    buffer = torch.empty(end, dtype=torch.uint8)
    _fill(buffer, spans)
    return Packed(skeleton, buffer.numpy() if inline else buffer, placed)


@standard_modes()
def unpack(skeleton: bytes, buffer: Tensor | np.ndarray[Any, Any], tensors: Sequence[Place | Tensor]) -> Any:
    """Put an object together again; its tensors are views of the buffer."""
    held = buffer if isinstance(buffer, Tensor) else torch.from_numpy(buffer)
    return _Body(skeleton, [t if isinstance(t, Tensor) else _view(held, t) for t in tensors]).load()


@standard_modes()
def in_one_block(value: Any, name: str) -> Any:
    """Return a copy of an object whose tensors lie in one block of shared memory, to be sent at one descriptor.

    Args:
        value: the object. name: of it, for messages.

    Raises:
        DataError: something in it cannot be sent to another process; the message names the place.
    """
    try:
        skeleton, tensors = _take_apart(value, _Sendable)
    except Exception as error:  # whatever objects raise that are pickled
        place, reason = _culprit(value, error)
        raise DataError(
            f"{name}{place}: cannot be sent from a worker ({reason}); leave it out or change it in convert=, or use "
            f"num_workers=0"
        ) from error
    placed, spans, end = _laid_out(tensors)
    block = _bytes_of(torch.UntypedStorage._new_shared(end + len(_MARK), device="cpu"))
    _fill(block, [*spans, (end, torch.tensor(list(_MARK), dtype=torch.uint8))])
    return unpack(skeleton, block, placed)


# --- what cannot be sent ---------------------------------------------------------------------------------------------
def _culprit(value: Any, error: Exception) -> tuple[str, Exception]:
    """The innermost part that cannot be pickled, written as one gets at it, and why."""
    place = ""
    for _ in range(MAX_DEPTH):
        for step, part in _parts(value):
            try:
                _take_apart(part, _Sendable)
            except Exception as inner:
                place, value, error = place + step, part, inner
                break
        else:
            break
    return place, error


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        yield from ((f"[{k!r}]", v) for k, v in value.items())
    elif isinstance(value, list | tuple):
        yield from ((f"[{i}]", v) for i, v in enumerate(value))
    elif not isinstance(value, Tensor | type):
        yield from ((f".{n}", v) for n, v in getattr(value, "__dict__", {}).items())


# --- the buffer ------------------------------------------------------------------------------------------------------
def _take_apart(value: Any, kind: type[_Skeleton]) -> tuple[bytes, list[Tensor]]:
    file = io.BytesIO()
    pickler = kind(file)
    pickler.dump(value)
    return file.getvalue(), pickler.tensors


def _fits_a_buffer(tensor: Tensor) -> bool:
    plain = tensor.is_cpu and tensor.layout == torch.strided and not tensor.is_nested and not tensor.is_quantized
    return plain and not tensor.is_conj() and not tensor.is_neg() and not tensor.requires_grad


def _laid_out(tensors: Sequence[Tensor]) -> tuple[tuple[Place | Tensor, ...], list[tuple[int, Tensor]], int]:
    """Places of tensors in a new buffer, the bytes for each with where they start, and its length."""
    placed: list[Place | Tensor] = []
    spans: list[tuple[int, Tensor]] = []
    end = 0
    for tensor in tensors:
        if not _fits_a_buffer(tensor):
            placed.append(tensor)
            continue
        span, strides = _span(tensor)
        start = -(-end // ALIGNMENT) * ALIGNMENT
        end = start + span.numel()
        spans.append((start, span))
        placed.append(Place(start, tensor.dtype, tuple(tensor.shape), strides, span.numel()))
    return tuple(placed), spans, end


def _fill(buffer: Tensor, spans: Sequence[tuple[int, Tensor]]) -> None:
    for start, span in spans:
        buffer[start : start + span.numel()] = span


def _bytes_of(storage: torch.UntypedStorage) -> Tensor:
    return torch.empty(0, dtype=torch.uint8).set_(storage)


def _extent(tensor: Tensor) -> int:
    """Entries from the first to the last of a tensor, those between them included."""
    if tensor.numel() == 0:
        return 0
    return 1 + sum((n - 1) * step for n, step in zip(tensor.shape, tensor.stride(), strict=True))


def _span(tensor: Tensor) -> tuple[Tensor, tuple[int, ...]]:
    """Bytes (n,) from the first to the last entry of a tensor, and its strides in them.

    A repeated entry (stride 0) is held once; of a tensor with gaps between its entries a copy without them is taken.
    """
    if tensor.numel() == 0:
        return torch.empty(0, dtype=torch.uint8), tuple(tensor.stride())
    if _extent(tensor) > tensor.numel():
        tensor = tensor.contiguous()
    return tensor.as_strided((_extent(tensor),), (1,)).view(torch.uint8), tuple(tensor.stride())


def _block_of(tensors: Sequence[Tensor]) -> Tensor | None:
    """The block of ``in_one_block`` of this process that all tensors lie in, (n,) uint8; None where they do not.

    It is sent as it is. Blocks that came from other processes are not: a part of one would keep or write all of it.
    """
    held = [t for t in tensors if _fits_a_buffer(t) and t.numel()]
    blocks = {t.untyped_storage().data_ptr(): t.untyped_storage() for t in held}
    if len(blocks) != 1:
        return None
    (block,) = blocks.values()
    if block.nbytes() < len(_MARK) or not block.is_shared():
        return None
    held_bytes = _bytes_of(block)
    return held_bytes if bytes(held_bytes[-len(_MARK) :].tolist()) == _MARK else None


def _place_in_block(tensor: Tensor) -> Place:
    size, start = _extent(tensor) * tensor.element_size(), int(tensor.storage_offset()) * tensor.element_size()
    return Place(start if size else 0, tensor.dtype, tuple(tensor.shape), tuple(tensor.stride()), size)


def _view(buffer: Tensor, place: Place) -> Tensor:
    values = buffer[place.start : place.start + place.size].view(place.dtype)
    return values.as_strided(place.shape, place.strides)


def _new_mark() -> None:
    _MARK[:] = os.urandom(len(_MARK))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_new_mark)
