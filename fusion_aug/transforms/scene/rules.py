"""What a motion of the scene does to each kind of stream."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from calib.rates import gravity_of
from fusion_aug.core.registry import Call, handles, refuse_opaque
from fusion_aug.errors import DataError, UnhandledStream
from fusion_aug.ops.image_map import ImageMap
from fusion_aug.ops.similarity import Motion
from fusion_aug.streams import Boxes2D, Depth, EgoPose, HeightMap, ImageStream, Opaque, Points, Stream, Text, strings
from fusion_aug.streams.columns import NON_GEOMETRIC, RULES
from fusion_aug.streams.families import Scene
from fusion_aug.streams.text import mirror_text
from fusion_aug.transforms.cloud.unknown_fields import refuse_unmoved_fields
from fusion_aug.transforms.scene.maps import SceneMaps

EYE = torch.eye(3, dtype=torch.float64)


def motion_per_item(maps: list[SceneMaps], frame: str, stream: Stream) -> Motion | None:
    """The motion of a frame for every item of a stream; None where it is the identity for all."""
    return _stacked_motions([m(frame) for m in maps], stream)


def _stacked_motions(found: list[Motion | None], stream: Stream) -> Motion | None:
    if all(f is None for f in found):
        return None
    return Motion.stack([f or Motion.identity() for f in found]).take_rows(stream.sample_index)


def _motion_per_row(motion: Motion | None, stream: Stream) -> Motion | None:
    """One motion per row of the values, or one for all."""
    return motion if motion is None or len(motion.matrix) == 1 else motion.take_rows(stream.row_item)


@handles(Scene, Stream)
def move_columns(stream: Stream, call: Call) -> Stream:
    """Every typed column by the rule of its kind."""
    if not stream.columns:
        kind = type(stream).__name__
        raise UnhandledStream(f"{kind} ({call.name!r}) declares no columns, so a scene cannot move it: {stream.remedy}")
    maps: list[SceneMaps] = call.family_state
    own = motion_per_item(maps, stream.frame, stream)
    child = motion_per_item(maps, stream.child, stream) if stream.child else None
    body, world = (_stacked_motions([m.by_role[r] for m in maps], stream) for r in ("body", "world"))
    if own is None and child is None and body is None:
        return stream
    own, child, body, world = (_motion_per_row(m, stream) for m in (own, child, body, world))
    moved = {}
    for column in stream.columns:
        if column.name not in stream.values or column.kind in NON_GEOMETRIC:
            continue
        carried = child if stream.child else body  # by the body whose pose or twist it is
        frame, value = carried if column.in_child_frame else own, stream.values[column.name]
        if column.in_world:  # of the stream's own frame, which is the body there
            moved[column.name] = RULES[column.kind](value, world, own, column.scaled)
        elif column.kind != "specific_force":
            moved[column.name] = RULES[column.kind](value, frame, carried, column.scaled)
        elif frame is not None:
            moved[column.name] = _accelerometer(stream, value, frame, call)
    return stream.with_values(**moved) if moved else stream


def _accelerometer(stream: Stream, value: Tensor, motion: Motion, call: Call) -> Tensor:
    """f' = M1 (s f + (s - 1) R_world_imu^T g): accelerations grow with the scene, gravity does not."""
    scale = motion.scale[:, None].to(value)
    out = value * scale
    if bool((motion.scale - 1).abs().max() > 1e-12):
        pulls = []
        for index, time in zip(stream.sample_index.tolist(), stream.true_capture_times.tolist(), strict=True):
            if not call.sample.metas:
                raise DataError(f"stream {call.name!r}: undoing a scale of accelerations needs the attitude of the IMU")
            rig = call.sample.metas[index].true_rig
            root = rig.root_of(stream.frame)
            if rig.frames[root].axis_convention != "world":
                raise DataError(
                    f"stream {call.name!r}: scaling accelerations needs the attitude of the IMU in the world"
                )
            pulls.append(rig.T(root, stream.frame, time)[:3, :3].T @ gravity_of(rig, stream.instance(call.name)))
        out = out + (scale - 1) * torch.stack(pulls).to(value)
    return motion.rotate(out)


@handles(Scene, EgoPose)
def move_ego(stream: EgoPose, call: Call) -> EgoPose:
    """A motion that shifts the reference frame on the vehicle changes the point whose velocity is reported.

    The new origin lies at p = -Q^T t / s in the old frame and moves with v + omega x p, so v' = s Q v - omega' x t.
    """
    moved = move_columns(stream, call)
    child = motion_per_item(call.family_state, stream.child, stream)
    if child is None or not {"velocity", "angular_velocity"} <= set(moved.values):
        return moved  # type: ignore[return-value]
    angular_velocity = moved.values["angular_velocity"]
    shift = child.matrix[:, :3, 3].to(angular_velocity).expand_as(angular_velocity)
    return moved.with_values(velocity=moved.values["velocity"] - torch.linalg.cross(angular_velocity, shift))  # type: ignore[return-value]


@handles(Scene, Points)
def move_points(stream: Points, call: Call) -> Points:
    """Points take the motion in as pending; it is multiplied out once."""
    motion = motion_per_item(call.family_state, stream.frame, stream)
    if motion is None:
        return stream
    refuse_unmoved_fields(stream, call.name, call.transform, motion)
    return stream.moved(motion.matrix.expand(len(stream), 4, 4))


@handles(Scene, ImageStream)
def move_images(stream: ImageStream, call: Call) -> ImageStream:
    """A mirror flips the canvas; depths scale."""
    maps: list[SceneMaps] = call.family_state
    index = stream.sample_index.tolist()
    if isinstance(stream, Depth | HeightMap) and any(m.scale.requires_grad or float(m.scale) != 1.0 for m in maps):
        pictures = [stream.stored(i) for i in range(len(stream))]
        scaled = tuple(p * maps[u].scale.to(p) for p, u in zip(pictures, index, strict=True))
        stream = replace(stream, items=scaled)
    if not any(m.flips_images for m in maps):
        return stream
    steps = []
    sizes = [canvas_of(maps[u], stream, call.name) for u in index]
    for u, size in zip(index, sizes, strict=True):
        steps.append(ImageMap.flip(size) if maps[u].flips_images else ImageMap.homography(EYE, size))
    return stream.mapped(steps, sizes)


@handles(Scene, Boxes2D)
def move_boxes2d(stream: Boxes2D, call: Call) -> Boxes2D:
    """A mirror flips pixels on the canvas."""
    maps: list[SceneMaps] = call.family_state
    if not any(m.flips_images for m in maps):
        return stream
    widths = torch.tensor([canvas_of(maps[u], stream, call.name)[1] for u in stream.sample_index.tolist()])
    mirrored = torch.tensor([maps[u].flips_images for u in stream.sample_index.tolist()])
    rows = stream.row_item
    corners = stream.values["corners"].clone()
    width, flips = widths[rows, None].to(corners.device), mirrored[rows, None].to(corners.device)
    corners[..., 0] = torch.where(flips, width - 1 - corners[..., 0], corners[..., 0])
    return stream.with_values(corners=corners)


@handles(Scene, Text)
def move_text(stream: Text, call: Call) -> Text:
    """A left-right mirror swaps words."""
    maps: list[SceneMaps] = call.family_state
    if not any(m.swaps_names for m in maps):
        return stream
    indices = stream.sample_index.tolist()
    texts = [str(t) for t in stream.values["text"]]
    swapped = [
        mirror_text(t, stream.language) if maps[u].swaps_names else t for t, u in zip(texts, indices, strict=True)
    ]
    return stream.with_values(text=strings(swapped))


@handles(Scene, Opaque)
def keep_opaque(stream: Opaque, call: Call) -> Opaque:
    """What is not understood stays where its kind of data stays as it is; anything else is refused."""
    maps: list[SceneMaps] = call.family_state
    kind = stream.kind_if_understood
    if stream.is_untouched_by(Scene):
        return stream
    if issubclass(kind, ImageStream):
        is_deep = issubclass(kind, Depth | HeightMap)
        if not any(m.flips_images or (is_deep and float(m.scale) != 1.0) for m in maps):
            return stream
    elif issubclass(kind, Points) and motion_per_item(maps, stream.frame, stream) is None:
        return stream
    refuse_opaque(stream, call)
    return stream


def canvas_of(maps: SceneMaps, stream: Stream, name: str) -> tuple[int, int]:
    """(height, width) of the canvas behind an image-like stream."""
    camera = stream.instance(name)
    if camera not in maps.state.canvas:
        raise DataError(f"stream {name!r}: the rig has no camera {camera!r}, so the width to mirror at is unknown")
    return maps.state.canvas[camera]
