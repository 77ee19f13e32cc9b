"""Items that a sensor did not send: empty, and not ``present``."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from fusion_aug.streams.base import Stream
from fusion_aug.streams.images import ImageStream
from fusion_aug.streams.occupancy import LABEL, Occupancy
from fusion_aug.streams.points import Points


def with_dropped(stream: Stream, dropped: Tensor) -> Stream:
    """The stream with some items empty and not present: black pictures, masks that know nothing, empty clouds, zeros.

    Args:
        stream: any. dropped: (n,) bool, which of its items.
    """
    present = stream.present & ~dropped
    if isinstance(stream, ImageStream):  # the others keep their files
        items = tuple(
            torch.full_like(stream.stored(i), stream.blank) if gone else stream.items[i]
            for i, gone in enumerate(dropped.tolist())
        )
        return replace(stream, items=items, present=present)
    stream = stream.realized()
    if isinstance(stream, Points):
        return replace(stream.loaded().select(~dropped[stream.row_item]), present=present)
    values = {k: torch.where(dropped.reshape(-1, *[1] * (v.ndim - 1)).to(v.device), torch.zeros_like(v), v)
              if isinstance(v, Tensor) else v for k, v in stream.values.items()}  # fmt: skip
    if isinstance(stream, Occupancy):
        values[LABEL][dropped.to(values[LABEL].device)] = stream.unknown
    return replace(stream, values=values, present=present)
