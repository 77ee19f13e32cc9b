"""Drops and flakes before a camera, blurred by their motion, the camera's, and a lens that is focused beyond."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fusion_aug.ops.color import light_of
from fusion_aug.ops.random import digest
from fusion_aug.ops.streaks import cover, draw_streaks, streak_opacity
from fusion_aug.physics import lattice
from fusion_aug.physics.precipitation import Particles
from fusion_aug.transforms.weather.lens import APERTURE
from fusion_aug.transforms.weather.state import WeatherState
from fusion_aug.transforms.weather.view import WeatherView

Array = np.ndarray
NEAREST = 0.4  # metres from the lens
FAINTEST = 0.002  # opacity of a streak that is still drawn
MOST = 8000  # streaks of one kind in one picture
DARKER_RAIN, DARKER_SNOW = 8.0, 1.5  # mm/h that halve the light of the day, so that cameras expose twice as long
LONGEST = 5.0  # how much longer they do by day


class Streaks(NamedTuple):
    """Particles as they move before a camera during its exposure, n of them.

    Attributes:
        local: (n, 3) in the middle of the exposure, camera frame, metres. drift: (n, 3) during it, metres.
        width, confusion: (n,) of the particle, and of the disc that the lens makes of a point, pixels.
        opacity: (n,) of the streak.
    """

    local: Array
    drift: Array
    width: Array
    confusion: Array
    opacity: Array

    def of(self, rows: Array) -> Streaks:
        """Some of them."""
        return Streaks(*(values[rows] for values in self))


def fall_before(picture: Array, view: WeatherView, state: WeatherState, airlight: Array) -> Array:
    """A picture behind the drops and flakes of a state of the air.

    Args:
        airlight: level of the air itself, share of full scale, (3,).
    """
    for k, particles in enumerate(state.air.particles()):
        opacity = particle_mask(view, state, particles, digest(state.key, "particles", k))
        light = light_of(np.asarray(airlight, np.float32).reshape(1, 1, 3))[0, 0] * particles.brightness
        picture = cover(picture, opacity, np.clip(light, 0, 1))
    return picture


def particle_mask(view: WeatherView, state: WeatherState, particles: Particles, key: str) -> Array:
    """Opacity (H, W) float32 of the drops or flakes before a camera."""
    return draw_streaks(*streaks_seen(view, state, particles, key), view.size)


def streaks_seen(
    view: WeatherView, state: WeatherState, particles: Particles, key: str
) -> tuple[Array, Array, Array, Array]:
    """Ends (n, 2) pixels, width (n,) and disc of confusion (n,), pixels, of every streak that shows."""
    clouds = lattice.particles_around(particles, key, view.T_world[:3, 3], view.seconds, state.air.wind)
    parts = [_moving(view, state, particles, cloud) for cloud in clouds]
    if not parts:
        return np.zeros((0, 2)), np.zeros((0, 2)), np.zeros(0), np.zeros(0)
    streaks = Streaks(*(np.concatenate(values) for values in zip(*parts, strict=True)))
    middle, seen = view.project(streaks.local)
    seen &= view.is_unoccluded(middle, np.linalg.norm(streaks.local, axis=1))
    strong = np.flatnonzero(seen)
    strong = strong[np.argsort(-streaks.opacity[strong], kind="stable")[:MOST]]
    streaks = streaks.of(strong)
    (start, a), (stop, b) = (view.project(streaks.local + s * streaks.drift) for s in (-0.5, 0.5))
    whole = np.isfinite(start).all(1) & np.isfinite(stop).all(1) & (a | b)
    return start[whole], stop[whole], streaks.width[whole], streaks.confusion[whole]


def _moving(view: WeatherView, state: WeatherState, particles: Particles, cloud: lattice.ParticleBlock) -> Streaks:
    """Those of a cloud's particles that lie before the camera and are not too faint to show."""
    own, spin = view.twist
    local = cloud.offset @ view.T_world[:3, :3].astype(np.float32)
    far = np.sqrt(np.einsum("ij,ij->i", local, local))
    wide = local[:, 2] > _least_z(view) * far
    near = np.flatnonzero(wide & (far < cloud.reach) & (far > NEAREST))
    local, far = local[near].astype(float), far[near].astype(float)
    speed = cloud.velocity[near] @ view.T_world[:3, :3] - own - np.cross(spin, local)
    drift = speed * _exposure(view, state)
    scale = view.focal / far  # pixels per metre
    width = particles.width(cloud.diameter[near]) * scale
    across = drift - local * ((drift * local).sum(1) / far**2)[:, None]
    confusion = np.hypot(APERTURE * scale, particles.fuzz * width)
    opacity = streak_opacity(width, np.linalg.norm(across, axis=1) * scale, confusion)
    return Streaks(local, drift, width, confusion, opacity).of(opacity > FAINTEST)


def _exposure(view: WeatherView, state: WeatherState) -> float:
    """Seconds that a camera exposes: longer at night, and under the clouds that rain and snow fall from."""
    clouds = 1 + state.air.rain_rate / DARKER_RAIN + state.air.snow_rate / DARKER_SNOW
    day = state.light.illuminance is None
    return view.exposure * (min(clouds, LONGEST) if day else state.exposure_factor)


def _least_z(view: WeatherView) -> float:
    """Cosine of the largest angle from the optical axis that a picture shows."""
    z = view.nodes[..., 2][np.abs(view.nodes).sum(2) > 0]
    return float(z.min()) - 0.02 if len(z) else 1.0
