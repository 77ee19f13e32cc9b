"""Where a block stands that hides what is behind it from every sensor, and which rays of a sensor meet it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from calib import CameraSensor
from calib.se3 import invert, rotation_about, se3, transform_points
from fusion_aug.ops.box_rays import box_grid, rays_meet_box
from fusion_aug.ops.grid import pixel_grid
from fusion_aug.sample import Sample
from fusion_aug.sample.vehicle import T_up_ref
from fusion_aug.streams import Camera, Points
from fusion_aug.transforms.weather.place import T_ref_vehicle

SHEET = 0.01  # metres that a window is thick
STEPS = 9  # places along each edge of the block, by which it is found in a picture
COARSE = 16  # pixels between those that are asked first


class Block(NamedTuple):
    """A box in the reference frame: pose (4, 4), and size (3,) in metres, its x away from the vehicle."""

    T_ref_block: Tensor
    size: Tensor

    def hides(self, T_ref_sensor: Tensor, start: Tensor, way: Tensor) -> Tensor:
        """Which rays (..., 3) of a sensor meet the block; starts and ways in the sensor's frame."""
        return rays_meet_box(start, way, invert(T_ref_sensor) @ self.T_ref_block, self.size)


def block_of(sample: Sample, index: int, params: Mapping[str, Any]) -> Block:
    """The block of drawn parameters, seen from the first LiDAR, or from the reference frame's origin without one.

    Args:
        sample: or batch. index: of the sample in it. params: of ``CutOut``.
    """
    T_up = torch.from_numpy(T_up_ref(sample, index))
    up, eye = T_up[2, :3], invert(T_up)[:3, 3]
    ahead = torch.from_numpy(T_ref_vehicle(sample, index)).to(torch.float64)[:3, 0]
    ahead = ahead - (ahead @ up) * up
    ahead = ahead / ahead.norm()
    level = torch.stack([ahead, torch.linalg.cross(up, ahead), up], 1)  # columns: ahead, left, up in ref
    azimuth, elevation = math.radians(params["azimuth_deg"]), math.radians(params["elevation_deg"])
    turn = level @ rotation_about("z", azimuth) @ rotation_about("y", -elevation)
    distance = float(params["distance"])
    if params["block"] is not None:
        size, turn_of_block = [float(v) for v in params["block"]], level @ rotation_about("z", azimuth)
    else:
        wide, high = (2 * distance * math.tan(math.radians(params[n]) / 2) for n in ("width_deg", "height_deg"))
        size, turn_of_block = [SHEET, wide, high], turn
    return Block(se3(turn_of_block, eye + distance * turn[:, 0]), torch.tensor(size, dtype=torch.float64))


def hidden_pixels(sample: Sample, name: str, item: int, block: Block, size: tuple[int, int]) -> Tensor:
    """(H, W) bool, the pixels of a picture whose rays meet the block.

    Args:
        sample: or batch. name: stream of a camera. item: which picture. size: (H, W) of its canvas.
    """
    sensor, T = _camera(sample, name, item)
    out = torch.zeros(size, dtype=torch.bool)
    coarse = pixel_grid((-(-size[0] // COARSE) + 1, -(-size[1] // COARSE) + 1)).reshape(-1, 2) * COARSE
    coarse = torch.minimum(coarse, torch.tensor([size[1] - 1.0, size[0] - 1.0]).double())
    pixels, seen = sensor.project(transform_points(invert(T), box_grid(block.T_ref_block, block.size, STEPS)))
    there = torch.cat([pixels[seen], coarse[hidden_rays(sample, name, item, block, coarse)]])
    if not len(there):
        return out
    (left, top), (right, bottom) = (there.amin(0) - COARSE).tolist(), (there.amax(0) + COARSE + 1).tolist()
    top, left = max(0, int(top)), max(0, int(left))
    bottom, right = min(size[0], int(bottom)), min(size[1], int(right))
    grid = pixel_grid((bottom - top, right - left)) + torch.tensor([left, top], dtype=torch.float64)
    out[top:bottom, left:right] = hidden_rays(sample, name, item, block, grid)
    return out


def hidden_rays(sample: Sample, name: str, item: int, block: Block, pixels: Tensor) -> Tensor:
    """Which pixels (..., 2) of a picture look at the block, (...) bool; arguments as of ``hidden_pixels``."""
    sensor, T = _camera(sample, name, item)
    return block.hides(T, torch.zeros(3, dtype=torch.float64), sensor.unproject(pixels))


def _camera(sample: Sample, name: str, item: int) -> tuple[CameraSensor, Tensor]:
    """The camera of a picture, and where it was, ``T_ref_camera`` (4, 4)."""
    stream = sample[name]
    meta = sample.metas[int(stream.sample_index[item])]
    sensor = meta.true_rig.camera(stream.instance(name))
    return sensor, meta.T_ref(sensor.frame, int(stream.true_capture_times[item]), true_rig=True)


def hidden_share(sample: Sample, index: int, block: Block, places: Tensor) -> Tensor:
    """Of places (n, k, 3) in the reference frame, the share (n,) that the block hides from whoever sees most of them.

    Sensors are asked where they are at the reference time.
    """
    meta = sample.metas[index]
    shown = {s.instance(n): s for n, s in sample.streams.items() if isinstance(s, Camera | Points)}
    frames = {meta.true_rig.sensors[n].frame for n in shown if n in meta.true_rig.sensors}
    shares = []
    for frame in sorted(frames):
        eye = meta.T_ref(frame, meta.ref.time, true_rig=True)[:3, 3]
        met = rays_meet_box(eye, places - eye, block.T_ref_block, block.size)
        shares.append(met.to(torch.float64).mean(-1))
    return torch.stack(shares).amin(0) if shares else torch.zeros(len(places), dtype=torch.float64)
