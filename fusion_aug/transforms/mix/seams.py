"""Seams between two samples: upright half-planes on which every sensor changes from one to the other.

A seam runs through the centre of the one camera that sees it, so that its picture is cut along one line, and every
pixel beside it shows what lies on its own side. Where no camera sees it, it runs through the LiDAR.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from calib import CameraSensor
from fusion_aug.sample import Sample
from fusion_aug.streams import Camera

Array = np.ndarray
FAR = 1e4  # metres to which a sector is a polygon
ARC = np.radians(90)  # between corners of it there


@dataclass(frozen=True)
class Seam:
    """An upright half-plane.

    Attributes:
        azimuth: radians, in level axes.
        camera: name of the stream whose centre it runs through; "" for the LiDAR.
        apex: (x, y) of that centre in level axes, metres.
    """

    azimuth: float
    camera: str
    apex: tuple[float, float]

    @property
    def direction(self) -> Array:
        """(2,) unit vector."""
        return np.array([np.cos(self.azimuth), np.sin(self.azimuth)])

    def side(self, xy: Array) -> Array:
        """Distance (...) of places (..., 2) to its left, metres."""
        d, rest = self.direction, xy - np.asarray(self.apex)
        left: Array = d[0] * rest[..., 1] - d[1] * rest[..., 0]
        return left

    def meets(self, other: Seam) -> bool:
        """Whether both run through one place beside their ends."""
        d, e, gap = self.direction, other.direction, np.subtract(other.apex, self.apex)
        turn = d[0] * e[1] - d[1] * e[0]
        if abs(turn) < 1e-9:
            return False
        here, there = (gap[0] * e[1] - gap[1] * e[0]) / turn, (gap[0] * d[1] - gap[1] * d[0]) / turn
        return bool(min(here, there) > -1e-6 and max(here, there) > 1e-6)

    def to_json(self) -> dict[str, Any]:
        """A JSON-able dictionary."""
        return {"azimuth": self.azimuth, "camera": self.camera, "apex": list(self.apex)}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Seam:
        """What ``to_json`` gave."""
        return Seam(float(data["azimuth"]), str(data["camera"]), (float(data["apex"][0]), float(data["apex"][1])))


@dataclass(frozen=True)
class Sector:
    """What lies counter-clockwise of the first seam and clockwise of the second.

    Where they have different ends, the line between these, which lies within the vehicle, parts the rest.
    """

    first: Seam
    last: Seam

    @property
    def width(self) -> float:
        """Radians from the first seam to the last, counter-clockwise."""
        return float((self.last.azimuth - self.first.azimuth) % (2 * np.pi))

    def corners(self) -> Array:
        """(n, 2) of its polygon in level axes, metres."""
        angles = self.first.azimuth + np.linspace(0, self.width, max(2, int(np.ceil(self.width / ARC)) + 1))
        ends = np.linspace(0, 1, len(angles))[:, None]
        apexes = (1 - ends) * np.asarray(self.first.apex) + ends * np.asarray(self.last.apex)
        far = apexes + FAR * np.stack([np.cos(angles), np.sin(angles)], 1)
        corners: Array = np.concatenate([[self.first.apex], far, [self.last.apex]])
        return corners

    def holds(self, xy: Array) -> Array:
        """Whether places (..., 2) in level axes lie in it: by the number of its edges between them and infinity."""
        corners, inside = self.corners(), np.zeros(xy.shape[:-1], bool)
        x, y = xy[..., 0], xy[..., 1]
        for (ax, ay), (bx, by) in zip(corners, np.roll(corners, -1, 0), strict=True):
            spans = (ay > y) != (by > y)
            left = (bx - ax) * (y - ay) - (by - ay) * (x - ax) > 0
            inside ^= spans & (left == (by > ay))
        return inside

    def holds_rays(self, rays: Array) -> Array:
        """Whether rays (..., 2) in level axes, from the end of a seam where the other is not seen, run in it."""
        (a, b), (c, d), x, y = self.first.direction, self.last.direction, rays[..., 0], rays[..., 1]
        after, before = a * y - b * x >= 0, c * y - d * x < 0
        return after | before if self.width > np.pi else after & before


@dataclass(frozen=True)
class Region:
    """What comes from the donor: sectors that do not meet.

    Attributes:
        sectors: of it. level: (3, 3) rotation from the reference frame to axes whose z points up.
    """

    sectors: tuple[Sector, ...]
    level: Array

    @property
    def seams(self) -> list[Seam]:
        """Both of every sector."""
        return [seam for sector in self.sectors for seam in (sector.first, sector.last)]

    @property
    def cameras(self) -> list[str]:
        """Names of the camera streams that are cut."""
        return sorted({seam.camera for seam in self.seams} - {""})

    def holds(self, xyz: Array) -> Array:
        """Whether places (..., 3) of the reference frame lie in it."""
        xy = xyz @ self.level[:2].T
        inside: Array = np.any([s.holds(xy) for s in self.sectors], axis=0)
        return inside

    def holds_rays(self, rays: Array) -> Array:
        """Whether rays (..., 3) of the reference frame, from the centre of a camera, run in it; not those without."""
        xy = rays @ self.level[:2].T
        inside: Array = np.any([s.holds_rays(xy) for s in self.sectors], axis=0) & np.isfinite(xy).all(-1)
        return inside

    def to_json(self) -> dict[str, Any]:
        """A JSON-able dictionary."""
        pairs = [[s.first.to_json(), s.last.to_json()] for s in self.sectors]
        return {"seams": pairs, "level": self.level.tolist()}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Region:
        """What ``to_json`` gave."""
        pairs = [Sector(*(Seam.from_json(s) for s in pair)) for pair in data["seams"]]
        return Region(tuple(pairs), np.asarray(data["level"], np.float64))


def camera_streams(sample: Sample) -> list[str]:
    """Streams of pictures of light that their cameras' rig entries calibrate."""
    known = sample.of_type(Camera)
    return [n for n, s in known.items() if isinstance(sample.rig.sensors.get(s.instance(n)), CameraSensor) and len(s)]
