"""What surfaces look like: albedo at points in a body's own frame, and what a LiDAR gets back from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from fusion_aug.synth.mesh import Array
from fusion_aug.synth.road import Road

GLASS = np.array([34.0, 42.0, 50.0])
HALF_ROAD, LANE, KERB, PAVEMENT = 5.8, 3.4, 0.25, 9.4  # metres from the middle of the road
ZEBRA = (24.0, 27.5)  # the crossing, metres along the road


class Paint(NamedTuple):
    """Paint at n points: colour (n, 3) in sRGB levels, and the share (n,) of mirror-like reflection of the sky."""

    colour: Array
    gloss: Array


def value_noise(x: Array, y: Array) -> Array:
    """Smooth pseudo-random values in [0, 1] at plane coordinates."""

    def lattice(h: Array) -> Array:
        h = h & 0x7FFFFFFF
        return (((h ^ (h >> 13)) * 1274126177) & 1023) / 1023.0

    i, j = np.floor(x), np.floor(y)
    u, v = x - i, y - j
    u, v = u * u * (3 - 2 * u), v * v * (3 - 2 * v)
    right, up = 374761393, 668265263  # what a step to the next column and row adds to the key of a node
    node = i.astype(np.int64) * right + j.astype(np.int64) * up
    top = lattice(node) * (1 - u) + lattice(node + right) * u
    bottom = lattice(node + up) * (1 - u) + lattice(node + (right + up)) * u
    return top * (1 - v) + bottom * v


def clouds(x: Array, y: Array, octaves: int = 4) -> Array:
    """Sum of value noise over octaves, about [0, 1]."""
    parts = [value_noise(x * 2**k + 17 * k, y * 2**k - 9 * k) * 0.5 ** (k + 1) for k in range(octaves)]
    return np.sum(parts, axis=0)


def ground_kinds(xy: Array, road: Road) -> Array:
    """Class (n,) of the ground at world (x, y): 1 road, 2 kerb and pavement, 3 grass."""
    off = np.abs(road.locate(xy)[1])
    return np.where(off < HALF_ROAD, 1, np.where(off >= PAVEMENT, 3, 2))


def ground(xy: Array, road: Road) -> Paint:
    """Asphalt with markings, kerbs, pavement and grass at world (x, y)."""
    s, d = road.locate(xy)
    x, y = xy.T
    off = np.abs(d)
    grain, patch = value_noise(x * 9, y * 9), clouds(x * 0.35, y * 0.35)
    tone = 74 + 18 * grain + 26 * (patch - 0.5)
    on_road, on_kerb = off < HALF_ROAD, (off >= HALF_ROAD) & (off < HALF_ROAD + KERB)
    on_pavement = (off >= HALF_ROAD + KERB) & (off < PAVEMENT)
    colour = np.stack([tone, tone, tone + 3], 1)
    stripe = (s > ZEBRA[0]) & (s < ZEBRA[1]) & (off < HALF_ROAD - 0.2) & ((d + 0.5) % 1.0 < 0.5)
    halt = (s > ZEBRA[0] - 1.6) & (s < ZEBRA[0] - 1.2) & (d < -0.1) & (d > -LANE)
    away = (s < ZEBRA[0] - 1.6) | (s > ZEBRA[1] + 1.0)
    dash = (off < 0.07) & (s % 6.0 < 3.0) & away
    edge = (np.abs(off - LANE) < 0.06) & away & (s % 1.6 < 0.8)
    marked = on_road & (stripe | halt | dash | edge)
    colour[marked] = 150 + 90 * value_noise(x[marked] * 2.5, y[marked] * 2.5)[:, None]
    colour[on_pavement] = _slabs(x[on_pavement], y[on_pavement], s[on_pavement], d[on_pavement])
    colour[on_kerb] = np.where(s % 1.0 < 0.02, 110, 168 + 12 * grain)[on_kerb, None] * [1, 1, 0.98]
    lawn = off >= PAVEMENT
    shade = 0.75 + 0.3 * patch[lawn] + 0.25 * (value_noise(x[lawn] * 14, y[lawn] * 14) - 0.5)
    colour[lawn] = np.array([92, 118, 58]) * shade[:, None]
    return Paint(colour, np.zeros(len(xy)))


def _slabs(x: Array, y: Array, s: Array, d: Array) -> Array:
    """Colour (n, 3) of the pavement at world (x, y) and road coordinates (s, d)."""
    slab = 140 + 18 * value_noise(x * 4, y * 4) + 10 * value_noise(np.floor(s / 0.6), np.floor(d / 0.6))
    joint = (s % 0.6 < 0.025) | (np.abs(d) % 0.6 < 0.025)
    return np.where(joint, slab * 0.7, slab)[:, None] * [1.0, 0.98, 0.94]


def _window_wall(local: Array, normal: Array, colour: Array) -> Paint:
    side, up = np.abs(normal[:, 1]) > 0.5, np.abs(normal[:, 2]) > 0.5
    along, z = np.where(side, local[:, 0], local[:, 1]), local[:, 2]
    u, w = (along + 1.3) % 2.6, (z - 0.9) % 3.0
    frame = (u > 0.6) & (u < 2.0) & (w < 1.6) & (z > 0.9) & ~up
    glass = frame & (u > 0.68) & (u < 1.92) & (w > 0.08) & (w < 1.52) & (np.abs(u - 1.3) > 0.03)
    sill = (u > 0.5) & (u < 2.1) & (w > 2.9) & ~up
    bricks = 0.88 + 0.12 * value_noise(along * 4, z * 13) + 0.1 * (clouds(along * 0.6, z * 0.6) - 0.5)
    out = colour * bricks[:, None]
    out[z < 0.5] *= 0.72
    out[frame | sill] = (222, 220, 212)
    curtain = value_noise(np.floor((along + 1.3) / 2.6) * 7.3, np.floor((z - 0.9) / 3.0) * 3.7) > 0.6
    out[glass] = np.where(curtain[glass, None], [120, 112, 100], [52, 60, 70])
    return Paint(out, np.where(glass, 0.6, 0.0))


def _vehicle(length: float, belt: float, top: float, pillars: tuple[float, ...], front: float) -> Callable[..., Paint]:
    """Paint of a car: windows between belt line and roof, lamps, number plates, a dark sill."""

    def paint(local: Array, normal: Array, colour: Array) -> Paint:
        x, y, z = local.T
        out, gloss = colour.copy(), np.full(len(x), 0.35)
        flank = np.abs(normal[:, 1]) > 0.6
        window = (z > belt) & (z < top) & (np.abs(normal[:, 2]) < 0.9)
        post = flank & np.any([np.abs(x - p) < 0.05 for p in pillars], axis=0)
        rim = flank & ((x > front - 0.9 * (z - belt)) | (x < -0.44 * length + 0.75 * (z - belt)))
        roof = (normal[:, 2] > 0.9) | (z > top)
        glass = window & ~post & ~rim & ~roof
        out[glass], gloss[glass] = GLASS, 1.0
        out[z < 0.4] = (34, 34, 36)
        seam = flank & (z > 0.42) & (z < belt) & np.any([np.abs(x - p) < 0.012 for p in (0.95, *pillars)], axis=0)
        out[seam] *= 0.4
        ahead, behind = normal[:, 0] > 0.6, normal[:, 0] < -0.6
        lamp = (np.abs(np.abs(y) - 0.62) < 0.2) & (z > 0.56) & (z < 0.8)
        out[lamp & (x > 0.45 * length)] = (244, 242, 230)
        out[lamp & behind & (x < -0.45 * length)] = (176, 22, 20)
        plate = (np.abs(y) < 0.26) & (z > 0.44) & (z < 0.56) & (ahead | behind)
        out[plate] = (236, 236, 226)
        grille = (np.abs(y) < 0.42) & (z > 0.56) & (z < 0.72) & ahead & (x > 0.45 * length)
        out[grille] = (28, 28, 30)
        arch = flank & np.any(
            [(x - a) ** 2 + (z - 0.33) ** 2 < 0.4**2 for a in (0.305 * length, -0.3 * length)], axis=0
        )
        out[arch], gloss[arch | (z < 0.4)] = (18, 18, 20), 0.0
        return Paint(out, gloss)

    return paint


def _tyre(local: Array, normal: Array, colour: Array) -> Paint:
    out = colour.copy()
    hub = np.abs(normal[:, 1]) > 0.9
    centre = np.round(local[:, 0] * 50) / 50  # wheels differ only by their position
    out[hub] = np.array([120, 124, 128]) * (0.7 + 0.3 * value_noise(centre[hub] * 30, local[hub, 2] * 30))[:, None]
    edge = hub & ((local[:, 2] < 0.14) | (local[:, 2] > 0.52))
    out[edge] = (24, 24, 26)
    return Paint(out, np.zeros(len(out)))


def _rough(scale: float, depth: float, stretch: float = 1.0) -> Callable[..., Paint]:
    def paint(local: Array, normal: Array, colour: Array) -> Paint:
        x, y, z = local.T * scale
        n = 0.5 * value_noise(x + 0.7 * y, z * stretch) + 0.5 * value_noise(
            1.9 * x - 1.3 * y + 40, 2.3 * z * stretch + 11
        )
        return Paint(colour * (1 + depth * (n - 0.5))[:, None], np.zeros(len(local)))

    return paint


def _plain(gloss: float) -> Callable[..., Paint]:
    return lambda local, normal, colour: Paint(colour, np.full(len(local), gloss))


def _tiles(local: Array, normal: Array, colour: Array) -> Paint:
    row = (local[:, 2] * 5) % 1.0 < 0.18
    tone = 0.85 + 0.25 * value_noise(np.floor(local[:, 0] * 3), np.floor(local[:, 2] * 5))
    return Paint(colour * (tone * np.where(row, 0.7, 1.0))[:, None], np.zeros(len(local)))


def _cargo(local: Array, normal: Array, colour: Array) -> Paint:
    out = colour.copy()
    band = (np.abs(normal[:, 1]) > 0.5) & (local[:, 2] > 1.7) & (local[:, 2] < 2.3)
    out[band] = (30, 92, 160)
    out[(np.abs(local[:, 2] - 0.86) < 0.05)] = (190, 40, 34)
    return Paint(out, np.full(len(out), 0.1))


def _cab(local: Array, normal: Array, colour: Array) -> Paint:
    out, gloss = colour.copy(), np.full(len(local), 0.3)
    glass = (local[:, 2] > 1.35) & (local[:, 2] < 2.15) & (normal[:, 2] < 0.9) & (local[:, 0] > 2.0)
    out[glass], gloss[glass] = GLASS, 1.0
    return Paint(out, gloss)


def _sign(local: Array, normal: Array, colour: Array) -> Paint:
    out = colour.copy()
    r = np.hypot(local[:, 1], local[:, 2] - 2.2)
    out[r < 0.24] = (240, 240, 236)
    out[(r < 0.24) & (np.abs(local[:, 2] - 2.2) < 0.05) & (np.abs(local[:, 1]) < 0.13)] = (20, 20, 20)
    return Paint(out, np.zeros(len(out)))


# name -> paint, and reflectivity at 905 nm as a level of 255
PAINTS: dict[str, tuple[Callable[[Array, Array, Array], Paint], float]] = {
    "plain": (_plain(0.0), 55.0),
    "metal": (_plain(0.25), 70.0),
    "cloth": (_rough(14.0, 0.35), 60.0),
    "leaf": (_rough(5.0, 1.1), 45.0),
    "bark": (_rough(16.0, 0.5, 0.3), 35.0),
    "facade": (_window_wall, 75.0),
    "door": (_rough(3.0, 0.2), 40.0),
    "tiles": (_tiles, 40.0),
    "car": (_vehicle(4.4, 0.99, 1.36, (-0.25, -1.2), 0.92), 50.0),
    "van": (_vehicle(5.0, 1.2, 1.8, (0.35,), 1.55), 55.0),
    "cab": (_cab, 50.0),
    "cargo": (_cargo, 90.0),
    "tyre": (_tyre, 12.0),
    "sign": (_sign, 240.0),
}
GROUND_LEVEL = {1: 16.0, 2: 34.0, 3: 42.0}  # asphalt, pavement, grass
