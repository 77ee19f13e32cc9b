"""LiDAR pulses in the air: one power budget for the target and for the suspended and falling particles before it.

Powers are shares of the return from a white Lambertian target that fills the beam at 1 m in clear air, by the law of
1 / R^2. Nearer than ``near_range`` a receiver sees only part of the beam and holds its gain back: there returns fall
towards the sensor, in proportion to the distance. A return is detected above the threshold: far away the noise floor,
and near the sensor, where stray light would pass that, the return of a target of the reflectivity ``near_floor``. A
range gate of fog returns as much as a target of a few thousandths, so that this alone decides whether a device sees
fog as a ring around itself or nothing at all.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from calib import LidarSensor
from calib.ties import nearest_whole
from fusion_aug.ops.hashed import ItemNoise, uniform
from fusion_aug.physics.precipitation import Particles

Array = np.ndarray
LIGHT = 299792458.0
LOOKS = 16.0  # of the gamma distribution of a gate's return: patches of the air; droplets are too many to show
PULSES = 64  # of which the air gives neighbouring directions neighbouring ones
PATCHES = 0.9  # about the cycles per radian of direction in which all of them appear twice
LAYERS = 6.0  # the same along the cloud's z: beams of two rings differ more than two pulses of one
BLOCK = 8192  # directions at a time, which stay in the processor's cache
WOBBLE = 0.7  # share of a gate by which the detector's noise moves the distance of a return from the air
MARGIN = 2.0  # power over the threshold of a target that was measured though its intensity says it could not be
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
    loss = np.maximum(distance, near)
    loss *= loss
    loss *= near
    return np.minimum(distance, near) / loss


def reflectivity(intensity: Array, sensor: LidarSensor) -> Array:
    """Reflectivity of targets, 1 for a white Lambertian one, from intensities in the sensor's own scale."""
    return np.maximum(intensity / (sensor.scale * sensor.white), sensor.least_reflectivity)


def threshold(received: Array, sensor: LidarSensor) -> Array:
    """Smallest return (n,) that is detected at distances with the gain ``received`` (n,)."""
    return np.maximum(sensor.near_floor * received, sensor.noise_floor)


def intensity_of(power: Array, distance: Array, sensor: LidarSensor) -> Array:
    """Intensity in the sensor's own scale of a return."""
    share = power / np.maximum(gain(distance, sensor), 1e-12)
    share *= sensor.white
    return np.clip(share, 0.0, 1.0) * sensor.scale


def rounded(intensity: Array, sensor: LidarSensor) -> Array:
    """Intensities in the steps that the sensor tells apart."""
    if sensor.intensity_levels is None:
        return intensity
    levels = sensor.intensity_levels / sensor.scale
    return nearest_whole(intensity * levels) / levels


def target_power(rho: Array, received: Array, least: Array, left: Array) -> Array:
    """Return of targets that were measured in clear air.

    Args:
        rho: reflectivity. received: gain at their distance. least: threshold there.
        left: share of the return that air and wet surfaces leave.
    """
    return np.maximum(rho * received, MARGIN * least) * left


def suspended_echoes(
    extinction: float,
    backscatter: float,
    sensor: LidarSensor,
    draws: ItemNoise,
    rows: Array,
    target: Array,
    way: Array,
    densest: float = 1.0,
) -> Echo:
    """The strongest return of fog or dust in every beam whose target (its power, (n,)) does not outshine all of them.

    Each range gate, as long as the pulse, sends back a mean that the lidar equation gives, times a gamma-distributed
    number. Beams share 64 such pulses, in the order of their distances: patches of the air are wider than the gap
    between two beams, so that neighbours return alike. ``rows`` (n,): what noise is drawn by. ``way``
    (n, 3): from the scanner to the targets. ``densest``: of patchy fog, against the mean.
    """
    pulses = Pulses.drawn(extinction, backscatter, sensor, draws.rng)
    strength, distance = pulses.strength, pulses.distance
    beam = np.flatnonzero(target <= strength.max() * densest)
    with np.errstate(invalid="ignore"):  # targets at infinity have no direction: any pulse will do
        place = np.fmin(pulses.places(way[beam]), 1.0) * (PULSES - 1)
    left = np.minimum(place.astype(np.intp), PULSES - 2)
    share = (place - left).astype(np.float32)
    far = distance[left] + share * np.diff(distance)[left]
    wobble = uniform(draws.rows("wobble"), rows[beam]).astype(np.float32)
    far += wobble_width(sensor) * (wobble - np.float32(0.5))
    return Echo(beam, far, strength[left] + share * np.diff(strength)[left], at_most_one_per_beam=True)


class Pulses(NamedTuple):
    """Returns of fog or dust that the beams of a scan share, and which of them a direction gets.

    Attributes:
        strength, distance: (``PULSES``,) float32 of the strongest gate of each, in the order of the distances, m.
        level, bend, phase: (3,), (3, 3) and a number: a random quadratic function of the direction, which is folded.
    """

    strength: Array
    distance: Array
    level: Array
    bend: Array
    phase: float

    @staticmethod
    def drawn(extinction: float, backscatter: float, sensor: LidarSensor, rng: np.random.Generator) -> Pulses:
        """Those of a scan in air of an extinction (1/m) and a backscatter (1/m/sr)."""
        step = LIGHT * sensor.pulse / 2
        start = max(sensor.min_range, 0.3)
        gates = start + step * (np.arange(int(np.clip(3.0 / max(extinction, 1e-3), 10, 80) / step) + 1) + 0.5)
        mean = backscatter * step * np.pi * np.exp(-2 * extinction * gates) * gain(gates, sensor)
        pulses = rng.standard_gamma(LOOKS, (PULSES, len(gates))) * (mean / LOOKS)
        best = pulses.argmax(1)
        strength, distance = pulses[np.arange(PULSES), best], gates[best] + step * (rng.random(PULSES) - 0.5)
        order = np.argsort(distance, kind="stable")
        level, bend, phase = rng.normal(0.0, PATCHES, 3), rng.normal(0.0, PATCHES, (3, 3)), rng.random()
        level[2] += LAYERS
        return Pulses(strength[order].astype(np.float32), distance[order].astype(np.float32), level, bend, phase)

    def places(self, way: Array) -> Array:
        """A number (n,) from 0 to 1 for each way (n, 3): evenly spread, and nearly the same for neighbours.

        In float64 and without a step, so that no choice hangs on the last bits.
        """
        out = np.empty(len(way))
        for start in range(0, len(way), BLOCK):
            some = way[start : start + BLOCK].astype(float)
            far = np.maximum(np.sqrt(np.einsum("ij,ij->i", some, some)), 1e-6)
            turns = (np.einsum("ij,ij->i", some, some @ self.bend) / far + some @ self.level) / far + self.phase
            out[start : start + BLOCK] = np.abs(2.0 * (turns - np.floor(turns)) - 1.0)
        return out


def wobble_width(sensor: LidarSensor) -> np.float32:
    """Metres that the detector's noise moves returns from the air by, from the one side to the other."""
    return np.float32(WOBBLE * (LIGHT * sensor.pulse / 2))


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
    particles: Particles, extinction: float, known: Array, sensor: LidarSensor, draws: ItemNoise, beams: Array
) -> Echo:
    """Returns of particles without stored positions, by their statistics.

    Along a beam those that can be detected form a Poisson process, whose rate at each distance is the beam's section
    times the number of particles large enough there.

    Args:
        known: (m, 2) distance up to which particles are stored, and how many per m^3 (largest first).
        draws: noise of the scan and of this kind of particles.
        beams: (n,) what the noise of each beam is drawn by.
    """
    from scipy.special import pdtr  # slow to import

    step, sizes = 0.25, np.geomspace(0.05, 6.0, 60)
    gates = max(sensor.min_range, 0.3) + step * (np.arange(240) + 0.5)
    section = particles.backscatter(sizes, sensor.wavelength)
    # smallest detectable particle of every gate: powers grow with size
    power = particle_power(section[None], gates[:, None], extinction, sensor)
    seen = power >= threshold(gain(gates, sensor), sensor)[:, None]
    least = np.where(seen.any(1), sizes[seen.argmax(1)], 6.0)
    elsewhere = np.array([known[g <= known[:, 0], 1].max(initial=0.0) for g in gates])
    number = np.where(seen.any(1), np.maximum(particles.count_above(least) - elsewhere, 0.0), 0.0)
    rate = number * beam_area(gates, sensor) * step
    if rate.sum() <= 0:
        return Echo(np.zeros(0, int), np.zeros(0), np.zeros(0))
    most = int(rate.sum() + 12 * np.sqrt(rate.sum()) + 20)  # in one beam, but once in 1e15
    counts = np.searchsorted(pdtr(np.arange(most), rate.sum()), uniform(draws.rows("count"), beams), side="right")
    beam = np.repeat(np.arange(len(beams)), counts)
    # numbers of a beam's own
    rows = (beams[beam] << 20) + np.arange(len(beam)) - np.repeat(np.cumsum(counts) - counts, counts)
    gate = np.searchsorted(np.cumsum(rate)[:-1] / rate.sum(), uniform(draws.rows("gate"), rows), side="right")
    distance = gates[gate] + step * (uniform(draws.rows("place"), rows) - 0.5)
    size = particles.diameter_exceeded_by(elsewhere[gate] + uniform(draws.rows("size"), rows) * number[gate])
    return Echo(
        beam, distance, particle_power(particles.backscatter(size, sensor.wavelength), distance, extinction, sensor)
    )


def strongest(
    echoes: list[Echo], target: Array, sensor: LidarSensor, noise: Array | float = 1.0
) -> tuple[Array, Array]:
    """The strongest return before the target in every beam: distance and power, 0 where there is none.

    Args:
        target: (n,) distance of the targets. noise: factor on the threshold, of all or of every beam.
    """
    distance, power = np.zeros(len(target), np.float32), np.zeros(len(target), np.float32)
    noise = np.broadcast_to(noise, len(target))
    for echo in echoes:
        fits = (echo.distance < target[echo.beam] - GAP) & (echo.distance >= sensor.min_range)
        fits &= echo.power > noise[echo.beam] * threshold(gain(echo.distance, sensor), sensor)
        fits &= echo.power > power[echo.beam]
        order = np.flatnonzero(fits)
        if not echo.at_most_one_per_beam:
            order = order[np.argsort(echo.power[order], kind="stable")]  # the strongest of a beam is written last
        power[echo.beam[order]], distance[echo.beam[order]] = echo.power[order], echo.distance[order]
    return distance, power
