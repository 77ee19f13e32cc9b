"""Wet roads: darker, of stronger colour, and a rough mirror of what stands beyond."""

from __future__ import annotations

import cv2
import numpy as np
import torch

from fusion_aug.ops.color import level_of, light_of
from fusion_aug.ops.layers import cell_middles, distance_in_cells, grid_of, to_canvas, to_cells
from fusion_aug.ops.mirror import Mirrored, mirrored
from fusion_aug.ops.random import digest
from fusion_aug.physics.ground import GROUND_ALBEDO, height, rough_fresnel, roughness, water_share, wet_albedo
from fusion_aug.physics.patches import Patches, covered
from fusion_aug.transforms.weather.state import WeatherState
from fusion_aug.transforms.weather.surfaces import bare_ground, greenness, wheel_tracks
from fusion_aug.transforms.weather.view import WeatherView

Array = np.ndarray
CELL = 0.004  # radians, about the size of the cells whose mirrored rays are followed
DAMP = 0.05  # mm of water that wet the pores of asphalt
PUDDLES_FROM, PUDDLE_SHARE = 0.3, 0.25  # mm that hollows fill from, and share of the ground that 1 mm more fills
RIM, RUTS = 0.3, 1.0  # scores over which puddles end, and by which wheel tracks are hollows
GRASS = 0.03  # greenness, in light, of ground that mirrors nothing
CALM = 0.004  # radians, slope of a puddle's waves
BLURS = (0.5, 2.0, 6.0, 18.0, 54.0)  # cells, vertical standard deviations that the mirror image is blurred by
ACROSS = 0.2  # of the vertical blur, what it is sideways: the sine of a grazing angle


def wet_road(picture: Array, view: WeatherView, state: WeatherState, snow: Array | None = None) -> Array:
    """Wet ground is darker, and mirrors the more the flatter one looks at it (Fresnel).

    Args:
        picture: (H, W, 3), uint8 or float32 in [0, 1]. snow: share (H, W) of every pixel that snow covers, which is
            neither dark nor a mirror; None for none.
    """
    if view.plane is None or not view.ground.any():
        return picture
    small = to_cells(picture, grid_of_mirror(view))
    image, share = _mirror_image(light_of(small), view, state)
    rows = slice(int(view.ground.any(1).argmax()), None)
    bare = bare_ground(view) if snow is None else bare_ground(view) * (1 - snow)
    ground, before = bare[rows], picture[rows]
    share = to_canvas(share, view.size)[rows] * ground
    light = light_of(before)
    damp = np.float32(1 - np.exp(-state.surface.water_film / DAMP)) * ground
    shown = small[to_cells(bare, small.shape[:2]) > 0.5]
    middle = max(float(np.median(light_of(shown[None]))), 0.01) if len(shown) else 0.2
    light += (_wetted(before, np.float32(middle / GROUND_ALBEDO)) - light) * cv2.merge([damp] * 3)
    light += (to_canvas(image, view.size)[rows] - light) * cv2.merge([share] * 3)
    out = picture.copy()
    cv2.copyTo(level_of(light, picture), (ground > 0).astype(np.uint8), out[rows])
    return out


def _wetted(picture: Array, white: np.float32) -> Array:
    """Light (H, W, 3) that wet ground scatters, where a picture shows it dry and a white surface has a given light."""
    if picture.dtype == np.uint8:
        levels = light_of(np.arange(256, dtype=np.uint8)[None])[0]
        return cv2.LUT(picture, wet_albedo(levels / white) * white)
    return wet_albedo(light_of(picture) / white) * white


def grid_of_mirror(view: WeatherView) -> tuple[int, int]:
    """Rows and columns of the cells of a canvas whose mirrored rays are followed."""
    return grid_of(view.size, max(1, round(CELL * view.focal)))


def mirrored_pixels(view: WeatherView) -> tuple[Mirrored, Array]:
    """What flat ground mirrors at the middle of every cell that shows some, and which cells (h, w) these are."""
    assert view.plane is not None
    grid = grid_of_mirror(view)
    ground, up = to_cells(view.ground, grid), view.T_ref[:3, :3].T @ view.plane[:3]
    rays = view.sensor.unproject(torch.from_numpy(cell_middles(view.size, grid))).nan_to_num(0.0).numpy()
    on = (ground > 0.05) & (rays @ up < -1e-3)
    above = float(height(view.plane, view.T_ref[:3, 3]))
    return mirrored(view.sensor, view.distance, up, above, rays[on]), on


def _mirror_image(light: Array, view: WeatherView, state: WeatherState) -> tuple[Array, Array]:
    """Light (h, w, 3) that every cell mirrors, and its share (h, w) of what the cell sends to the camera; float32.

    Args:
        light: (h, w, 3) of the cells of the picture.
    """
    assert view.plane is not None
    found, on = mirrored_pixels(view)
    film, (h, w) = state.surface.water_film, on.shape
    u, v, beyond = np.zeros((3, h, w), np.float32)
    u[on], v[on] = ((found.pixel + 0.5) * (w / view.size[1], h / view.size[0]) - 0.5).T
    beyond[on] = found.beyond
    rays = to_cells(view.rays, (h, w))
    puddle = _puddles(view, state, rays)
    slope = roughness(film) + (CALM - roughness(film)) * puddle
    share = rough_fresnel(np.abs(rays @ view.plane[:3].astype(np.float32)), slope)
    share *= water_share(film) * (1 - puddle) + puddle
    share *= np.clip(1 - greenness(light) / GRASS, 0, 1)
    image = cv2.remap(light, u, v, cv2.INTER_LINEAR)
    # a slope turns the ray by twice its angle, at a place that is farther by 1 / beyond for the camera
    blur = 2 * slope * beyond * np.float32(view.focal * w / view.size[1])
    return _stretched(image, on.astype(np.float32), blur), share.astype(np.float32)


def _stretched(image: Array, on: Array, sigma: Array) -> Array:
    """A mirror image (h, w, 3) blurred downwards and upwards by a standard deviation (h, w) of its own in every cell.

    Blurs of a few widths are mixed; only cells that mirror (``on``) count.
    """
    level = np.interp(np.log(np.maximum(sigma, 1e-3)), np.log(BLURS), np.arange(len(BLURS))).astype(np.float32)
    out, lit = np.zeros_like(image), image * on[..., None]
    for k, vertical in enumerate(BLURS):
        mass, mean = (cv2.GaussianBlur(x, (0, 0), max(0.4, ACROSS * vertical), sigmaY=vertical) for x in (on, lit))
        out += mean * (np.maximum(1 - np.abs(level - k), 0) / (mass + np.float32(1e-4)))[..., None]
    return out


def _puddles(view: WeatherView, state: WeatherState, rays: Array) -> Array:
    """Share (h, w) of every cell that a puddle fills: in hollows that stay in their place of the world.

    Args:
        rays: (h, w, 3) of the cells, unit, in the reference frame's axes.
    """
    share = min(0.5, max(0.0, state.surface.water_film - PUDDLES_FROM) * PUDDLE_SHARE)
    if share == 0:
        return np.zeros(rays.shape[:2], np.float32)
    hollows = Patches.of(digest(state.key, "hollows"), 0.25, 8.0, 2.2)
    way = rays * distance_in_cells(view.distance, rays.shape[:2])[..., None]
    T = view.T_world @ np.linalg.inv(view.T_ref)
    x, y = (way @ T[i, :3].astype(np.float32) + np.float32(view.T_world[i, 3] % hollows.side) for i in (0, 1))
    score = hollows.seen(x, y) + RUTS * wheel_tracks(view, way + view.T_ref[:3, 3].astype(np.float32))
    return covered(score, share, RIM).astype(np.float32)
