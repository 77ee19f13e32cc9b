"""Sensors in a world: pictures with depth and classes, scans, detections, inertial readings."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch

from calib import CameraSensor, LidarSensor, RadarSensor
from fusion_aug.ops.grid import pixel_grid
from fusion_aug.synth.mesh import Array
from fusion_aug.synth.world import Scenery, World

EXPOSURE = 0.95  # level of a white wall in the sun before the tone curve
GRAVITY = np.array([0.0, 0.0, -9.81])
Pose = Callable[[float], Array]  # T_world_body at a time in seconds


class Picture(NamedTuple):
    """What a camera sees: picture (H, W, 3) uint8; depth (H, W) float32, z or range as its lens asks, infinity for sky;
    classes (H, W) uint8, numbers of ``world.KINDS``; the last two at pixel centres."""

    picture: Array
    depth: Array
    classes: Array


def take_picture(world: World, camera: CameraSensor, T_world_cam: Array, oversample: int = 2) -> Picture:
    """Every pixel is the mean of ``oversample`` squared rays."""
    n = oversample
    offsets = (np.arange(n) + 0.5) / n - 0.5
    total = np.zeros((*camera.size, 3))
    for du in offsets:
        for dv in offsets:
            total += _radiance(world, camera, T_world_cam, (du, dv))[0]
    mean = total / n**2
    _, depth, classes = _radiance(world, camera, T_world_cam, (0.0, 0.0), measure=True)
    return Picture(_develop(mean), depth, classes)


def take_masks(world: World, camera: CameraSensor, T_world_cam: Array) -> tuple[Array, Array]:
    """What lies behind every pixel's centre.

    Returns:
        (H, W) uint8, numbers of ``world.KINDS``; (H, W) int32, one more than the number of the body, 0 for the ground
        and the sky. Where the lens shows nothing they are 255 and -1.
    """
    own = camera.unproject(pixel_grid(camera.size).reshape(-1, 2)).numpy()
    seen = np.isfinite(own).all(1)
    hits = world.cast(T_world_cam[:3, 3][None], own[seen] @ T_world_cam[:3, :3].T)
    classes, bodies = np.full(len(own), 255, np.uint8), np.full(len(own), -1, np.int32)
    classes[seen], bodies[seen] = world.kinds(hits), np.maximum(hits.body, -1) + 1
    return classes.reshape(camera.size), bodies.reshape(camera.size)


def _develop(radiance: Array) -> Array:
    """A camera's tone curve: highlights roll off, then sRGB's gamma."""
    x = radiance * EXPOSURE
    x = np.where(x > 0.6, 0.6 + 0.4 * np.tanh((x - 0.6) / 0.4), x)
    return np.round(255 * np.clip(x, 0, 1) ** (1 / 2.2)).astype(np.uint8)


def _radiance(
    world: World, camera: CameraSensor, T: Array, shift: tuple[float, float], measure: bool = False
) -> tuple[Array, Array, Array]:
    """Radiance (H, W, 3), depth and classes along rays at a shift from the pixel centres."""
    grid = pixel_grid(camera.size) + torch.tensor(shift, dtype=torch.float64)
    own = camera.unproject(grid.reshape(-1, 2)).numpy()
    seen = np.isfinite(own).all(1)  # a fisheye does not fill its corners
    rays = own[seen] @ T[:3, :3].T
    hits = world.cast(T[:3, 3][None], rays)
    shape = camera.size
    depth, classes, colour = np.zeros(len(own), np.float32), np.zeros(len(own), np.uint8), np.zeros((len(own), 3))
    if measure:
        along = own[seen, 2] if camera.model.lens != "kannala_brandt" else 1.0
        depth[seen] = hits.distance * along  # infinity for the sky
        classes[seen] = world.kinds(hits)
    else:
        colour[seen] = world.colours(rays, hits)
    return colour.reshape(*shape, 3), depth.reshape(shape), classes.reshape(shape)


def scan(
    scenery: Scenery,
    lidar: LidarSensor,
    pose: Pose,
    stamp: float,
    columns: int,
    period: float,
    rng: np.random.Generator,
) -> dict[str, Array]:
    """One revolution of a LiDAR that ends at ``stamp``, while sensor and world move.

    Args:
        scenery: the town.
        lidar: elevations, ranges, spin.
        pose: ``T_world_lidar`` over time.
        stamp: seconds. columns: per revolution. period: seconds per revolution.
        rng: for range noise (1 cm) and intensity noise.

    Returns:
        xyz in the sensor's frame at ``stamp`` (motion compensated, as nuScenes' clouds are), intensity (0-255),
        ring, time_offset (seconds, negative), body, kind (its class, a number of ``world.KINDS``).
    """
    elevation = np.array(lidar.elevations)
    share = np.arange(columns) / columns
    offset = (share - 1) * period
    az = np.pi + lidar.spin * share * 2 * np.pi
    slices = np.array_split(np.arange(columns), 12)  # moving bodies are static for a twelfth of a revolution
    back = np.linalg.inv(pose(stamp))
    out: dict[str, list[Array]] = {k: [] for k in ("xyz", "intensity", "ring", "time_offset", "body", "kind")}
    for part in slices:
        world = scenery.at(stamp + float(offset[part].mean()))
        T = np.array([pose(stamp + float(t)) for t in offset[part]])
        c, r = (g.ravel() for g in np.meshgrid(np.arange(len(part)), np.arange(len(elevation)), indexing="ij"))
        a, e = az[part][c], elevation[r]
        own = np.stack([np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)], 1)
        rays, origin = np.einsum("nij,nj->ni", T[c, :3, :3], own), T[c, :3, 3]
        hits = world.cast(origin, rays)
        near = (
            np.isfinite(hits.distance) & (hits.distance > max(lidar.min_range, 1.0)) & (hits.distance < lidar.max_range)
        )
        distance = hits.distance[near] + rng.normal(0, 0.01, near.sum())
        point = origin[near] + rays[near] * distance[:, None]
        kind = world.kinds(hits)
        facing = np.abs(np.sum(hits.normal * rays, 1))
        level = world.levels(hits, kind)[near] * (0.35 + 0.65 * facing[near]) + rng.normal(0, 1.5, near.sum())
        out["xyz"].append(point @ back[:3, :3].T + back[:3, 3])
        out["intensity"].append(np.clip(np.round(level), 0, 255))
        out["ring"].append(r[near])
        out["time_offset"].append(offset[part][c][near])
        out["body"].append(hits.body[near])
        out["kind"].append(kind[near])
    return {k: np.concatenate(v) for k, v in out.items()}


def detect(world: World, radar: RadarSensor, T_world_radar: Array, velocity: Array) -> dict[str, Array]:
    """Radar detections: one for every body (or stretch of house front) in a cell of range and azimuth.

    Args:
        world: at the time of the measurement.
        radar: resolutions and range.
        T_world_radar: (4, 4).
        velocity: (3,) of the radar in the world, m/s.

    Returns:
        xyz (z = 0, as the radar measures no elevation), velocity and velocity_comp along the ray (m/s, sensor frame),
        rcs (dBsm), body.
    """
    az, el = np.meshgrid(np.radians(np.arange(-60, 60.1, 0.5)), np.radians(np.arange(-4, 4.1, 1.0)), indexing="ij")
    own = np.stack([np.cos(el) * np.cos(az), np.cos(el) * np.sin(az), np.sin(el)], -1).reshape(-1, 3)
    R = T_world_radar[:3, :3]
    hits = world.cast(T_world_radar[:3, 3][None], own @ R.T)
    far = np.isfinite(hits.distance) & (hits.distance < radar.max_range) & (hits.body >= 0) & (hits.distance > 1.0)
    rows = np.flatnonzero(far)
    cell = np.stack(
        [
            hits.body[rows],
            hits.distance[rows] // (5 * radar.range_resolution),
            np.arctan2(own[rows, 1], own[rows, 0]) // (4 * radar.azimuth_resolution),
        ],
        1,
    )
    _, inverse, count = np.unique(cell, axis=0, return_inverse=True, return_counts=True)
    first = np.full(len(count), -1)
    nearest = np.argsort(hits.distance[rows], kind="stable")[::-1]
    first[inverse[nearest]] = rows[nearest]  # the nearest ray of each cell comes last
    keep = first[count >= 2]
    body = hits.body[keep]
    flat = own[keep] * hits.distance[keep, None]
    flat[:, 2] = 0.0
    ray = flat / np.linalg.norm(flat, axis=1, keepdims=True)
    step = 1e-3
    moved = [
        (world.town.bodies[b].pose(world.time + step) - world.town.bodies[b].pose(world.time - step))[:3, 3]
        / (2 * step)
        for b in body
    ]
    target = np.array(moved).reshape(-1, 3) @ R
    speed = np.sum(target * ray, 1, keepdims=True)
    raw = speed - ray @ (R.T @ velocity)[:, None]
    rcs = np.array([world.town.bodies[b].rcs for b in body]) + 10 * np.log10(count[count >= 2] / 4)
    return {"xyz": flat, "velocity": ray * raw, "velocity_comp": ray * speed, "rcs": rcs, "body": body}


def inertial(pose: Pose, times: Array) -> tuple[Array, Array]:
    """Gyro (n, 3) rad/s and specific force (n, 3) m/s^2 of a body that moves by ``pose``, at times in seconds."""
    from scipy.spatial.transform import Rotation

    h = 0.005
    gyro, accel = [], []
    for t in times:
        a, b, c = pose(t - h), pose(t), pose(t + h)
        gyro.append(Rotation.from_matrix(a[:3, :3].T @ c[:3, :3]).as_rotvec() / (2 * h))
        accel.append(b[:3, :3].T @ ((a[:3, 3] - 2 * b[:3, 3] + c[:3, 3]) / h**2 - GRAVITY))
    return np.array(gyro), np.array(accel)
