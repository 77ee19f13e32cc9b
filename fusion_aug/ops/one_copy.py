"""Many tensors on another device by one copy."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

ALIGNMENT = 16  # bytes, at which every tensor begins in the buffer
PINNED = ("cuda", "lazy")  # devices that copy from page-locked memory without a wait; the second is the mock device's


def one_copy(tensors: Sequence[Tensor], device: torch.device) -> list[Tensor]:
    """Tensors of the CPU on a device: laid into one buffer, page-locked where CUDA takes it, and copied once.

    Those that ask for a gradient are copied one by one, since bytes carry none.

    Args:
        tensors: of any types and shapes, on the CPU. device: to bring them to.

    Returns:
        tensors of the same types and shapes, which share one buffer there; they must not be written to.
    """
    plain = iter(_in_one_buffer([t for t in tensors if not t.requires_grad], device))
    return [t.to(device) if t.requires_grad else next(plain) for t in tensors]


def _in_one_buffer(tensors: Sequence[Tensor], device: torch.device) -> list[Tensor]:
    if not tensors:
        return []
    starts, end = [], 0
    for t in tensors:
        starts.append(end)
        end += -(-t.numel() * t.element_size() // ALIGNMENT) * ALIGNMENT
    buffer = torch.empty(end, dtype=torch.uint8, pin_memory=device.type in PINNED)
    for start, t in zip(starts, tensors, strict=True):
        _part(buffer, start, t).copy_(t)
    there = buffer.to(device, non_blocking=True)
    return [_part(there, start, t) for start, t in zip(starts, tensors, strict=True)]


def _part(buffer: Tensor, start: int, like: Tensor) -> Tensor:
    """The place of a tensor in a buffer of bytes."""
    size = like.numel() * like.element_size()
    return buffer[start : start + size].view(like.dtype).view(like.shape)
