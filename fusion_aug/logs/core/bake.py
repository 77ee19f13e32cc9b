"""Baking: on disk a LiDAR keeps its nominal mounting, and its points are re-expressed in it."""

from __future__ import annotations

import torch
from torch import Tensor

from calib.se3 import same_pose
from fusion_aug.errors import DataError
from fusion_aug.sample import Sample
from fusion_aug.streams import Points


def bake_map(sample: Sample, source: Sample, name: str, item: int) -> Tensor | None:
    """``inv(T_nominal) T_vehicle_lidar`` (4, 4) of one item, None where nothing changed.

    A rigid motion of the scene moves the sensor and leaves its data unchanged, so a loader that works in the LiDAR
    frame would not see it. Therefore the sensor keeps its nominal mounting and the points are moved.
    """
    stream = sample[name]
    meta, before = sample.metas[int(stream.sample_index[item])], source.meta
    time = int(stream.capture_times[item])
    now = meta.rig.T(meta.ref.frame, stream.frame, time, time)
    lidar = before.rig.sensors.get(name)
    nominal = before.rig.T(before.ref.frame, lidar.frame if lidar else stream.frame, time, time)
    return None if same_pose(now, nominal) else torch.linalg.inv(nominal) @ now


def bake(sample: Sample, source: Sample, name: str) -> Points:
    """Return a cloud as it is written; still backed by its file where nothing changed."""
    stream = sample[name]
    if not isinstance(stream, Points):
        raise DataError(f"stream {name!r} holds {type(stream).__name__}, not points")
    maps = [bake_map(sample, source, name, i) for i in range(len(stream))]
    if all(m is None for m in maps):
        return stream
    eye = torch.eye(4, dtype=torch.float64)
    return stream.transformed(torch.stack([eye if m is None else m for m in maps]))
