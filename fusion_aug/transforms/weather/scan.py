"""One item of a cloud in the geometry of the scanners that measured it."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch

from fusion_aug.core.registry import Call
from fusion_aug.streams import Points
from fusion_aug.transforms.cloud.lidar import lidar_with_scale
from fusion_aug.transforms.cloud.points import scanner_place, scanner_rays
from fusion_aug.transforms.weather.place import T_world

Array = np.ndarray


class Scan:
    """One item of a cloud as its scanner measured it.

    Attributes:
        xyz: (n, 3) points, float32, or float64 where the cloud holds it.
        start: (n, 3) where rays start, the sensor's frame; None for its origin.
        numbers: (n,) what the noise of the pulses is drawn by.
        distance: (n,) metres along the ray, float32. intensity: (n,) in the sensor's scale, float32, or None.
        scanners: rows of the points of each scanner that shares the cloud, and its position (3,).
    """

    def __init__(self, call: Call, item: int):
        stream = call.sample[call.name].realized()
        assert isinstance(stream, Points)
        self.call, self.frame = call, stream.frame
        self.sensor = lidar_with_scale(call, stream, item)
        self.index, self.time = int(stream.sample_index[item]), int(stream.true_capture_times[item])
        rows = stream.item_slice(item)
        xyz = stream.values["xyz"][rows]
        self.numbers = stream.noise_rows(item).numpy()
        self.xyz = xyz.detach().cpu().numpy() if xyz.dtype == torch.float64 else _numbers(xyz)
        self.start = None
        if (stream.origins and "origin" in stream.values) or scanner_place(stream, item, call) is not None:
            self.start = scanner_rays(stream, item, call)[0].cpu().numpy().astype(self.xyz.dtype)
        self.intensity = _numbers(stream.values["intensity"][rows]) if "intensity" in stream.values else None
        way = self.from_scanner
        self.distance = np.sqrt(np.einsum("ij,ij->i", way, way))
        self.known = np.isfinite(self.distance) & (self.distance > 0)
        self.scanners: list[tuple[Array, Array]] = [(np.arange(len(self.xyz)), np.zeros(3))]
        if self.start is not None:
            places, part = np.unique(self.start, axis=0, return_inverse=True)
            self.scanners = [(np.flatnonzero(part.ravel() == k), p.astype(float)) for k, p in enumerate(places)]

    @property
    def from_scanner(self) -> Array:
        """(n, 3) from the scanner to the points."""
        way = self.xyz if self.start is None else self.xyz - self.start
        return way.astype(np.float32, copy=False)

    @cached_property
    def ray(self) -> Array:
        """(n, 3) unit vectors."""
        return self.from_scanner / np.maximum(self.distance, 1e-6)[:, None]

    def at(self, beams: Array, distance: Array) -> Array:
        """Positions (k, 3) at distances (k,), m, along the rays of ``beams`` (k,)."""
        place = self.from_scanner[beams] * (distance / self.distance[beams])[:, None]
        return place if self.start is None else place + self.start[beams]

    @cached_property
    def to_world(self) -> Array:
        """``T_world_sensor`` (4, 4)."""
        return T_world(self.call.sample, self.index, self.frame, self.time)

    def in_world(self, place: Array) -> Array:
        """A position (3,) of the sensor's frame in the world."""
        return self.to_world[:3, :3] @ place + self.to_world[:3, 3]

    @cached_property
    def ray_in_world(self) -> Array:
        """(n, 3) unit vectors in the world's axes."""
        return self.ray @ self.to_world[:3, :3].T.astype(np.float32)


def _numbers(column: torch.Tensor) -> Array:
    return column.detach().to("cpu", torch.float32).numpy()
