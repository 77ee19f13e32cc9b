"""Sensors in a world: pictures, scans and detections with ground truth."""

from __future__ import annotations

import numpy as np
import torch

from calib import CameraSensor
from fusion_aug.ops.warp import pixel_grid
from fusion_aug.synth.world import Array, World

# Reflectivity of what a LiDAR hits at 905 nm, as a level of 255 at close range.
GROUND_LEVEL, BLOCK_LEVEL = 18.0, 60.0


def take_picture(world: World, camera: CameraSensor, T_world_cam: Array, oversample: int = 2) -> Array:
    """(H, W, 3) uint8 picture; every pixel is the mean of ``oversample`` squared rays."""
    height, width = camera.size
    n = oversample
    offsets = (np.arange(n) + 0.5) / n - 0.5
    total = np.zeros((height, width, 3))
    for du in offsets:
        for dv in offsets:
            pixels = pixel_grid(camera.size) + torch.tensor([du, dv], dtype=torch.float64)
            rays = camera.unproject(pixels.reshape(-1, 2)).numpy() @ T_world_cam[:3, :3].T
            hits = world.cast(T_world_cam[:3, 3][None], rays)
            total += world.colours(rays, hits).reshape(height, width, 3)
    return np.round(total / n**2).astype(np.uint8)


def scan(
    world: World, T_world_lidar: Array, elevations: Array, columns: int, rng: np.random.Generator
) -> dict[str, Array]:
    """One turn of a LiDAR, all rays at the same moment: xyz (sensor frame), intensity (0-255), ring, block."""
    azimuth = -np.arange(columns) * 2 * np.pi / columns
    az, ring = (g.ravel() for g in np.meshgrid(azimuth, np.arange(len(elevations)), indexing="ij"))
    el = elevations[ring]
    rays = np.stack([np.cos(el) * np.cos(az), np.cos(el) * np.sin(az), np.sin(el)], 1)
    hits = world.cast(T_world_lidar[:3, 3][None], rays @ T_world_lidar[:3, :3].T)
    seen = np.isfinite(hits.distance) & (hits.distance < 90) & (hits.distance > 1.0)
    distance = hits.distance[seen] + rng.normal(0, 0.01, seen.sum())
    level = np.where(hits.block[seen] == -1, GROUND_LEVEL, BLOCK_LEVEL)
    facing = np.abs(np.sum(hits.normal[seen] * (rays[seen] @ T_world_lidar[:3, :3].T), 1))
    intensity = np.clip(np.round(level * facing + rng.normal(0, 1.5, seen.sum())), 0, 255)
    return {
        "xyz": rays[seen] * distance[:, None],
        "intensity": intensity,
        "ring": ring[seen],
        "block": hits.block[seen],
    }


def detect(world: World, T_world_radar: Array, ego_velocity: Array) -> dict[str, Array]:
    """Radar detections of the labelled objects in view: xyz and velocities in the radar frame, along the ray."""
    rows: dict[str, list[Array]] = {"xyz": [], "velocity": [], "velocity_comp": [], "rcs": []}
    R, origin = T_world_radar[:3, :3], T_world_radar[:3, 3]
    for block in world.blocks:
        if block.look != "outline":
            continue
        local = R.T @ (block.position(world.time) - origin)
        near = local * (1 - 0.4 * min(block.size[:2]) / np.linalg.norm(local))
        if near[0] < 1 or abs(np.arctan2(near[1], near[0])) > np.radians(60) or near[0] > 80:
            continue
        near[2] = 0.0
        ray = near / np.linalg.norm(near)
        moving = R.T @ np.array([*block.velocity, 0.0])
        rows["xyz"].append(near)
        rows["velocity_comp"].append(ray * (moving @ ray))
        rows["velocity"].append(ray * ((moving - R.T @ ego_velocity) @ ray))
        rows["rcs"].append(np.array(10.0 if block.category == "vehicle.car" else 0.0))
    return {k: np.array(v).reshape(len(v), -1) if k != "rcs" else np.array(v).reshape(-1) for k, v in rows.items()}
