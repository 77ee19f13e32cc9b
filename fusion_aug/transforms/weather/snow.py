"""Snow that lies on what faces up: ground, hoods, roofs, and caps on what is too far to know its shape."""

from __future__ import annotations

import cv2
import numpy as np

from fusion_aug.ops.color import level_of
from fusion_aug.ops.facing import below_steps, facing_up
from fusion_aug.ops.layers import overlay
from fusion_aug.ops.random import digest
from fusion_aug.physics.patches import Patches, covered
from fusion_aug.transforms.weather.light import SKY_FROM
from fusion_aug.transforms.weather.state import SNOW_RIM, WeatherState
from fusion_aug.transforms.weather.surfaces import greenness, wheel_tracks
from fusion_aug.transforms.weather.view import WeatherView

Array = np.ndarray
HALF = (slice(None, None, 2), slice(None, None, 2))  # snow is worked out at every other pixel
TINT = np.array([0.93, 0.97, 1.0], np.float32)
ALBEDO, ROAD_ALBEDO = 0.85, 0.1  # of snow, and of what the ground is taken to be in the middle
BRIGHTEST = 0.8  # light of snow, share of full scale, that cameras expose down to
SLIDES, STAYS = 0.6, 0.82  # upward components of normals below which snow slides off, and above which it all stays
KNOWN = 0.5  # confidence from which on distances tell a shape
THINNEST = 1 / 220  # of the picture's width, of a surface that snow lies on
CAP = 0.06  # metres of snow on upper rims
TRACKS, GREEN = -1.4, 6.0  # scores of wheel tracks, and of grass by its greenness
TEXTURE, ROUGH = 0.15, 0.3  # scores by which hollows of the ground, seen and assumed ones, fill first
SHADED = 0.55  # light of the ground against its median below which it lies in the shadow, and is not dark itself
RELIEF = 0.06  # by which a standard deviation of the slope shades snow


def lay_snow(picture: Array, view: WeatherView, state: WeatherState) -> Array:
    """Snow in patches that stay in their place of the world, lit as the picture's ground is."""
    lie = places_for_snow(view)
    if not (lie > 0).any():
        return picture
    small = cv2.resize(picture, lie.shape[::-1], interpolation=cv2.INTER_AREA)
    small = small.astype(np.float32) / 255 if picture.dtype == np.uint8 else small
    grey, ground = small.mean(2), view.ground[HALF]
    soft = _mean_around(grey, ground)
    way = view.rays[HALF] * view.distance[HALF][..., None]  # from the camera, in the reference frame's axes
    score, slope = _patches_seen(view, state, way)
    score += TEXTURE * _hollows(grey, soft)
    score += GREEN * np.minimum(greenness(small), 0.1)
    score += TRACKS * wheel_tracks(view, way + view.T_ref[:3, 3].astype(np.float32))
    share = covered(score, state.surface.snow_cover, SNOW_RIM) * lie
    light = _light_on_snow(soft, ground > 0.5) * (1 + RELIEF * slope)
    return overlay(picture, level_of(light[..., None] * TINT, picture), share)


def places_for_snow(view: WeatherView) -> Array:
    """How well snow stays, 0 to 1, at every other pixel: on flat surfaces, and on rims of what is hardly known."""
    if view.plane is None:
        return np.zeros(view.distance[HALF].shape, np.float32)
    far = view.distance[HALF]
    rise = facing_up(far, view.rays[HALF], view.plane[:3])
    flat = np.clip((rise - SLIDES) / (STAYS - SLIDES), 0, 1)
    thin = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (max(1, round(view.size[1] * THINNEST)),) * 2)
    broad = cv2.morphologyEx(flat, cv2.MORPH_OPEN, thin)  # slivers are errors of distances
    cap = cv2.blur(below_steps(far, view.focal / 2, CAP), (3, 3))
    lie = np.where(view.depth.confidence[HALF] > KNOWN, broad, cap) * (far < SKY_FROM)
    return np.maximum(lie, view.ground[HALF]).astype(np.float32)


def _patches_seen(view: WeatherView, state: WeatherState, way: Array) -> tuple[Array, Array]:
    """Score of the patches, and the snow's own slope against the light in standard deviations; (H, W) each."""
    T = view.T_world @ np.linalg.inv(view.T_ref)
    x, y = (way @ T[i, :3].astype(np.float32) for i in (0, 1))
    patches, relief = state.snow_patches, Patches.of(digest(state.key, "relief"), 0.04, 1.5, 1.2)
    start = [view.T_world[:2, 3] % p.side for p in (patches, relief)]
    score = patches.seen(x + np.float32(start[0][0]), y + np.float32(start[0][1]))
    x, y = x + np.float32(start[1][0]), y + np.float32(start[1][1])
    height = relief.seen(x, y)
    # far away a pixel holds hills and hollows
    fades = np.minimum(0.12 * view.focal / np.maximum(np.einsum("ijk,ijk->ij", way, way), 1e-3), 1)
    slope = (relief.seen(x + np.float32(0.06), y + np.float32(0.03)) - height) * fades
    return score - ROUGH * height * fades, slope


def _mean_around(grey: Array, ground: Array) -> Array:
    """Level (H, W) of the ground around every pixel, without what stands on it."""
    weight = ground + np.float32(1e-3)
    return cv2.GaussianBlur(grey * weight, (0, 0), 3) / cv2.GaussianBlur(weight, (0, 0), 3)


def _hollows(grey: Array, soft: Array) -> Array:
    """How dark pixels (H, W) are against their surroundings, in standard deviations, up to two."""
    off = soft - grey
    usual = np.sqrt(cv2.blur(off * off, (31, 31))) + np.float32(0.01)
    return np.clip(off / usual, -2, 2)


def _light_on_snow(soft: Array, ground: Array) -> Array:
    """Light (H, W) that snow sends back: as bright as the ground's own light makes it, and dark in its shadows."""
    middle = max(float(np.median(soft[ground][::7])) if ground.any() else 0.4, 0.02)
    lit = np.clip((soft / middle) ** 2.2 / SHADED, 0.25, 1.0)
    return min(BRIGHTEST, ALBEDO / ROAD_ALBEDO * middle**2.2) * np.where(ground, lit, 1.0)
