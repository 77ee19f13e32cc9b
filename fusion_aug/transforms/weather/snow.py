"""Snow that lies on what faces up: ground, hoods, roofs, and caps on what is too far to know its shape."""

from __future__ import annotations

import cv2
import numpy as np

from fusion_aug.ops.color import level_of
from fusion_aug.ops.facing import WIDE, below_steps, odd, run_lengths
from fusion_aug.ops.layers import overlay, to_canvas, to_cells
from fusion_aug.ops.random import digest
from fusion_aug.physics.ground import GROUND_ALBEDO
from fusion_aug.physics.patches import Patches, covered
from fusion_aug.transforms.weather.light import SKY_FROM
from fusion_aug.transforms.weather.state import SNOW_RIM, WeatherState
from fusion_aug.transforms.weather.surfaces import SurfaceCells, greenness, wheel_tracks
from fusion_aug.transforms.weather.view import WeatherView

Array = np.ndarray
SOFT, USUAL = 0.0048, 0.05  # radians around a place, of its mean light, and of what departures from that are usual
NEAR = 0.01  # radians, standard deviation of what ground counts as around a place that shows none
TINT = np.array([0.93, 0.97, 1.0], np.float32)
ALBEDO = 0.85
BRIGHTEST = 0.8  # light of snow, share of full scale, that cameras expose down to
KNOWN, SURROUNDINGS = 0.5, 0.03  # mean confidence within so many radians from which on distances tell a shape
THINNEST = 0.0057  # radians, of a surface that snow lies on
CAP = 0.06  # metres of snow on upper rims
LOW, KERB, LONG = 0.4, 0.1, 1.0  # metres high, radians in the picture, and metres long: what kerbs are that snow hides
TALL = 0.6  # metres above the ground, from which on a thing is no kerb
TRACKS, GREEN = -1.4, 6.0  # scores of wheel tracks, and of grass by its greenness
TEXTURE, ROUGH = 0.15, 0.3  # scores by which hollows of the ground, seen and assumed ones, fill first
SHADED = 0.55  # light of the ground against its median below which it lies in the shadow, and is not dark itself
DARKEST = 0.25  # light of snow in a shadow of the sun against that of snow in the sun
RELIEF = 0.06  # by which a standard deviation of the slope shades snow
OVERCAST_LEVELS = 0.7  # share of the logarithm of a shadow on snow that the loss of all direct sunlight takes out


def lay_snow(picture: Array, view: WeatherView, state: WeatherState) -> tuple[Array, Array]:
    """Snow in patches that stay in their place of the world, lit as the picture's ground is.

    Returns:
        the picture, and the share (H, W) of every pixel that snow covers, float32.
    """
    if view.plane is None:
        return picture, np.zeros(view.size, np.float32)
    cells = SurfaceCells.of(view)
    room = room_for_snow(view, cells)
    small = to_cells(picture, room.shape)
    small = small.astype(np.float32) / 255 if picture.dtype == np.uint8 else small
    red, green, blue = cv2.split(small)
    grey = (red + green + blue) / 3
    soft = _mean_around(grey, cells.ground, SOFT * cells.focal)
    way = cells.rays * cells.distance[..., None]  # from the camera, in the reference frame's axes
    score, slope = _patches_seen(view, state, way, cells.focal)
    score += TEXTURE * _hollows(grey, soft, odd(USUAL * cells.focal))
    score += GREEN * np.minimum(greenness(small), 0.1)
    score += TRACKS * wheel_tracks(view, way + view.T_ref[:3, 3].astype(np.float32))
    share = (covered(score, state.surface.snow_cover, SNOW_RIM) * room).astype(np.float32)
    light = _light_on_snow(soft, cells, state) * (1 + RELIEF * slope)
    snow = level_of(cv2.merge([light * tint for tint in TINT]), picture)
    return overlay(picture, snow, share), to_canvas(share, view.size)


def room_for_snow(view: WeatherView, cells: SurfaceCells) -> Array:
    """How much snow stays in each cell, (h, w) from 0 to 1: on level surfaces, and on rims of what is hardly known."""
    thin = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (odd(THINNEST * cells.focal),) * 2)
    broad = cv2.morphologyEx(cells.level, cv2.MORPH_OPEN, thin)  # slivers are errors of distances, and so are flecks
    broad *= run_lengths(broad > 0) >= WIDE / cells.distance * np.float32(cells.focal)
    cap = cv2.blur(below_steps(cells.distance, cells.focal, CAP), (3, 3))
    around = (odd(SURROUNDINGS * cells.focal),) * 2
    known = cv2.blur(to_cells(view.depth.confidence, cells.distance.shape), around) > KNOWN
    on_things = np.where(known, broad, cap) * (cells.distance < SKY_FROM)
    return np.maximum(on_things, over_kerbs(cells)).astype(np.float32)


def over_kerbs(cells: SurfaceCells) -> Array:
    """The ground (h, w), and what is low, long and narrow between ground before and behind it, as kerbs are."""
    upright, bare = np.ones((odd(KERB * cells.focal), 1), np.uint8), cells.ground > 0.5
    between = (cv2.morphologyEx(cells.ground, cv2.MORPH_CLOSE, upright) > 0.5) & (cells.above < LOW)
    tall = ~bare & (cells.above >= TALL)
    between &= ~(_after(tall, bare) | _after(tall[::-1], bare[::-1])[::-1])
    long = between & (run_lengths(between) >= LONG / cells.distance * np.float32(cells.focal))
    return np.maximum(cells.ground, cv2.blur(long.astype(np.float32), (3, 3)))


def _after(one: Array, other: Array) -> Array:
    """Whether, down each column of two masks (h, w), the last cell of ``one`` comes after the last of ``other``."""
    rows = np.arange(len(one), dtype=np.int32)[:, None]
    last, before = (np.maximum.accumulate(np.where(mask, rows, -1), 0) for mask in (one, other))
    out: Array = last > before
    return out


def _patches_seen(view: WeatherView, state: WeatherState, way: Array, focal: float) -> tuple[Array, Array]:
    """Score of the patches, and the snow's own slope against the light in standard deviations; (h, w) each."""
    T = view.T_world @ np.linalg.inv(view.T_ref)
    x, y = (way @ T[i, :3].astype(np.float32) for i in (0, 1))
    patches, relief = state.snow_patches, Patches.of(digest(state.key, "relief"), 0.04, 1.5, 1.2)
    start = [view.T_world[:2, 3] % p.side for p in (patches, relief)]
    score = patches.seen(x + np.float32(start[0][0]), y + np.float32(start[0][1]))
    x, y = x + np.float32(start[1][0]), y + np.float32(start[1][1])
    bumps = relief.seen(x, y)
    # far away a cell holds hills and hollows
    fades = np.minimum(0.24 * focal / np.maximum(sum(p * p for p in cv2.split(way)), 1e-3), 1)
    slope = (relief.seen(x + np.float32(0.06), y + np.float32(0.03)) - bumps) * fades
    return score - ROUGH * bumps * fades, slope


def _mean_around(grey: Array, ground: Array, sigma: float) -> Array:
    """Level (h, w) of the ground around every cell, without what stands on it."""
    weight = ground + np.float32(1e-3)
    return cv2.GaussianBlur(grey * weight, (0, 0), sigma) / cv2.GaussianBlur(weight, (0, 0), sigma)


def _hollows(grey: Array, soft: Array, around: int) -> Array:
    """How dark cells (h, w) are against their surroundings, in standard deviations, up to two."""
    off = soft - grey
    usual = np.sqrt(np.maximum(cv2.blur(off * off, (around, around)), 0)) + np.float32(0.01)
    return np.clip(off / usual, -2, 2)


def _light_on_snow(soft: Array, cells: SurfaceCells, state: WeatherState) -> Array:
    """Light (h, w) that snow sends back: as bright as the ground's own light makes it, and dark in its shadows.

    Where an overcast sky has taken the sun's place, snow is at least as bright as that sky makes it, and shadows fade.

    Args:
        soft: level of the ground around.
    """
    shown = soft[cells.ground > 0.5]
    middle = max(float(np.median(shown)) if len(shown) else 0.4, 0.02)
    lit = np.clip((soft / middle) ** 2.2 / SHADED, DARKEST, 1.0) ** (1 - OVERCAST_LEVELS * state.sun_loss)
    # light of a level white surface under a sky of A (1 + s sin h): A (1 + 2 s / 3)
    sky = state.sun_loss * float(state.airlight.mean()) ** 2.2 * (1 + state.steepness * 2 / 3)
    light = ALBEDO * max(middle**2.2 / GROUND_ALBEDO, sky)
    # snow over kerbs lies in the shadows of the ground around
    shade, mass = (cv2.GaussianBlur(x, (0, 0), NEAR * cells.focal) for x in (cells.ground * (lit - 1), cells.ground))
    return min(BRIGHTEST, light) * (1 + cells.ground * (lit - 1) + (1 - cells.ground) * shade / (mass + 0.05))
