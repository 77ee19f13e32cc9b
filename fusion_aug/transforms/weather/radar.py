"""What weather does to radars: attenuation, rain clutter, ghosts over wet roads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from fusion_aug.core.registry import Call, handles
from fusion_aug.ops.radar import Columns, appended, fresh_flags, rays_of, rcs_threshold
from fusion_aug.physics import microwave
from fusion_aug.physics.ground import AIR, WATER, fresnel, water_share
from fusion_aug.streams import Radar
from fusion_aug.streams.columns import take_rows
from fusion_aug.transforms.radar.radar import ScanContext, look_by_look, on_rays
from fusion_aug.transforms.weather.place import T_world
from fusion_aug.transforms.weather.state import State
from fusion_aug.transforms.weather.weather import Weather

LEAST_MARGIN = 0.5  # dB over the threshold of a detection that the sensor's model would not have made
CFAR = 9.0  # times the mean clutter that a cell must exceed: one cell in 8000 of pure clutter does
TURBULENCE = 1.0  # m/s, standard deviation of the drops' speed along the ray
VIEW = np.radians(60.0)  # half of the field of view
GHOSTS = 0.3  # share of the detections that a mirror would give a second one


@handles(Weather, Radar)
def through_the_rain(stream: Radar, call: Call) -> Radar:
    """Weaken, lose and add detections, item by item."""
    states = [State.of(p) for p in call.params]
    if all(s.air.clear and s.surface.water_film == 0 for s in states):
        return stream

    def change(columns: Columns, params: Mapping[str, Any], look: ScanContext) -> Columns:
        state = State.of(params)
        rows = with_ghosts(attenuated(columns, state, look), state, look)
        T = T_world(call.sample, look.index, stream.frame, look.time)
        return with_clutter(rows, state, look, T[:3, :3].T @ np.array([*state.air.wind, 0.0]))

    return look_by_look(stream, call, change)


def two_way_loss(distance: np.ndarray, state: State, carrier: float) -> np.ndarray:
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


def attenuated(rows: Columns, state: State, look: ScanContext) -> Columns:
    """Weaker detections; those that fall below the threshold are lost."""
    if "rcs" not in rows or len(rows["xyz"]) == 0:
        return rows
    _, distance = rays_of(rows)
    loss = torch.from_numpy(two_way_loss(distance.cpu().numpy(), state, look.sensor.carrier)).to(distance.device)
    rcs = rows["rcs"].to(torch.float64)
    margin = (rcs - rcs_threshold(distance, look.sensor.min_rcs)).clamp(min=LEAST_MARGIN)
    weaker = {**rows, "rcs": (rcs - loss).to(rows["rcs"])}
    return take_rows(weaker, ~(loss > margin))  # an unknown cross-section is kept


def with_ghosts(rows: Columns, state: State, look: ScanContext) -> Columns:
    """Detections over the mirror that a wet road is: a little farther, weaker, with the Doppler of the original."""
    film = state.surface.water_film
    n = len(rows["xyz"])
    if film <= 0 or n == 0:
        return rows
    rays, distance = rays_of(rows)
    grazing = np.clip(0.5 / np.maximum(distance.cpu().numpy(), 1.0), 0, 1)  # the sensor's height over the distance
    mirror = fresnel(grazing, AIR, WATER) * water_share(film)
    chosen = torch.from_numpy(look.rng.random(n) < GHOSTS * mirror).to(distance.device)
    if not bool(chosen.any()):
        return rows
    ghosts, ray = take_rows(rows, chosen), rays[chosen]
    way = torch.from_numpy(look.rng.uniform(1.0, 4.0, n))[chosen.cpu()].to(ray) * look.sensor.range_resolution
    more = {**ghosts, "xyz": ray * (distance[chosen] + way)[:, None], **on_rays(ghosts, look, ray, ray)}
    if "rcs" in ghosts:
        lost = torch.from_numpy(-20 * np.log10(np.maximum(mirror, 1e-3)) + 3.0).to(ray)[chosen]
        more["rcs"] = ghosts["rcs"].to(ray) - lost
        more = take_rows(more, more["rcs"] > rcs_threshold(distance[chosen], look.sensor.min_rcs))
    return appended(rows, more)


def with_clutter(rows: Columns, state: State, look: ScanContext, wind: np.ndarray) -> Columns:
    """Detections of the rain itself.

    A cell's drops return their reflectivity times its volume, exponentially distributed; it is detected where that
    exceeds both the threshold and what a constant-false-alarm-rate detector expects there. Drops drift with the wind
    (3,), m/s in the sensor's frame, and turbulence.
    """
    sensor, rate = look.sensor, state.air.rain_rate
    if rate <= 0 or "rcs" not in rows:
        return rows
    gates = np.arange(2.0, min(sensor.max_range, 100.0), sensor.range_resolution)
    volume = microwave.clutter_volume(gates, sensor.range_resolution, sensor.azimuth_resolution, sensor.elevation_width)
    mean = microwave.rain_reflectivity(sensor.carrier, rate) * volume
    mean *= 10 ** (-two_way_loss(gates, state, sensor.carrier) / 10)
    least = 10 ** (rcs_threshold(torch.from_numpy(gates), sensor.min_rcs).numpy() / 10)
    cells = 2 * VIEW / sensor.azimuth_resolution
    expected = cells * np.exp(-np.maximum(least / mean, CFAR))
    n = look.rng.poisson(expected.sum())
    if n == 0:
        return rows
    gate = look.rng.choice(len(gates), n, p=expected / expected.sum())
    azimuth = look.rng.uniform(-VIEW, VIEW, n)
    ray = np.stack([np.cos(azimuth), np.sin(azimuth), np.zeros(n)], 1)
    # an exponential variable above its bound is the bound plus another
    strength = mean[gate] * (np.maximum(least / mean, CFAR)[gate] + look.rng.exponential(1.0, n))
    speed = ray @ wind + look.rng.normal(0, TURBULENCE, n)
    own = np.zeros(3) if look.own is None else look.own.cpu().numpy()
    device = rows["xyz"].device
    more: Columns = {
        "xyz": ray * gates[gate][:, None], "velocity_comp": ray * speed[:, None],
        "velocity": ray * (speed - ray @ own)[:, None], "rcs": 10 * np.log10(strength),
    }  # fmt: skip
    columns = {k: torch.from_numpy(v).to(device) for k, v in more.items() if k in rows}
    if "flags" in rows:
        columns["flags"] = fresh_flags(rows, n)
    return appended(rows, columns)
