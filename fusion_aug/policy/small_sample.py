"""A small copy of a sample, on which it is tried out what transforms do to it."""

from __future__ import annotations

import torch

from calib import CameraSensor
from fusion_aug.errors import USER_ERRORS
from fusion_aug.sample import Sample
from fusion_aug.streams import ImageStream, Points, Stream
from fusion_aug.transforms import Resize

SIZE = (48, 80)  # height and width of pictures, pixels
MOST = 5  # pictures of a camera, sweeps of a scanner


def small_copy(sample: Sample) -> Sample:
    """The first sample of a batch with small pictures, and few of them, all streams and the whole rig.

    What a transform needs and what it changes is a matter of which streams and sensors there are, not of how many
    pixels; work grows with these. Where pictures cannot be resized, they stay as large as they are.
    """
    one = sample.take([0])
    few = one.with_streams({name: _few(one, name) for name in one.streams})
    if all(
        s.size[0] * s.size[1] <= SIZE[0] * SIZE[1] for s in few.meta.rig.sensors.values() if isinstance(s, CameraSensor)
    ):
        return few
    try:
        small = Resize(size=SIZE)(few).realized()
    except USER_ERRORS:
        return few
    return small.with_meta(0, history=one.meta.history)


def _few(sample: Sample, name: str) -> Stream:
    """A stream; of pictures and clouds those about the key item."""
    stream = sample[name]
    if not isinstance(stream, ImageStream | Points) or len(stream) <= MOST:
        return stream
    first = min(max(sample.key_item(name) - MOST // 2, 0), len(stream) - MOST)
    return stream.take_items(torch.arange(first, first + MOST))
