"""Dropped sensors on a device."""

from __future__ import annotations

from fusion_aug.core.device.absent import blanked
from fusion_aug.core.device.rules import on_device, walks_on_host
from fusion_aug.core.registry import Call
from fusion_aug.streams import Stream
from fusion_aug.transforms.modality.dropout import SENSORS, ModalityDropout, dropped_items

walks_on_host(ModalityDropout)


def plan_drop(stream: Stream, call: Call) -> Stream:
    """Empty a stream's items within the gap, or leave them out.

    Streams of one kind go through the same stage, also those that lose nothing, since they may share a block.
    """
    dropped, gone = dropped_items(stream, call.name, call)
    if bool(gone.any()):
        return stream.take_items((~gone).nonzero()[:, 0])
    alike = ((n, s) for n, s in call.sample.streams.items() if type(s) is type(stream))
    loses = any(bool(dropped_items(s, n, call)[0].any()) for n, s in alike)
    return blanked(stream, dropped, call.program) if loses else stream


for kind in SENSORS:
    on_device(ModalityDropout, kind)(plan_drop)
