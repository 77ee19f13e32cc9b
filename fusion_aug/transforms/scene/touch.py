"""What a motion of the scene does to touch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from calib.replacing import replace_unchecked
from fusion_aug.core.registry import Call, handles
from fusion_aug.streams import TactileImage, Taxels
from fusion_aug.streams.families import Scene
from fusion_aug.transforms.scene.maps import SceneMaps
from fusion_aug.transforms.scene.rules import motion_per_item
from fusion_aug.transforms.scene.taxel_places import moved_taxels
from fusion_aug.transforms.touch.gels import Gel, gel_of, render_moved_press


@handles(Scene, Taxels)
def move_taxels(stream: Taxels, call: Call) -> Taxels:
    """A mirror moves the taxels on their link; each keeps its force, and comes to the row of the taxel at its place."""
    motion = motion_per_item(call.family_state, stream.frame, stream)
    if motion is None:
        return stream
    moved = replace(stream, poses=moved_taxels(stream.poses, motion))
    maps: list[SceneMaps] = call.family_state
    orders = [m.rows.get(call.name) for m in maps]
    if all(order is None for order in orders):
        return moved
    kept = torch.arange(stream.poses.shape[1])
    order = torch.stack([kept if o is None else o for o in orders])[stream.sample_index]  # (n, T)
    poses = moved.poses[torch.arange(len(stream))[:, None], order]
    return replace(moved, poses=poses, values={n: v.gather(1, order) for n, v in moved.values.items()})


@handles(Scene, TactileImage)
def mirror_press(stream: TactileImage, call: Call) -> TactileImage:
    """A mirror flips the press, not the picture: the lights stay where they are.

    The press of a sensor that swaps names with another is seen by the other's camera, under the other's lights. A
    scale makes the gel larger with all that touches it.
    """
    maps: list[SceneMaps] = call.family_state
    if not any(m.flips_images for m in maps):
        return grown_gels(stream, call)
    pictures: list[Tensor] = list(stream.items)
    gels, grounds = list(stream.gels), list(stream.backgrounds)
    for i, u in enumerate(stream.sample_index.tolist()):
        if maps[u].flips_images and bool(stream.present[i]):
            seen_by = _partner(call, maps[u], u) or gel_of(stream, i, call.name)
            pictures[i] = render_moved_press(stream, i, call.name, call.sample, flipped, seen_by)
            gels[i], grounds[i], _ = seen_by
    seen = replace(stream, items=tuple(pictures), pending=(), gels=tuple(gels), backgrounds=tuple(grounds))
    return grown_gels(seen, call)


def grown_gels(stream: TactileImage, call: Call) -> TactileImage:
    """Gels as large as the scale makes them, with their pictures as they are."""
    maps: list[SceneMaps] = call.family_state
    scales = [float(maps[u].scale.detach()) for u in stream.sample_index.tolist()]
    if all(s == 1 for s in scales):
        return stream
    gels = zip(stream.gels, scales, strict=False)  # a stream need not have gels
    grown = tuple(gel if s == 1 else replace(gel, relaxation=gel.relaxation * s) for gel, s in gels)
    mm = stream.mm_per_pixel * torch.tensor(scales, dtype=torch.float64)
    return replace_unchecked(stream, gels=grown, mm_per_pixel=mm)


def flipped(array: np.ndarray) -> np.ndarray:
    """An array (H, W, ...) in a mirror."""
    return np.ascontiguousarray(array[:, ::-1])


def _partner(call: Call, maps: SceneMaps, index: int) -> Gel | None:
    """The gel of the sensor that swaps names with this one; None where there is none."""
    other = call.sample.streams.get(maps.names.get(call.name, ""))
    if not isinstance(other, TactileImage):
        return None
    mine = (other.sample_index == index).nonzero()[:, 0]
    return gel_of(other, int(mine[0]), maps.names[call.name]) if len(mine) else None
