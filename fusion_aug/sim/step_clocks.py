"""Steps of stamps, and of what arrives at all."""

from __future__ import annotations

import numpy as np

from fusion_aug.ops.hashed import chance, row_key
from fusion_aug.ops.normals import normal
from fusion_aug.sample.sensors import is_selected
from fusion_aug.sim.step_rules import (
    BLOCK,
    Blocks,
    Columns,
    Kernel,
    Later,
    Silent,
    StepCall,
    changes_report,
    steps,
)
from fusion_aug.streams import ImageStream, Stream
from fusion_aug.transforms.modality import ModalityDropout
from fusion_aug.transforms.temporal import (
    ClockOffset,
    DropFrames,
    Jitter,
    Latency,
)

changes_report(ClockOffset)


@steps(Latency, Stream)
def delay(call: StepCall) -> Later | None:
    """Readings arrive later, all alike."""
    return _shifted(call, "delay")


@steps(ClockOffset, Stream)
def offset_clock(call: StepCall) -> Later | None:
    """Reported arrival times are off with the clock; the sample tells the reported capture times."""
    return _shifted(call, "offset")


def _shifted(call: StepCall, field: str) -> Later | None:
    late = round(call.params[field] * 1e9)
    return Later(lambda blocks: (block + late for block in blocks)) if _selected(call) else None


@steps(Jitter, Stream)
def jitter(call: StepCall) -> Later | None:
    """Every reading arrives later by a draw of its own, and none overtakes the one before."""
    sensor, sigma = call.stream.instance(call.name), call.params["sigma"]
    key = row_key(call.params["noise"], sensor)

    def change(blocks: Blocks) -> Blocks:
        latest = np.iinfo(np.int64).min
        for number, block in enumerate(blocks):
            size = np.abs(normal(key, call.stamps(number * BLOCK))).astype(np.float64)
            arrivals = np.maximum.accumulate(block + np.rint(size * sigma * 1e9).astype(np.int64))
            arrivals = np.maximum(arrivals, latest)
            latest = arrivals[-1]
            yield arrivals

    return Later(change) if _selected(call) else None


@steps(DropFrames, ImageStream)
def drop_frames(call: StepCall) -> Kernel | None:
    """Pictures that their stamps lose; the first one, nearest to the begin of the episode, stays."""
    key, share = row_key(call.params["noise"], call.stream.instance(call.name)), call.params["share"]
    first: list[int] = []

    def drop(row: int, columns: Columns) -> bool:
        if not first or row < first[0]:
            first[:] = [row]
        return row != first[0] and bool(chance(key, call.stamps(row, 1), share)[0])

    return drop if _selected(call) else None


@steps(ModalityDropout, Stream)
def drop_sensor(call: StepCall) -> Silent | None:
    """A sensor that sends nothing in the whole episode."""
    if call.stream.instance(call.name) not in call.params["dropped"]:
        return None
    return Silent()


def _selected(call: StepCall) -> bool:
    return is_selected(call.stream, call.name, call.params["sensors"])
