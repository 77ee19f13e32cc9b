"""What the ground is like: tracks of wheels, which are hollow and lose snow first, and grass, which is no mirror."""

from __future__ import annotations

import numpy as np

from fusion_aug.transforms.weather.place import T_ref_vehicle
from fusion_aug.transforms.weather.view import WeatherView

Array = np.ndarray
APART, WIDTH = 1.56, 0.28  # metres between the middles of the tracks of a car's wheels, and their half width
KNOWN_TO = 60.0  # metres before and behind the vehicle, up to which its lane is guessed


def wheel_tracks(view: WeatherView, xyz: Array) -> Array:
    """How much (H, W) places lie on the wheel tracks of the vehicle's own lane, 0 to 1, float32.

    The lane is taken to go on as the vehicle turns; other lanes are not known.

    Args:
        xyz: (H, W, 3) in the reference frame, metres, float32.
    """
    T = np.linalg.inv(T_ref_vehicle(view.call.sample, view.index))
    along, aside = (xyz @ T[i, :3].astype(np.float32) + np.float32(T[i, 3]) for i in (0, 1))
    velocity, spin = view.twist
    up = view.T_ref[:3, :3].T @ np.linalg.inv(T)[:3, 2]
    speed2 = float(velocity @ velocity)
    bend = float(spin @ up) * np.sqrt(speed2) / (speed2 + 1.0)  # at walking pace it tells nothing
    off = (np.abs(aside - np.float32(bend / 2) * along * along) - np.float32(APART / 2)) / np.float32(WIDTH)
    fade = np.clip((KNOWN_TO - np.abs(along)) / (KNOWN_TO / 2), 0, 1)
    return np.exp(-np.minimum(off * off, 50)) * fade.astype(np.float32)


def greenness(picture: Array) -> Array:
    """How much green (H, W) exceeds red and blue in a picture (H, W, 3) of shares of full scale; grass from 0.02 on."""
    return np.maximum(picture[..., 1] - np.maximum(picture[..., 0], picture[..., 2]), 0)
