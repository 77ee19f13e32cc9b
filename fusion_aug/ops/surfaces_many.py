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
# rows: mean log light of the channels, log of red over blue, and of green over the mean of both
MIXTURES = np.array([[1 / 3, 1 / 3, 1 / 3], [1, 0, -1], [-0.5, 1, -0.5]], np.float32)
SHARED = "="  # names of numbers that are the same for all pictures begin with it
STEP = 8  # pixels between the nodes that rays are told at


class ManySurfaces(NamedTuple):
    """What pictures show, (N, h, w) float32 each; see ``illumination.Surfaces``.

    Attributes:
        light, warm, green: as there. distance: metres. sky: bool.
        facing: (N, 3, h, w), the level part of the normals. rise: their upward component.
        level, leafy: as there. even: ``level`` times ``grey``.
    """

    light: Tensor
    warm: Tensor
    green: Tensor
    distance: Tensor
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
    return {
        "nodes": nodes.transpose(2, 0, 1).astype(np.float32), "axes": -np.vstack([level, up]).astype(np.float32),
        **_tables(size, grid, nodes.shape[:2]),
    }  # fmt: skip


@lru_cache(maxsize=16)  # all pictures of a size share them
def _tables(size: Grid, grid: Grid, nodes: Grid) -> dict[str, Any]:
    hats = []
    for cells, pixels, count in zip(grid, size, nodes, strict=True):
        at = ((np.arange(cells) + 0.5) * (pixels / cells) - 0.5) / STEP + 1
        hats.append(np.maximum(1 - np.abs(at[:, None] - np.arange(count)), 0).astype(np.float32))
    return {
        f"{SHARED}rows": hats[0], f"{SHARED}columns": hats[1], f"{SHARED}log light": LOG_LIGHT,
        f"{SHARED}mixtures": MIXTURES,
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
    logs = log_light(medians(levels_in_cells(levels, grid), MEDIAN, torch.uint8), numbers)
    light, warm, green = torch.matmul(numbers[f"{SHARED}mixtures"], logs.flatten(2)).view(logs.shape).unbind(1)
    far = 1 / cells_of(inverse, grid)
    rays = torch.matmul(torch.matmul(numbers[f"{SHARED}rows"], numbers["nodes"]), numbers[f"{SHARED}columns"].T)
    inwards = normals_inwards(far, rays, max(1, round(BASE * grid[1])))
    facing = torch.matmul(numbers["axes"], inwards.flatten(2)).view(len(levels), 4, *grid)
    distance, rise = far[:, 0], facing[:, 3]
    sky = distance >= sky_from
    level = ((rise - UPRIGHT) / (LEVEL - UPRIGHT)).clamp_(0, 1).masked_fill_(sky, 0)
    leafy = ((green - GREEN[0]) / (GREEN[1] - GREEN[0])).clamp_(0, 1)
    even = level * torch.exp(-((green / GREY) ** 2))
    return ManySurfaces(light, warm, green, distance, sky, facing[:, :3], rise, level, leafy, even)


def normals_inwards(distance: Tensor, rays: Tensor, base: int) -> Tensor:
    """Unit normals (N, 3, h, w) of range pictures, away from the camera: ``facing.normals``, with another sign.

    Args:
        distance: (N, 1, h, w) metres. rays: (N, 3, h, w) unit. base: cells between the places that make a normal.
    """
    distance = medians(distance, 5)
    place = torch.cat([rays * distance, distance], 1)
    across, down = _changes(place, base), _changes(place.transpose(-1, -2), base).transpose(-1, -2)
    normal = torch.linalg.cross(across, down, dim=1)
    towards = (normal * rays).sum(1, keepdim=True)
    length = torch.linalg.vector_norm(normal, dim=1, keepdim=True).clamp_(min=1e-9)
    normal = blurred(normal / torch.copysign(length, towards), 5)
    return normal / torch.linalg.vector_norm(normal, dim=1, keepdim=True).clamp_(min=1e-9)


def _changes(place: Tensor, base: int) -> Tensor:
    """Changes (N, 3, h, w) of places along rows: to that ahead, or since that behind where its distance is nearer.

    Args:
        place: (N, 4, h, w), the last of them the distance. base: cells; less than half of a row.
    """
    change = place[..., base:] - place[..., :-base]
    change[:, 3].abs_()
    ahead, behind = F.pad(change, (0, base), value=torch.inf), F.pad(change, (base, 0), value=torch.inf)
    return torch.where(ahead[:, 3:] <= behind[:, 3:], ahead[:, :3], behind[:, :3])


__all__ = ["ManySurfaces", "log_light", "normals_inwards", "numbers_of_surfaces", "surfaces_of"]
