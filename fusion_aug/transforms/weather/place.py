"""Poses of sensors in the world, and moving vehicles around them."""

from __future__ import annotations

import re

import numpy as np
import torch
from torch import Tensor

from fusion_aug.physics.field import Puffs
from fusion_aug.sample import REF, Sample, world_frame_of
from fusion_aug.streams import Boxes3D
from fusion_aug.transforms.scene.scene import scene_motion
from fusion_aug.transforms.weather.state import WeatherState

VEHICLES = {"car", "van", "truck", "bus", "vehicle", "trailer", "tram", "motorcycle"}
SPRAY_FROM = 50 / 3.6  # m/s


def T_world(sample: Sample, index: int, frame: str, time: int) -> np.ndarray:
    """``T_world_frame`` (4, 4) float64 at a time (ns).

    In a log without a world frame, the reference frame is taken as it was before motions of the scene.
    """
    chosen = sample.metas[index]
    rig = chosen.true_rig
    world = world_frame_of(rig, chosen.ref.frame)
    if world is None:
        return np.linalg.inv(T_ref_vehicle(sample, index)) @ chosen.T_ref(frame, time, true_rig=True).numpy()
    frame, time = (chosen.ref.frame, chosen.ref.time) if frame == REF else (frame, time)
    return rig.T(world, frame, time).numpy()


def T_world_ref(sample: Sample, index: int) -> np.ndarray:
    """``T_world_ref`` (4, 4)."""
    return T_world(sample, index, REF, sample.metas[index].ref.time)


def T_ref_vehicle(sample: Sample, index: int) -> np.ndarray:
    """Pose (4, 4) of the vehicle (x forward, z up) in the reference frame, which scene motions part from it."""
    H = scene_motion(sample.metas[index].history).numpy()
    flip = np.sign(np.linalg.det(H[:3, :3]))
    scale = abs(np.linalg.det(H[:3, :3])) ** (1 / 3)
    return H @ np.diag([1 / scale, flip / scale, 1 / scale, 1.0])


def to_sun_in_world(sample: Sample, index: int, state: WeatherState) -> np.ndarray:
    """Unit vector (3,) to the sun in the world; where it follows the vehicle, turned by the vehicle's heading."""
    if not state.light.follows:
        return state.light.to_sun
    forward = (T_world_ref(sample, index) @ T_ref_vehicle(sample, index))[:2, 0]
    c, s = forward / np.linalg.norm(forward)
    x, y, z = state.light.to_sun
    return np.array([c * x - s * y, s * x + c * y, z])


def moving_vehicles(sample: Sample, index: int, time: int) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Pose in the reference frame (4, 4), size (3,) and velocity (3,) of every vehicle with a known one, at a time."""
    out = []
    for boxes in sample.of_type(Boxes3D).values():
        if "category" not in boxes.values or boxes.frame != "ref":
            continue
        for k in (boxes.sample_index == index).nonzero()[:, 0].tolist():
            rows, poses = boxes.item_slice(k), boxes.poses_at(k, time)
            velocity = boxes.values.get("velocity")
            for j, category in enumerate(boxes.values["category"][rows]):
                if VEHICLES & set(re.split("[^a-z]+", str(category).lower())):
                    still = torch.full((3,), torch.nan, dtype=torch.float64)
                    speed = still if velocity is None else velocity[rows][j]
                    out.append((poses[j], boxes.values["size"][rows][j], speed))
    return out


def spray_behind(sample: Sample, index: int, time: int, state: WeatherState) -> Puffs:
    """Clouds of spray behind fast vehicles on a wet road, in the reference frame.

    One fills a room of 3.4 x 1.5 m behind each (Walz et al. 2021). Its extinction grows, as detections there do, with
    the film of water and the speed above 50 km/h; 0.4 per metre at 1 mm and 100 km/h is our choice.
    """
    centres, shapes, strengths = [], [], []
    film = state.surface.water_film * state.spray
    for pose, size, velocity in moving_vehicles(sample, index, time) if film > 0 else ():
        speed = float(velocity.norm())
        if not speed > SPRAY_FROM:
            continue
        half = size / 2
        sigma = torch.stack([torch.tensor(1.2, dtype=torch.float64), half[1].clamp(min=0.75) * 0.6, half[2] * 0.5])
        behind = torch.stack([-half[0] - 1.7, torch.zeros_like(half[0]), -half[2] * 0.4])
        centres.append((pose[:3, :3] @ behind + pose[:3, 3]).numpy())
        shapes.append((pose[:3, :3] / sigma).T.numpy())
        strengths.append(0.4 * film * (speed - SPRAY_FROM) / SPRAY_FROM)
    return Puffs(np.array(centres).reshape(-1, 3), np.array(shapes).reshape(-1, 3, 3), np.array(strengths))
