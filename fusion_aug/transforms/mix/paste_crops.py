"""A rectangle of a picture, with the distances of what it shows: only there are they worked out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch

from calib import CameraSensor
from calib.se3 import invert, transform_points
from fusion_aug.core.mixing.meeting import T_ref_item
from fusion_aug.ops.grid import pixel_grid
from fusion_aug.sample import Sample
from fusion_aug.sample.depth import camera_range, depth_item_of, lidars_of
from fusion_aug.streams import Depth, ImageStream
from fusion_aug.transforms.mix.paste_objects import Solid

Array = np.ndarray
MARGIN = 4  # pixels around what is seen of an object


class Rectangle(NamedTuple):
    """Rows ``top`` to ``bottom`` and columns ``left`` to ``right`` of a canvas, the last ones not among them."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of a picture."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        return self.bottom - self.top, self.right - self.left

    def joined(self, other: Rectangle) -> Rectangle:
        """The smallest one around both."""
        return Rectangle(
            min(self.top, other.top), max(self.bottom, other.bottom),
            min(self.left, other.left), max(self.right, other.right),
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Crop:
    """A rectangle of one picture of a sample.

    Attributes:
        sample, name, item: whose, which camera stream, which picture. where: the rectangle.
    """

    sample: Sample
    name: str
    item: int
    where: Rectangle

    @cached_property
    def sensor(self) -> CameraSensor:
        """The camera with the rectangle as its canvas."""
        whole = self.sample.true_rig.camera(self.sample[self.name].instance(self.name))
        shift = torch.tensor([[1.0, 0, -self.where.left], [0, 1, -self.where.top], [0, 0, 1]], dtype=torch.float64)
        return whole.with_pixel_map(shift, self.where.size)

    @cached_property
    def T_ref_cam(self) -> Array:
        """(4, 4) at the picture's time."""
        pose: Array = T_ref_item(self.sample, self.name, self.item).numpy()
        return pose

    @cached_property
    def picture(self) -> Array:
        """(h, w, 3) levels."""
        levels = self.stream.image(self.item)[self.where.slices]
        picture: Array = levels.detach().contiguous().numpy()
        return picture

    @property
    def stream(self) -> ImageStream:
        """The camera's pictures."""
        stream = self.sample[self.name]
        assert isinstance(stream, ImageStream)
        return stream

    @cached_property
    def given(self) -> tuple[str, int] | None:
        """Depth stream and item that tell its distances."""
        return depth_item_of(self.sample, self.name, self.item)

    @cached_property
    def distance(self) -> Array:
        """(h, w) float32 along the rays, metres: of a Depth stream, else worked out of this rectangle alone."""
        one = self.stream.take_items(torch.tensor([self.item]))
        assert isinstance(one, ImageStream)
        alone: dict[str, Any] = {self.name: replace(one, items=(torch.from_numpy(self.picture),), pending=(None,))}
        if self.given is not None:
            depth = self.sample[self.given[0]].take_items(torch.tensor([self.given[1]]))
            assert isinstance(depth, Depth)
            part = depth.image(0)[self.where.slices].contiguous()
            alone[self.given[0]] = replace(depth, items=(part,), pending=(None,), camera=one.instance(self.name))
        for lidar in lidars_of(self.sample, 0):
            alone[lidar] = self.sample[lidar]
        rig = self.sample.true_rig.with_sensor(one.instance(self.name), self.sensor)
        cut = self.sample.with_streams(alone).with_meta(0, rig=rig, true_rig=rig)
        found: Array = camera_range(cut, self.name, 0).numpy()
        return found

    @cached_property
    def rays(self) -> Array:
        """(h, w, 3) float32 unit rays of the camera."""
        rays: Array = self.sensor.unproject(pixel_grid(self.where.size)).to(torch.float32).numpy()
        return rays

    def within(self, solid: Solid, seconds: float) -> Array:
        """(h, w, 3) float32 what every pixel shows, along the axes of an object of the sample, from its centre."""
        return self._along(solid.pose_at(seconds))

    def within_placed(self, solid: Solid, seconds: float) -> Array:
        """The same of an object where it is pasted."""
        return self._along(solid.placed(seconds))

    def _along(self, T: Array) -> Array:
        local: Array = self.rays @ (self.T_ref_cam[:3, :3].T @ T[:3, :3]).astype(np.float32)
        local *= self.distance[..., None]
        local += ((self.T_ref_cam[:3, 3] - T[:3, 3]) @ T[:3, :3]).astype(np.float32)
        return local


def rectangle_of(sample: Sample, name: str, item: int, solid: Solid, seconds: float, rim: float) -> Rectangle | None:
    """The part of a picture that may show an object of the sample and the ground around it; None where none does.

    Args:
        sample: with the object in its own reference frame, after ``solid.T_to``. name: camera. item: picture.
        solid: object. seconds: after the boxes' time. rim: metres of ground.
    """
    sensor = sample.true_rig.camera(sample[name].instance(name))
    places = solid.surface(seconds, 0.2, rim) @ solid.T_to[:3, :3].T + solid.T_to[:3, 3]
    local = transform_points(invert(T_ref_item(sample, name, item)), torch.from_numpy(places))
    pixels, shown = sensor.project(local)
    seen = sensor.model.valid(local)
    if not bool(shown.any()):
        return None
    (left, top), (right, bottom) = pixels[seen].amin(0).tolist(), pixels[seen].amax(0).tolist()
    height, width = sensor.size
    box = Rectangle(
        max(0, int(top) - MARGIN), min(height, int(bottom) + MARGIN + 2),
        max(0, int(left) - MARGIN), min(width, int(right) + MARGIN + 2),
    )  # fmt: skip
    return box if min(box.size) > 0 else None
