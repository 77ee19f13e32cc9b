"""Seams between two samples: upright half-planes on which every sensor changes from one to the other.

A seam runs through the centre of the one camera that sees it, so that its picture is cut along one line, and every
pixel beside it shows what lies on its own side. Where no camera sees it, it runs through the LiDAR.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from calib import CameraSensor, LidarSensor
from fusion_aug.physics.ground import fit_ground, height
from fusion_aug.sample import Sample
from fusion_aug.sample.depth import lidars_of
from fusion_aug.sample.vehicle import T_up_ref
from fusion_aug.streams import Boxes3D, Camera, Points

Array = np.ndarray
RANGES = (1.5, 3.0, 6.0, 12.0, 25.0, 60.0)  # metres from the seam's own centre at which cameras are asked
SLOPES = (-0.5, -0.25, -0.1, 0.0, 0.1, 0.25, 0.5)  # heights there, over the range
CLEAR = 0.1  # metres that a box keeps from a seam
GROUND_RANGES, MOST_STEP = (5.0, 15.0, 25.0), 0.2  # metres: where heights of the ground are compared, and how much


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

    Attributes:
        first, last: its seams. level: (3, 3) rotation from the reference frame to axes whose z points up.
    """

    first: Seam
    last: Seam
    level: Array

    @property
    def is_wide(self) -> bool:
        """Whether it is more than half of the surroundings."""
        return float((self.last.azimuth - self.first.azimuth) % (2 * np.pi)) > np.pi

    def holds(self, xyz: Array) -> Array:
        """Whether places (..., 3) of the reference frame lie in it."""
        xy = xyz @ self.level[:2].T
        return self._between(self.first.side(xy) >= 0, self.last.side(xy) < 0)

    def holds_rays(self, rays: Array) -> Array:
        """Whether rays (..., 3) of the reference frame, from the centre of the camera of a seam, run in it."""
        x, y = (rays @ row for row in self.level[:2])
        (a, b), (c, d) = self.first.direction, self.last.direction
        return self._between(a * y - b * x >= 0, c * y - d * x < 0)

    def _between(self, after: Array, before: Array) -> Array:
        return after | before if self.is_wide else after & before


@dataclass(frozen=True)
class Scene:
    """What a seam must not touch, and who sees it; all in level axes.

    Attributes:
        level: (3, 3) rotation from the reference frame to axes whose z points up.
        centre: (3,) of the LiDAR in the reference frame.
        cameras: stream -> sensor, (3,) centre and (3, 3) rotation ``R_camera_ref``.
        corners: (k, n, 2) corners of k boxes, where they are and were.
        grounds: planes of both samples (4,) in level axes, where they are known.
    """

    level: Array
    centre: Array
    cameras: Mapping[str, tuple[CameraSensor, Array, Array]]
    corners: Array
    grounds: Sequence[Array]

    def seams(self, azimuths: Array) -> list[Seam | None]:
        """The seam at every azimuth (n,); None where several cameras see it, a box or a step of the ground is there."""
        ahead = np.stack([np.cos(azimuths), np.sin(azimuths), np.zeros(len(azimuths))], 1) @ self.level
        own = {n: self._seen(n, centre, ahead) for n, (_, centre, _) in self.cameras.items()}
        found: list[Seam | None] = [None] * len(azimuths)
        for camera in ("", *self.cameras):
            centre = self.cameras[camera][1] if camera else self.centre
            at = np.flatnonzero(own[camera]) if camera else np.arange(len(azimuths))
            others = [n for n in self.cameras if n != camera]
            alone = ~np.any([self._seen(n, centre, ahead[at]) for n in others], axis=0) if others else np.ones(len(at))
            apex = self.level[:2] @ centre
            for k in at[alone.astype(bool)].tolist():
                seam = Seam(float(azimuths[k]), camera, (float(apex[0]), float(apex[1])))
                found[k] = seam if self._is_free(seam) else None
        return found

    def _seen(self, camera: str, centre: Array, ahead: Array) -> Array:
        """(n,) whether a camera sees anything of half-planes that run ahead (n, 3) from a centre."""
        sensor, place, R = self.cameras[camera]
        ranges, slopes = (g.reshape(-1, 1) for g in np.meshgrid(RANGES, SLOPES))
        points = centre - place + ranges * (ahead[:, None] + slopes * self.level[2])
        seen: Array = sensor.project(torch.from_numpy(points @ R.T))[1].any(1).numpy()
        return seen

    def _is_free(self, seam: Seam) -> bool:
        centre = self.level[:2] @ self.centre
        through = Seam(seam.azimuth, "", (float(centre[0]), float(centre[1])))
        return self._is_clear(seam) and self._is_clear(through) and self._is_even(seam)

    def _is_clear(self, seam: Seam) -> bool:
        if not len(self.corners):
            return True
        side = seam.side(self.corners)
        ahead = (self.corners - np.asarray(seam.apex)) @ seam.direction > -CLEAR
        return not bool(((side.min(1) < CLEAR) & (side.max(1) > -CLEAR) & ahead.any(1)).any())

    def _is_even(self, seam: Seam) -> bool:
        if len(self.grounds) < 2:
            return True
        places = np.asarray(seam.apex) + np.array(GROUND_RANGES)[:, None] * seam.direction
        flat = np.column_stack([places, np.zeros(len(places))])
        heights = [-height(plane, flat) / plane[2] for plane in self.grounds]
        return bool((np.abs(heights[0] - heights[1]) <= MOST_STEP).all())


def scene_of(sample: Sample, donor: Sample, cameras: Sequence[str]) -> Scene:
    """What seams between two samples have to keep clear of.

    Args:
        sample: receives; its axes are meant. donor: another. cameras: streams of pictures that take part.
    """
    level = T_up_ref(sample, 0)[:3, :3]
    seen: dict[str, tuple[CameraSensor, Array, Array]] = {}
    for name in cameras:
        stream = sample[name]
        T = sample.meta.T_ref(stream.frame, int(stream.true_capture_times[sample.key_item(name)]), true_rig=True)
        sensor = sample.true_rig.camera(stream.instance(name))
        seen[name] = sensor, T[:3, 3].numpy(), T[:3, :3].T.numpy()
    corners = np.concatenate([_swept(s) for s in (sample, donor)]) @ level[:2].T
    grounds = [p for p in (_ground(s, level) for s in (sample, donor)) if p is not None]
    return Scene(level, _lidar_centre(sample), seen, corners, grounds)


def camera_streams(sample: Sample) -> list[str]:
    """Streams of pictures of light that their cameras' rig entries calibrate."""
    known = sample.of_type(Camera)
    return [n for n, s in known.items() if isinstance(sample.rig.sensors.get(s.instance(n)), CameraSensor) and len(s)]


def _lidar_centre(sample: Sample) -> Array:
    lidar = next((s.frame for s in sample.rig.sensors.values() if isinstance(s, LidarSensor)), None)
    if lidar is None:
        return np.zeros(3)
    centre: Array = sample.meta.T_ref(lidar, sample.ref.time, true_rig=True)[:3, 3].numpy()
    return centre


def _swept(sample: Sample) -> Array:
    """(k, 16, 3) corners of boxes in the reference frame, at the first and the last stamp of clouds and pictures."""
    out = [np.zeros((0, 16, 3))]
    shown = [s.true_capture_times for s in sample.streams.values() if isinstance(s, Points | Camera)]
    for name, boxes in sample.of_type(Boxes3D).items():
        times = torch.cat([boxes.capture_times, *shown])
        T = sample.T_ref(name).numpy()
        shift = np.zeros((boxes.rows, 3))
        if "velocity" in boxes.values:
            shift = boxes["velocity"].nan_to_num(0.0).numpy()
        spans = [(int(t) - int(boxes.capture_times[0])) * 1e-9 for t in (times.min(), times.max())]
        spans = [float(np.clip(s, -1.0, 1.0)) for s in spans]
        places = [boxes.corners().numpy() + s * shift[:, None] for s in spans]
        out.append(np.concatenate(places, 1) @ T[:3, :3].T + T[:3, 3])
    return np.concatenate(out)


def _ground(sample: Sample, level: Array) -> Array | None:
    """The plane of the ground by a sample's LiDAR, in level axes; None where it is not seen."""
    for name in lidars_of(sample, 0):
        xyz = sample.points(name).take_items(torch.tensor([sample.key_item(name)]))["xyz"].to(torch.float64).numpy()
        plane = fit_ground(xyz @ level.T)
        if plane is not None:
            return plane
    return None
