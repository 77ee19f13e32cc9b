"""The indentation of a gel from its picture, and the picture of a contact that has moved.

The slopes of every pixel follow from its three channels (photometric stereo with the ten-parameter lights of
``GelModel``), and the height map is the surface whose slopes come nearest.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from calib import GelModel
from fusion_aug.physics.gel import height_from_slopes, pixel_coordinates, render_tactile

STEEPEST = 3.0  # slopes beyond this are not seen as such
STEPS = 4  # of Gauss and Newton
FAINT = 1e-3  # of the strongest light: a direction that is lit less than this is left alone


def slopes_seen(picture: Tensor, model: GelModel, background: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """dh/dx and dh/dy (H, W) that explain a picture best, pixel by pixel.

    Args:
        picture: (H, W, 3) uint8. model: the gel. background: (H, W, 3) uint8 without contact.
    """
    height, width = picture.shape[:2]
    x, y = pixel_coordinates(height, width)
    w = model.lights.numpy().astype(np.float32)
    # light[c][axis] (H, W): strength of a channel's light along an axis of the normal
    light = [[w[a, c] + x * w[3 + a, c] + y * w[6 + a, c] for a in range(3)] for c in range(3)]
    wanted = [picture[..., c].numpy().astype(np.float32) - background[..., c].numpy() for c in range(3)]
    p, q = np.zeros((height, width), np.float32), np.zeros((height, width), np.float32)
    floor = np.float32(FAINT * float(np.abs(w[:3]).max()) ** 2 + 1e-12)
    for _ in range(STEPS):
        nz = 1 / np.sqrt(1 + p * p + q * q)
        cube, cross = nz * nz * nz, p * q * nz * nz * nz
        normal = (-p * nz, -q * nz, nz - 1)  # a flat gel looks as the background does
        by_p = (-(1 + q * q) * cube, cross, -p * cube)
        by_q = (cross, -(1 + p * p) * cube, -q * cube)
        a, b, d = np.full_like(p, floor), np.zeros_like(p), np.full_like(p, floor)
        e, f = np.zeros_like(p), np.zeros_like(p)
        for c in range(3):
            jp, jq, expected = (sum(v * s for v, s in zip(of, light[c], strict=True)) for of in (by_p, by_q, normal))
            left = wanted[c] - expected
            a, b, d = a + jp * jp, b + jp * jq, d + jq * jq
            e, f = e + jp * left, f + jq * left
        determinant = a * d - b * b
        p = np.clip(p + (d * e - b * f) / determinant, -STEEPEST, STEEPEST)
        q = np.clip(q + (a * f - b * e) / determinant, -STEEPEST, STEEPEST)
    return p, q


def height_seen(picture: Tensor, model: GelModel, background: Tensor, mm_per_pixel: float) -> Tensor:
    """Height map (H, W) float32, mm, of a picture; its border is about zero."""
    p, q = slopes_seen(picture, model, background)
    surface = height_from_slopes(p.astype(np.float64), q.astype(np.float64))
    return torch.from_numpy((surface * mm_per_pixel).astype(np.float32))


ArrayMap = Callable[[np.ndarray], np.ndarray]


def rerendered(
    picture: Tensor,
    surface: Tensor,
    move: ArrayMap,
    before: tuple[GelModel, Tensor, float],
    after: tuple[GelModel, Tensor, float],
) -> Tensor:
    """The picture when what is pressed into the gel has moved.

    What the model does not explain of the picture (noise, markers, shadows) moves with the press and is added again,
    so nothing changes where nothing moves.

    Args:
        picture: (H, W, 3) uint8.
        surface: (H, W) mm, the gel's surface in the picture.
        move: moves an array (H, W, ...) over the gel.
        before, after: gel, background (H, W, 3) uint8 and mm per pixel of the picture, and of the new one.
    """
    (old, old_ground, old_mm), (new, new_ground, new_mm) = before, after
    seen = render_tactile(surface, old, old_ground, old_mm, relax=False, levels=False).numpy()
    left = picture.numpy().astype(np.float32) - seen
    moved = torch.from_numpy(np.ascontiguousarray(move(surface.numpy())) * np.float32(new_mm / old_mm))
    out = render_tactile(moved, new, new_ground, new_mm, relax=False, levels=False).numpy() + move(left)
    return torch.from_numpy(np.clip(out + 0.5, 0, 255).astype(np.uint8))
