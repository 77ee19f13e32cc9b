"""Changing the values of pictures, by what their stream declares as white."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial

import torch
from torch import Tensor

from fusion_aug.core.named_errors import at_work, named
from fusion_aug.core.registry import Call
from fusion_aug.errors import DataError
from fusion_aug.streams import ImageStream

Change = Callable[[Tensor], Tensor]


def with_changed_levels(
    stream: ImageStream, call: Call, changes: Mapping[int, Change], asked: Collection[int] = ()
) -> ImageStream:
    """The stream with the values of some pictures changed.

    Kernels take uint8 levels from 0 to 255, or floats from 0 to 1. Whatever a stream declares besides in its
    ``full_scale`` (16 bit, other ranges, none) is refused: a kernel that took it would give black or white. Pictures
    of files are changed when they are used, unless a gradient is asked: see ``ImageStream.changed``.

    Args:
        stream: of pictures. call: the application of the transform to it.
        changes: item -> what makes of its picture (H, W, ...) another of the same type and shape.
        asked: items whose ``changes`` use a parameter of which a gradient is asked.

    Raises:
        DataError: a picture is of another kind, or a gradient would be lost.
    """
    mapped = (stream.pending[i] for i in changes)
    now = bool(asked) or (torch.is_grad_enabled() and any(m is not None and m.has_gradient() for m in mapped))
    place = at_work()
    work = {i: partial(_changed, stream, i, call, place, change, i in asked) for i, change in changes.items()}
    return stream.changed(work, now=now)


def _changed(
    stream: ImageStream, item: int, call: Call, place: str, change: Change, asked: bool, picture: Tensor
) -> Tensor:
    """One picture (H, W, ...) with its values changed."""
    who = call.transform.__name__
    white = stream.white(picture)
    if white != (1 if picture.is_floating_point() else 255):
        scale = "without a full scale" if white is None else f"with white at {white:g}"
        raise DataError(
            f"{who}: {stream.title(item)} holds {picture.dtype} {scale}, but levels are changed of uint8 pictures or "
            f"of float ones from 0 to 1; convert it, or choose other cameras"
        )
    with named(place or who, call.sample):  # which may be long after the transform
        out = change(picture)
    asked = torch.is_grad_enabled() and (asked or picture.requires_grad)
    if asked and not out.requires_grad:
        raise DataError(
            f"{who}: cannot carry a gradient through {stream.title(item)} ({picture.dtype}); detach picture and "
            f"parameters, or give float32 pictures where they are integers"
        )
    return out
