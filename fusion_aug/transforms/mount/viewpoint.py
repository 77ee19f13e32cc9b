"""Sensors that move: ``Viewpoint``, and what a moved camera sees. Other sensors: ``viewpoint_sensors``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from calib import CameraSensor, LidarSensor, Rig
from calib.replacing import replace_unchecked
from calib.se3 import invert, transform_points
from fusion_aug.core.device.pending import ones_there
from fusion_aug.core.device.rules import rule_for
from fusion_aug.core.parameters import ParameterRows
from fusion_aug.core.registry import Call, Context, handles
from fusion_aug.core.strength import Strength, Strengths
from fusion_aug.errors import ConfigError, DataError, UnhandledStream
from fusion_aug.ops.grid import pixel_grid
from fusion_aug.ops.image_map import ImageMap, rotated_view
from fusion_aug.ops.view import moved_view
from fusion_aug.ops.warp import gather
from fusion_aug.sample import Sample
from fusion_aug.sample.depth import camera_range
from fusion_aug.sample.depth_settings import DepthSettings
from fusion_aug.sample.to_device import lies_on_device
from fusion_aug.streams import (
    Boxes2D,
    Boxes3D,
    Camera,
    Depth,
    HeightMap,
    ImageStream,
    Stream,
    TactileImage,
    ValidityMask,
)
from fusion_aug.streams.deferred import Deferred
from fusion_aug.streams.source import Source
from fusion_aug.transforms.distances import SeesDistances
from fusion_aug.transforms.mount.frame_motions import FrameMotions, is_pure_rotation, item_motions
from fusion_aug.transforms.mount.miscalibrate import MountTransform, drawn_frame_errors, with_frame_errors

FOLLOWS = "declared: the calibration follows; a tenth of a view of 50 degrees, and as cameras of cars differ in height"


@dataclass(frozen=True, kw_only=True)
class Viewpoint(MountTransform, SeesDistances):
    """Move some sensors: what they measure is rendered or resampled, and reported and true rig follow.

    Pictures after a rotation are exact for every camera model (a map of rays). A shift needs depth: a Depth stream of
    the camera at its stamp, else the LiDAR's points, filled in between. What something hid from the old place is
    stretched from what lies farther beside it, and what lies beyond the old picture's edges is black; both are 0 in a
    further stream ``CAMERA/valid``. Clouds lose what the moved sensor cannot see; the Doppler of a radar is that of its
    new position and motion. The fields are those of ``MountTransform``: degrees about and metres
    along the sensor's own axes.
    """

    version: ClassVar[int] = 3  # since 2026-11: distances end where things end, and what they hid is stretched
    exemptions: ClassVar[dict[str, str]] = {
        "keeps_rows": "a moved LiDAR does not see what now lies behind something; validity masks are added",
        "keeps_counts": "a moved LiDAR does not see what now lies behind something",
        "invertible": "what the moved sensor does not see is lost",
    }
    strengths: ClassVar[Strengths] = {
        "x_deg": Strength(0.0, (-5.0, 5.0), "linear", FOLLOWS, "degrees", exact=False),
        "y_deg": Strength(0.0, (-5.0, 5.0), "linear", FOLLOWS, "degrees", exact=False),
        "z_deg": Strength(0.0, (-5.0, 5.0), "linear", FOLLOWS, "degrees", exact=False),
        "x": Strength(0.0, (-0.3, 0.3), "linear", FOLLOWS, "m", exact=False),
        "y": Strength(0.0, (-0.3, 0.3), "linear", FOLLOWS, "m", exact=False),
        "z": Strength(0.0, (-0.3, 0.3), "linear", FOLLOWS, "m", exact=False),
    }
    excludes: ClassVar[str] = "viewpoint"
    example: ClassVar[dict[str, Any]] = {"y_deg": [-3.0, 3.0], "x": [-0.2, 0.2]}
    loss_reason: ClassVar[str] = "hidden behind an object, or out of view, from the new place"

    @classmethod
    def apply(cls, sample: Sample, parameters: ParameterRows, context: Context) -> Sample:
        """Move reported and true rig alike, and apply every stream's handler with the motions of all frames."""
        moves, metas = [], []
        for u, meta in enumerate(sample.metas):
            if not parameters.per_sample[u]:  # of a sample that is left as it is
                metas.append(meta)
                moves.append(FrameMotions(meta.true_rig, meta.true_rig, {}))
                continue
            errors = drawn_frame_errors(meta.rig, parameters, u, cls.__name__)
            rig = _without_elevations(with_frame_errors(meta.rig, errors), errors)
            same = meta.true_rig is meta.rig
            true_rig = rig if same else _without_elevations(with_frame_errors(meta.true_rig, errors), errors)
            metas.append(replace_unchecked(meta, rig=rig, true_rig=true_rig))
            settings = DepthSettings.of(next(iter(parameters.per_sample[u].values())))
            moves.append(FrameMotions(meta.true_rig, true_rig, errors, settings))
            if moves[-1](meta.ref.frame, meta.ref.time) is not None:
                raise ConfigError(
                    f"Viewpoint.sensors: the frame {meta.ref.frame!r} is the reference of sample {meta.id!r} and "
                    "cannot be moved"
                )
        out = cls.visit(sample, ParameterRows([]), context, moves)
        return with_validity_masks(replace_unchecked(out, metas=tuple(metas)), sample, moves, context)


def _without_elevations(rig: Rig, moved: Mapping[str, Tensor]) -> Rig:
    """The rig with the beams of moved LiDARs unknown: they are no cones about the new frame's axis."""
    sensors = {
        n: replace_unchecked(s, elevations=())
        if isinstance(s, LidarSensor) and s.frame in moved and s.elevations
        else s
        for n, s in rig.sensors.items()
    }
    return Rig(rig.frames, sensors)


@handles(Viewpoint, ImageStream)
def move_images(stream: ImageStream, call: Call) -> ImageStream:
    """A rotation is pending as a map of rays; a shift is applied at once, with occlusion."""
    found = item_motions(stream, call.family_state)
    for i, move in enumerate(found):
        if move is not None:
            pending = stream.pending[i]
            size = _stored_size(stream.items[i]) if pending is None else pending.size
            check_canvas(size, _camera(stream, call, i), call.name)
            stream = _rotated(stream, call, i, move) if is_pure_rotation(move) else _shifted(stream, call, i, move)
    return stream


@handles(Viewpoint, TactileImage)
@handles(Viewpoint, HeightMap)
def refuse_gel(stream: ImageStream, call: Call) -> ImageStream:
    """Stop where a gel would move.

    Raises:
        UnhandledStream: its frame moves in its parent. A whole hand that moves with its gels, and with what they
            touch, measures the same.
    """
    moves: list[FrameMotions] = call.family_state
    if any(m.before.frames[stream.frame].pose is not m.after.frames[stream.frame].pose for m in moves):
        raise UnhandledStream(
            f"{call.transform.__name__}.sensors: a gel that is moved has another contact; leave {call.name!r} out of "
            f"the sensors, or use TactileShift, which moves it in its own plane"
        )
    return stream


def _camera(stream: ImageStream | Boxes2D, call: Call, item: int) -> CameraSensor:
    return call.sample.metas[int(stream.sample_index[item])].true_rig.camera(stream.instance(call.name))


def check_canvas(size: tuple[int, int], sensor: CameraSensor, name: str) -> None:
    """Raise where pictures have another (height, width) than their camera's canvas: they cannot move with it."""
    if size != sensor.size:
        (h, w), (height, width) = size, sensor.size
        raise DataError(f"stream {name!r}: is {w}x{h}, but its camera's canvas {width}x{height} pixels")


def _rotated(stream: ImageStream, call: Call, item: int, move: Tensor) -> ImageStream:
    sensor = _camera(stream, call, item)
    step = ImageMap((rotated_view(sensor, move[:3, :3]),), sensor.size)
    if isinstance(stream, Depth) and stream.measure == "z":
        rays = sensor.unproject(pixel_grid(sensor.size))
        # along one ray z is the same share of the distance, so z' / z = r'_z / r_z
        share = rays[..., 2] / (rays @ move[2, :3])
        rotated = with_pending(stream, item, step).image(item)
        known = torch.isfinite(share) & (share > 0) & (rotated > 0).cpu()
        scaled = rotated * torch.where(known, share, torch.ones_like(share)).to(rotated)
        unmeasured = torch.where(rotated > 0, torch.full_like(rotated, stream.blank), rotated)
        return _with_item(stream, item, torch.where(known.to(rotated.device), scaled, unmeasured))
    return with_pending(stream, item, step)


def with_pending(stream: ImageStream, item: int, step: ImageMap) -> ImageStream:
    """The stream with one more map of one of its pictures pending."""
    pending = list(stream.pending)
    before = pending[item]
    pending[item] = step if before is None else before.then(step)
    return replace(stream, pending=tuple(pending))


def _with_item(stream: ImageStream, item: int, picture: Tensor) -> ImageStream:
    items, pending = list(stream.items), list(stream.pending)
    items[item], pending[item] = picture, None
    return replace(stream, items=tuple(items), pending=tuple(pending))


def _shifted(stream: ImageStream, call: Call, item: int, move: Tensor) -> ImageStream:
    sensor = _camera(stream, call, item)
    motions: FrameMotions = call.family_state[int(stream.sample_index[item])]
    views, key = motions.views, (stream.instance(call.name), int(stream.capture_times[item]))
    if key not in views:
        views[key] = moved_view(sensor, camera_range(call.sample, call.name, item, motions.settings), move.detach())
    view = views[key]
    if isinstance(stream, Depth):
        distance = view.distance
        if stream.measure == "z":
            distance = distance * sensor.unproject(pixel_grid(sensor.size))[..., 2].to(distance)
        old = stream.image(item)
        there = gather(old, view.source, "nearest", stream.blank)
        depth = torch.where(torch.isinf(there), there, distance.to(old))
        return _with_item(stream, item, torch.where(there > 0, depth, there))
    source = view.stretched if isinstance(stream, Camera) else view.clear
    return _with_item(stream, item, gather(stream.image(item), source, stream.interpolation, stream.blank))


def with_validity_masks(out: Sample, before: Sample, moves: list[FrameMotions], context: Context) -> Sample:
    """The sample with a validity mask beside every picture of a moved camera; one that was there has moved along."""
    streams = dict(out.streams)
    for name, stream in before.of_type(Camera).items():
        label, found = f"{name}/valid", item_motions(stream, moves)
        old = before.streams.get(label)
        have = set() if old is None else set(zip(old.sample_index.tolist(), old.capture_times.tolist(), strict=True))
        keys = list(zip(stream.sample_index.tolist(), stream.capture_times.tolist(), strict=True))
        new = [i for i, key in enumerate(keys) if found[i] is not None and key not in have]
        if not new:
            continue
        part = stream.take_items(torch.tensor(new))
        # what the picture's earlier maps left black is no source either
        there = lies_on_device(part)
        ones = ones_there(part.items, context.program) if there else tuple(map(_ones, part.items))
        mask = ValidityMask(
            frame=part.frame, camera=stream.instance(name), capture_times=part.capture_times,
            receive_times=part.receive_times, clock_offset=part.clock_offset, sample_index=part.sample_index,
            items=ones, pending=part.pending,
        )  # fmt: skip
        move = rule_for(Viewpoint, ValidityMask) if there else move_images
        moved: Stream = move(mask, Call(Viewpoint, before, name, None, context, moves))
        if label in streams:
            both = ValidityMask.concat([streams[label], moved], [streams[label].sample_index, moved.sample_index])  # type: ignore[list-item]
            moved = both.take_items(torch.argsort(both.sample_index, stable=True))
        streams[label] = moved
    return out.with_streams(streams)


def _ones(item: Tensor | Source | Deferred) -> Tensor:
    return torch.ones(_stored_size(item), dtype=torch.uint8)


def _stored_size(item: Tensor | Source | Deferred) -> tuple[int, int]:
    picture = item if isinstance(item, Tensor) else item.value
    return int(picture.shape[0]), int(picture.shape[1])


@handles(Viewpoint, Boxes2D)
def move_boxes2d(stream: Boxes2D, call: Call) -> Boxes2D:
    """Corners seen from the new position, at the distance of the 3-D box of the same instance; far away without one.

    A box with a corner that the lens does not see any more is left out.
    """
    found = item_motions(stream, call.family_state)
    corners = stream.values["corners"].to(torch.float64).clone()
    keep = torch.ones(stream.rows, dtype=torch.bool)
    for i, move in enumerate(found):
        rows = stream.item_slice(i)
        if move is None or rows.start == rows.stop:
            continue
        sensor = _camera(stream, call, i)
        rays = sensor.unproject(corners[rows])
        distance = _box_distances(stream, call, i, rows)[:, None, None]
        there = transform_points(invert(move), (rays * distance).reshape(-1, 3))
        corners[rows] = sensor.project(there)[0].reshape(-1, 4, 2)
        keep[rows] = sensor.model.valid(there).reshape(-1, 4).all(1) & torch.isfinite(rays).all(-1).all(1)
    moved = stream.with_values(corners=corners)
    return moved if bool(keep.all()) else moved.select(keep)


def _box_distances(stream: Boxes2D, call: Call, item: int, rows: slice) -> Tensor:
    """Distance (rows,) of the 3-D boxes behind 2-D ones from the camera, metres."""
    index, time = int(stream.sample_index[item]), int(stream.true_capture_times[item])
    out = torch.full((rows.stop - rows.start,), 1e6, dtype=torch.float64)
    if "instance" not in stream.values:
        return out
    for boxes in call.sample.of_type(Boxes3D).values():
        if "instance" not in boxes.values or not bool((boxes.sample_index == index).any()):
            continue
        chosen = call.sample.metas[index]
        T = chosen.true_rig.T(stream.frame, chosen.ref.frame, chosen.ref.time, time)
        span = boxes.item_slice(int((boxes.sample_index == index).nonzero()[0]))
        centres = transform_points(T, boxes.values["pose"][span, :3, 3])
        by_name = dict(zip(boxes.values["instance"][span].tolist(), centres.norm(dim=1).tolist(), strict=True))
        for j, name in enumerate(stream.values["instance"][rows].tolist()):
            out[j] = by_name.get(name, float(out[j]))
    return out
