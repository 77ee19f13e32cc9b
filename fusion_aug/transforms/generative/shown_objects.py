"""What of a sample a made picture has to agree with: which pictures, their distances, and objects that they show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from fusion_aug.errors import DataError
from fusion_aug.sample import Sample
from fusion_aug.sample.depth import camera_range, is_given, lidars_of
from fusion_aug.sample.depth_settings import DepthSettings
from fusion_aug.streams import Boxes2D, Boxes3D, Camera, Stream, TactileImage
from fusion_aug.transforms.camera.photometric import matches_camera

Array = np.ndarray

SEEN = 0.8  # share of a box that a camera has to see for it to be looked for
CORNERS = np.stack(np.meshgrid(*[(-0.5, 0.5)] * 3, indexing="ij"), -1).reshape(-1, 3)


def chosen_pictures(sample: Sample, cameras: Sequence[str] | None) -> list[tuple[str, int]]:
    """All pictures that are there of the chosen cameras of a sample: stream and item."""
    return [
        (name, item)
        for name, stream in sample.of_type(Camera).items()
        if not isinstance(stream, TactileImage) and matches_camera(stream, name, cameras)
        for item in range(len(stream))
        if bool(stream.present[item])
    ]


def distances(sample: Sample, name: str, item: int, params: Mapping[str, Any], who: str) -> Array:
    """(H, W) metres to what a picture shows.

    Args:
        sample: or batch. name: camera stream. item: which picture. params: drawn, of who ``SeesDistances``.
        who: asks, for messages.

    Raises:
        DataError: nothing tells them.
    """
    if not is_given(sample, name, item) and not lidars_of(sample, int(sample[name].sample_index[item])):
        raise DataError(
            f"{who}: nothing tells how far away is what {name!r} shows, which is asked here: it has no depth stream, "
            f"and there is no LiDAR"
        )
    return camera_range(sample, name, item, DepthSettings.of(params)).numpy()


def boxes_in(sample: Sample, name: str, item: int) -> Array:
    """Objects that a picture shows whole, (n, 4) left, top, right, bottom in pixels: of 3-D boxes and of its flat ones.

    Args:
        sample: one or a batch. name: camera stream. item: which of its pictures.
    """
    solid = solid_boxes(sample, name, item)
    found = [np.array([[*c.min(0), *c.max(0)] for c in solid]).reshape(-1, 4)]
    instance = sample[name].instance(name)
    for label, boxes in sample.of_type(Boxes2D).items():
        at = beside(boxes, sample, name, item) if boxes.instance(label) == instance else None
        if at is not None:
            corners = boxes.realized()["corners"][boxes.item_slice(at)].to(torch.float64).numpy()
            found.append(np.concatenate([corners.min(1), corners.max(1)], 1))
    return np.concatenate(found)


def solid_boxes(sample: Sample, name: str, item: int) -> list[Array]:
    """Corners of the 3-D boxes that a picture shows whole, (8, 2) pixels each, x changing slowest, then y, then z."""
    time, found = int(sample[name].true_capture_times[item]), []
    index = int(sample[name].sample_index[item])
    for stream in (s.realized() for s in sample.of_type(Boxes3D).values()):
        at = beside(stream, sample, name, item)
        if at is None:
            continue
        rows = stream.item_slice(at)
        T = sample.metas[index].T_ref(stream.frame, int(stream.true_capture_times[at]), true_rig=True).numpy()
        pose, size = T @ stream.poses_at(at, time).to(torch.float64).numpy(), stream["size"][rows].numpy()
        known = "visible" in stream.values
        seen = np.nan_to_num(stream["visible"][rows].numpy(), nan=1.0) if known else np.ones(len(pose))
        places = (CORNERS * size[:, None]) @ pose[:, :3, :3].transpose(0, 2, 1) + pose[:, None, :3, 3]
        pixels, inside = sample.project_ref(
            torch.from_numpy(places.reshape(-1, 3)), name, camera_item=item, true_rig=True, index=index
        )
        whole = inside.numpy().reshape(-1, 8).all(1) & (seen >= SEEN)
        found += list(pixels.numpy().reshape(-1, 8, 2)[whole])
    return found


def beside(stream: Stream, sample: Sample, name: str, item: int) -> int | None:
    """Which item of a stream is nearest in time to a picture, of the picture's own sample; None where there is none."""
    picture = sample[name]
    index, time = int(picture.sample_index[item]), int(picture.true_capture_times[item])
    mine = [i for i, s in enumerate(stream.sample_index.tolist()) if s == index and bool(stream.present[i])]
    return min(mine, key=lambda i: abs(int(stream.true_capture_times[i]) - time), default=None)
