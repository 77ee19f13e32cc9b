"""Weather on LiDARs: returns are weakened, lost, or come from the air instead."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from fusion_aug.core.registry import Call, handles
from fusion_aug.ops.hashed import ItemNoise, cells, chance, exponential, uniform
from fusion_aug.ops.normals import normal
from fusion_aug.ops.random import digest
from fusion_aug.physics import lattice, pulse
from fusion_aug.physics.field import FogField, Puffs
from fusion_aug.physics.ground import NEAR, height, wet_return, wet_surface
from fusion_aug.physics.precipitation import Particles
from fusion_aug.sample.depth import ground_of
from fusion_aug.sample.vehicle import T_up_ref
from fusion_aug.streams import Points
from fusion_aug.streams.targets import on_nothing
from fusion_aug.transforms.weather.place import spray_behind, to_sun_in_world
from fusion_aug.transforms.weather.scan import Scan
from fusion_aug.transforms.weather.state import WeatherState
from fusion_aug.transforms.weather.weather import Weather

Array = np.ndarray
SUN_ANGLE = np.radians(6.0)  # around the sun's direction in which it disturbs
SUN_ECHOES = 0.3  # share of the beams straight at a sun of 100000 lux that report a false return
SNOW_REFLECTIVITY = {True: 0.8, False: 0.2}  # below and above 1.2 micrometres, where ice is dark
STATUS_SCATTERED = 1  # status
PLAIN = 0.1  # reflectivity of targets in clouds without intensities


@handles(Weather, Points)
def weather_on_lidar(stream: Points, call: Call) -> Points:
    """Decide for every pulse what comes back."""
    states = [WeatherState.of(p) for p in call.params]
    report = bool(call.params) and bool(call.params[0]["report"])
    if all(s.is_as_recorded for s in states) and not report:
        return stream
    stream = stream.realized()
    keep = torch.ones(stream.rows, dtype=torch.bool)
    from_air = torch.zeros(stream.rows, dtype=torch.bool)
    columns: dict[str, Any] = {"xyz": stream.values["xyz"].clone()}
    if "intensity" in stream.values:
        columns["intensity"] = stream.values["intensity"].clone()
    if report:
        columns["status"] = torch.zeros(stream.rows, dtype=torch.int64, device=columns["xyz"].device)
        columns["true_range"] = torch.zeros(stream.rows, dtype=torch.float32, device=columns["xyz"].device)
    for i, (state, params) in enumerate(zip(states, call.params, strict=True)):
        rows = stream.item_slice(i)
        if rows.start == rows.stop or (state.is_as_recorded and not report):
            continue
        scan = Scan(call, i)
        if report:
            columns["true_range"][rows] = torch.from_numpy(scan.distance).to(columns["true_range"])
        if state.is_as_recorded:
            continue
        draws = ItemNoise(params["noise"], call.name, scan.time)
        distance, intensity, status = simulate_returns(scan, state, draws, params["auto_gain"])
        keep[rows] = torch.from_numpy(status >= 0)
        moved = torch.from_numpy(np.flatnonzero(status == STATUS_SCATTERED))
        place = scan.at(moved.numpy(), distance[moved])
        from_air[rows.start + moved] = True
        columns["xyz"][rows.start + moved] = torch.from_numpy(place).to(columns["xyz"])
        if "intensity" in columns:
            whole = not columns["intensity"].is_floating_point()
            level = torch.from_numpy(np.round(intensity) if whole else intensity)
            columns["intensity"][rows] = level.to(columns["intensity"])
        if report:
            columns["status"][rows] = torch.from_numpy(status).to(columns["status"])
    if bool(from_air.any()):
        columns |= on_nothing(stream, stream.values, from_air)
    out = stream.with_values(**columns)
    out = out.without_source(from_air) if bool(from_air.any()) else out
    return out if bool(keep.all()) else out.select(keep)


def simulate_returns(scan: Scan, state: WeatherState, draws: ItemNoise, auto_gain: bool) -> tuple[Array, Array, Array]:
    """What comes back of every pulse: distance and intensity (n,), and status: 0 as before, 1 scattered, -1 lost.

    Args:
        draws: noise of the scan; its rows are the pulses.
    """
    sensor = scan.sensor
    intensity = np.full(len(scan.distance), PLAIN * sensor.white * sensor.scale, np.float32)
    if scan.intensity is not None:
        intensity = np.nan_to_num(scan.intensity)
    puffs = _spray(scan, state)
    left = np.exp(-2 * optical_depth(scan, state, puffs)) * surface_factor(scan, state)
    received = pulse.gain(scan.distance, sensor)
    least = pulse.threshold(received, sensor)
    power = pulse.target_power(pulse.reflectivity(intensity, sensor), received, least, left)
    echoes = air_echoes(scan, state, puffs, power, draws)
    noise: Array | float = 1.0
    if state.light.sun > 0:
        noise, false = sun_echoes(scan, state, draws)
        echoes.append(false)
    best, strength = pulse.strongest(echoes, scan.distance, sensor, noise)
    target = power > noise * least
    kept = target if sensor.echo == "last" else target & (power >= strength)
    status = np.where(~scan.known | kept, 0, np.where(strength > 0, STATUS_SCATTERED, -1))
    level = np.where(scan.known, intensity * left, intensity)
    scattered = np.flatnonzero(status == STATUS_SCATTERED)
    level[scattered] = pulse.intensity_of(strength[scattered], best[scattered], sensor)
    if auto_gain and (status == 0).any():
        level *= intensity[status == 0].mean() / max(level[status == 0].mean(), 1e-9)
    level = np.clip(level, 0, max(sensor.scale, float(intensity.max(initial=0.0))))
    return best, pulse.rounded(level, sensor), status


def optical_depth(scan: Scan, state: WeatherState, puffs: Puffs) -> Array:
    """Extinction along the way to every target, one way, (n,).

    Args:
        puffs: of spray, in the sensor's frame.
    """
    floating, _ = state.air.suspended_optics(scan.sensor.wavelength)
    depth = _extinction(scan, state) * scan.distance
    clouds = state.clouds()
    for rows, place in scan.scanners:
        if clouds is not None:
            far = scan.distance[rows]
            path = clouds.path(scan.in_world(place), scan.ray_in_world[rows], far, scan.time * 1e-9)
            depth[rows] += floating * (path - far)
        if len(puffs):
            depth[rows] += puffs.depth(place, scan.ray[rows], scan.distance[rows])
    return depth


def _extinction(scan: Scan, state: WeatherState) -> float:
    """Mean extinction of the air, 1/m."""
    wavelength = scan.sensor.wavelength
    return state.air.suspended_optics(wavelength)[0] + state.air.falling_extinction(wavelength)


def air_echoes(scan: Scan, state: WeatherState, puffs: Puffs, target: Array, draws: ItemNoise) -> list[pulse.Echo]:
    """Possible returns of fog and dust, of what falls, and of spray.

    Args:
        puffs: of spray, in the sensor's frame. target: power (n,) of the targets' own returns.
    """
    floating, back = state.air.suspended_optics(scan.sensor.wavelength)
    extinction, clouds = _extinction(scan, state), state.clouds()
    echoes = []
    if back > 0:
        densest = 1 + state.air.patchiness
        echo = pulse.suspended_echoes(
            extinction, back, scan.sensor, draws, scan.numbers, target, scan.from_scanner, densest
        )
        echoes.append(echo if clouds is None else _in_patchy_fog(scan, echo, clouds, floating))
    for k, particles in enumerate(state.air.particles()):
        own = replace(draws, key=digest(draws.key, "particles", k))
        echoes += particle_echoes(scan, state, particles, digest(state.key, "particles", k), extinction, own)
    if len(puffs):
        echoes += spray_echoes(scan, puffs, state, extinction, draws)
    return echoes


def _in_patchy_fog(scan: Scan, echo: pulse.Echo, clouds: FogField, floating: float) -> pulse.Echo:
    """Returns from fog as dense as it is where they come from, and on the way there and back."""
    power = np.array(echo.power, float)
    for rows, place in scan.scanners:
        mine = np.flatnonzero(np.isin(echo.beam, rows)) if len(scan.scanners) > 1 else np.arange(len(power))
        start, ray, far = scan.in_world(place), scan.ray_in_world[echo.beam[mine]], echo.distance[mine]
        path = clouds.path(start, ray, far, scan.time * 1e-9)
        power[mine] *= clouds.density(start, ray, far, scan.time * 1e-9) * np.exp(-2 * floating * (path - far))
    return echo._replace(power=power)


def surface_factor(scan: Scan, state: WeatherState) -> Array | float:
    """What wet surfaces, and wet or snowy ground, leave of each return."""
    wetness, film, snow = state.surface.wetness, state.surface.water_film, state.surface.snow_cover
    everywhere = float(wet_surface(wetness))
    if wetness <= 0 and film <= 0 and snow <= 0:
        return everywhere
    sample = scan.call.sample
    T = T_up_ref(sample, scan.index) @ sample.metas[scan.index].T_ref(scan.frame, scan.time, true_rig=True).numpy()
    plane = ground_of(scan.xyz.astype(float), T)
    if plane is None:
        return everywhere
    factor = np.full(len(scan.distance), everywhere)
    with np.errstate(invalid="ignore"):
        ground = np.flatnonzero(np.abs(height(plane, scan.xyz)) < NEAR)
    cosine = np.abs(scan.ray[ground] @ plane[:3])
    factor[ground] = np.minimum(wet_surface(wetness, cosine), wet_return(cosine, film))
    if snow > 0 and scan.intensity is not None:
        white = SNOW_REFLECTIVITY[scan.sensor.wavelength < 1.2e-6]
        now = pulse.reflectivity(np.nan_to_num(scan.intensity[ground]), scan.sensor)
        world = scan.xyz[ground] @ scan.to_world[:3, :3].T + scan.to_world[:3, 3]
        share = state.snow_on(world)
        factor[ground] = (1 - share) * factor[ground] + share * white / now
    return factor


def particle_echoes(
    scan: Scan, state: WeatherState, particles: Particles, key: str, extinction: float, draws: ItemNoise
) -> list[pulse.Echo]:
    """Returns of drops or flakes: of particles with stored positions, and of those without, by statistics."""
    found, kept = [], np.zeros((0, 2))
    for rows, place in scan.scanners:
        own, kept = _kept_particles(scan, rows, place, state, particles, key, extinction)
        found += own
    return [*found, pulse.small_particle_echoes(particles, extinction, kept, scan.sensor, draws, scan.numbers)]


def _kept_particles(
    scan: Scan, rows: Array, place: Array, state: WeatherState, particles: Particles, key: str, extinction: float
) -> tuple[list[pulse.Echo], Array]:
    """Returns to one scanner of particles with stored positions; (m, 2) up to what distance how many per m^3 are."""
    from scipy.spatial import cKDTree

    sensor, R = scan.sensor, scan.to_world[:3, :3].astype(np.float32)
    beams = rows[scan.known[rows]]
    found, kept, tree = [], [], None
    for cloud in lattice.particles_around(particles, key, scan.in_world(place), scan.time * 1e-9, state.air.wind):
        kept.append((cloud.reach, lattice.kept_density(cloud.level)))
        far = np.sqrt(np.einsum("ij,ij->i", cloud.offset, cloud.offset))
        section = particles.backscatter(cloud.diameter, sensor.wavelength)
        power = pulse.particle_power(section, far, extinction, sensor)
        least = pulse.threshold(pulse.gain(far, sensor), sensor)
        seen = np.flatnonzero((power > least) & (far < cloud.reach) & (far > sensor.min_range))
        if len(seen) == 0 or len(beams) == 0:
            continue
        if tree is None:
            tree = cKDTree(scan.ray[beams], balanced_tree=False, compact_nodes=False)
            low, high = scan.ray[beams, 2].min() - 0.01, scan.ray[beams, 2].max() + 0.01
        ray = (cloud.offset[seen] @ R) / far[seen, None]
        scanned = (ray[:, 2] > low) & (ray[:, 2] < high)
        seen, ray = seen[scanned], ray[scanned]
        if len(seen) == 0:
            continue
        reach = (sensor.divergence + (pulse.APERTURE + particles.width(cloud.diameter[seen])) / far[seen]) / 2
        gap, beam = tree.query(ray, distance_upper_bound=float(reach.max()))
        hit = gap < reach
        found.append(pulse.Echo(beams[beam[hit]], far[seen][hit].astype(float), power[seen][hit]))
    return found, np.array(kept).reshape(-1, 2)


def _spray(scan: Scan, state: WeatherState) -> Puffs:
    """Clouds of spray in the sensor's frame."""
    puffs = spray_behind(scan.call.sample, scan.index, scan.time, state)
    if not len(puffs):
        return puffs
    T = np.linalg.inv(scan.call.sample.metas[scan.index].T_ref(scan.frame, scan.time, true_rig=True).numpy())
    return Puffs(puffs.centre @ T[:3, :3].T + T[:3, 3], puffs.shape @ T[:3, :3].T, puffs.extinction)


def spray_echoes(
    scan: Scan, puffs: Puffs, state: WeatherState, extinction: float, draws: ItemNoise
) -> list[pulse.Echo]:
    """Returns from spray, spread about the densest point of each cloud of it along a beam."""
    out = []
    step = pulse.LIGHT * scan.sensor.pulse / 2
    for rows, place in scan.scanners:
        for k, peak in enumerate(puffs.peak(place, scan.ray[rows])):
            one = Puffs(puffs.centre[k : k + 1], puffs.shape[k : k + 1], puffs.extinction[k : k + 1])
            whole = one.depth(place, scan.ray[rows], scan.distance[rows])
            met = np.flatnonzero((whole > 1e-3) & scan.known[rows])
            beam, ray = rows[met], scan.ray[rows[met]]
            spread = 1 / np.linalg.norm(ray @ puffs.shape[k].T, axis=1)
            distance = peak[met] + spread * normal(draws.rows("spray", k), scan.numbers[beam])
            before = one.depth(place, ray, np.maximum(distance, 0)) + extinction * distance
            density = np.minimum(whole[met] / (spread * np.sqrt(2 * np.pi)), 1.0)
            # drops of spray scatter like fog; a gate's return varies from pulse to pulse
            back = density / state.air.lidar_ratio
            power = back * step * np.pi * np.exp(-2 * before) * pulse.gain(distance, scan.sensor)
            varies = exponential(draws.rows("power of spray", k), cells(scan.numbers[beam], 2)).mean(1)
            out.append(pulse.Echo(beam, distance, power * varies))
    return out


def sun_echoes(scan: Scan, state: WeatherState, draws: ItemNoise) -> tuple[Array, pulse.Echo]:
    """The factor on the threshold near the sun, and false returns there, even in range."""
    angle = np.arccos(np.clip(scan.ray_in_world @ to_sun_in_world(scan.call.sample, scan.index, state), -1, 1))
    near = np.where(angle < SUN_ANGLE, (1 - angle / SUN_ANGLE) ** 2, 0.0) * state.light.sun / 1e5
    beam = np.flatnonzero(chance(draws.rows("sun"), scan.numbers, SUN_ECHOES * near))
    noise = 1 + 30 * near
    low, high = scan.sensor.min_range, scan.sensor.max_range
    distance = low + (high - low) * uniform(draws.rows("range in the sun"), scan.numbers[beam])
    # a false return is noise that passed the threshold by a little
    least = noise[beam] * pulse.threshold(pulse.gain(distance, scan.sensor), scan.sensor)
    return noise, pulse.Echo(
        beam, distance, least * (1 + 0.3 * exponential(draws.rows("power in the sun"), scan.numbers[beam]))
    )
