"""Steps of pictures: each goes through the ordinary transform alone, which costs what it costs there."""

from __future__ import annotations

from dataclasses import replace

import torch

from fusion_aug.core.parameters import ParameterRows
from fusion_aug.ops.modes import standard_modes
from fusion_aug.sim.step_rules import Columns, Kernel, StepCall, changes_report, steps
from fusion_aug.streams import Camera, HeightMap, ImageStream, TactileImage
from fusion_aug.streams.families import Photometric
from fusion_aug.transforms.touch.shift import TactileShift
from fusion_aug.transforms.touch.tactile import TactileTransform

IMAGE = "image"  # name of the column (H, W, ...) of a picture

changes_report(TactileTransform)


@steps(Photometric, Camera)
@steps(Photometric, TactileImage)
@steps(TactileTransform, TactileImage)
def change_picture(call: StepCall) -> Kernel | None:
    """The ordinary transform on a sample of one picture."""
    return _changing(call)


def _changing(call: StepCall) -> Kernel:
    stream, drawn = call.stream, ParameterRows([{"": call.params}])
    assert isinstance(stream, ImageStream)
    alone = call.sample.with_streams({call.name: stream})

    @standard_modes()
    def change(row: int, columns: Columns) -> None:
        item = torch.from_numpy(columns[IMAGE])
        stamp = torch.from_numpy(call.stamps(row, 1))
        taken = replace(stream, items=(item,), pending=(None,), capture_times=stamp)
        shown = call.transform.apply(alone.with_streams({call.name: taken}), drawn, call.context)
        columns[IMAGE] = shown.streams[call.name].image(0).numpy()

    return change


@steps(TactileShift, TactileImage)
def shift_press(call: StepCall) -> Kernel | None:
    """As every picture of a gel, unless heights are recorded beside it."""
    beside = [n for n, s in call.sample.of_type(HeightMap).items() if s.camera == call.name]
    if beside:
        raise call.refusal(f"the heights {beside[0]!r} would move with it; leave them out")
    return _changing(call)
