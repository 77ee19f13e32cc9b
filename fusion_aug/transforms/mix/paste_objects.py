"""Objects of a donor: a box, and what of the donor's clouds and pictures lies in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from calib.se3 import invert, rotation_about, se3
from fusion_aug.physics.ground import height
from fusion_aug.sample import Sample
from fusion_aug.sample.depth import ground_plane, lidars_of, points_around
from fusion_aug.streams import Boxes3D

Array = np.ndarray
GROWN = 0.1  # metres by which mirrors, tyres and noise reach out of a box
FOOT = 0.05  # metres above the ground below which everything is ground
RIM = 1.5  # metres around a box in which its ground is looked for
LEVEL = 0.5  # metres by which that ground lies above or below the bottom of a box, at most
LEAST_GROUND = 5  # returns that tell a height


@dataclass(frozen=True, eq=False)
class Solid:
    """An object of a donor, and where it goes.

    Attributes:
        row: of the donor's boxes.
        pose: ``T_ref_box`` (4, 4) in the donor's reference frame, at the boxes' time. size: (3,) metres.
        velocity: (3,) m/s, 0 where it is unknown.
        ground: height of the ground beneath it along the box's own z, metres.
        turn: radians about the LiDAR's own axis, by which it is moved. T_to: (4, 4) the same in the reference frame.
    """

    row: int
    pose: Array
    size: Array
    velocity: Array
    ground: float
    turn: float
    T_to: Array

    def pose_at(self, seconds: float) -> Array:
        """``T_ref_box`` (4, 4) in the donor's reference frame, some seconds after the boxes' time."""
        T = self.pose.copy()
        T[:3, 3] += self.velocity * seconds
        return T

    def placed(self, seconds: float = 0.0) -> Array:
        """``T_ref_box`` (4, 4) where it is pasted."""
        T: Array = self.T_to @ self.pose_at(seconds)
        return T

    def within(self, xyz: Array, seconds: float) -> Array:
        """Places (..., 3) of the donor's reference frame along the box's axes, from its centre, metres."""
        T = self.pose_at(seconds)
        local: Array = (xyz - T[:3, 3]) @ T[:3, :3]
        return local

    def holds(self, xyz: Array, seconds: float, grown: float = GROWN, foot: float = FOOT) -> Array:
        """Whether places (..., 3) of the donor's reference frame belong to it: in its box, and above the ground."""
        return self.fills(self.within(xyz, seconds), grown, foot)

    def fills(self, local: Array, grown: float = GROWN, foot: float = FOOT) -> Array:
        """Whether places (..., 3) along its own axes, as ``within`` gives them, belong to it."""
        x, y, z = (local[..., k] for k in range(3))
        a, b, c = (np.float32(s / 2 + grown) for s in self.size)
        inside: Array = (np.abs(x) <= a) & (np.abs(y) <= b) & (z <= c) & (z > self.ground + foot)
        return inside

    def surface(self, seconds: float, grown: float = 0.0, rim: float = 0.0) -> Array:
        """(n, 3) places of a grid in the grown box and of a rim on the ground, in the donor's reference frame."""
        steps = [np.linspace(-1, 1, n) for n in (9, 7, 5)]
        grid = np.stack(np.meshgrid(*steps, indexing="ij"), -1).reshape(-1, 3) * (self.size / 2 + grown)
        if rim:
            x, y = np.meshgrid(*(np.linspace(-1, 1, 9) * (s / 2 + rim) for s in self.size[:2]))
            floor = np.stack([x, y, np.full_like(x, self.ground)], -1).reshape(-1, 3)
            grid = np.concatenate([grid, floor])
        T = self.pose_at(seconds)
        places: Array = grid @ T[:3, :3].T + T[:3, 3]
        return places

    def to_json(self) -> dict[str, Any]:
        """What a record says of it: what it is made of again, and where it stands, ``reach`` m around ``place``."""
        place = [round(float(x), 6) for x in self.placed()[:3, 3]]
        reach = round(float(np.linalg.norm(self.size)) / 2, 6)
        return {"row": self.row, "turn": self.turn, "ground": self.ground, "place": place, "reach": reach}


class Boxed:
    """The boxes of a keyframe and its key scans, as objects are taken out of them.

    Args:
        sample: with one stream of boxes in its reference frame.
    """

    def __init__(self, sample: Sample):
        self.sample = sample
        self.boxes: Boxes3D = next(iter(sample.of_type(Boxes3D).values()))
        self.poses = self.boxes["pose"].detach().to("cpu", torch.float64).numpy()
        self.sizes = self.boxes["size"].detach().to("cpu", torch.float64).numpy()
        known = self.boxes.values.get("velocity")
        zero = torch.zeros((self.boxes.rows, 3), dtype=torch.float64)
        self.velocities = (zero if known is None else known.nan_to_num(0.0)).to(torch.float64).numpy()

    @cached_property
    def xyz(self) -> Array:
        """(n, 3) returns of the key scans of all LiDARs in the reference frame."""
        return points_around(self.sample, 0) if lidars_of(self.sample, 0) else np.zeros((0, 3))

    @property
    def time(self) -> int:
        """Of the boxes, ns."""
        return int(self.boxes.capture_times[0])

    def ground_at(self, pose: Array, size: Array) -> float | None:
        """Height of the ground around a box along its own z, metres: of the returns there, else of the plane of all.

        None where neither tells.

        Args:
            pose: (4, 4) ``T_ref_box``. size: (3,) metres.
        """
        reach = np.hypot(*size[:2]) / 2 + 2 * RIM
        near = (np.abs(self.xyz[:, 0] - pose[0, 3]) < reach) & (np.abs(self.xyz[:, 1] - pose[1, 3]) < reach)
        local = (self.xyz[near] - pose[:3, 3]) @ pose[:3, :3]
        around = (np.abs(local[:, :2]) <= size[:2] / 2 + RIM).all(1)
        outside = (np.abs(local[:, :2]) > size[:2] / 2 + GROWN).any(1)
        low = local[around & outside, 2] + size[2] / 2
        low = low[np.abs(low) < LEVEL]
        if len(low) >= LEAST_GROUND:
            return float(np.median(low) - size[2] / 2)
        plane = ground_plane(self.sample, 0)
        if plane is None:
            return None
        found = float(-height(plane, pose[None, :3, 3])[0] / (plane[:3] @ pose[:3, 2]))
        return found if abs(found + size[2] / 2) < LEVEL else None

    def solid(self, row: int, ground: float, turn: float = 0.0) -> Solid:
        """An object. ``ground``, ``turn``: as of ``Solid``."""
        T = turned(self.sample, turn) if turn else np.eye(4)
        return Solid(row, self.poses[row], self.sizes[row], self.velocities[row], ground, turn, T)

    def planned(self, told: Mapping[str, Any]) -> Solid:
        """What ``Solid.to_json`` told."""
        return self.solid(int(told["row"]), float(told["ground"]), float(told["turn"]))


def turned(sample: Sample, angle: float) -> Array:
    """A turn (4, 4) of the reference frame about the first LiDAR's own z axis, by radians."""
    name = lidars_of(sample, 0)[0]
    T = sample.meta.T_ref(sample[name].frame, sample.ref.time, true_rig=True)
    out: Array = (T @ se3(rotation_about("z", angle)) @ invert(T)).numpy()
    return out
