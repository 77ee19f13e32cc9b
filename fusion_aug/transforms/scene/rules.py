"""What a motion of the scene does to each kind of stream."""

from __future__ import annotations

from collections.abc import Mapping
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
from fusion_aug.streams.moved_rows import MovedColumn
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


def column_motions(stream: Stream, call: Call) -> dict[str, Motion | None]:
    """The motions that columns of a stream may follow, item by item: of its own frame, child, body and world."""
    maps: list[SceneMaps] = call.family_state
    motions = {"own": motion_per_item(maps, stream.frame, stream)}
    motions["child"] = motion_per_item(maps, stream.child, stream) if stream.child else None
    motions |= {r: _stacked_motions([m.by_role[r] for m in maps], stream) for r in ("body", "world")}
    return motions


def column_moves(stream: Stream, call: Call, motions: Mapping[str, Motion | None]) -> list[MovedColumn]:
    """Which columns of a stream follow which of its ``column_motions``.

    Raises:
        UnhandledStream: it declares no columns.
    """
    if not stream.columns:
        kind = type(stream).__name__
        raise UnhandledStream(f"{kind} ({call.name!r}) declares no columns, so a scene cannot move it: {stream.remedy}")
    moves = []
    for column in stream.columns:
        if column.name not in stream.values or column.kind in NON_GEOMETRIC:
            continue
        carried = "child" if stream.child else "body"  # by the body whose pose or twist it is
        frame, body = carried if column.in_child_frame else "own", carried
        if column.in_world:  # of the stream's own frame, which is the body there
            frame, body = "world", "own"
        frame, body = ("" if motions[name] is None else name for name in (frame, body))
        if frame or (body and column.kind != "specific_force"):
            moves.append(MovedColumn(column.name, column.kind, frame, body, column.scaled))
    return moves


@handles(Scene, Stream)
def move_columns(stream: Stream, call: Call) -> Stream:
    """Every typed column by the rule of its kind."""
    motions = column_motions(stream, call)
    rows = {name: _motion_per_row(motion, stream) for name, motion in motions.items()} | {"": None}
    moved = {}
    for name, kind, frame, body, scaled in column_moves(stream, call, motions):
        value = stream.values[name]
        if kind == "specific_force":
            moved[name] = _accelerometer(stream, value, rows[frame], call)  # type: ignore[arg-type]
        else:
            moved[name] = RULES[kind](value, rows[frame], rows[body], scaled)
    return stream.with_values(**moved) if moved else stream


def _accelerometer(stream: Stream, value: Tensor, motion: Motion, call: Call) -> Tensor:
    """f' = M1 (s f + (s - 1) R_world_imu^T g): accelerations grow with the scene, gravity does not."""
    scale = motion.scale[:, None].to(value)
    out = value * scale
    if bool((motion.scale - 1).abs().max() > 1e-12):
        out = out + (scale - 1) * gravity_pulls(stream, call).to(value)
    return motion.rotate(out)


def gravity_pulls(stream: Stream, call: Call) -> Tensor:
    """(n, 3) float64 m/s^2, gravity in a stream's frame at each of its items.

    Raises:
        DataError: nothing says how the frame is turned in the world.
    """
    pulls = []
    for index, time in zip(stream.sample_index.tolist(), stream.true_capture_times.tolist(), strict=True):
        if not call.sample.metas:
            raise DataError(f"stream {call.name!r}: undoing a scale of accelerations needs the attitude of the IMU")
        rig = call.sample.metas[index].true_rig
        root = rig.root_of(stream.frame)
        if rig.frames[root].axis_convention != "world":
            raise DataError(f"stream {call.name!r}: scaling accelerations needs the attitude of the IMU in the world")
        pulls.append(rig.T(root, stream.frame, time)[:3, :3].T @ gravity_of(rig, stream.instance(call.name)))
    return torch.stack(pulls)


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
    if isinstance(stream, Depth | HeightMap) and any(m.scale.requires_grad or float(m.scale) != 1.0 for m in maps):
        pictures = zip(map(stream.stored, range(len(stream))), stream.sample_index.tolist(), strict=True)
        stream = replace(stream, items=tuple(p * maps[u].scale.to(p) for p, u in pictures))
    return flip_images(stream, call)


def flip_images(stream: ImageStream, call: Call) -> ImageStream:
    """The stream with a flip pending on the pictures of mirrored samples."""
    maps: list[SceneMaps] = call.family_state
    if not any(m.flips_images for m in maps):
        return stream
    index, steps = stream.sample_index.tolist(), []
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
