"""How strongly each part of a picture is lit: shadows told from paint by their colour.

A shadow is lit by the sky alone, so that its edge is bluer on its dark side; most edges of paint are not. Steps of log
light that look so are integrated to a map of log illumination (Poisson's equation, as Finlayson, Hordley and Drew 2002
remove shadows), on a coarse grid whose cells hold medians: lane marks, joints and windows are smaller than those. Where
one thing stands before another a step says nothing, and there and on walls the map leans on what is darker than the
rest. The picture's own edges bring the map back to its size (the fast guided filter of He and Sun 2015).
"""

from __future__ import annotations

import cv2
import numpy as np
import torch

from fusion_aug.ops.color import to_linear

Array = np.ndarray
COLUMNS = 200  # of the coarse grid, at least
MEDIAN = 3  # cells
BLUER, PALER = 0.27, 0.05  # log of red over blue that a shadow's edge and one of paint lose, against their mean light
SCATTER = (0.03, 0.08)  # of that loss: at least, and as a share of the step
PRIOR = 5.0  # how much likelier than paint a large step of light on one surface is to be a shadow's edge
FAINT = 0.08  # step of log light below which it is rather a texture
STEP = 0.12  # of the logarithm of distance between cells, from which on they belong to two surfaces
APART = 0.02  # weight of what is known of the light across such steps
FLAT = (0.3, 0.7)  # sine of the slope up to which a surface lies level, and from which it stands
LEAN = (0.0003, 0.3)  # weight, on level and on steep surfaces, of the light that their own brightness speaks for
SHARE = (0.1, 0.5)  # of the contrast of brightness that is taken to be light's, there
LIT_GROUND = 0.7  # quantile of the log light of level surfaces that is the sun's
MIDDLE_WALL = -2.0  # log light of walls on the whole
WALL_BOUNDS = (-0.6, 0.5)  # log of illumination that brightness alone may speak for
BOUNDS = (-1.5, 0.6)  # log of illumination; deeper shadows are not lit up further, for their noise
DARK = 0.004  # light of the darkest level that is still told from black
LOG_LIGHT = np.log(np.maximum(to_linear(torch.arange(256, dtype=torch.float64) / 255).numpy(), DARK)).astype(np.float32)
ROUNDS = 4  # of the solver


def log_illumination(levels: Array, distance: Array, sky_from: float, sine: Array) -> Array:
    """Log illumination, 0 where lit as exposed, float32, at half the size or a smaller one.

    Args:
        levels: (H, W, 3) uint8. distance: (H, W) metres. sky_from: what is as far is the sky.
        sine: of the elevation of the rays, a smooth map of any size over the same field.
    """
    guide = _halved(levels)
    while guide.shape[1] >= 4 * COLUMNS:
        guide = _halved(guide)
    coarse = _halved(guide) if guide.shape[1] >= 2 * COLUMNS else guide
    shape = coarse.shape[1::-1]
    if min(shape) < 2:  # nothing to compare with
        return np.zeros(guide.shape[:2], np.float32)
    coarse = cv2.medianBlur(coarse, MEDIAN)
    far = cv2.resize(distance, shape, interpolation=cv2.INTER_NEAREST)
    open_sky = far >= sky_from
    light, bluish = _opponents(coarse)
    level = _level(far, cv2.resize(sine.astype(np.float32), shape))
    expected, weight = _expected(light, level, ~open_sky)
    steps = [_shadow_steps(light, bluish, np.log(np.maximum(far, 0.1)), open_sky, axis) for axis in (1, 0)]
    lit = np.clip(_integrated(steps, expected, weight), *BOUNDS).astype(np.float32)
    lit[open_sky] = 0.0
    fine = cv2.LUT(cv2.cvtColor(guide, cv2.COLOR_RGB2GRAY), LOG_LIGHT)
    return _guided(lit, cv2.resize(fine, shape, interpolation=cv2.INTER_AREA), fine)


def _halved(picture: Array) -> Array:
    """A picture of half the size, rounded up."""
    size = (-(-picture.shape[1] // 2), -(-picture.shape[0] // 2))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def _level(far: Array, sine: Array) -> Array:
    """Share by which the surface of every cell lies level, from the rise of distances up the picture."""
    rise, way = np.diff(far * sine, axis=0), np.diff(far * np.sqrt(np.maximum(1 - sine * sine, 0)), axis=0)
    slope = np.abs(rise) / np.maximum(np.hypot(rise, way), 1e-3)
    level = np.clip((FLAT[1] - np.vstack([slope, slope[-1:]])) / (FLAT[1] - FLAT[0]), 0, 1)
    return cv2.medianBlur(level.astype(np.float32), 5)


def _expected(light: Array, level: Array, solid: Array) -> tuple[Array, Array]:
    """Log illumination that the brightness of every cell speaks for, and the weight of that."""
    ground = (level >= 0.5) & solid
    middle = np.float32(np.quantile(light[ground], LIT_GROUND)) if ground.any() else 0.0
    flat, steep = SHARE[0] * (light - middle), np.clip(SHARE[1] * (light - MIDDLE_WALL), *WALL_BOUNDS)
    expected = np.where(ground, flat, np.where(solid, steep, 0.0)).astype(np.float32)
    return expected, np.where(solid & ~ground, LEAN[1], LEAN[0]).astype(np.float32)


def _opponents(coarse: Array) -> tuple[Array, Array]:
    """Mean log light of the channels, and log of red over blue; float32."""
    red, green, blue = cv2.split(cv2.LUT(coarse, LOG_LIGHT))
    return (red + green + blue) / 3, red - blue


def _shadow_steps(light: Array, bluish: Array, far: Array, sky: Array, axis: int) -> tuple[Array, Array]:
    """Steps of log light along an axis, each by the probability that it is a shadow's edge, and their weights."""
    step, colour = np.diff(light, axis=axis), np.diff(bluish, axis=axis)
    scatter = SCATTER[0] + SCATTER[1] * np.abs(step)
    shadow = PRIOR * np.exp(-0.5 * ((colour - BLUER * step) / scatter) ** 2)
    paint = np.exp(-0.5 * ((colour - PALER * step) / scatter) ** 2) + 1e-3
    a, b = (np.s_[1:], np.s_[:-1]) if axis == 0 else (np.s_[:, 1:], np.s_[:, :-1])
    one = (np.abs(np.diff(far, axis=axis)) < STEP) & ~(sky[a] | sky[b])
    return step * shadow / (shadow + paint) * step**2 / (step**2 + FAINT**2), np.where(
        one, np.float32(1.0), np.float32(APART)
    )


def _integrated(steps: list[tuple[Array, Array]], expected: Array, weight: Array) -> Array:
    """The map (h, w) nearest to given steps across and down and to expected values, by weighted least squares.

    Conjugate gradients, preconditioned by the same equations with mean weights, which a cosine transform solves.
    """
    from scipy.fft import dctn, idctn

    (across, a), (down, d) = steps

    def applied(x: Array) -> Array:
        out = weight * x
        flow = a * np.diff(x, axis=1)
        out[:, :-1] -= flow
        out[:, 1:] += flow
        flow = d * np.diff(x, axis=0)
        out[:-1] -= flow
        out[1:] += flow
        return out

    pull = weight * expected
    pull[:, :-1] -= a * across
    pull[:, 1:] += a * across
    pull[:-1] -= d * down
    pull[1:] += d * down
    v, u = (2 - 2 * np.cos(np.pi * np.arange(n, dtype=np.float32) / n) for n in weight.shape)
    scale = weight.mean() + a.mean() * u[None] + d.mean() * v[:, None]
    x, left, way, size = np.zeros_like(pull), pull, np.zeros_like(pull), 0.0
    for _ in range(ROUNDS):
        near = idctn(dctn(left) / scale)
        fresh = float((left * near).sum())
        way = near + np.float32(fresh / size if size else 0.0) * way
        size, bent = fresh, applied(way)
        along = np.float32(fresh / max(float((way * bent).sum()), 1e-12))
        x, left = x + along * way, left - along * bent
    return x


def _guided(coarse: Array, guide: Array, fine: Array, radius: int = 2, eps: float = 0.02) -> Array:
    """A coarse map at the size of a fine guide, as a linear function of it in every small window."""
    size = (2 * radius + 1, 2 * radius + 1)
    mean, level = cv2.blur(coarse, size), cv2.blur(guide, size)
    slope = (cv2.blur(coarse * guide, size) - mean * level) / (cv2.blur(guide * guide, size) - level * level + eps)
    slope = np.clip(slope, 0, 1)
    a, b = (cv2.resize(cv2.blur(x, size), fine.shape[::-1]) for x in (slope, mean - slope * level))
    return np.clip(a * fine + b, *BOUNDS)
