"""Camera-based touch: a soft gel, three coloured lights beside it, and what the camera behind sees.

A height map is the indentation of the gel towards the camera, in pixels of its own grid. Per channel the difference
to the picture without contact is ``(L + x Lx + y Ly) . n + k``: near lights whose strength and direction change to
first order over the gel, ten parameters per channel. x and y run from -1 to 1 over the picture, n is the surface normal
(Yuan et al., GelSight, Sensors 2017, for the principle).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from calib import GelModel
from fusion_aug.errors import DataError

NOISE_ROWS = 24  # at a time: large arrays cost more to get from the system than to fill
ANCHORS = 20  # points along each side of the picture at which the fit makes a flat gel look as the background does
_NEIGHBOURS = np.array([[0.05, 0.2, 0.05], [0.2, 0.0, 0.2], [0.05, 0.2, 0.05]], np.float32)
LEVELS, SWEEPS = (8, 4, 2, 1), (40, 16, 10, 8)  # coarse to fine, and relaxations on each


def relaxed(press: np.ndarray, length: float) -> np.ndarray:
    """The gel's surface over an indenter: a membrane that lies on it and comes back to rest beside it.

    ``lap(u) = u / length^2`` where it does not touch, ``u >= press`` everywhere (an obstacle problem), by a fixed
    number of projected relaxations from coarse to fine grids. They stop short of the law: 1, 2 and 3 lengths beside a
    step the surface is 0.24, 0.06 and 0.01 of it (0.03 mm per pixel, 0.83 mm), where ``exp(-x / length)`` gives 0.37,
    0.14 and 0.05. So a length is one of this solver, as the default of ``fit_gel`` is.

    Args:
        press: (H, W) how far the rigid indenter reaches below the resting gel, pixels; negative where it does not.
        length: pixels.

    Returns:
        (H, W) float32 indentation, pixels.
    """
    press = press.astype(np.float32)
    height, width = press.shape
    surface: np.ndarray | None = None
    for scale, sweeps in zip(LEVELS, SWEEPS, strict=True):
        if scale > 1 and min(height, width) < 4 * scale:
            continue
        size = (width // scale, height // scale)
        floor = press if scale == 1 else cv2.resize(press, size, interpolation=cv2.INTER_AREA)
        if surface is None:
            surface = np.maximum(floor, 0)
        else:
            surface = cv2.resize(surface, (floor.shape[1], floor.shape[0]), interpolation=cv2.INTER_LINEAR)
        kernel = _NEIGHBOURS / np.float32(1 + 0.3 * scale * scale / length**2)
        floor, spread = np.ascontiguousarray(floor), np.empty_like(floor)
        for _ in range(sweeps):
            cv2.filter2D(surface, -1, kernel, dst=spread, borderType=cv2.BORDER_REPLICATE)
            cv2.max(spread, floor, dst=surface)
    assert surface is not None
    return surface


def slopes(height_map: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """dh/dx and dh/dy (H, W) of a height map in pixels, by central differences."""
    options: dict[str, Any] = {"ksize": 1, "scale": 0.5, "borderType": cv2.BORDER_REPLICATE}
    p: np.ndarray = cv2.Sobel(height_map, cv2.CV_32F, 1, 0, **options)
    q: np.ndarray = cv2.Sobel(height_map, cv2.CV_32F, 0, 1, **options)
    return p, q


def normals(height_map: np.ndarray) -> np.ndarray:
    """Unit normals (H, W, 3) of a height map in pixels: x right, y down, z out of the gel towards the camera."""
    p, q = slopes(height_map.astype(np.float32))
    n = np.stack([-p, -q, np.ones_like(p)], -1)
    return n / np.linalg.norm(n, axis=-1, keepdims=True)


@lru_cache(maxsize=8)
def pixel_coordinates(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """x and y (H, W) of the pixels, from -1 to 1 over the picture; kept, and read-only."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    out = (x - (width - 1) / 2) / (width / 2), (y - (height - 1) / 2) / (height / 2)
    for array in out:
        array.flags.writeable = False
    return out


def features(n: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The ten features (..., 10) of normals (..., 3) at pixel coordinates (...)."""
    x, y = x[..., None], y[..., None]
    return np.concatenate([n, x * n, y * n, np.ones_like(x)], -1)


def render_tactile(
    height_map: Tensor,
    model: GelModel,
    background: Tensor,
    mm_per_pixel: float,
    *,
    relax: bool = True,
    gain: tuple[float, float, float] = (1.0, 1.0, 1.0),
    noise: np.random.Generator | None = None,
    levels: bool = True,
) -> Tensor:
    """The picture of a pressed gel.

    Args:
        height_map: (H, W) mm, what presses (``relax``), or the gel's surface itself.
        model: the gel.
        background: (H, W, 3) uint8, the picture without contact.
        mm_per_pixel: of the height map and the picture.
        relax: let the gel come back to rest beside the contact.
        gain: strength of the lights per channel, 1 as they are; it acts on the difference to the background.
        noise: random stream of the picture's noise; none without it.
        levels: round to levels of uint8; else float32, where it may leave their range.

    Returns:
        (H, W, 3); the background exactly where nothing presses and no noise is asked for.

    Raises:
        DataError: sizes differ, the scale is not positive, or heights are not numbers.
    """
    if tuple(background.shape) != (*height_map.shape, 3):
        raise DataError(
            f"render_tactile: background: {tuple(background.shape)} does not fit a height map {tuple(height_map.shape)}"
        )
    if not mm_per_pixel > 0:
        raise DataError(f"render_tactile: mm_per_pixel: expected more than 0, got {mm_per_pixel!r}")
    pixels = height_map.numpy().astype(np.float32)
    pixels /= np.float32(mm_per_pixel)
    if not np.isfinite(pixels).all():
        raise DataError("render_tactile: height_map: holds NaN or infinity")
    surface = relaxed(pixels, model.relaxation / mm_per_pixel) if relax else pixels
    height, width = surface.shape
    x, y = pixel_coordinates(height, width)
    w = model.lights.numpy().astype(np.float32)
    p, q = slopes(surface)
    nz = 1 / np.sqrt(1 + p * p + q * q)
    n = (-p * nz, -q * nz, nz - 1)  # a flat gel looks as the background does
    out = np.empty((height, width, 3), np.float32)
    level, light, part = (np.empty_like(p) for _ in range(3))
    for c in range(3):
        level[:] = 0
        for axis in range(3):  # level += (w + x wx + y wy) n, in memory that stays
            np.multiply(x, w[3 + axis, c], out=light)
            light += w[axis, c]
            light += np.multiply(y, w[6 + axis, c], out=part)
            light *= n[axis]
            level += light
        level *= np.float32(gain[c])
        out[..., c] = level
    out += background.numpy()
    if noise is not None:
        for rows in np.array_split(out, max(1, height // NOISE_ROWS)):
            drawn = noise.standard_normal(rows.shape, dtype=np.float32)  # the same numbers as all at once
            drawn *= np.float32(model.noise)
            rows += drawn
    if not levels:
        return torch.from_numpy(out)
    out += np.float32(0.5)
    return torch.from_numpy(np.clip(out, 0, 255, out=out).astype(np.uint8))


@dataclass(frozen=True, eq=False)
class Press:
    """A ball pressed into the gel, for the fit of a model.

    Attributes:
        picture: (H, W, 3) uint8. center: (x, y) of the contact, pixels. radius: of the contact, pixels.
        ball: radius of the ball, pixels.
    """

    picture: Tensor
    center: tuple[float, float]
    radius: float
    ball: float

    def features_and_differences(self, background: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Features (k, 10) and differences (k, 3) of the pixels within the contact."""
        height, width = self.picture.shape[:2]
        y, x = np.mgrid[:height, :width]
        dx, dy = x - self.center[0], y - self.center[1]
        inside = dx * dx + dy * dy < min(self.radius, 0.999 * self.ball) ** 2
        nx, ny = dx[inside] / self.ball, dy[inside] / self.ball
        n = np.stack([nx, ny, np.sqrt(1 - nx * nx - ny * ny)], -1)
        u, v = pixel_coordinates(height, width)
        difference = self.picture.numpy().astype(np.float64) - background.numpy()
        return features(n, u[inside], v[inside]).astype(np.float64), difference[inside]


def fit_gel(presses: list[Press], background: Tensor, *, anchor: float = 1.0, relaxation: float = 0.83) -> GelModel:
    """The lights of a gel from balls pressed into it, by least squares.

    Args:
        presses: pictures with the place and size of the contact.
        background: (H, W, 3) uint8, the picture without contact.
        anchor: weight of the demand that a flat gel looks as the background does, against all pixels. 0 leaves it out
            and fits the contacts closest, but ``render_tactile``, under which a flat gel is the background, then
            renders them worse (see ``r_squared``).
        relaxation: of the gel, mm.

    Raises:
        DataError: there is no press.
    """
    if not presses:
        raise DataError("fit_gel: presses: there is none")
    rows = [p.features_and_differences(background) for p in presses]
    A, D = np.concatenate([r[0] for r in rows]), np.concatenate([r[1] for r in rows])
    side = np.linspace(-1, 1, ANCHORS)
    gx, gy = (v.ravel() for v in np.meshgrid(side, side))
    flat = features(np.tile([0.0, 0.0, 1.0], (len(gx), 1)), gx, gy) * np.sqrt(anchor * len(A) / len(gx))
    lights = np.linalg.lstsq(np.concatenate([A, flat]), np.concatenate([D, np.zeros((len(gx), 3))]), rcond=None)[0]
    return GelModel(torch.from_numpy(lights), relaxation)


def r_squared(model: GelModel, presses: list[Press], background: Tensor, *, as_rendered: bool = False) -> np.ndarray:
    """R^2 (3,) per channel of a model over the pixels within the contacts of presses.

    Args:
        model: the gel. presses: pictures with the place and size of the contact.
        background: (H, W, 3) uint8, the picture without contact.
        as_rendered: of what ``render_tactile`` draws, where the lights' share of a flat gel is taken off.
    """
    rows = [p.features_and_differences(background) for p in presses]
    A, D = np.concatenate([r[0] for r in rows]), np.concatenate([r[1] for r in rows])
    if as_rendered:
        x, y = A[:, 5] / A[:, 2], A[:, 8] / A[:, 2]  # places, from x nz and nz
        A = A - features(np.broadcast_to([0.0, 0.0, 1.0], (len(A), 3)), x, y)
    left = D - A @ model.lights.numpy()
    return 1 - (left**2).sum(0) / ((D - D.mean(0)) ** 2).sum(0)


def height_from_slopes(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Height map (H, W) in pixels with the slopes dh/dx, dh/dy nearest to the given ones (Poisson, free edges).

    The median of its border is zero.
    """
    from scipy.fft import dctn, idctn  # slow to import

    height, width = p.shape
    px, qy = (p[:, 1:] + p[:, :-1]) / 2, (q[1:] + q[:-1]) / 2
    divergence = np.zeros_like(p)
    divergence[:, :-1] += px
    divergence[:, 1:] -= px
    divergence[:-1] += qy
    divergence[1:] -= qy
    spectrum = dctn(divergence, norm="ortho")
    ky = 2 - 2 * np.cos(np.pi * np.arange(height) / height)
    kx = 2 - 2 * np.cos(np.pi * np.arange(width) / width)
    scale = (ky[:, None] + kx[None]).astype(p.dtype)
    scale[0, 0] = 1
    spectrum = -spectrum / scale
    spectrum[0, 0] = 0
    out = idctn(spectrum, norm="ortho")
    border = np.concatenate([out[0], out[-1], out[:, 0], out[:, -1]])
    return out - np.median(border)
