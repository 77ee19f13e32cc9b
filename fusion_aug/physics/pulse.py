"""LiDAR pulses in the air: one power budget for the target and for the suspended and falling particles before it.

Powers are shares of the return from a white Lambertian target that fills the beam at 1 m in clear air, by the law of
1 / R^2. Nearer than ``near_range`` a receiver sees only part of the beam and holds its gain back: there returns fall
towards the sensor, in proportion to the distance.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from calib import LidarSensor
from fusion_aug.physics.precipitation import Particles

Array = np.ndarray
LIGHT = 299792458.0
LOOKS = 8.0  # of the gamma distribution of a gate's return: patches of the air and the detector's noise
PULSES = 512
LEAST = 0.05  # reflectivity of the darkest targets, black paint and wet asphalt: lower intensities are noise
MARGIN = 2.0  # power over the noise floor of a target that was measured though its intensity says it could not be
APERTURE = 0.01  # metres, width of the beam at the sensor
GAP = 0.3  # metres before a target within which a return is not resolved from it


class Echo(NamedTuple):
    """Possible returns: index of the beam (n,), distance (n,) m, power (n,); ``at_most_one_per_beam`` where known."""

    beam: Array
    distance: Array
    power: Array
    at_most_one_per_beam: bool = False


def gain(distance: Array, sensor: LidarSensor) -> Array:
    """Fall of a return with distance, the receiver's gain included."""
    near = sensor.near_range
    return np.minimum(distance, near) / (near * np.square(np.maximum(distance, near)))


def reflectivity(intensity: Array, sensor: LidarSensor) -> Array:
    """Reflectivity of targets, 1 for a white Lambertian one, from intensities in the sensor's own scale."""
    return np.maximum(intensity / (sensor.scale * sensor.white), LEAST)


def intensity_of(power: Array, distance: Array, sensor: LidarSensor) -> Array:
    """Intensity in the sensor's own scale of a return."""
    share = power / np.maximum(gain(distance, sensor), 1e-12) * sensor.white
    return np.clip(share, 0.0, 1.0) * sensor.scale


def target_power(rho: Array, distance: Array, depth: Array, factor: Array | float, sensor: LidarSensor) -> Array:
    """Return of targets that were measured in clear air.

    Args:
        rho: reflectivity. distance: metres. depth: optical depth of the way there.
        factor: share of the return that the target itself still gives (wet ground).
    """
    return np.maximum(rho * gain(distance, sensor), MARGIN * sensor.noise_floor) * np.exp(-2 * depth) * factor


def suspended_echoes(
    extinction: float,
    backscatter: float,
    sensor: LidarSensor,
    rng: np.random.Generator,
    target: Array,
    densest: float = 1.0,
) -> Echo:
    """The strongest return of fog or dust in every beam whose target (its power, (n,)) does not outshine all of them.

    Each range gate, as long as the pulse, sends back a mean that the lidar equation gives, times a gamma-distributed
    number. Beams draw one of 512 pulses, and a distance within the gate. ``densest``: of patchy fog, against the mean.
    """
    step = LIGHT * sensor.pulse / 2
    start = max(sensor.min_range, 0.3)
    gates = start + step * (np.arange(int(np.clip(3.0 / max(extinction, 1e-3), 10, 80) / step) + 1) + 0.5)
    mean = backscatter * step * np.pi * np.exp(-2 * extinction * gates) * gain(gates, sensor)
    pulses = (rng.standard_gamma(LOOKS, (PULSES, len(gates))) * (mean / LOOKS)).astype(np.float32)
    best = pulses.argmax(1)
    strength = pulses[np.arange(PULSES), best]
    beam = np.flatnonzero(target <= strength.max() * densest)
    draw = rng.integers(0, PULSES, len(beam), np.uint16)
    distance = gates.astype(np.float32)[best][draw]
    distance += np.float32(step) * (rng.random(len(beam), np.float32) - np.float32(0.5))
    return Echo(beam, distance, strength[draw], at_most_one_per_beam=True)


def particle_power(cross_section: Array, distance: Array, extinction: float, sensor: LidarSensor) -> Array:
    """Return of particles that lie in a beam.

    Args:
        cross_section: differential, m^2/sr. distance: metres. extinction: of the air, 1/m.
    """
    share = np.pi * cross_section / beam_area(distance, sensor)
    return np.minimum(share, 1.0) * gain(distance, sensor) * np.exp(-2 * extinction * distance)


def beam_area(distance: Array, sensor: LidarSensor) -> Array:
    """Section of the beam, m^2."""
    return np.pi / 4 * (APERTURE + sensor.divergence * np.asarray(distance)) ** 2


def small_particle_echoes(
    particles: Particles, extinction: float, known: Array, sensor: LidarSensor, rng: np.random.Generator, beams: int
) -> Echo:
    """Returns of particles without stored positions, by their statistics.

    Along a beam those that can be detected form a Poisson process, whose rate at each distance is the beam's section
    times the number of particles large enough there.

    Args:
        known: (m, 2) distance up to which particles are stored, and how many per m^3 (largest first).
    """
    step, sizes = 0.25, np.geomspace(0.05, 6.0, 60)
    gates = max(sensor.min_range, 0.3) + step * (np.arange(240) + 0.5)
    section = particles.backscatter(sizes, sensor.wavelength)
    # smallest detectable particle of every gate: powers grow with size
    power = particle_power(section[None], gates[:, None], extinction, sensor)
    seen = power >= sensor.noise_floor
    least = np.where(seen.any(1), sizes[seen.argmax(1)], 6.0)
    elsewhere = np.array([known[g <= known[:, 0], 1].max(initial=0.0) for g in gates])
    number = np.where(seen.any(1), np.maximum(particles.count_above(least) - elsewhere, 0.0), 0.0)
    rate = number * beam_area(gates, sensor) * step
    if rate.sum() <= 0:
        return Echo(np.zeros(0, int), np.zeros(0), np.zeros(0))
    counts = rng.poisson(rate.sum(), beams)
    beam = np.repeat(np.arange(beams), counts)
    gate = rng.choice(len(gates), len(beam), p=rate / rate.sum())
    distance = gates[gate] + step * (rng.random(len(beam)) - 0.5)
    size = particles.diameter_exceeded_by(elsewhere[gate] + rng.random(len(beam)) * number[gate])
    return Echo(
        beam, distance, particle_power(particles.backscatter(size, sensor.wavelength), distance, extinction, sensor)
    )


def strongest(echoes: list[Echo], target: Array, sensor: LidarSensor, floor: Array | float) -> tuple[Array, Array]:
    """The strongest return before the target in every beam: distance and power, 0 where there is none.

    Args:
        target: (n,) distance of the targets. floor: noise floor, of all or of every beam.
    """
    distance, power = np.zeros(len(target), np.float32), np.zeros(len(target), np.float32)
    least = np.broadcast_to(floor, len(target))
    for echo in echoes:
        fits = (echo.distance < target[echo.beam] - GAP) & (echo.distance >= sensor.min_range)
        fits &= echo.power > least[echo.beam]
        fits &= echo.power > power[echo.beam]
        order = np.flatnonzero(fits)
        if not echo.at_most_one_per_beam:
            order = order[np.argsort(echo.power[order], kind="stable")]  # the strongest of a beam is written last
        power[echo.beam[order]], distance[echo.beam[order]] = echo.power[order], echo.distance[order]
    return distance, power
