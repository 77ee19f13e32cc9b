"""Weather on pictures, in the order in which light meets it: ground, light, air, drops, lens."""

from __future__ import annotations

from functools import partial

import cv2
import numpy as np
import torch
from torch import Tensor

from fusion_aug.core.levels import with_changed_levels
from fusion_aug.core.registry import Call, handles
from fusion_aug.ops import haze
from fusion_aug.ops.random import digest, noise
from fusion_aug.physics import lattice
from fusion_aug.physics.precipitation import Particles
from fusion_aug.streams import Camera
from fusion_aug.transforms.weather.glare import add_sun_glare
from fusion_aug.transforms.weather.lens import drops_on_the_lens
from fusion_aug.transforms.weather.night import add_sensor_noise, lamps_seen, relight_at_night
from fusion_aug.transforms.weather.place import spray_behind
from fusion_aug.transforms.weather.road import add_snow, wet_road
from fusion_aug.transforms.weather.state import WeatherState
from fusion_aug.transforms.weather.view import WeatherView
from fusion_aug.transforms.weather.weather import Weather

Array = np.ndarray
VISIBLE = 550e-9  # metres
APERTURE = 0.003  # metres, of the lens: what is near is out of focus
NEAREST = 0.4  # metres from the lens
FAINTEST = 0.003  # opacity of a streak that is still drawn
MOST = 8000  # streaks of one kind in one picture
GRID = 4  # pixels between the nodes of clouds and spray


@handles(Weather, Camera)
def weather_on_camera(stream: Camera, call: Call) -> Camera:
    """Change every picture whose weather is not as recorded."""
    states = [WeatherState.of(p) for p in call.params]
    if all(s.is_as_recorded for s in states):
        return stream
    changed = [i for i, state in enumerate(states) if not state.is_as_recorded and bool(stream.present[i])]
    changes = {i: partial(_in_weather, call, i, states[i]) for i in changed}
    return with_changed_levels(stream, call, changes)  # type: ignore[return-value]


def _in_weather(call: Call, item: int, state: WeatherState, picture: Tensor) -> Tensor:
    """One picture of the stream of a call in the weather of a state."""
    time = int(call.sample.streams[call.name].capture_times[item])
    rng = noise(call.params[item]["noise"], call.name, time)
    levels = picture.detach().cpu().contiguous().numpy()
    changed = np.ascontiguousarray(apply_weather(levels, WeatherView(call, item), state, rng))
    return torch.from_numpy(changed).to(picture)


def apply_weather(picture: Array, view: WeatherView, state: WeatherState, rng: np.random.Generator) -> Array:
    """One picture (H, W, 3), uint8 or float32 in [0, 1], in the weather of a state."""
    dark = state.light.illuminance is not None
    airlight = state.airlight
    if state.surface.snow_cover > 0:
        picture = add_snow(picture, view, state)
    if state.surface.water_film > 0:
        picture = wet_road(picture, view, state)
    if dark:
        picture, dimmed = relight_at_night(picture, view, state)
        airlight = airlight * dimmed
    if not state.air.is_clear or state.surface.water_film * state.spray > 0:
        picture = apply_airlight(picture, view, state, airlight)
    if dark and state.light.lamps:
        picture = lamps_seen(picture, view, state)
    for k, particles in enumerate(state.air.particles()):
        mask = particle_mask(view, state, particles, digest(state.key, "particles", k))
        picture = haze.cover(picture, mask, np.clip(airlight * particles.brightness, 0, 1))
    if state.light.sun > 0:
        picture = add_sun_glare(picture, view, state)
    if state.lens_drops >= 0.5:
        picture = drops_on_the_lens(picture, view, state)
    return add_sensor_noise(picture, state, rng) if dark else picture


def apply_airlight(picture: Array, view: WeatherView, state: WeatherState, airlight: Array) -> Array:
    """Koschmieder's law along every ray, through clouds and spray where there are any."""
    air, clouds = state.air, state.clouds()
    puffs = spray_behind(view.call.sample, view.index, view.time, state)
    floating = air.suspended_optics(VISIBLE)[0]
    extinction = floating + air.falling_extinction(VISIBLE)
    if extinction == 0 and not len(puffs):
        return picture
    depth = view.distance * np.float32(-extinction)
    if clouds is not None or len(puffs):
        rows, columns = (-(-s // GRID) for s in view.size)
        far = cv2.resize(view.distance, (columns, rows), interpolation=cv2.INTER_NEAREST).reshape(-1)
        rays = cv2.resize(view.rays, (columns, rows), interpolation=cv2.INTER_AREA).reshape(-1, 3)
        more = np.zeros(len(far))
        if clouds is not None:
            R = view.T_world[:3, :3] @ view.T_ref[:3, :3].T
            path = clouds.path(view.T_world[:3, 3], rays @ R.T.astype(np.float32), far, view.seconds)
            more += floating * (path - far)
        if len(puffs):
            more += puffs.depth(view.T_ref[:3, 3], rays, far)
        depth -= cv2.resize(more.reshape(rows, columns).astype(np.float32), view.size[::-1])
    return haze.blend(picture, cv2.exp(depth), airlight)


def particle_mask(view: WeatherView, state: WeatherState, particles: Particles, key: str) -> Array:
    """Opacity (H, W) uint8 of the drops or flakes before a camera, blurred by their own motion and the camera's.

    A particle as wide as w pixels that moves by L pixels during the exposure covers each pixel of its streak for a
    share of the time: pi/4 w^2 over the streak's area.
    """
    start, stop, width, opacity = streaks_seen(view, state, particles, key)
    return haze.streaks(start, stop, width, opacity, view.size)


def streaks_seen(
    view: WeatherView, state: WeatherState, particles: Particles, key: str
) -> tuple[Array, Array, Array, Array]:
    """Ends (n, 2) pixels, width (n,) pixels and opacity (n,) of every streak that shows."""
    R = view.T_world[:3, :3].astype(np.float32)
    own, spin = view.twist
    parts = []
    for cloud in lattice.particles_around(particles, key, view.T_world[:3, 3], view.seconds, state.air.wind):
        local = cloud.offset @ R
        far = np.sqrt(np.einsum("ij,ij->i", local, local))
        wide = local[:, 2] > _least_z(view) * far
        near = np.flatnonzero(wide & (far < cloud.reach) & (far > NEAREST))
        local, far = local[near].astype(float), far[near].astype(float)
        speed = cloud.velocity[near] @ view.T_world[:3, :3] - own - np.cross(spin, local)
        drift = speed * view.exposure * state.exposure_factor
        w = particles.width(cloud.diameter[near]) * view.focal / far
        soft = np.sqrt(w**2 + (APERTURE * view.focal / far) ** 2 + 0.5)
        across = drift - local * ((drift * local).sum(1) / far**2)[:, None]
        length = np.linalg.norm(across, axis=1) * view.focal / far
        opacity = np.minimum(np.pi / 4 * w**2 / (soft * (length + soft)), 1.0)
        shows = opacity > FAINTEST
        parts.append((local[shows], drift[shows], soft[shows], opacity[shows], far[shows]))
    if not parts:
        return np.zeros((0, 2)), np.zeros((0, 2)), np.zeros(0), np.zeros(0)
    local, drift, width, opacity, far = (np.concatenate(p) for p in zip(*parts, strict=True))
    middle, seen = view.project(local)
    seen &= view.is_unoccluded(middle, far)
    strong = np.flatnonzero(seen)
    strong = strong[np.argsort(-opacity[strong], kind="stable")[:MOST]]
    (start, a), (stop, b) = (view.project(local[strong] + s * drift[strong]) for s in (-0.5, 0.5))
    whole = np.isfinite(start).all(1) & np.isfinite(stop).all(1) & (a | b)
    return start[whole], stop[whole], width[strong][whole], opacity[strong][whole]


def _least_z(view: WeatherView) -> float:
    """Cosine of the largest angle from the optical axis that a picture shows."""
    z = view.nodes[..., 2][np.abs(view.nodes).sum(2) > 0]
    return float(z.min()) - 0.02 if len(z) else 1.0
