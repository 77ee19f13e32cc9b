"""How strongly each part of a picture is lit: shade told from dark paint by colour, by facing and by what is around.

A shadow is lit by the sky alone, so that what lies in it is bluer as well as darker; most paint is not. Three kinds of
evidence meet on a coarse grid, whose cells hold medians (lane marks, joints and windows are smaller):

* every cell's own brightness and colour, against those of the ground in the sun. Ground is nearly grey, so that its
  colour tells; walls have any colour, so that it tells little;
* where walls face: those that face the sun are brighter on the whole (Lalonde, Efros and Narasimhan 2012). One
  direction is fitted to all pictures that were taken at once;
* steps from cell to cell that look like the edge of a shadow, integrated over each surface (Finlayson, Hordley and
  Drew 2002). Where one thing stands before another a step says nothing.

All of it is a probability: where the evidence is weak, half of a shadow is taken away.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np
import torch

from fusion_aug.ops.color import to_linear
from fusion_aug.ops.facing import normals
from fusion_aug.ops.layers import distance_in_cells, grid_of, to_cells
from fusion_aug.ops.potential import integrated

Array = np.ndarray
COLUMNS = 350  # of the grid, about
MEDIAN = 3  # cells
BASE = 0.02  # of the picture's width, between the places whose difference makes a normal
SHADE = -1.1  # log of light in the shade against that in the sun: a third is left
BLUER, PALER = 0.27, 0.05  # log of red over blue that a shadow's edge and one of paint lose, against their mean light
SCATTER = (0.03, 0.08)  # of that loss: at least, and as a share of the step
PRIOR = 5.0  # how much likelier than paint a large step of light on one surface is to be a shadow's edge
FAINT = 0.08  # step of log light below which it is rather a texture
STEP = 0.12  # of the logarithm of distance between cells, from which on they belong to two surfaces
APART = 0.02  # weight of what is known of the light across such steps
# of what lies in the sun, against ground there: log light and its deviation, log of red over blue and its deviation
GROUND, WALLS = (0.3, 0.7, 0.03, 0.11), (0.45, 0.7, 0.35, 0.5)
LEAVES = -1.2  # log light of leaves against that of walls
ODD = 0.05  # density of things like neither, which say nothing
SHADED_GROUND = 0.35  # share of it, before anything is known
LEAN = 0.1  # weight of a cell's own evidence against that of a step
UPRIGHT, LEVEL = 0.5, 0.9  # upward components of normals: below the one a wall, above the other ground
GREY = 0.12  # log of green over the mean of red and blue by which ground is not grey any more
GREEN = (0.04, 0.12)  # the same, of what has no leaves and what has nothing else
REFERENCE = (0.6, -0.12, 0.08)  # quantile and bounds of log red over blue of ground, that is taken for that in the sun
PLAUSIBLE = (-2.6, -0.6, -2.1)  # log light of ground in the sun: bounds, and what it is where none shows
BRIGHT, REACH, RIDGE = 1.2, 80.0, 0.05  # bound of log light and metres up to which walls count; weight of no direction
TRUST = 7.0  # log odds for each unit of log light that facing alone speaks for
LEAST = 20  # cells of ground that tell how bright it is in the sun
DARK = 0.004  # light of the darkest level that is still told from black
LOG_LIGHT = np.log(np.maximum(to_linear(torch.arange(256, dtype=torch.float64) / 255).numpy(), DARK)).astype(np.float32)


def surface_grid(size: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of the cells that surfaces are told in."""
    return grid_of(size, max(1, round(size[1] / COLUMNS)))


class Surfaces(NamedTuple):
    """What a picture shows, in cells (h, w), float32.

    Attributes:
        light: mean log light of the channels. warm: log of red over blue. green: log of green over the mean of both.
        distance: metres. sky: whether a cell shows it (bool).
        normal: (h, w, 3) unit, towards the camera. rise: upward component of it.
    """

    light: Array
    warm: Array
    green: Array
    distance: Array
    sky: Array
    normal: Array
    rise: Array

    @staticmethod
    def of(levels: Array, distance: Array, rays: Array, up: Array, sky_from: float) -> Surfaces:
        """Those of a picture.

        Args:
            levels: (H, W, 3) uint8. distance: (H, W) metres. rays: (h, w, 3) unit, of pixels or of the cells.
            up: (3,) unit, in their axes. sky_from: what is as far is the sky, metres.
        """
        grid = surface_grid((levels.shape[0], levels.shape[1]))
        red, green, blue = cv2.split(cv2.LUT(cv2.medianBlur(to_cells(levels, grid), MEDIAN), LOG_LIGHT))
        far, ways = distance_in_cells(distance, grid), to_cells(rays, grid)
        facing = normals(far, ways, max(1, round(BASE * grid[1])))
        rise = facing @ up.astype(np.float32)
        light, between = (red + green + blue) / 3, green - (red + blue) / 2
        return Surfaces(light, red - blue, between, far, far >= sky_from, facing, rise)

    @property
    def level(self) -> Array:
        """How much (h, w) each cell shows level ground rather than what stands; 0 in the sky."""
        return np.where(self.sky, 0, np.clip((self.rise - UPRIGHT) / (LEVEL - UPRIGHT), 0, 1)).astype(np.float32)

    @property
    def leafy(self) -> Array:
        """How much (h, w) each cell shows leaves."""
        return np.clip((self.green - GREEN[0]) / (GREEN[1] - GREEN[0]), 0, 1)

    @property
    def grey(self) -> Array:
        """How much (h, w) each cell's colour lies between blue and yellow, as that of ground does."""
        return np.exp(-((self.green / np.float32(GREY)) ** 2))


class Sunlight(NamedTuple):
    """The light of the sun in all pictures that were taken at once.

    Attributes:
        light, warm: log light, and log of red over blue, of ground that lies in the sun.
        side: level vector (3,) whose scalar product with normals explains best how bright walls are (log light). It
            points to the side of the sun, and is the shorter the less clear that side is.
    """

    light: float
    warm: float
    side: Array

    @staticmethod
    def of(pictures: list[Surfaces], up: Array) -> Sunlight:
        """That of pictures whose normals have the same axes, in which ``up`` (3,) points upwards."""
        light, warm = _ground_in_the_sun(pictures)
        square, product = np.diag([RIDGE, RIDGE, RIDGE, 0.0]), np.zeros(4)
        count = max(1, sum(p.sky.size for p in pictures))
        for p in pictures:
            wall = ~p.sky & (p.distance < REACH) & (np.abs(p.rise) < UPRIGHT) & (p.leafy < 1)
            bright = np.clip(p.light[wall] - light, -BRIGHT, BRIGHT) + p.warm[wall] - warm
            rows = np.column_stack([p.normal[wall] - p.rise[wall, None] * up, np.ones(len(bright))])
            square += rows.T @ rows * (4 / count)
            product += bright @ rows * (4 / count)
        return Sunlight(light, warm, np.linalg.lstsq(square, product, rcond=1e-9)[0][:3])


def _ground_in_the_sun(pictures: list[Surfaces]) -> tuple[float, float]:
    """Log light, and log of red over blue, of ground in the sun."""
    ground = [(p.level * p.grey) > 0.5 for p in pictures]
    light, hue = (np.concatenate([x[g] for x, g in zip(kind, ground, strict=True)])
                  for kind in ([p.light for p in pictures], [p.warm for p in pictures]))  # fmt: skip
    if len(light) < LEAST:
        return PLAUSIBLE[2], 0.0
    warm = float(np.clip(np.quantile(hue, REFERENCE[0]), *REFERENCE[1:]))
    shade = np.clip((hue - warm + GROUND[3]) / BLUER, SHADE, 0)
    return float(np.clip(np.median(light - shade), *PLAUSIBLE[:2])), warm


def log_shade(seen: Surfaces, sun: Sunlight) -> Array:
    """Log of the share of light that is left of that in the sun (h, w), about 0 to ``SHADE``, float32; 0 in the sky."""
    if min(seen.light.shape) < 2:  # nothing to compare with
        return np.zeros(seen.light.shape, np.float32)
    bright, hue, level = seen.light - np.float32(sun.light), seen.warm - np.float32(sun.warm), seen.level
    odds = _odds_of_sun(bright, hue, GROUND) + math.log((1 - SHADED_GROUND) / SHADED_GROUND)
    facing = seen.normal @ sun.side.astype(np.float32)
    odds = level * odds + (1 - level) * (_odds_of_sun(bright - LEAVES * seen.leafy, hue, WALLS) + TRUST * facing)
    expected = np.where(seen.sky, 0, SHADE / (1 + np.exp(odds))).astype(np.float32)
    telling = np.where(seen.sky, 0.01, 1 - level * (1 - seen.grey)).astype(np.float32)
    steps = [_shadow_steps(seen, axis) for axis in (1, 0)]
    lit = np.clip(integrated(steps, expected, LEAN * telling), 1.3 * SHADE, -0.2 * SHADE)
    return np.where(seen.sky, 0, lit).astype(np.float32)


def _odds_of_sun(bright: Array, warm: Array, kind: tuple[float, float, float, float]) -> Array:
    """Log odds that things of a kind lie in the sun, by two normal densities; 0 for what is like neither."""

    def density(shade: float) -> Array:
        off = (bright - kind[0] - shade) / kind[1], (warm - kind[2] - BLUER * shade) / kind[3]
        return np.exp(-0.5 * (off[0] ** 2 + off[1] ** 2)) + ODD

    return np.log(density(0.0) / density(SHADE))


def _shadow_steps(seen: Surfaces, axis: int) -> tuple[Array, Array]:
    """Steps of log light along an axis, each by the probability that it is a shadow's edge, and their weights."""
    step, colour = np.diff(seen.light, axis=axis), np.diff(seen.warm, axis=axis)
    scatter = SCATTER[0] + SCATTER[1] * np.abs(step)
    shadow = PRIOR * np.exp(-0.5 * ((colour - BLUER * step) / scatter) ** 2)
    paint = np.exp(-0.5 * ((colour - PALER * step) / scatter) ** 2) + 1e-3
    a, b = (np.s_[1:], np.s_[:-1]) if axis == 0 else (np.s_[:, 1:], np.s_[:, :-1])
    far = np.log(np.maximum(seen.distance, np.float32(0.1)))
    one = (np.abs(np.diff(far, axis=axis)) < STEP) & ~(seen.sky[a] | seen.sky[b])
    likely = step * shadow / (shadow + paint) * step**2 / (step**2 + FAINT**2)
    return likely, np.where(one, np.float32(1.0), np.float32(APART))
