"""What moves with a sample beside its cloud, pictures and boxes: rectangles in pictures, steps of paths, counts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from fusion_aug.core.registry import find_transform
from fusion_aug.logs.mmdet3d.infos import Info
from fusion_aug.logs.mmdet3d.reader import FLAT, LIDAR, lidar_yaw_pose
from fusion_aug.sample import Sample
from fusion_aug.sample.history import History
from fusion_aug.streams import Boxes2D, rectangle_corners, strings
from fusion_aug.streams.families import Scene


def steps_map(history: History, info: Info) -> Tensor | None:
    """The map (2, 2) of steps along x and y of the LiDAR by the motions of the scene; None where there are none."""
    H = torch.eye(3, dtype=torch.float64)
    for record in history:
        cls = find_transform(record.name)
        if record.applied and cls is not None and issubclass(cls, Scene):
            H = cls.motion(record.params[""])[0][:3, :3] @ H
    R = lidar_yaw_pose(info)[:3, :3]
    steps = (R.T @ H @ R)[:2, :2]
    return None if torch.equal(steps, torch.eye(2, dtype=torch.float64)) else steps


def flat_streams(sample: Sample) -> Iterator[tuple[str, Boxes2D]]:
    """Name and rectangles of every camera that has some."""
    for name, stream in sample.of_type(Boxes2D).items():
        if name.endswith(f"/{FLAT}"):
            yield name, stream


def with_written_rectangles(sample: Sample, source: Sample) -> Sample:
    """The sample with upright rectangles, cut at the canvas, of the boxes that did not leave it; unmoved ones whole."""
    unmoved = {id(stream) for _, stream in flat_streams(source)}
    streams = dict(sample.streams)
    for name, flat in flat_streams(sample):
        if id(flat) in unmoved:
            continue
        height, width = sample.rig.camera(flat.camera).size
        limit = torch.tensor([width - 1.0, height - 1.0], dtype=torch.float64).repeat(2)
        cut = torch.minimum(flat.rectangles().clamp(min=0), limit)
        seen = (cut[:, 2:] > cut[:, :2]).all(1)
        streams[name] = flat.with_values(corners=rectangle_corners(cut)).select(seen)
        if not bool(seen.any()):
            del streams[name]
    return sample.with_streams(streams)


def renumbered(sample: Sample) -> Sample:
    """The sample with its boxes numbered as they are read back from lists: from 0, without gaps."""
    boxes = sample.boxes()
    numbers = {str(r): str(i) for i, r in enumerate(boxes["record"])}
    if all(k == v for k, v in numbers.items()):
        return sample
    names = strings(numbers.values())
    streams = {**sample.streams, "boxes": boxes.with_values(record=names, instance=names)}
    for name, flat in flat_streams(sample):
        streams[name] = replace(
            flat, values={**flat.values, "instance": strings(numbers[str(k)] for k in flat["instance"])}
        )
    return sample.with_streams(streams)


def cloud_and_boxes_are_the_same(sample: Sample, source: Sample) -> bool:
    """Whether no point and no box has been touched, so that no box can have gained or lost a point."""
    return all(sample[n] is source.streams.get(n) for n in (LIDAR, "boxes"))
