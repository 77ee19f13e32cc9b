"""Errors of clocks, and items that are left out, on a device: times lie on the host, and no value moves."""

from __future__ import annotations

from fusion_aug.core.device.absent import blanked
from fusion_aug.core.device.rules import on_device, walks_on_host
from fusion_aug.core.registry import Call
from fusion_aug.streams import ImageStream, Points, Stream
from fusion_aug.transforms.temporal.clocks import (
    ClockOffset,
    Jitter,
    Latency,
    delay_items,
    jitter_items,
    offset_clock,
)
from fusion_aug.transforms.temporal.crop import TemporalCrop, keep_segment
from fusion_aug.transforms.temporal.sampling import DropFrames, TemporalMask, drop_frames, items_in_gap

walks_on_host(ClockOffset, TemporalCrop)
on_device(Latency, Stream)(delay_items)
on_device(Jitter, Stream)(jitter_items)
on_device(ClockOffset, Stream)(offset_clock)
on_device(TemporalCrop, Stream)(keep_segment)
on_device(DropFrames, ImageStream)(drop_frames)
on_device(DropFrames, Points)(drop_frames)


@on_device(TemporalMask, Stream)
def plan_gap(stream: Stream, call: Call) -> Stream:
    """Empty the items in the gap."""
    dropped = items_in_gap(stream, call)
    return blanked(stream, dropped, call.program) if bool(dropped.any()) else stream
