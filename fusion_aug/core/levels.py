"""Changing the values of pictures, by what their stream declares as white."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from fusion_aug.errors import DataError
from fusion_aug.streams import ImageStream


def changed_levels(
    stream: ImageStream, item: int, who: str, change: Callable[[Tensor], Tensor], asks_gradient: bool = False
) -> Tensor:
    """One picture with its values changed.

    Kernels take uint8 levels from 0 to 255, or floats from 0 to 1. Whatever a stream declares besides in its
    ``full_scale`` (16 bit, other ranges, none) is refused: a kernel that took it would give black or white.

    Args:
        stream, item: which picture.
        who: the transform, for messages.
        change: from a picture (H, W, ...) to another of the same type and shape.
        asks_gradient: whether a gradient is asked of a parameter that ``change`` uses.

    Returns:
        (H, W, ...) the changed picture.

    Raises:
        DataError: the picture is of another kind, or a gradient would be lost.
    """
    picture = stream.pictures[item]
    white = stream.white(picture)
    if white != (1 if picture.is_floating_point() else 255):
        scale = "without a full scale" if white is None else f"with white at {white:g}"
        raise DataError(
            f"{who}: {stream.title(item)} holds {picture.dtype} {scale}, but levels are changed of uint8 pictures or "
            f"of float ones from 0 to 1; convert it, or choose other cameras"
        )
    out = change(picture)
    asks_gradient = torch.is_grad_enabled() and (asks_gradient or picture.requires_grad)
    if asks_gradient and not out.requires_grad:
        raise DataError(
            f"{who}: cannot carry a gradient through {stream.title(item)} ({picture.dtype}); detach picture and "
            f"parameters, or give float32 pictures where they are integers"
        )
    return out
