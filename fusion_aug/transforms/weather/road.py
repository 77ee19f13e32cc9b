"""Wet and snowy roads in pictures."""

from __future__ import annotations

import cv2
import numpy as np
import torch

from calib.sensors import apply_homography
from fusion_aug.ops.color import level_of, light_of
from fusion_aug.physics.ground import AIR, WATER, fresnel, water_share
from fusion_aug.transforms.weather.state import WeatherState
from fusion_aug.transforms.weather.view import WeatherView

Array = np.ndarray
DARKER = 0.55  # light that wet asphalt scatters against dry (Lekner and Dorf 1988)
ROUGHNESS = 0.012  # radians by which a film on asphalt blurs what it mirrors
SNOW = np.array([0.86, 0.88, 0.92])  # level of snow, share of full scale


def mirrored_view(picture: Array, view: WeatherView) -> Array:
    """What flat ground would mirror at every pixel, float32 levels: the picture where the mirrored ray meets it.

    What is mirrored is taken to be far away against the camera's height. Rays that leave the picture take the colour of
    its upper edge.
    """
    assert view.plane is not None
    normal = view.T_ref[:3, :3].T @ view.plane[:3]
    ray = view.nodes
    back = ray - 2 * (ray @ normal)[..., None] * normal
    physical, _ = view.sensor.model.project(torch.from_numpy(back))
    pixels = apply_homography(view.sensor.A, physical).detach().nan_to_num(-1e4).numpy()
    height, width = view.size
    u, v = (view.smooth(np.clip(pixels[..., i], -2 * s, 3 * s)) for i, s in ((0, width), (1, height)))
    blur = max(1.0, ROUGHNESS * view.focal)
    soft = cv2.GaussianBlur(picture, (0, 0), blur * 0.5, sigmaY=blur * 2)
    return cv2.remap(soft, u, np.maximum(v, 0), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def wet_road(picture: Array, view: WeatherView, state: WeatherState) -> Array:
    """Wet ground is darker, and mirrors the more the flatter one looks at it (Fresnel)."""
    ground = view.ground
    if view.plane is None or not (ground > 0).any():
        return picture
    covered = water_share(state.surface.water_film)
    cosine = view.smooth(np.abs(view.nodes @ (view.T_ref[:3, :3].T @ view.plane[:3])))
    share = fresnel(cosine, AIR, WATER).astype(np.float32) * covered * ground
    light = light_of(picture)
    dim = 1 - covered * (1 - DARKER) * ground
    mirror = light_of(mirrored_view(picture, view))
    wet = light * (dim * (1 - share))[..., None] + mirror * share[..., None]
    return np.where((ground > 0)[..., None], level_of(wet, picture), picture)


def add_snow(picture: Array, view: WeatherView, state: WeatherState) -> Array:
    """Snow on the ground in patches that stay in their place of the world, as bright as the picture's light allows."""
    ground = view.ground
    if view.plane is None or not (ground > 0).any():
        return picture
    xyz = view.T_ref[:3, 3] + view.rays[::4, ::4] * view.distance[::4, ::4, None]
    T = view.T_world @ np.linalg.inv(view.T_ref)
    world = (xyz @ T[:3, :3].T + T[:3, 3]).reshape(-1, 3)
    cover = state.snow_on(world).reshape(xyz.shape[:2])
    share = (cv2.resize(cover.astype(np.float32), view.size[::-1]) * ground)[..., None]
    full = 255.0 if picture.dtype == np.uint8 else 1.0
    # the ground's own light and shade goes on in the snow
    shade = cv2.GaussianBlur(picture.astype(np.float32).mean(2), (0, 0), 6)
    middle = float(np.median(shade[ground > 0.5])) if (ground > 0.5).any() else 1.0
    white = SNOW * full * np.clip(shade / max(middle, 1e-6), 0.6, 1.1)[..., None]
    out = picture * (1 - share) + np.minimum(white, full) * share
    return np.round(out).astype(np.uint8) if picture.dtype == np.uint8 else out.astype(np.float32)
