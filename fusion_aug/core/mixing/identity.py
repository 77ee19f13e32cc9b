"""What a sample holds as one hash, by which a record knows the donor that it mixed in."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch

from fusion_aug.sample import Sample
from fusion_aug.streams import ImageStream, Ragged, Stream
from fusion_aug.streams.source import Source


def sample_hash(sample: Sample) -> str:
    """32 hex digits of everything in a sample: bytes of files where pictures were not changed, else values.

    Args:
        sample: one, as its log gives it. Pictures are not decoded.
    """
    state = hashlib.blake2b(digest_size=16)
    for name in sorted(sample.streams):
        stream = sample.streams[name]
        state.update(f"{name}\0{type(stream).__name__}\0{stream.frame}\0".encode())
        for part in _parts(stream):
            state.update(len(part).to_bytes(8, "little"))
            state.update(part)
    return state.hexdigest()


def _parts(stream: Stream) -> Iterator[bytes]:
    if isinstance(stream, ImageStream):
        for i, item in enumerate(stream.items):
            untouched = isinstance(item, Source) and stream.pending[i] is None
            yield item.bytes() if untouched else _bytes(stream.image(i))
    loaded = stream.loaded() if isinstance(stream, Ragged) else stream
    yield _bytes(loaded.capture_times)
    yield _bytes(loaded.present)
    values: Mapping[str, Any] = loaded.values
    for column in sorted(values):
        yield column.encode()
        yield _bytes(values[column])


def _bytes(value: Any) -> bytes:
    if isinstance(value, torch.Tensor):
        flat = torch.empty(value.numel(), dtype=value.dtype).copy_(value.detach().cpu().reshape(-1))
        return f"{value.dtype}{tuple(value.shape)}".encode() + flat.view(torch.uint8).numpy().tobytes()
    array = np.asarray(value)
    if array.dtype.kind in "OUT":
        return "\0".join(map(str, array.reshape(-1).tolist())).encode()
    return array.tobytes()
