"""Where a seam between two samples may run: seen by one camera or none, past every box, on ground that goes on."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from calib import CameraSensor, LidarSensor
from fusion_aug.core.mixing.ground import ground_plane
from fusion_aug.core.mixing.meeting import T_ref_item, partner_items
from fusion_aug.physics.ground import height
from fusion_aug.sample import Sample
from fusion_aug.sample.depth import lidars_of
from fusion_aug.sample.vehicle import T_up_ref
from fusion_aug.streams import Boxes3D, Camera, Points
from fusion_aug.transforms.mix.seams import Seam

Array = np.ndarray
RANGES = (1.5, 4.0, 12.0, 60.0)  # metres from the seam's own end at which cameras are asked
SLOPES = (-0.4, -0.1, 0.1, 0.4)  # heights there, over the range
SAME = 1e-3  # metres, and radians: what two poses may differ by to be one
CLEAR = 0.1  # metres that a box keeps from a seam
GROUND_RANGES, MOST_STEP = (5.0, 15.0, 25.0), 0.2  # metres: where heights of the ground are compared, and how much


@dataclass(frozen=True)
class View:
    """A camera: its sensor, and its poses (3,) centre and (3, 3) ``R_camera_ref`` in both samples."""

    sensor: CameraSensor
    poses: Sequence[tuple[Array, Array]]

    def sees(self, points: Array, poses: int | None = None) -> Array:
        """(n,) whether it sees one of the places (n, m, 3) of the reference frame, in one of its poses.

        Args:
            points: metres. poses: how many of its poses are meant; all by default.
        """
        seen = np.zeros(len(points), bool)
        for centre, R in self.poses[:poses]:
            ahead = points - centre
            along = ahead @ R[2]
            near = along > self._least * np.sqrt((ahead * ahead).sum(-1))
            found = np.zeros(points.shape[:2], bool)
            found[near] = self.sensor.project(torch.from_numpy(ahead[near] @ R.T))[1].numpy()
            seen |= found.any(1)
        return seen

    @cached_property
    def _least(self) -> float:
        """Cosine of the angle to the axis within which all lies that it sees; lenses bulge between these pixels."""
        h, w = self.sensor.size
        edge = [(u, v) for u in np.linspace(0, w - 1, 9) for v in np.linspace(0, h - 1, 9)]
        rays = self.sensor.unproject(torch.tensor(edge, dtype=torch.float64)).numpy()
        if not np.isfinite(rays).all():
            return -2.0
        widest = np.arccos(np.clip((rays[:, 2] / np.linalg.norm(rays, axis=1)).min(), -1, 1))
        return float(np.cos(min(np.pi, 1.05 * widest + 0.02)))


@dataclass(frozen=True)
class Scene:
    """What a seam must not touch, and who sees it; all in level axes but for the cameras.

    Attributes:
        level: (3, 3) rotation from the reference frame to axes whose z points up.
        centre: (3,) of the LiDAR in the reference frame.
        views: camera stream -> where it looks from.
        corners: (k, n, 2) corners of k boxes, where they are and were.
        grounds: planes of both samples (4,), where they are known.
    """

    level: Array
    centre: Array
    views: Mapping[str, View]
    corners: Array
    grounds: Sequence[Array]

    def seams(self, azimuths: Array) -> list[Seam | None]:
        """The seam at every azimuth (n,); None where several cameras see it, a box or a step of the ground is there."""
        found: list[Seam | None] = [None] * len(azimuths)
        left = np.arange(len(azimuths))
        for camera in (*self.views, ""):
            centre = self.views[camera].poses[0][0] if camera else self.centre
            at, places = left, self._ahead(centre, azimuths[left])
            if camera:
                own = self.views[camera].sees(places, 1)
                at, places = at[own], places[own]
            for other in (n for n in self.views if n != camera):
                alone = ~self.views[other].sees(places)
                at, places = at[alone], places[alone]
            left = np.setdiff1d(left, at)
            x, y = (self.level[:2] @ centre).tolist()
            made = [Seam(azimuth, camera, (x, y)) for azimuth in azimuths[at].tolist()]
            free = self._clear(made) & self._even(made)
            for k, seam in itertools.compress(zip(at.tolist(), made, strict=True), free.tolist()):
                found[k] = seam
        return found

    def _ahead(self, centre: Array, azimuths: Array) -> Array:
        """(n, m, 3) places on half-planes from a centre, in the reference frame."""
        ranges, slopes = (g.reshape(-1, 1) for g in np.meshgrid(RANGES, SLOPES))
        ahead = np.stack([np.cos(azimuths), np.sin(azimuths), np.zeros(len(azimuths))], 1) @ self.level
        places: Array = centre + ranges * (ahead[:, None] + slopes * self.level[2])
        return places

    def _clear(self, seams: Sequence[Seam]) -> Array:
        """(n,) whether no box stands on seams of one end, nor between them and where the LiDAR's beams run beside."""
        if not len(self.corners) or not seams:
            return np.ones(len(seams), bool)
        directions = np.stack([seam.direction for seam in seams])
        lefts = np.stack([-directions[:, 1], directions[:, 0]], 1)
        side, ahead = [], []
        for end in (np.asarray(seams[0].apex), self.level[:2] @ self.centre):
            rest = (self.corners - end).reshape(-1, 2)
            shape = len(seams), *self.corners.shape[:2]
            side.append((lefts @ rest.T).reshape(shape))
            ahead.append((directions @ rest.T).reshape(shape).max(2))
        on = (np.minimum(*side).min(2) < CLEAR) & (np.maximum(*side).max(2) > -CLEAR)
        clear: Array = ~(on & (np.maximum(*ahead) > -CLEAR)).any(1)
        return clear

    def _even(self, seams: Sequence[Seam]) -> Array:
        """(n,) whether the ground of both samples is at one height along seams."""
        if len(self.grounds) < 2 or not seams:
            return np.ones(len(seams), bool)
        directions, apexes = np.stack([s.direction for s in seams]), np.array([s.apex for s in seams])
        places = apexes[:, None] + np.array(GROUND_RANGES)[:, None] * directions[:, None]
        flat = np.concatenate([places, np.zeros((*places.shape[:2], 1))], 2)
        heights = [-height(plane, flat) / plane[2] for plane in self.grounds]
        even: Array = (np.abs(heights[0] - heights[1]) <= MOST_STEP + 1e-6).all(1)
        return even


def scene_of(sample: Sample, donor: Sample, cameras: Sequence[str]) -> Scene:
    """What seams between two samples have to keep clear of.

    Args:
        sample: receives; its axes are meant. donor: another. cameras: streams of pictures that take part.
    """
    level = T_up_ref(sample, 0)[:3, :3]
    corners = np.concatenate([_swept(s) for s in (sample, donor)]) @ level[:2].T
    grounds = [p for p in (_ground(s, level) for s in (sample, donor)) if p is not None]
    views = {name: _view(sample, donor, name) for name in cameras}
    return Scene(level, _lidar_centre(sample), views, corners, grounds)


def _view(sample: Sample, donor: Sample, name: str) -> View:
    i = sample.key_item(name)
    items = [(sample, i)]
    if name in donor.streams and (j := partner_items(sample, donor, name)[i]) is not None:
        items.append((donor, j))
    poses = [T_ref_item(s, name, k).numpy() for s, k in items]
    poses = poses[: 1 + (np.abs(poses[-1] - poses[0]).max() > SAME)]
    return View(sample.true_rig.camera(sample[name].instance(name)), [(T[:3, 3], T[:3, :3].T) for T in poses])


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
        places = [boxes.corners().numpy() + s * shift[:, None] for s in np.clip(spans, -1.0, 1.0).tolist()]
        out.append(np.concatenate(places, 1) @ T[:3, :3].T + T[:3, 3])
    return np.concatenate(out)


def _ground(sample: Sample, level: Array) -> Array | None:
    """The plane of the ground by a sample's LiDAR, (4,) in level axes of the receiver; None where it is not seen."""
    turn = level @ T_up_ref(sample, 0)[:3, :3].T
    planes = (ground_plane(sample, name) for name in lidars_of(sample, 0))
    found = next((plane for plane in planes if plane is not None), None)
    return None if found is None else np.append(turn @ found[:3], found[3])
