"""Boxes in space and on the image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from fusion_aug.streams.columns import Column, axial, corners, extent, label, polar, pose, scalar
from fusion_aug.streams.families import ImagePlane, Mount, Weather
from fusion_aug.streams.ragged import Ragged


@dataclass(frozen=True, kw_only=True, eq=False)
class Boxes3D(Ragged):
    """Oriented boxes with all nine degrees of freedom and their motion.

    Columns: pose ``T_frame_box`` (rows, 4, 4), size (length, width, height along the box's own x, y, z), velocity and
    angular_velocity in the stream's frame (NaN where unknown), category (text), instance (id that lasts over time);
    weight (0 to 1, 1 where there is none), how much of a sample that was blended of two is the box's.
    """

    columns: ClassVar[tuple[Column, ...]] = (
        pose("pose"),
        extent("size"),
        polar("velocity", rate=True),
        axial("angular_velocity", rate=True),
        label("category"),
        label("instance"),
        label("record"),
        scalar("visible"),
        scalar("weight", fill=1.0),
    )
    invariant_to: ClassVar[tuple[type, ...]] = (ImagePlane, Mount)

    def poses_at(self, item: int, time: int) -> Tensor:
        """(rows, 4, 4) poses of an item's boxes, carried by their velocity to a time (ns); unknown is at rest."""
        rows = self.item_slice(item)
        pose: Tensor = self.values["pose"][rows].clone()
        if "velocity" in self.values:
            pose[:, :3, 3] += self.values["velocity"][rows].nan_to_num(0.0) * (
                (time - int(self.capture_times[item])) * 1e-9
            )
        return pose

    def corners(self) -> Tensor:
        """(rows, 8, 3) corners in the stream's frame."""
        signs = torch.cartesian_prod(*(torch.tensor([-0.5, 0.5], dtype=torch.float64),) * 3)
        local = signs * self.values["size"][:, None]
        T = self.values["pose"]
        corners: Tensor = local @ T[:, :3, :3].transpose(1, 2) + T[:, None, :3, 3]
        return corners


@dataclass(frozen=True, kw_only=True, eq=False)
class Boxes2D(Ragged):
    """Boxes on an image, as four corners so that rotations and perspectives keep them.

    Columns: corners (rows, 4, 2) pixels, category, instance (links to Boxes3D), truncated (share outside, 0 to 1);
    weight, as of Boxes3D.

    Attributes:
        camera: name of the rig's camera.
    """

    camera: str = ""

    columns: ClassVar[tuple[Column, ...]] = (
        corners("corners"),
        label("category"),
        label("instance"),
        scalar("truncated"),
        scalar("weight", fill=1.0),
    )
    invariant_to: ClassVar[tuple[type, ...]] = (Weather,)

    def instance(self, name: str) -> str:
        """Draws are shared with the camera."""
        return self.camera or name

    def rectangles(self) -> Tensor:
        """(rows, 4) left, top, right, bottom of the upright rectangle around each box."""
        c = self.values["corners"]
        return torch.cat([c.amin(1), c.amax(1)], 1)


def rectangle_corners(rectangles: Tensor) -> Tensor:
    """(n, 4, 2) corners of rectangles (n, 4) left, top, right, bottom."""
    left, top, right, bottom = rectangles.unbind(-1)
    return torch.stack([left, top, right, top, right, bottom, left, bottom], -1).reshape(-1, 4, 2)
