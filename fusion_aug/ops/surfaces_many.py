"""What many pictures show, in cells: ``illumination.Surfaces`` of all of them at once, on any device."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from fusion_aug.ops.cells_many import blurred, cells_of, levels_in_cells, medians
from fusion_aug.ops.illumination import BASE, GREEN, GREY, LEVEL, LOG_LIGHT, MEDIAN, UPRIGHT

Numbers = Mapping[str, Tensor]
Grid = tuple[int, int]
GREENNESS = np.array([-0.5, 1.0, -0.5])  # log of green over the mean of red and blue
# of the logs of three channels and of 1: mean log light, log of red over blue, leaves, and twice how far from grey
MIXTURES = np.zeros((5, 4), np.float32)
MIXTURES[:2, :3] = [1 / 3, 1 / 3, 1 / 3], [1, 0, -1]
MIXTURES[2, :3], MIXTURES[2, 3] = GREENNESS / (GREEN[1] - GREEN[0]), -GREEN[0] / (GREEN[1] - GREEN[0])
MIXTURES[3:, :3] = GREENNESS / GREY, -GREENNESS / GREY
SHARED = "="  # names of numbers that are the same for all pictures begin with it
STEP = 8  # pixels between the nodes that rays are told at
# what is added to the products of ``axes``: nothing, 1, nothing, and that level ground has 1 and a wall 0
OFFSETS = np.array([[0], [0], [0], [1], [0], [-UPRIGHT / (LEVEL - UPRIGHT)]], np.float32)


class ManySurfaces(NamedTuple):
    """What pictures show, (N, h, w) float32 each; see ``illumination.Surfaces``.

    Attributes:
        colour: (N, 2, h, w), ``light`` and ``warm`` as there. inverse: of distance, 1/m. sky: bool.
        facing: (N, 4, h, w), the level part of the normals, and 1. rise: their upward component.
        level, leafy: as there. even: ``level`` times ``grey``.
    """

    colour: Tensor
    inverse: Tensor
    sky: Tensor
    facing: Tensor
    rise: Tensor
    level: Tensor
    leafy: Tensor
    even: Tensor


def numbers_of_surfaces(size: Grid, grid: Grid, nodes: np.ndarray, up: np.ndarray) -> dict[str, Any]:
    """What ``surfaces_of`` needs of a picture.

    Args:
        size: of the canvas. grid: of the cells. up: (3,) unit.
        nodes: (h, w, 3) unit rays every ``STEP`` pixels, the first before the canvas, in the axes of ``up``.
    """
    level = np.eye(3) - np.outer(up, up)
    axes = -np.vstack([level, np.zeros(3), up, up / (LEVEL - UPRIGHT)])
    ways = np.concatenate([nodes, np.ones((*nodes.shape[:2], 1))], 2).transpose(2, 0, 1)  # and 1, for the distance
    return {
        "nodes": ways.astype(np.float32), "axes": axes.astype(np.float32), **_tables(size, grid, nodes.shape[:2])
    }  # fmt: skip


@lru_cache(maxsize=16)  # all pictures of a size share them
def _tables(size: Grid, grid: Grid, nodes: Grid) -> dict[str, Any]:
    hats = []
    for cells, pixels, count in zip(grid, size, nodes, strict=True):
        at = ((np.arange(cells) + 0.5) * (pixels / cells) - 0.5) / STEP + 1
        hats.append(np.maximum(1 - np.abs(at[:, None] - np.arange(count)), 0).astype(np.float32))
    return {
        f"{SHARED}rows": hats[0], f"{SHARED}columns": hats[1].T.copy(), f"{SHARED}log light": LOG_LIGHT,
        f"{SHARED}mixtures": MIXTURES, f"{SHARED}level": OFFSETS,
    }  # fmt: skip


def log_light(levels: Tensor, numbers: Numbers) -> Tensor:
    """Log light of whole levels (...) from 0 to 255."""
    table = numbers[f"{SHARED}log light"]
    return table.index_select(0, levels.reshape(-1).to(torch.int32)).reshape(levels.shape)


def surfaces_of(levels: Tensor, inverse: Tensor, numbers: Numbers, grid: Grid, sky_from: float) -> ManySurfaces:
    """Those of pictures.

    Args:
        levels: (N, 3, H, W) whole levels from 0 to 255. inverse: (N, 1, H, W) of distances, 1/m.
        numbers: ``numbers_of_surfaces``. grid: of the cells. sky_from: what is as far is the sky, metres.
    """
    count, mixtures = len(levels), numbers[f"{SHARED}mixtures"].expand(len(levels), -1, -1)
    logs = log_light(medians(levels_in_cells(levels, grid), MEDIAN, torch.uint8), numbers).flatten(2)
    mixed = torch.baddbmm(mixtures[..., 3:], mixtures[..., :3], logs).view(count, 5, *grid)
    away = mixed[:, 3] * mixed[:, 4]
    inverse = cells_of(inverse, grid)
    far = inverse.reciprocal()
    rays = torch.matmul(torch.matmul(numbers[f"{SHARED}rows"], numbers["nodes"]), numbers[f"{SHARED}columns"])
    inwards = normals_inwards(far, rays, max(1, round(BASE * grid[1]))).flatten(2)
    facing = torch.baddbmm(numbers[f"{SHARED}level"], numbers["axes"], inwards).view(count, 6, *grid)
    sky = far[:, 0] >= sky_from
    level = facing[:, 5].clamp_(0, 1).masked_fill_(sky, 0)
    even, leafy = away.exp_().mul_(level), mixed[:, 2].clamp_(0, 1)
    return ManySurfaces(mixed[:, :2], inverse[:, 0], sky, facing[:, :4], facing[:, 4], level, leafy, even)


def normals_inwards(distance: Tensor, rays: Tensor, base: int) -> Tensor:
    """Unit normals (N, 3, h, w) of range pictures, away from the camera: ``facing.normals``, with another sign.

    Args:
        distance: (N, 1, h, w) metres. rays: (N, 4, h, w), unit ones, and 1.
        base: cells between the places that make a normal; less than half of a row and of a column.
    """
    place = F.pad(medians(distance, 5) * rays, (base,) * 4, value=torch.inf)
    across = _changes(place[..., base:-base, :], base)
    down = _changes(place[..., base:-base].transpose(-1, -2), base).transpose(-1, -2)
    normal = torch.linalg.cross(across, down, dim=1)
    towards = (normal * rays[:, :3]).sum(1, keepdim=True)
    length = torch.linalg.vector_norm(normal, dim=1, keepdim=True).clamp_(min=1e-9)
    normal = blurred(normal / torch.copysign(length, towards), 5)
    return normal / torch.linalg.vector_norm(normal, dim=1, keepdim=True).clamp_(min=1e-9)


def _changes(place: Tensor, base: int) -> Tensor:
    """Changes (N, 3, h, w) of places along rows: to that ahead, or since that behind where its distance is nearer.

    Args:
        place: (N, 4, h, w + 2 base), the last of them the distance, infinite before and behind the row. base: cells.
    """
    change = place[..., base:] - place[..., :-base]
    change[:, 3].abs_()
    ahead, behind = change[..., base:], change[..., :-base]
    return torch.where(ahead[:, 3:] <= behind[:, 3:], ahead[:, :3], behind[:, :3])


__all__ = ["ManySurfaces", "log_light", "normals_inwards", "numbers_of_surfaces", "surfaces_of"]
