"""Rolling shutters: every row of a picture has a moment of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any, ClassVar

import torch
from torch import Tensor

from calib import CameraSensor, Rig
from calib.changed import changed
from fusion_aug.families import Temporal
from fusion_aug.ops.grid import pixel_grid
from fusion_aug.ops.warp import gather
from fusion_aug.ranges import Range
from fusion_aug.registry import Call, Context, handles
from fusion_aug.sample import Sample
from fusion_aug.streams import Boxes2D, Camera, ImageStream, Keypoints2D, Stream
from fusion_aug.transforms.base import Rows, Transform
from fusion_aug.transforms.ego import picture_flow

ROUNDS = 4  # of the search for where a moved pixel came from


@dataclass(frozen=True, kw_only=True)
class RollingShutter(Transform, Temporal):
    """Pictures whose rows are read one after another, from top to bottom, in ``readout`` seconds.

    The middle row keeps the picture's stamp. Every pixel is taken from where the camera's own motion has its content at
    the row's moment; depth, masks and labels of the picture go along, and the rig tells the ``readout`` of the camera.
    What moves by itself is taken to stand still. Needs distances (a Depth stream of the camera, or a LiDAR) and the
    camera's motion (an ego pose with a twist, or a rig that moves it).

    Attributes:
        readout: seconds from the first row to the last.
        cameras: names or shell patterns of the cameras.
    """

    scope: str = "sensor"
    readout: Range = (0.005, 0.03)
    cameras: tuple[str, ...] = ("*",)

    strict = False  # it has to do with cameras alone
    calibration: ClassVar[str] = "readout"
    scopes: ClassVar[tuple[str, ...]] = ("log", "rig", "sensor")
    limits: ClassVar[dict[str, tuple[float, float]]] = {"readout": (0.0, 1.0)}
    waives: ClassVar[dict[str, str]] = {
        "content_identity": "a row shows its own moment, and the camera has one pose for all of them",
        "invertible": "pixels are resampled",
        "differentiable": "its flow is a table",
        "commutes": "what was pending is carried out before",
    }

    @classmethod
    def apply(cls, sample: Sample, rows: Rows, context: Context) -> Sample:
        """Work out the flow of every picture, move what shows it, and tell the readout."""
        flows: dict[tuple[str, int, int], Tensor] = {}
        for name, stream in sample.of_type(Camera).items():
            for i, params in enumerate(rows.per_item(name, stream)):
                u, camera = int(stream.sample_index[i]), stream.instance(name)
                known = isinstance(sample.units[u].rig.sensors.get(camera), CameraSensor)
                if known and params["readout"] > 0 and bool(stream.present[i]) and meant(camera, params):
                    flow = picture_flow(sample, name, i, params["readout"])
                    flows[camera, u, int(stream.times[i])] = flow
        out = cls.visit(sample, rows, context, flows)
        for u, unit in enumerate(out.units):
            told = {c: float(rows.of(u, c)["readout"]) for c, v, _ in flows if v == u}
            rig = with_readout(unit.rig, told)
            truth = rig if unit.truth is unit.rig else with_readout(unit.truth, told)
            out = out.with_unit(u, rig=rig, truth=truth)
        return out


def meant(camera: str, params: Mapping[str, Any]) -> bool:
    """Whether a draw is for a camera."""
    return any(fnmatchcase(camera, pattern) for pattern in params["cameras"])


def with_readout(rig: Rig, told: Mapping[str, float]) -> Rig:
    """The rig with the readout of some cameras."""
    return Rig(rig.frames, {n: changed(s, readout=told[n]) if n in told else s for n, s in rig.sensors.items()})


def _flow(stream: Stream, call: Call, item: int) -> Tensor | None:
    flows: dict[tuple[str, int, int], Tensor] = call.shared
    return flows.get((stream.instance(call.name), int(stream.sample_index[item]), int(stream.times[item])))


def moment(v: Tensor, height: int) -> Tensor:
    """When rows are read, in readouts from the middle row: -1/2 to 1/2."""
    return (v - (height - 1) / 2) / max(1, height - 1)


@handles(RollingShutter, ImageStream)
def roll(stream: ImageStream, call: Call) -> ImageStream:
    """Pictures by the flow of their camera at their stamp."""
    found = [_flow(stream, call, i) for i in range(len(stream))]
    if all(f is None for f in found):
        return stream
    pictures = [p if f is None else _rolled(p, f, stream) for p, f in zip(stream.pictures, found, strict=True)]
    return replace(stream, items=tuple(pictures), pending=())


def _rolled(picture: Tensor, flow: Tensor, stream: ImageStream) -> Tensor:
    grid = pixel_grid((flow.shape[0], flow.shape[1]))
    share = moment(grid[..., 1], flow.shape[0])[..., None]
    source = grid
    for _ in range(ROUNDS):
        source = grid - share * sampled(flow, source)
    return gather(picture, source, stream.interpolation, stream.fill)


def sampled(flow: Tensor, at: Tensor) -> Tensor:
    """Flow (..., 2) at pixels (..., 2), between its pixels; beyond the rim that of the rim."""
    height, width = flow.shape[:2]
    u, v = at[..., 0].clamp(0, width - 1), at[..., 1].clamp(0, height - 1)
    left, top = u.floor().clamp(max=max(0, width - 2)).long(), v.floor().clamp(max=max(0, height - 2)).long()
    right, bottom = (left + 1).clamp(max=width - 1), (top + 1).clamp(max=height - 1)
    a, b = (u - left)[..., None], (v - top)[..., None]
    upper = flow[top, left] * (1 - a) + flow[top, right] * a
    return upper * (1 - b) + (flow[bottom, left] * (1 - a) + flow[bottom, right] * a) * b


def _forward(pixels: Tensor, flow: Tensor) -> Tensor:
    """Where pixels (..., 2) of the old picture are read."""
    drift, out = sampled(flow, pixels), pixels
    for _ in range(ROUNDS):
        out = pixels + moment(out[..., 1], flow.shape[0])[..., None] * drift
    return out


@handles(RollingShutter, Boxes2D)
@handles(RollingShutter, Keypoints2D)
def roll_labels(stream: Boxes2D | Keypoints2D, call: Call) -> Stream:
    """Corners and points go where their content goes."""
    column = "corners" if isinstance(stream, Boxes2D) else "pixel"
    value = stream.values[column].clone()
    for i in range(len(stream)):
        flow = _flow(stream, call, i)
        if flow is not None:
            rows = stream.rows_of(i)
            value[rows] = _forward(value[rows].to(torch.float64), flow).to(value)
    return stream.with_values(**{column: value})
