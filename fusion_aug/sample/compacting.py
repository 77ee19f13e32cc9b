"""A batch on a device without the rows that were dropped there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch

from calib.replacing import replace_unchecked
from fusion_aug.ops.one_copy import one_copy
from fusion_aug.ops.taken import taken
from fusion_aug.streams import Stream
from fusion_aug.streams.on_device import VALID, Block, ColumnsOnDevice


def compacted(streams: Mapping[str, Stream]) -> dict[str, Stream]:
    """Streams whose rows that are marked as dropped are gone, and with them the marks.

    The marks of all blocks come to the host in one copy, the only wait, and the places of the rows that stay go back in
    one. Numbers of rows, by which noise is drawn, go along. What has no marks, or lies on the host, stays as it is.

    Args:
        streams: of a batch, by name.
    """
    marked = {n: s.values for n, s in streams.items() if isinstance(s.values, ColumnsOnDevice) and VALID in s.values}
    blocks = list(dict.fromkeys(held.block for held in marked.values()))
    if not blocks:
        return dict(streams)
    marks = torch.cat([b.values[VALID] for b in blocks]).cpu().split([b.rows for b in blocks])
    rows = one_copy([m.nonzero()[:, 0] for m in marks], blocks[0].device)
    tight = {b: _tight(b, m.numpy(), r) for b, m, r in zip(blocks, marks, rows, strict=True)}
    kept = dict(zip(blocks, (m.numpy() for m in marks), strict=True))
    out = dict(streams)
    for name, held in marked.items():
        own = np.concatenate([np.zeros(0, bool), *(kept[held.block][s:e] for s, e in held.spans)])
        texts = {n: text[own] for n, text in held.texts.items()}
        values = ColumnsOnDevice(tight[held.block], held.own, texts)
        out[name] = replace_unchecked(streams[name], values=values)
    return out


def _tight(block: Block, marks: np.ndarray, rows: torch.Tensor) -> Block:
    """A block of the rows that stay, of which the host knows the marks."""
    assert block.offsets is not None
    data = {n: taken(v, rows) for n, v in block.values.items() if n != VALID}
    offsets = np.concatenate([[0], np.cumsum(marks)])[block.offsets].astype(np.int64)
    return replace(block, data=data, offsets=offsets, names=tuple(n for n in block.names if n != VALID))
