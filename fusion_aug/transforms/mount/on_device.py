"""Turned sensors on a device: cameras without distortion, what is labelled in their pictures, and LiDARs.

A turn of such a camera is a homography, which is pending like any map of the image plane. Shifts need distances and
are refused, as are lenses that bend rays.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from calib import CameraSensor, Pinhole
from calib.replacing import replace_unchecked
from calib.se3 import invert
from calib.ties import TIE
from fusion_aug.core.device.pending import settled
from fusion_aug.core.device.rows import check_points_move_alone
from fusion_aug.core.device.rules import lacks_on_device, on_device, walks_on_host
from fusion_aug.core.ranges import can_differ_from
from fusion_aug.core.registry import Call
from fusion_aug.errors import DataError
from fusion_aug.ops.image_map import ImageMap, rotated_view
from fusion_aug.sample import REF, Sample
from fusion_aug.sample.to_device import lies_on_device
from fusion_aug.streams import (
    Boxes2D,
    Depth,
    HeightMap,
    ImageStream,
    Imu,
    Keypoints2D,
    Lidar,
    Occupancy,
    PlanarScan,
    Points,
    Radar,
    RangeReading,
    Stream,
    TactileImage,
    Taxels,
    Wrench,
)
from fusion_aug.streams.on_device import ROW_ITEM, VALID
from fusion_aug.transforms.cloud.unknown_fields import refuse_fields_at_mounting
from fusion_aug.transforms.mount.frame_motions import is_pure_rotation, item_motions
from fusion_aug.transforms.mount.miscalibrate import moves_sensor
from fusion_aug.transforms.mount.viewpoint import Viewpoint, check_canvas, refuse_gel, with_pending
from fusion_aug.transforms.mount.viewpoint_sensors import move_taxels

EYE = np.eye(3)

walks_on_host(Viewpoint)


@lacks_on_device(Viewpoint)
def what_viewpoint_lacks(settings: Mapping[str, Any], sample: Sample) -> str:
    """Why a move of sensors cannot run on a batch on a device; nothing where it can."""
    for axis in "xyz":
        if can_differ_from(settings[axis], 0.0):
            return f"with a shift (a view from another place is rendered on the host; set {axis} to 0)"
    for name, stream in sample.streams.items():
        moved = lies_on_device(stream) and any(_is_moved(stream, u, settings, sample) for u in range(len(sample.metas)))
        if moved and (why := _in_the_way(stream, name, sample)):
            return f"of {name!r} ({why}; name other sensors in sensors)"
    return ""


def _is_moved(stream: Stream, index: int, settings: Mapping[str, Any], sample: Sample) -> bool:
    """Whether the frame of a stream hangs on that of a sensor that is chosen."""
    rig = sample.metas[index].rig
    above = rig.ancestors(stream.frame) if stream.frame in rig.frames and stream.frame != REF else []
    chosen = {s.frame for n, s in rig.sensors.items() if moves_sensor(settings, n, isinstance(s, CameraSensor))}
    return not chosen.isdisjoint(above)


def _in_the_way(stream: Stream, name: str, sample: Sample) -> str:
    if isinstance(stream, ImageStream | Boxes2D | Keypoints2D):
        cameras = [m.true_rig.sensors.get(stream.instance(name)) for m in sample.metas]
        bent = any(isinstance(c, CameraSensor) and c.model.lens != Pinhole.lens for c in cameras)
        return "its lens bends rays, of which a turn is no homography" if bent else ""
    if isinstance(stream, Points) and stream.origins:
        return "it is the joint cloud of several scanners"
    if isinstance(stream, Points) and not (isinstance(stream, Radar) and "velocity" in stream.values):
        return ""
    return "what it measures there is worked out on the host"


def _moves(stream: Any, call: Call) -> list[Tensor | None]:
    """The motions of a stream's items, which are turns.

    Raises:
        DataError: some are not.
    """
    found = item_motions(stream, call.family_state)
    if any(m is not None and not is_pure_rotation(m) for m in found):
        raise DataError(
            f"stream {call.name!r}: its sensor is shifted, or a gradient is asked of its turn, and views from another "
            f"place are rendered on the host; run {call.transform.__name__} before batch.to(...)"
        )
    return found


def _camera(stream: Any, call: Call, item: int) -> CameraSensor:
    return call.sample.metas[int(stream.sample_index[item])].true_rig.camera(stream.instance(call.name))


@on_device(Viewpoint, ImageStream)
def plan_view(stream: ImageStream, call: Call) -> ImageStream:
    """A turn is pending; depth along the axis is that along the new one."""
    moves = _moves(stream, call)
    if all(m is None for m in moves):
        return stream
    shares: list[dict[str, Any]] = [{"old": EYE[2], "new": EYE[2]}] * len(stream)
    for i, move in enumerate(moves):
        if move is None:
            continue
        sensor, pending = _camera(stream, call, i), stream.pending[i]
        size = stream.items[i].block.shape[:2] if pending is None else pending.size
        check_canvas(size, sensor, call.name)
        stream = with_pending(stream, i, ImageMap((rotated_view(sensor, move[:3, :3]),), sensor.size))
        back = torch.linalg.inv(sensor.A @ sensor.model.K)  # rays of pixels
        shares[i] = {"old": back[2].numpy(), "new": (move[2, :3] @ back).numpy()}
    if isinstance(stream, Depth) and stream.measure == "z":
        stream = settled(stream, call.program)
        asked = list(zip(stream.items, shares, strict=True))
        items = call.program.pictures(_turned_depth, asked, {}, blank=stream.blank)
        stream = replace_unchecked(stream, items=tuple(items))
    return stream


def _turned_depth(depth: Tensor, numbers: Mapping[str, Tensor], blank: float) -> Tensor:
    """Along one ray z is the same share of the distance, so z' / z = r'_z / r_z, both linear in pixels."""
    x = torch.arange(depth.shape[2], dtype=torch.float64, device=depth.device)
    y = torch.arange(depth.shape[1], dtype=torch.float64, device=depth.device)[:, None]
    old, new = (
        row[:, 0, None, None] * x + (row[:, 1, None, None] * y + row[:, 2, None, None])
        for row in (numbers["old"], numbers["new"])
    )
    share, measured = old / new, depth > 0
    known = torch.isfinite(share) & (share > 0) & measured
    return torch.where(known, depth * share.to(depth.dtype), torch.where(measured, blank, depth))


@on_device(Viewpoint, Boxes2D)
def plan_boxes2d(stream: Boxes2D, call: Call) -> Boxes2D:
    """Corners seen after the turn; a box with a corner behind the camera is lost."""
    return _turned_pixels(stream, call, "corners", on_canvas=False)


@on_device(Viewpoint, Keypoints2D)
def plan_keypoints(stream: Keypoints2D, call: Call) -> Keypoints2D:
    """Key points seen after the turn; those out of view are lost."""
    return _turned_pixels(stream, call, "pixel", on_canvas=True)


def _turned_pixels(stream: Any, call: Call, name: str, on_canvas: bool) -> Any:
    numbers: list[Any] = []
    for i, move in enumerate(_moves(stream, call)):
        if move is None:
            numbers.append(None)
            continue
        sensor = _camera(stream, call, i)
        to_pixel = sensor.A @ sensor.model.K
        rows = {"back": torch.linalg.inv(to_pixel), "turn": move[:3, :3].T, "to_pixel": to_pixel}
        rim = 0.5 + TIE if on_canvas else np.inf  # pixels by which places reach beyond the centres of edge pixels
        most = np.array(sensor.size[::-1], np.float64) - 1 + rim
        numbers.append({**{n: m.numpy() for n, m in rows.items()}, "least": -rim, "most": most, "on": np.bool_(True)})
    if all(n is None for n in numbers):
        return stream
    neutral = {"back": EYE, "turn": EYE, "to_pixel": EYE, "least": 0.0, "most": np.zeros(2), "on": np.bool_(False)}
    values = call.program.columns(_through_turn, stream.values, numbers, neutral, adds=(VALID,), name=name)
    return replace_unchecked(stream, values=values)


def _through_turn(columns: Mapping[str, Tensor], numbers: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    rows, pixels = columns[ROW_ITEM], columns[name]
    back, turn, to_pixel, least, most, on = (
        numbers[n].index_select(0, rows) for n in ("back", "turn", "to_pixel", "least", "most", "on")
    )
    each = pixels.reshape(len(pixels), pixels.shape[1:].numel() // 2, 2).to(torch.float64)
    rays = torch.cat([each, torch.ones_like(each[..., :1])], -1) @ back.mT
    there = (rays * torch.sign(rays[..., 2:])) @ turn.mT
    image = there @ to_pixel.mT
    seen = image[..., :2] / image[..., 2:]
    inside = ((seen >= least[:, None, None]) & (seen <= most[:, None])).all(-1)
    keep = ((there[..., 2] > 0) & inside).all(1) | ~on
    moved = torch.where(on[:, None, None], seen, each).reshape(pixels.shape)
    return {name: moved, VALID: columns[VALID] & keep if VALID in columns else keep}


@on_device(Viewpoint, Radar)
@on_device(Viewpoint, Lidar)
@on_device(Viewpoint, Points)
def plan_points(stream: Points, call: Call) -> Points:
    """The cloud in the turned sensor's frame, which is pending."""
    moves = _moves(stream, call)
    if all(m is None for m in moves):
        return stream
    check_points_move_alone(stream, call.name)
    refuse_fields_at_mounting(stream, call.name, call.transform)
    eye = torch.eye(4, dtype=torch.float64)
    turn = torch.stack([eye if m is None else invert(m) for m in moves])
    return replace_unchecked(stream, pending=turn if stream.pending is None else turn @ stream.pending)


def keep_still(stream: Stream, call: Call) -> Stream:
    """The stream itself, whose sensor stays."""
    if any(m is not None for m in item_motions(stream, call.family_state)):
        raise DataError(
            f"stream {call.name!r}: what a moved sensor of its kind measures is worked out on the host; run "
            f"{call.transform.__name__} before batch.to(...)"
        )
    return stream


for kind in (Stream, Imu, Wrench, Occupancy, PlanarScan, RangeReading):
    on_device(Viewpoint, kind)(keep_still)
on_device(Viewpoint, Taxels)(move_taxels)  # which moves nothing
on_device(Viewpoint, TactileImage)(refuse_gel)  # which looks at the rig
on_device(Viewpoint, HeightMap)(refuse_gel)
