"""Which pixels of a picture lie in a sector: rays near the seams are asked one by one, others block by block."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from calib import CameraSensor, Pinhole
from fusion_aug.ops.grid import pixel_grid
from fusion_aug.transforms.mix.seams import Region

BLOCK = 16  # pixels; a seam is bent by less than that between two corners
SMALL = 256**2  # pixels of a picture of which every one is asked


def rays_inside(sensor: CameraSensor, T_ref_cam: Tensor, region: Region, pixels: Tensor) -> np.ndarray:
    """Whether the rays of pixels (..., 2) run in the sectors, (...) bool."""
    if not pixels.numel():
        return np.zeros(pixels.shape[:-1], bool)
    return region.holds_rays((sensor.unproject(pixels) @ T_ref_cam[:3, :3].T).numpy())


def donor_pixels(sensor: CameraSensor, T_ref_cam: Tensor, region: Region, size: tuple[int, int]) -> Tensor:
    """(H, W) bool, the pixels of a picture whose rays run in the sectors.

    Args:
        sensor: the camera. T_ref_cam: (4, 4) its pose. size: of the picture.
    """
    height, width = size
    if height * width <= SMALL:
        return torch.from_numpy(rays_inside(sensor, T_ref_cam, region, pixel_grid(size)))
    rows, columns = (torch.arange(0, n + BLOCK - 1, BLOCK).clamp(max=n - 1) for n in size)
    nodes = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), -1)
    known = torch.from_numpy(rays_inside(sensor, T_ref_cam, region, nodes))[None, None].float()
    mixed = F.max_pool2d(known, 2, 1) != -F.max_pool2d(-known, 2, 1)
    if not isinstance(sensor.model, Pinhole):  # a bent seam may leave a block by the edge that it came in by
        mixed = F.max_pool2d(mixed.float(), 3, 1, 1) > 0
    asked = mixed[0, 0].nonzero()
    blocks = (known[0, 0, :-1, :-1, None, None] > 0).numpy().repeat(BLOCK, 3).repeat(BLOCK, 2)
    pixels = BLOCK * asked.flip(1)[:, None, None] + pixel_grid((BLOCK, BLOCK))
    blocks[asked[:, 0].numpy(), asked[:, 1].numpy()] = rays_inside(sensor, T_ref_cam, region, pixels)
    whole = blocks.transpose(0, 2, 1, 3).reshape(BLOCK * blocks.shape[0], BLOCK * blocks.shape[1])
    return torch.from_numpy(whole[:height, :width])
