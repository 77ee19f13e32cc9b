"""Pictures of two samples on the two sides of seams, with the depth, masks and flat boxes that belong to them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from calib.replacing import replace_unchecked
from calib.se3 import invert
from fusion_aug.core.mixing.labels import joined_boxes
from fusion_aug.core.mixing.meeting import T_ref_item, partner_items
from fusion_aug.core.mixing.transform import new_instance
from fusion_aug.errors import DataError
from fusion_aug.ops.painting import painted_over
from fusion_aug.sample import Sample
from fusion_aug.streams import Boxes2D, Depth, ImageStream, SegmentationMask, Stream, strings
from fusion_aug.streams.deferred import Deferred
from fusion_aug.transforms.mix.seams import Region
from fusion_aug.transforms.mix.sector_numbers import mask_apart
from fusion_aug.transforms.mix.sector_pixels import donor_pixels, rays_inside

Array = np.ndarray
AT, SLOPES = 10.0, (-0.2, 0.0, 0.3)  # metres at which, and heights over it where, two pictures are compared
ATTRIBUTES = {Depth: ("measure",), SegmentationMask: ("holds", "per_class", "ignore", "label_names")}


def belonging(sample: Sample, camera: str) -> list[str]:
    """Streams about the pictures of a camera stream, itself first."""
    sensor = sample[camera].instance(camera)
    own = [n for n, s in sample.streams.items() if isinstance(s, ImageStream | Boxes2D) and s.instance(n) == sensor]
    return [camera, *(n for n in own if n != camera)]


def picture_refusal(sample: Sample, donor: Sample, camera: str) -> str:
    """Why the pictures of a camera stream and what belongs to them cannot be joined; "" where they can."""
    for name in belonging(sample, camera):
        mine, other = sample[name], donor.streams.get(name)
        if other is None:
            continue  # it is left out where it is needed
        if (most := max(len(mine), len(other))) > 1 and name == camera:
            return f"{name!r} holds {most} pictures: clips are not mixed, only keyframes"
        if type(mine) is not type(other):
            return f"{name!r} is a {type(mine).__name__} and a {type(other).__name__}"
        for key in (key for kind, keys in ATTRIBUTES.items() if isinstance(mine, kind) for key in keys):
            if getattr(mine, key) != getattr(other, key):
                return f"{name!r} has another {key}"
        if isinstance(mine, Boxes2D) and (missing := sorted({*mine.values} ^ {*other.values})):
            return f"only one of them has the column {missing[0]!r} in {name!r}"
    return ""


def camera_moved(sample: Sample, donor: Sample, name: str, azimuths: Array, level: Array) -> Array:
    """How far points at 10 m in some directions lie in both pictures of a camera, (n,) at most, pixels.

    It is 0 in directions that they do not both see, and infinite where the donor has no picture.

    Args:
        sample: receives. donor: gives. name: camera stream, of which the receiver's key item is meant.
        azimuths: (n,) radians, in level axes. level: (3, 3) rotation from the reference frame to these.
    """
    pair = _key_pair(sample, donor, name)
    if pair is None:
        return np.full(len(azimuths), np.inf)
    sensor = sample.true_rig.camera(sample[name].instance(name))
    T_a, T_b = T_ref_item(sample, name, pair[0]), T_ref_item(donor, name, pair[1])
    level_rays = [np.stack([np.cos(azimuths), np.sin(azimuths), np.full(len(azimuths), z)], 1) for z in SLOPES]
    points = T_a[:3, 3] + AT * torch.from_numpy(np.stack(level_rays, 1) @ level)
    (here, seen), (there, also) = (sensor.project((points - T[:3, 3]) @ T[:3, :3]) for T in (T_a, T_b))
    moved: Array = torch.where(seen & also, (here - there).norm(dim=-1), 0.0).amax(1).numpy()
    return moved


def _key_pair(sample: Sample, donor: Sample, name: str) -> tuple[int, int] | None:
    """The receiver's key item of a stream and the donor's that goes with it."""
    other = donor.streams.get(name)
    if other is None or not len(other) or not len(sample[name]):
        return None
    i = sample.key_item(name)
    j = partner_items(sample, donor, name)[i]
    return None if j is None else (i, j)


def looks_into(sample: Sample, name: str, region: Region) -> bool:
    """Whether a camera that sees no seam looks into a sector: its axis tells for all of its rays."""
    axis = T_ref_item(sample, name, sample.key_item(name))[:3, 2].numpy()
    return bool(region.holds_rays(axis))


def cut_camera(sample: Sample, donor: Sample, camera: str, region: Region) -> Iterator[tuple[str, Stream]]:
    """What is cut along the seams in a camera's view; what the donor does not know is left out, as half is not true.

    Args:
        sample: receives. donor: gives. camera: stream of the pictures. region: what comes from the donor.

    Yields:
        names and streams of the key item alone: at other times the camera stood beside the seam.
    """
    for name in belonging(sample, camera):
        pair = _key_pair(sample, donor, name)
        if pair is None:
            continue
        mine, other = (s[name].take_items(torch.tensor([k])) for s, k in zip((sample, donor), pair, strict=True))
        if isinstance(mine, ImageStream) and isinstance(other, ImageStream):
            yield name, _cut_pictures(sample, mine, other, name, camera, region)
        elif isinstance(mine, Boxes2D) and isinstance(other, Boxes2D):
            stay, come = (torch.from_numpy(corners_inside(s, name, camera, region).all(1)) for s in (sample, donor))
            yield name, joined_boxes(mine.select(~stay), _renamed(other.select(come), donor))


def _cut_pictures(
    sample: Sample, mine: ImageStream, other: ImageStream, name: str, camera: str, region: Region
) -> ImageStream:
    sensor = sample.true_rig.camera(sample[camera].instance(camera))
    T = T_ref_item(sample, camera, sample.key_item(camera))

    def change(picture: Tensor) -> Tensor:
        theirs = other.image(0, keep=False)
        if theirs.dtype != picture.dtype or theirs.shape != picture.shape:
            kinds = [f"{tuple(p.shape)} of {p.dtype}" for p in (picture, theirs)]
            raise DataError(f"SwapSector: pictures of {name!r} are {kinds[0]} and, of the donor, {kinds[1]}")
        inside = donor_pixels(sensor, T, region, (picture.shape[0], picture.shape[1])).numpy()
        out, taken = picture.numpy().copy(), theirs.numpy()
        if isinstance(mine, SegmentationMask):
            taken = mask_apart(mine, out, taken)
        return torch.from_numpy(painted_over(out, taken, inside))

    later = not all(isinstance(s.items[0], Tensor) and s.pending[0] is None for s in (mine, other))
    item = Deferred(mine, 0, change) if later else change(mine.image(0))
    return replace(mine, items=(item,), pending=(None,))


def whole_camera(sample: Sample, donor: Sample, camera: str) -> tuple[Iterator[tuple[str, Stream]], Tensor] | None:
    """The donor's pictures of a camera as those of the receiver, and the pose that its mounting has then.

    Returns:
        names and streams, stamped in the receiver's clock, and ``T_parent_camera`` (4, 4); None without a partner.
    """
    pair = _key_pair(sample, donor, camera)
    if pair is None:
        return None
    time = sample.ref.time + int(donor[camera].true_capture_times[pair[1]]) - donor.ref.time
    parent = sample.rig.frames[sample[camera].frame].parent
    assert parent is not None
    T_parent = invert(sample.meta.T_ref(parent, time)) @ T_ref_item(donor, camera, pair[1])
    return _taken_whole(sample, donor, camera, time), T_parent


def _taken_whole(sample: Sample, donor: Sample, camera: str, time: int) -> Iterator[tuple[str, Stream]]:
    for name in belonging(sample, camera):
        pair = _key_pair(sample, donor, name)
        if pair is None:
            continue
        mine, taken = (s[name].take_items(torch.tensor([k])) for s, k in zip((sample, donor), pair, strict=True))
        if isinstance(taken, Boxes2D):
            taken = _renamed(taken, donor)
        offset = 0 if mine.clock_offset is None else int(mine.clock_offset[0])
        yield name, replace_unchecked(
            taken, capture_times=torch.tensor([time + offset]), clock_offset=mine.clock_offset, receive_times=None,
            records=mine.records, sample_index=mine.sample_index, source_items=mine.source_items,
        )  # fmt: skip


def _renamed(boxes: Boxes2D, donor: Sample) -> Boxes2D:
    if "instance" not in boxes.values:
        return boxes
    return boxes.with_values(instance=strings(new_instance(donor.id, str(i)) for i in boxes["instance"]))


def flat_boxes_cross(sample: Sample, name: str, camera: str, region: Region) -> bool:
    """Whether a flat box of a picture lies on both sides of a seam."""
    inside = corners_inside(sample, name, camera, region)
    return bool((inside.any(1) & ~inside.all(1)).any())


def corners_inside(sample: Sample, name: str, camera: str, region: Region) -> Array:
    """(n, 4) whether the corners of the key item's flat boxes lie in the sectors."""
    boxes = sample[name].take_items(torch.tensor([sample.key_item(name)]))
    assert isinstance(boxes, Boxes2D)
    sensor = sample.true_rig.camera(sample[camera].instance(camera))
    T = T_ref_item(sample, camera, sample.key_item(camera))
    corners = boxes["corners"].to(torch.float64)
    return rays_inside(sensor, T, region, corners.reshape(-1, 2)).reshape(len(corners), 4)
