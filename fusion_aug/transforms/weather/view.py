"""A picture with the circumstances that weather needs, each computed when it is first used."""

from __future__ import annotations

from functools import cached_property

import cv2
import numpy as np
import torch

from calib import CameraSensor
from calib.ties import nearest_whole
from fusion_aug.core.registry import Call
from fusion_aug.ops.grid import pixel_grid
from fusion_aug.ops.haze import enlarged
from fusion_aug.ops.layers import at_places, cell_middles, grid_of
from fusion_aug.physics.completion import Completion
from fusion_aug.physics.ground import NEAR, height
from fusion_aug.sample import SampleMeta
from fusion_aug.sample.depth import camera_depth, ground_of, ground_plane, lidars_of
from fusion_aug.sample.depth_settings import DepthSettings
from fusion_aug.sample.ego import frame_twist
from fusion_aug.sample.vehicle import T_up_ref
from fusion_aug.streams import Camera, SegmentationMask
from fusion_aug.transforms.weather.place import T_world

Array = np.ndarray
STEP = 8  # pixels between the nodes of smooth maps
COARSE = 16  # pixels, of cells between whose middles elevations change evenly
EXPOSURE = 0.002  # seconds by day, of a camera whose exposure the rig does not hold
GROUND_REACH = 80.0  # metres


class WeatherView:
    """One picture of a camera stream, or the mask of one.

    Attributes:
        sensor: the camera with its canvas. size: (height, width) of the canvas.
        index: of the sample in the batch. time: true capture time, ns.
    """

    def __init__(self, call: Call, item: int):
        stream = call.sample[call.name]
        assert isinstance(stream, Camera | SegmentationMask)
        self.stream, self.call, self.item = stream, call, item
        self.index, self.time = int(stream.sample_index[item]), int(stream.true_capture_times[item])
        self.sensor: CameraSensor = self._meta.true_rig.camera(stream.instance(call.name))
        self.size = self.sensor.size

    @property
    def _meta(self) -> SampleMeta:
        return self.call.sample.metas[self.index]

    @property
    def seconds(self) -> float:
        """True capture time in seconds."""
        return self.time * 1e-9

    @cached_property
    def depth(self) -> Completion:
        """Distances and how well they are known."""
        return camera_depth(self.call.sample, self.call.name, self.item, self.settings)

    @property
    def settings(self) -> DepthSettings:
        """How distances are completed."""
        return DepthSettings.of(self.call.params[self.item])

    @cached_property
    def distance(self) -> Array:
        """(H, W) float32, metres along the ray."""
        return self.depth.distance

    @cached_property
    def T_world(self) -> Array:
        """``T_world_cam`` (4, 4)."""
        return T_world(self.call.sample, self.index, self.stream.frame, self.time)

    @cached_property
    def T_ref(self) -> Array:
        """``T_ref_cam`` (4, 4)."""
        return self._meta.T_ref(self.stream.frame, self.time, true_rig=True).numpy()

    @cached_property
    def nodes(self) -> Array:
        """Unit rays (h, w, 3) in the camera's axes at the nodes of smooth maps; 0 where a lens sees nothing."""
        shape = (-(-self.size[0] // STEP) + 3, -(-self.size[1] // STEP) + 3)
        rays = self.sensor.unproject((pixel_grid(shape) - 1) * STEP)
        return rays.nan_to_num(0.0).numpy()

    @cached_property
    def sines(self) -> Array:
        """Sine of the elevation (h, w) in the middles of cells of ``COARSE``; 0 where a lens sees nothing."""
        middles = cell_middles(self.size, grid_of(self.size, COARSE))
        rays = self.sensor.unproject(torch.from_numpy(middles))
        return rays.nan_to_num(0.0).numpy() @ self.up

    @cached_property
    def up(self) -> Array:
        """Unit vector (3,) upwards in the camera's axes, which no motion of the scene turns."""
        return self.T_ref[:3, :3].T @ T_up_ref(self.call.sample, self.index)[2, :3]

    def smooth(self, at_nodes: Array) -> Array:
        """A map known at the nodes, at every pixel; float32."""
        return enlarged(at_nodes, STEP, self.size)

    @cached_property
    def rays(self) -> Array:
        """(H, W, 3) float32 unit rays, nearly, in the reference frame's axes."""
        rotated = self.nodes @ self.T_ref[:3, :3].T
        return cv2.merge([self.smooth(rotated[..., i]) for i in range(3)])

    def rays_in(self, grid: tuple[int, int]) -> Array:
        """(h, w, 3) float32 unit rays, nearly, in the middles of a grid's cells, in the reference frame's axes."""
        rotated = (self.nodes @ self.T_ref[:3, :3].T).astype(np.float32)
        rows, columns = (
            ((np.arange(n) + 0.5) * (s / n) - 0.5) / STEP + 1 for n, s in zip(grid, self.size, strict=True)
        )
        return cv2.merge([at_places(rotated[..., i], rows, columns) for i in range(3)])

    @cached_property
    def plane(self) -> Array | None:
        """The ground in the reference frame, by a LiDAR or the picture's own distances; None where none is seen."""
        sample = self.call.sample
        if lidars_of(sample, self.index):
            return ground_plane(sample, self.index)
        far = self.distance[::STEP, ::STEP, None]
        xyz = (self.T_ref[:3, 3] + self.rays[::STEP, ::STEP] * far)[far[..., 0] < GROUND_REACH]
        return ground_of(xyz, T_up_ref(sample, self.index))

    @cached_property
    def ground(self) -> Array:
        """(H, W) float32, 1 where a picture shows the ground, else 0, with soft edges."""
        if self.plane is None:
            return np.zeros(self.size, np.float32)
        above = height(self.plane, self.T_ref[:3, 3]) + self.distance * (self.rays @ self.plane[:3].astype(np.float32))
        flat = ((np.abs(above) < NEAR) & (self.distance < GROUND_REACH)).astype(np.uint8)
        clean = cv2.morphologyEx(flat, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
        clean = cv2.morphologyEx(clean, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))  # markings that depth stops at
        return cv2.blur(clean.astype(np.float32), (5, 5))

    @cached_property
    def focal(self) -> float:
        """Canvas pixels per radian about the middle of the picture."""
        return self.sensor.pixels_per_radian

    @property
    def exposure(self) -> float:
        """Seconds, by day."""
        return EXPOSURE if self.sensor.exposure is None else self.sensor.exposure

    @cached_property
    def twist(self) -> tuple[Array, Array]:
        """Velocity and angular velocity (3,) of the camera over ground in its own axes; 0 where they are unknown."""
        twist = frame_twist(self.call.sample, self.index, self.stream.frame, self.time)
        return (np.zeros(3), np.zeros(3)) if twist is None else (twist[0].numpy(), twist[1].numpy())

    def project(self, points: Array) -> tuple[Array, Array]:
        """Canvas pixels (..., 2) of camera-frame points (..., 3), and whether the lens sees them on the canvas."""
        pixels, visible = self.sensor.project(torch.from_numpy(np.asarray(points, float)))
        return pixels.detach().numpy(), visible.numpy()

    def is_unoccluded(self, pixels: Array, distance: Array) -> Array:
        """Whether points at distances (n,), m, and pixels (n, 2) of the canvas are not occluded; (n,) bool."""
        u, v = nearest_whole(pixels).T
        u, v = np.clip(u, 0, self.size[1] - 1).astype(int), np.clip(v, 0, self.size[0] - 1).astype(int)
        return self.distance[v, u] > distance
