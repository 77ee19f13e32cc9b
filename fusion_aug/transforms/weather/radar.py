"""Weather on radars: attenuation, rain clutter, ghosts over wet roads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fusion_aug.core.registry import Call, handles
from fusion_aug.ops.hashed import chance, uniform
from fusion_aug.ops.radar import Columns, appended, fresh_flags, rays_of, rcs_threshold
from fusion_aug.physics import microwave
from fusion_aug.physics.ground import AIR, WATER, fresnel, water_share
from fusion_aug.streams import Radar
from fusion_aug.streams.columns import take_rows
from fusion_aug.transforms.radar.family import NUMBER, ScanContext, change_each_scan, velocities_on_rays
from fusion_aug.transforms.weather.place import T_world
from fusion_aug.transforms.weather.state import WeatherState
from fusion_aug.transforms.weather.weather import Weather

LEAST_MARGIN = 0.5  # dB over the threshold of a detection that the sensor's model would not have made
CFAR = 9.0  # times the mean clutter that a cell must exceed: one cell in 8000 of pure clutter does
TURBULENCE = 1.0  # m/s, standard deviation of the drops' speed along the ray
VIEW = np.radians(60.0)  # half of the field of view
GHOSTS = 0.3  # share of the detections that a mirror would give a second one


@handles(Weather, Radar)
def weather_on_radar(stream: Radar, call: Call) -> Radar:
    """Weaken, lose and add detections, item by item."""
    states = [WeatherState.of(p) for p in call.params]
    if all(s.air.is_clear and s.surface.water_film == 0 for s in states):
        return stream

    def change(columns: Columns, params: Mapping[str, Any], scan: ScanContext) -> Columns:
        state = WeatherState.of(params)
        weaker = attenuated(columns, state, scan)
        detections = with_ghosts(weaker, state, scan, weaker[NUMBER] - 1)
        T = T_world(call.sample, scan.index, stream.frame, scan.time)
        return with_clutter(detections, state, scan, T[:3, :3].T @ np.array([*state.air.wind, 0.0]))

    return change_each_scan(stream, call, change)


def two_way_loss(distance: np.ndarray, state: WeatherState, carrier: float) -> np.ndarray:
    """Loss in rain and fog on the way out and back and in the water on the radome, dB.

    Args:
        distance: metres. carrier: Hz.
    """
    air = state.air
    per_km = microwave.rain_attenuation(carrier, air.rain_rate)
    per_km += microwave.fog_coefficient(carrier, air.temperature) * microwave.liquid_water(air.fog)
    if air.wet_snow:
        # melting flakes weaken about as rain of their water does; dry ones hardly at all (ITU-R P.840, P.1817)
        per_km += microwave.rain_attenuation(carrier, air.snow_rate)
    radome = microwave.radome_loss(carrier, microwave.radome_film(air.rain_rate)) if air.rain_rate > 0 else 0.0
    return 2 * per_km * distance * 1e-3 + radome


def attenuated(detections: Columns, state: WeatherState, scan: ScanContext) -> Columns:
    """Weaker detections; those that fall below the threshold are lost."""
    if "rcs" not in detections or len(detections["xyz"]) == 0:
        return detections
    _, distance = rays_of(detections)
    loss = torch.from_numpy(two_way_loss(distance.cpu().numpy(), state, scan.sensor.carrier)).to(distance.device)
    rcs = detections["rcs"].to(torch.float64)
    margin = (rcs - rcs_threshold(distance, scan.sensor.min_rcs)).clamp(min=LEAST_MARGIN)
    weaker = {**detections, "rcs": (rcs - loss).to(detections["rcs"])}
    return take_rows(weaker, ~(loss > margin))  # an unknown cross-section is kept


def with_ghosts(detections: Columns, state: WeatherState, scan: ScanContext, rows: Tensor) -> Columns:
    """Detections over the mirror that a wet road is: a little farther, weaker, with the Doppler of the original.

    Args:
        rows: (n,) what the noise of the detections is drawn by.
    """
    film = state.surface.water_film
    if film <= 0 or len(rows) == 0:
        return detections
    rays, distance = rays_of(detections)
    grazing = np.clip(0.5 / np.maximum(distance.cpu().numpy(), 1.0), 0, 1)  # the sensor's height over the distance
    mirror = fresnel(grazing, AIR, WATER) * water_share(film)
    chosen = chance(scan.noise.rows(), rows, GHOSTS * mirror)
    if not bool(chosen.any()):
        return detections
    ghosts, ray = take_rows(detections, chosen), rays[chosen]
    way = (1.0 + 3.0 * uniform(scan.noise.rows("way"), rows[chosen])) * scan.sensor.range_resolution
    more = {**ghosts, "xyz": ray * (distance[chosen] + way)[:, None], **velocities_on_rays(ghosts, scan, ray, ray)}
    if "rcs" in ghosts:
        lost = torch.from_numpy(-20 * np.log10(np.maximum(mirror, 1e-3)) + 3.0).to(ray)[chosen]
        more["rcs"] = ghosts["rcs"].to(ray) - lost
        more = take_rows(more, more["rcs"] > rcs_threshold(distance[chosen], scan.sensor.min_rcs))
    return appended(detections, more)


def with_clutter(detections: Columns, state: WeatherState, scan: ScanContext, wind: np.ndarray) -> Columns:
    """Detections of the rain itself.

    A cell's drops return their reflectivity times its volume, exponentially distributed; it is detected where that
    exceeds both the threshold and what a constant-false-alarm-rate detector expects there. Drops drift with the wind
    (3,), m/s in the sensor's frame, and turbulence.
    """
    sensor, rate = scan.sensor, state.air.rain_rate
    if rate <= 0 or "rcs" not in detections:
        return detections
    gates = np.arange(2.0, min(sensor.max_range, 100.0), sensor.range_resolution)
    volume = microwave.clutter_volume(gates, sensor.range_resolution, sensor.azimuth_resolution, sensor.elevation_width)
    mean = microwave.rain_reflectivity(sensor.carrier, rate) * volume
    mean *= 10 ** (-two_way_loss(gates, state, sensor.carrier) / 10)
    least = 10 ** (rcs_threshold(torch.from_numpy(gates), sensor.min_rcs).numpy() / 10)
    cells = 2 * VIEW / sensor.azimuth_resolution
    expected = cells * np.exp(-np.maximum(least / mean, CFAR))
    n = scan.rng.poisson(expected.sum())
    if n == 0:
        return detections
    gate = scan.rng.choice(len(gates), n, p=expected / expected.sum())
    azimuth = scan.rng.uniform(-VIEW, VIEW, n)
    ray = np.stack([np.cos(azimuth), np.sin(azimuth), np.zeros(n)], 1)
    # an exponential variable above its bound is the bound plus another
    strength = mean[gate] * (np.maximum(least / mean, CFAR)[gate] + scan.rng.exponential(1.0, n))
    speed = ray @ wind + scan.rng.normal(0, TURBULENCE, n)
    own = np.zeros(3) if scan.own_velocity is None else scan.own_velocity.cpu().numpy()
    device = detections["xyz"].device
    more: Columns = {
        "xyz": ray * gates[gate][:, None], "velocity_comp": ray * speed[:, None],
        "velocity": ray * (speed - ray @ own)[:, None], "rcs": 10 * np.log10(strength),
    }  # fmt: skip
    columns = {k: torch.from_numpy(v).to(device) for k, v in more.items() if k in detections}
    if "flags" in detections:
        columns["flags"] = fresh_flags(detections, n)
    return appended(detections, columns)
