"""Items that a sensor did not send: empty, and not ``present``."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from fusion_aug.streams.base import Stream
from fusion_aug.streams.images import ImageStream
from fusion_aug.streams.points import Points
from fusion_aug.streams.source import Source


def with_dropped(stream: Stream, quiet: Tensor) -> Stream:
    """The stream with some items empty and not present: black pictures, empty clouds, readings of 0.

    Args:
        quiet: (n,) bool, which.
    """
    present = stream.present & ~quiet
    if isinstance(stream, ImageStream):  # the others keep their files
        items = tuple(
            torch.zeros_like(p.value if isinstance(p, Source) else p) if q else p
            for p, q in zip(stream.items, quiet.tolist(), strict=True)
        )
        return replace(stream, items=items, present=present)
    stream = stream.realized()
    if isinstance(stream, Points):
        return replace(stream.dense().select(~quiet[stream.row_item]), present=present)
    values = {k: torch.where(quiet.reshape(-1, *[1] * (v.ndim - 1)).to(v.device), torch.zeros_like(v), v)
              if isinstance(v, Tensor) else v for k, v in stream.values.items()}  # fmt: skip
    return replace(stream, values=values, present=present)
