"""How far away is what a camera sees: from a depth stream, else from the LiDAR's points, filled in between."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor

from calib.se3 import transform_points
from fusion_aug.errors import DataError
from fusion_aug.ops.grid import pixel_grid
from fusion_aug.sample import Sample
from fusion_aug.streams import Depth, Points, Radar

SKY = 1e4  # metres: what has no distance is this far away
TOP_RINGS = 0.03  # radians below its highest point that count as the upper end of a scanner's view


def camera_range(sample: Sample, name: str, item: int) -> Tensor:
    """Distance along the ray of every pixel of a picture.

    Args:
        sample: one sample or a batch.
        name: camera stream. item: which of its pictures.

    Returns:
        (H, W) float32 on the CPU, metres, on the canvas; ``SKY`` where nothing is near.

    Raises:
        DataError: the sample has neither a depth stream of that camera nor a LiDAR.
    """
    stream = sample[name]
    unit, time = int(stream.sample_index[item]), int(stream.times[item])
    sensor = sample.units[unit].truth.camera(stream.instance(name))
    depth = _nearest_depth(sample, stream.instance(name), unit, time)
    if depth is not None:
        picture, measure = depth
        distance = picture.to("cpu", torch.float32)
        if measure == "z":
            distance = distance / sensor.unproject(pixel_grid(sensor.size))[..., 2].clamp(min=1e-6).to(distance)
        return _without_gaps(distance)
    lidars = [n for n, s in sample.of_type(Points).items() if not isinstance(s, Radar)]
    if not lidars:
        raise DataError(
            f"stream {name!r}: a camera that changes its place needs depth: a Depth stream of the camera, or a LiDAR"
        )
    found = [_projected(sample, lidar, name, item, unit) for lidar in lidars]
    pixels, distance, at_top = (torch.cat(parts) for parts in zip(*found, strict=True))
    return fill(pixels, distance, at_top, sensor.size)


def _without_gaps(distance: Tensor) -> Tensor:
    """Distances with the sky far away and unknown pixels (0 or NaN) filled in from their surroundings."""
    sky = torch.isposinf(distance)
    known = torch.isfinite(distance) & (distance > 0)
    if bool((known | sky).all()):
        return torch.where(sky, torch.full_like(distance, SKY), distance)
    if float(known.double().mean()) < 0.5 and not bool(sky.any()):  # points rather than a picture
        v, u = known.nonzero().unbind(1)
        return fill(torch.stack([u, v], 1).double(), distance[known].double(), torch.zeros(len(u), dtype=torch.bool),
                    (distance.shape[0], distance.shape[1]))  # fmt: skip
    inverse = torch.where(known, 1 / distance.clamp(min=1e-6), torch.full_like(distance, 1 / SKY)).numpy()
    filled = _pull_push(inverse.astype(np.float32), (known | sky).numpy().astype(np.float32))
    return torch.from_numpy(1.0 / np.maximum(filled, 1.0 / SKY))


def _nearest_depth(sample: Sample, camera: str, unit: int, time: int) -> tuple[Tensor, str] | None:
    """The picture of a depth stream of a camera, at the camera's own stamp, and what it measures."""
    for name, stream in sample.of_type(Depth).items():
        if stream.instance(name) == camera:
            same = ((stream.sample_index == unit) & (stream.times == time)).nonzero()[:, 0]
            if len(same):
                return stream.image(int(same[0])), stream.measure
    return None


def _projected(sample: Sample, lidar: str, camera: str, item: int, unit: int) -> tuple[Tensor, Tensor, Tensor]:
    """Canvas pixels (n, 2), distance (n,) and whether a point lies on the scanner's topmost rings (n,)."""
    key = sample.key_item(lidar, unit)
    clouds, pictures, rig = sample[lidar].realized(), sample[camera], sample.units[unit].truth
    T_cam_lidar = rig.T(pictures.frame, clouds.frame, int(clouds.times[key]), int(pictures.times[item]))
    xyz = clouds["xyz"][clouds.rows_of(key)].to("cpu", torch.float64)  # type: ignore[attr-defined]
    local = transform_points(T_cam_lidar, xyz)
    pixels, visible = rig.camera(pictures.instance(camera)).project(local)
    distance = torch.linalg.norm(local, dim=1)
    elevation = torch.atan2(xyz[:, 2], torch.linalg.norm(xyz[:, :2], dim=1))
    top = float(np.nanmax(elevation.numpy())) if len(xyz) else 0.0
    return pixels[visible], distance[visible], elevation[visible] > top - TOP_RINGS


def fill(pixels: Tensor, distance: Tensor, at_top: Tensor, size: tuple[int, int]) -> Tensor:
    """Distances at scattered pixels spread over the canvas.

    The nearest point wins a cell as large as the points are apart; gaps are filled from coarser and coarser grids
    (pull-push, Gortler et al. 1996) in inverse distance, in which the ground is a plane. Above a column's highest point
    there is sky, unless that point lies at the upper end of the scanner's view: then its surface goes on.

    Args:
        pixels: (n, 2) canvas. distance: (n,) metres. at_top: (n,) bool. size: (height, width) of the canvas.

    Returns:
        (H, W) float32.
    """
    height, width = size
    if len(pixels) == 0:
        return torch.full(size, SKY)
    cell = int(np.clip(1.2 * np.sqrt(height * width / len(pixels)), 3, 24))
    rows, columns = -(-height // cell), -(-width // cell)
    grid, ends = np.zeros((rows, columns), np.float32), np.zeros((rows, columns), bool)
    order = np.argsort(-distance.numpy(), kind="stable")  # nearer points are written later
    u, v = (pixels.numpy()[order] / cell).astype(int).clip(0).T
    where = (v.clip(max=rows - 1), u.clip(max=columns - 1))
    grid[where], ends[where] = 1.0 / distance.numpy()[order], at_top.numpy()[order]
    known = grid > 0
    filled = _pull_push(grid, known.astype(np.float32))
    top = np.where(known.any(0), known.argmax(0), rows)
    goes_on = ends[np.minimum(top, rows - 1), np.arange(columns)]
    # a tree or a lamp among columns of sky does not reach up for ever
    goes_on &= np.convolve(np.pad(goes_on, 3, mode="edge"), np.ones(7), "valid") >= 5
    wide = np.pad(np.where(goes_on, 0, top), 1, mode="edge")
    top = np.minimum(np.minimum(wide[:-2], wide[2:]), wide[1:-1])  # a neighbour's surface is not cut off
    filled[np.arange(rows)[:, None] < top[None] - 1] = 1.0 / SKY
    # nothing was measured above the scanner's view: there, columns go over into one another without a step
    beyond = np.arange(rows)[:, None] < np.where(known.any(0), known.argmax(0), rows)[None]
    filled = np.where(beyond, cv2.GaussianBlur(filled, (0, 0), 4.0, sigmaY=0.5), filled)
    smooth = cv2.resize(filled, (columns * cell, rows * cell), interpolation=cv2.INTER_LINEAR)[:height, :width]
    return torch.from_numpy(1.0 / np.maximum(smooth, 1.0 / SKY))


def _pull_push(value: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Fill entries of weight 0 from the nearest coarser level that knows something."""
    if min(value.shape) <= 2:
        mean = (value * weight).sum() / max(float(weight.sum()), 1e-9)
        return np.where(weight > 0, value, mean).astype(np.float32)
    size = (value.shape[1] // 2 + value.shape[1] % 2, value.shape[0] // 2 + value.shape[0] % 2)
    mass = cv2.resize(weight, size, interpolation=cv2.INTER_AREA)
    mean = cv2.resize(value * weight, size, interpolation=cv2.INTER_AREA) / np.maximum(mass, 1e-9)
    coarse = _pull_push(mean.astype(np.float32), (mass > 0).astype(np.float32))
    back = cv2.resize(coarse, value.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.where(weight > 0, value, back).astype(np.float32)
