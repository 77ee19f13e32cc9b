"""Pictures of two samples on the two sides of seams, with the depth, masks and flat boxes that belong to them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from calib import CameraSensor
from calib.replacing import replace_unchecked
from calib.se3 import invert
from fusion_aug.core.mixing.meeting import T_ref_item, partner_items
from fusion_aug.core.mixing.transform import new_instance
from fusion_aug.ops.grid import pixel_grid
from fusion_aug.sample import Sample
from fusion_aug.streams import Boxes2D, ImageStream, Stream, strings
from fusion_aug.streams.columns import concat
from fusion_aug.streams.deferred import Deferred
from fusion_aug.transforms.mix.seams import Sector

Array = np.ndarray
AT, MOST_MOVED = 10.0, 1.0  # metres, and pixels by which what is seen there may differ between the two samples


def camera_moved(sample: Sample, donor: Sample, name: str, sector: Sector) -> float:
    """How far a point of the sector at 10 m lies in both pictures of a camera, at most, pixels; infinity without one.

    Args:
        sample: receives. donor: gives. name: camera stream, of which the receiver's key item is meant.
    """
    i = sample.key_item(name)
    j = partner_items(sample, donor, name)[i] if name in donor.streams else None
    if j is None:
        return float("inf")
    sensor = sample.true_rig.camera(sample[name].instance(name))
    T_a, T_b = T_ref_item(sample, name, i), T_ref_item(donor, name, j)
    points = _around(T_a[:3, 3].numpy(), sector.level)
    points = points[sector.holds(points)]
    (here, seen), (there, also) = (sensor.project(_local(T, points)) for T in (T_a, T_b))
    both = seen & also
    return float((here - there)[both].norm(dim=1).max()) if bool(both.any()) else 0.0


def _around(centre: Array, level: Array) -> Array:
    azimuth, slope = np.meshgrid(np.linspace(-np.pi, np.pi, 145), (-0.2, 0.0, 0.3))
    rays = np.stack([np.cos(azimuth), np.sin(azimuth), slope], -1).reshape(-1, 3)
    points: Array = centre + AT * rays @ level
    return points


def _local(T: Tensor, points: Array) -> Tensor:
    return (torch.from_numpy(points) - T[:3, 3]) @ T[:3, :3]


def share_in_sector(sample: Sample, name: str, sector: Sector) -> float:
    """Share of a camera's rays that run in a sector, of a coarse grid."""
    sensor = sample.true_rig.camera(sample[name].instance(name))
    height, width = sensor.size
    v, u = torch.linspace(0, height - 1, 9), torch.linspace(0, width - 1, 17)
    grid = torch.stack(torch.meshgrid(u, v, indexing="xy"), -1).reshape(-1, 2).to(torch.float64)
    inside = _rays_inside(sensor, T_ref_item(sample, name, sample.key_item(name)), sector, grid)
    return float(inside.mean())


def _rays_inside(sensor: CameraSensor, T_ref_cam: Tensor, sector: Sector, pixels: Tensor) -> Array:
    rays = (sensor.unproject(pixels) @ T_ref_cam[:3, :3].T).numpy()
    inside: Array = sector.holds_rays(rays) & np.isfinite(rays).all(-1)
    return inside


def donor_pixels(sample: Sample, name: str, item: int, sector: Sector, size: tuple[int, int]) -> Tensor:
    """(H, W) bool, the pixels of a picture whose rays run in a sector."""
    sensor = sample.true_rig.camera(sample[name].instance(name))
    T = T_ref_item(sample, name, item)
    return torch.from_numpy(_rays_inside(sensor, T, sector, pixel_grid(size)))


def cut_pictures(sample: Sample, donor: Sample, name: str, camera: str, sector: Sector) -> ImageStream:
    """Pictures of a camera, or what belongs to them, with the donor's pixels in a sector.

    Args:
        sample: receives. donor: gives. name: the stream. camera: stream of the pictures that it belongs to.
    """
    stream, other = sample[name], donor[name]
    assert isinstance(stream, ImageStream) and isinstance(other, ImageStream)
    items, pending = list(stream.items), list(stream.pending)
    for i, j in enumerate(partner_items(sample, donor, name)):
        if j is None:
            continue

        def change(picture: Tensor, i: int = i, j: int = j) -> Tensor:
            theirs = other.image(j, keep=False)
            inside = donor_pixels(
                sample, camera, min(i, len(sample[camera]) - 1), sector, (picture.shape[0], picture.shape[1])
            )
            return torch.where(inside.reshape(*inside.shape, *[1] * (picture.ndim - 2)), theirs, picture)

        later = not isinstance(items[i], Tensor) or not isinstance(other.items[j], Tensor)
        items[i] = Deferred(stream, i, change) if later else change(stream.image(i))
        pending[i] = None
    return replace(stream, items=tuple(items), pending=tuple(pending))


def whole_camera(sample: Sample, donor: Sample, name: str) -> tuple[Stream, Tensor] | None:
    """The donor's picture of a camera as one of the receiver, and the pose that its mounting has then.

    Returns:
        the stream, with its stamp in the receiver's clock, and ``T_parent_camera`` (4, 4); None without a partner.
    """
    stream, other = sample[name], donor[name]
    i = sample.key_item(name)
    j = partner_items(sample, donor, name)[i]
    if j is None:
        return None
    time = sample.ref.time + int(other.true_capture_times[j]) - donor.ref.time
    T_ref_cam = T_ref_item(donor, name, j)
    parent = sample.rig.frames[stream.frame].parent
    assert parent is not None
    T_parent = invert(sample.meta.T_ref(parent, time)) @ T_ref_cam
    one = stream.take_items(torch.tensor([i]))
    theirs = other.take_items(torch.tensor([j]))
    assert isinstance(one, ImageStream) and isinstance(theirs, ImageStream)
    offset = 0 if one.clock_offset is None else int(one.clock_offset[0])
    stamp = torch.tensor([time + offset])
    taken = replace(one, items=theirs.items, pending=theirs.pending, capture_times=stamp)
    return taken, T_parent


def attached_whole(sample: Sample, donor: Sample, name: str, time: Tensor) -> Stream | None:
    """What belongs to a camera that is taken whole: the donor's depth, mask or boxes; None where it has none."""
    stream, other = sample[name], donor.streams.get(name)
    if other is None or not len(other):
        return None
    partners = [j for j in partner_items(sample, donor, name) if j is not None]
    if not partners:
        return None
    taken = other.take_items(torch.tensor(partners[:1]))
    if isinstance(taken, Boxes2D):
        taken = _renamed(taken, donor)
    return replace_unchecked(
        taken, capture_times=time, clock_offset=None, receive_times=None, records=stream.records[:1],
        sample_index=torch.zeros(1, dtype=torch.int64), source_items=None,
    )  # fmt: skip


def _renamed(boxes: Boxes2D, donor: Sample) -> Boxes2D:
    if "instance" not in boxes.values:
        return boxes
    return boxes.with_values(instance=strings(new_instance(donor.id, str(i)) for i in boxes["instance"]))


def flat_boxes_cross(sample: Sample, name: str, camera: str, sector: Sector) -> bool:
    """Whether a flat box of a picture lies on both sides of a seam."""
    inside = _corners_inside(sample, name, camera, sector)
    return bool((inside.any(1) & ~inside.all(1)).any())


def _corners_inside(sample: Sample, name: str, camera: str, sector: Sector) -> Array:
    boxes = sample[name]
    assert isinstance(boxes, Boxes2D)
    sensor = sample.true_rig.camera(sample[camera].instance(camera))
    T = T_ref_item(sample, camera, sample.key_item(camera))
    corners = boxes["corners"].to(torch.float64)
    return _rays_inside(sensor, T, sector, corners.reshape(-1, 2)).reshape(len(corners), 4)


def cut_flat_boxes(sample: Sample, donor: Sample, name: str, camera: str, sector: Sector) -> Boxes2D:
    """Flat boxes of a picture that is cut: the receiver's outside the sector, the donor's inside."""
    mine, other = sample[name], donor[name]
    assert isinstance(mine, Boxes2D) and isinstance(other, Boxes2D)
    keep = torch.from_numpy(~_corners_inside(sample, name, camera, sector).all(1))
    taken = torch.from_numpy(_corners_inside(donor, name, camera, sector).all(1))
    theirs = _renamed(other.select(taken), donor)
    kept = mine.select(keep)
    values: dict[str, Any] = {n: concat([v, theirs.values[n]]) for n, v in kept.values.items() if n in theirs.values}
    return kept.repacked([values])
