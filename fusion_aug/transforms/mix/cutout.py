"""``CutOut``: the same part of the surroundings is hidden from every sensor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor

from fusion_aug.core.levels import with_changed_levels
from fusion_aug.core.ranges import Range
from fusion_aug.core.registry import Call, handles
from fusion_aug.core.strength import Strength, Strengths
from fusion_aug.core.transform import Transform
from fusion_aug.errors import ConfigError
from fusion_aug.ops.box_rays import box_grid
from fusion_aug.streams import (
    Boxes2D,
    Boxes3D,
    Camera,
    Depth,
    ImageStream,
    Keypoints2D,
    PlanarScan,
    Points,
    SegmentationMask,
    Stream,
)
from fusion_aug.streams.families import Fault
from fusion_aug.transforms.cloud.points import keep_points, scanner_rays
from fusion_aug.transforms.mix.cutout_block import Block, block_of, hidden_pixels, hidden_rays, hidden_share

STEPS = 6  # places along each edge of a box


@dataclass(frozen=True, kw_only=True)
class CutOut(Transform, Fault):
    """Hide the same place from every sensor: whatever a sensor would see through a block in space is missing.

    The block is a window of azimuth and elevation as it is seen from the first LiDAR (without one, from the reference
    frame's origin), a sheet at ``distance``; or, with ``block``, a box there. Every pixel, point, radar return and ray
    of a planar scan that meets it on its way from its own sensor is lost: pictures are filled, depth becomes unknown,
    masks ``ignore``, points are dropped. Flat boxes that are covered are dropped. Of a box, ``visible`` becomes the
    share that the sensor that still sees most of it sees; boxes that none sees any more are dropped. What stands
    before the block in its direction is lost as well: no depth is needed.

    Attributes:
        azimuth_deg: direction of the middle, to the left of forward. elevation_deg: upwards.
        width_deg, height_deg: of the window, seen from there.
        distance: of the block's middle, metres.
        block: length (away from the vehicle), width and height of a box, metres, instead of a window.
        fill: level of the filled pixels, share of full scale.
    """

    azimuth_deg: Range = (-180.0, 180.0)
    elevation_deg: Range = (-8.0, 2.0)
    width_deg: Range = (10.0, 40.0)
    height_deg: Range = (10.0, 30.0)
    distance: Range = (5.0, 20.0)
    block: tuple[float, ...] | None = None
    fill: float = 0.0

    scopes: ClassVar[tuple[str, ...]] = ("scene", "sample")
    limits: ClassVar[dict[str, tuple[float, float]]] = {
        "azimuth_deg": (-360.0, 360.0), "elevation_deg": (-90.0, 90.0), "width_deg": (0.1, 170.0),
        "height_deg": (0.1, 170.0), "distance": (0.05, 1000.0),
    }  # fmt: skip
    loss_reason: ClassVar[str] = "cut out"
    keeps_geometry_of: ClassVar[tuple[type, ...]] = (Boxes3D,)
    exemptions: ClassVar[dict[str, str]] = {
        "keeps_rows": "points and boxes that are hidden are dropped on purpose",
        "keeps_counts": "boxes lose the points that are hidden",
        "content_identity": "what is hidden is filled",
        "invertible": "what is hidden does not come back",
        "differentiable": "it has no geometric parameter",
        "commutes": "rays are known after pending motions",
    }
    strengths: ClassVar[Strengths] = {
        "azimuth_deg": "a direction",
        "elevation_deg": "a direction",
        "width_deg": Strength(0.1, 90.0, "linear", "declared: a quarter of the horizon", "degrees", exact=False),
        "height_deg": Strength(0.1, 60.0, "linear", "declared: a camera's whole height", "degrees", exact=False),
        "distance": "where it stands, not how much it hides",
    }
    example: ClassVar[dict[str, Any]] = {
        "azimuth_deg": [-30.0, 30.0],
        "width_deg": [8.0, 12.0],
        "distance": [5.0, 10.0],
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.block is not None and (len(self.block) != 3 or min(self.block) <= 0):
            raise ConfigError(f"CutOut.block: expected length, width and height above 0, in metres, got {self.block!r}")
        if not 0 <= self.fill <= 1:
            raise ConfigError(f"CutOut.fill: {self.fill} is not a share of full scale, from 0 to 1")


def _block(call: Call, item: int, params: Mapping[str, Any]) -> Block:
    """The block that an item of the stream meets."""
    return block_of(call.sample, int(call.sample[call.name].sample_index[item]), params)


# --- pictures ---------------------------------------------------------------------------------------------------------
def _filled(where: Callable[[tuple[int, int]], Tensor], value: float, picture: Tensor) -> Tensor:
    mask = where((picture.shape[0], picture.shape[1]))
    if not bool(mask.any()):
        return picture
    out = picture.clone()
    out[mask.to(out.device)] = value
    return out


def _where(stream: Stream, call: Call, item: int, params: Mapping[str, Any], size: tuple[int, int]) -> Tensor:
    return hidden_pixels(call.sample, call.name, item, _block(call, item, params), size)


def _fills(stream: ImageStream, call: Call, value: Callable[[Mapping[str, Any]], float]) -> dict[int, Any]:
    present = stream.present.tolist()
    return {i: partial(_filled, partial(_where, stream, call, i, p), value(p)) for i, p in call.asked if present[i]}


@handles(CutOut, Camera, by_item=True)
def cut_pictures(stream: Camera, call: Call) -> Stream:
    """Fill the pixels that look at the block."""
    whole = [i for i in range(len(stream)) if isinstance(stream.items[i], Tensor)]
    levels = stream.image(whole[0]).dtype if whole else torch.uint8
    white = 1.0 if levels.is_floating_point else 255
    return with_changed_levels(stream, call, _fills(stream, call, lambda p: round(float(p["fill"]) * white, 6)))


@handles(CutOut, Depth, by_item=True)
@handles(CutOut, SegmentationMask, by_item=True)
def cut_belongings(stream: ImageStream, call: Call) -> Stream:
    """Nothing is known of the pixels that look at the block."""
    return stream.changed(_fills(stream, call, lambda _: stream.blank))


# --- returns ----------------------------------------------------------------------------------------------------------
@handles(CutOut, Points, by_item=True)
def cut_points(stream: Points, call: Call) -> Points:
    """Drop the points whose rays meet the block."""
    stream = stream.realized()

    def rule(item: int, params: Mapping[str, Any]) -> Tensor:
        start, way = (v.cpu() for v in scanner_rays(stream, item, call))
        meta = call.sample.metas[int(stream.sample_index[item])]
        T = meta.T_ref(stream.frame, int(stream.true_capture_times[item]), true_rig=True)
        return ~_block(call, item, params).hides(T, start, way)

    return keep_points(stream, call, rule)


@handles(CutOut, PlanarScan, by_item=True)
def cut_scan(stream: PlanarScan, call: Call) -> PlanarScan:
    """Rays that meet the block measure nothing: 0."""
    ranges = stream["range"].clone()
    steps = torch.arange(ranges.shape[1], dtype=torch.float64)
    for i, params in call.asked:
        angle = float(stream["angle_min"][i]) + steps * float(stream["angle_increment"][i])
        way = torch.stack([torch.cos(angle), torch.sin(angle), torch.zeros_like(angle)], -1)
        meta = call.sample.metas[int(stream.sample_index[i])]
        T = meta.T_ref(stream.frame, int(stream.true_capture_times[i]), true_rig=True)
        hit = _block(call, i, params).hides(T, torch.zeros(3, dtype=torch.float64), way)
        ranges[i, hit & ~torch.isnan(ranges[i])] = 0.0
    return stream.with_values(range=ranges)


# --- labels -----------------------------------------------------------------------------------------------------------
@handles(CutOut, Boxes3D, by_item=True)
def cut_boxes(stream: Boxes3D, call: Call) -> Boxes3D:
    """What is still seen of every box; those of which nothing is are dropped."""
    if not stream.rows or not call.asked:
        return stream
    seen = torch.ones(stream.rows, dtype=torch.float64)
    for i, params in call.asked:
        rows, number = stream.item_slice(i), int(stream.sample_index[i])
        pose, size = (stream[n][rows].to("cpu", torch.float64) for n in ("pose", "size"))
        meta = call.sample.metas[number]
        T = meta.T_ref(stream.frame, int(stream.true_capture_times[i]), true_rig=True)
        grids = [box_grid(T @ p, s, STEPS) for p, s in zip(pose, size, strict=True)]
        if grids:
            block = _block(call, i, params)
            seen[rows] = 1 - hidden_share(call.sample, number, block, torch.stack(grids))
    if "visible" in stream.values:
        stream = stream.with_values(visible=stream["visible"] * seen.to(stream["visible"]))
    return stream if bool((seen > 0).all()) else stream.select(seen > 0)


@handles(CutOut, Boxes2D, by_item=True)
def cut_flat_boxes(stream: Boxes2D, call: Call) -> Boxes2D:
    """Drop flat boxes that are covered."""
    share = torch.linspace(0, 1, STEPS, dtype=torch.float64)
    u, v = torch.meshgrid(share, share, indexing="xy")
    weights = torch.stack([(1 - u) * (1 - v), u * (1 - v), u * v, (1 - u) * v], -1)  # of corners, one after another
    inside = torch.einsum("abk,nkc->nabc", weights, stream["corners"].to("cpu", torch.float64))
    covered = _looks_at_block(stream, call, inside).flatten(1).all(1)
    return stream.select(~covered) if bool(covered.any()) else stream


@handles(CutOut, Keypoints2D, by_item=True)
def cut_keypoints(stream: Keypoints2D, call: Call) -> Keypoints2D:
    """Points on covered pixels are not visible."""
    if "visible" not in stream.values:
        return stream
    covered = _looks_at_block(stream, call, stream["pixel"].to("cpu", torch.float64))
    return stream.with_values(visible=stream["visible"] * (~covered).to(stream["visible"]))


def _looks_at_block(stream: Boxes2D | Keypoints2D, call: Call, pixels: Tensor) -> Tensor:
    """Which pixels (rows, ..., 2), of every row of a stream on pictures, look at the block."""
    out = torch.zeros(pixels.shape[:-1], dtype=torch.bool)
    for i, params in call.asked:
        rows = stream.item_slice(i)
        if rows.start == rows.stop:
            continue
        out[rows] = hidden_rays(call.sample, call.name, i, _block(call, i, params), pixels[rows])
    return out
