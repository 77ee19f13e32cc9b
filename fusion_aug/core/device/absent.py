"""Items on a device of which nothing was sent, as stages of the plan: blank pictures, clouds without points, zeros."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from calib.replacing import replace_unchecked
from fusion_aug.core.device.program import Program
from fusion_aug.ops.filled import filled
from fusion_aug.sample import Sample
from fusion_aug.streams import ImageStream, Points, Stream
from fusion_aug.streams.on_device import ROW_ITEM, ROW_NUMBER, VALID, ColumnsOnDevice

S = TypeVar("S", bound=Stream)


def blanked(stream: S, absent: Tensor, program: Program) -> S:
    """The stream with some items empty and not present; what ``streams.dropped`` does on the host.

    Args:
        stream: on a device. absent: (n,) bool, which of its items. program: the plan.
    """
    numbers = [{"absent": np.bool_(gone)} for gone in absent.tolist()]
    present = stream.present & ~absent
    if isinstance(stream, ImageStream):
        asked = list(zip(stream.items, numbers, strict=True))
        items = tuple(program.pictures(_blank, asked, {}, blank=stream.blank))
        return replace_unchecked(stream, items=items, present=present)
    held, are_points = stream.values, isinstance(stream, Points)
    assert isinstance(held, ColumnsOnDevice)
    kernel, adds = (_without_rows, (VALID,)) if are_points else (_zeros, ())
    values = program.columns(kernel, held, numbers, {"absent": np.bool_(False)}, adds=adds)
    return replace_unchecked(stream, values=values, present=present)


def still_blank(stream: S, sample: Sample, program: Program) -> S:
    """The stream, after a change, with nothing in the items that are not present.

    Streams of one kind go through it together, since they may share a block.
    """
    alike = (s for s in sample.streams.values() if type(s) is type(stream))
    return stream if all(bool(s.present.all()) for s in alike) else blanked(stream, ~stream.present, program)


def _blank(pictures: Tensor, numbers: Mapping[str, Tensor], blank: float) -> Tensor:
    return filled(pictures, numbers["absent"].reshape(-1, *[1] * (pictures.ndim - 1)), blank)


def _without_rows(columns: Mapping[str, Tensor], numbers: Mapping[str, Tensor]) -> dict[str, Tensor]:
    sent = ~numbers["absent"].index_select(0, columns[ROW_ITEM])
    return {VALID: columns[VALID] & sent if VALID in columns else sent}


def _zeros(columns: Mapping[str, Tensor], numbers: Mapping[str, Tensor]) -> dict[str, Tensor]:
    absent = numbers["absent"].index_select(0, columns[ROW_ITEM])
    values = {n: v for n, v in columns.items() if n not in (ROW_ITEM, ROW_NUMBER, VALID)}
    return {n: torch.where(absent.reshape(-1, *[1] * (v.ndim - 1)), 0, v) for n, v in values.items()}
