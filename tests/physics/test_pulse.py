"""Pulses: gain, threshold, steps of intensities, and what fog sends back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from calib import LidarSensor
from fusion_aug.ops.hashed import ItemNoise
from fusion_aug.physics import pulse

SENSOR = LidarSensor(frame="s", intensity_scale=255.0, near_floor=0.01, noise_floor=2e-5, near_range=8.0)
FAR = np.linspace(0.5, 100.0, 400)


@pytest.mark.quick
def test_the_threshold_follows_a_dark_target_down_to_the_noise() -> None:
    received = pulse.gain(FAR, SENSOR)
    least = pulse.threshold(received, SENSOR)
    assert np.allclose(received[FAR > 8], 1 / FAR[FAR > 8] ** 2) and received.argmax() == np.abs(FAR - 8).argmin()
    near = FAR**2 * SENSOR.noise_floor < SENSOR.near_floor
    assert np.allclose(least[near & (FAR > 8)] * FAR[near & (FAR > 8)] ** 2, SENSOR.near_floor)
    assert (least[~near] == SENSOR.noise_floor).all()
    assert (pulse.threshold(received, replace(SENSOR, near_floor=0.0)) == SENSOR.noise_floor).all()


@pytest.mark.quick
@pytest.mark.parametrize("scale, levels", [(255.0, 255), (1.0, 100), (1.0, 255), (65535.0, 65535)])
def test_steps_of_intensities(scale: float, levels: int) -> None:
    sensor = replace(SENSOR, intensity_scale=scale, intensity_levels=levels)
    whole = (np.arange(levels + 1) / levels * scale).astype(np.float32)
    assert np.array_equal(pulse.rounded(whole, sensor), whole)  # what has steps keeps them bit by bit
    found = pulse.rounded(np.random.default_rng(0).random(500).astype(np.float32) * np.float32(scale), sensor)
    assert np.abs(found[:, None] - whole).min(1).max() < 1e-6 * scale


def echoes(extinction: float, rays: np.ndarray, seed: int = 0) -> pulse.Echo:
    noise, rows = ItemNoise("", "scan", seed), np.arange(len(rays))
    return pulse.suspended_echoes(extinction, extinction / 19, SENSOR, noise, rows, np.zeros(len(rays)), rays)


def test_fog_returns_what_the_lidar_equation_gives() -> None:
    """The strongest of all gates lies near the largest mean, and within what its fluctuation allows."""
    rays = np.random.default_rng(1).normal(size=(20000, 3))
    for extinction in (0.03, 0.06):
        found = echoes(extinction, rays)
        step = pulse.LIGHT * SENSOR.pulse / 2
        mean = extinction / 19 * step * np.pi * np.exp(-2 * extinction * FAR) * pulse.gain(FAR, SENSOR)
        assert mean.max() < np.median(found.power) < 2.5 * mean.max()
        assert len(found.beam) == len(rays) and abs(np.median(found.distance) - FAR[mean.argmax()]) < 2.5
        assert np.subtract(*np.percentile(found.distance, [90, 10])) > 2.0


def test_neighbours_return_nearly_alike_and_far_directions_do_not() -> None:
    azimuth = np.arange(0, 2 * np.pi, np.radians(0.2))
    ring = np.stack([np.cos(azimuth), np.sin(azimuth), np.full(len(azimuth), -0.1)], 1) * 30.0
    gaps, spread = [], []
    for seed in range(8):
        far = echoes(0.05, ring, seed).distance
        gaps.append(np.abs(np.diff(far)).mean())
        spread.append(np.abs(far - np.random.default_rng(seed).permutation(far)).mean())
    assert max(gaps) < 0.25 and np.mean(gaps) < 0.25 * np.mean(spread)


@pytest.mark.quick
def test_targets_without_a_direction_stop_nothing() -> None:
    rays = np.array([[np.inf, 1.0, 0.0], [0.0, 0.0, 0.0], [np.nan, 0.0, 1.0], [3.0, 4.0, 0.0]], np.float32)
    found = echoes(0.05, rays)
    assert found.beam.tolist() == [0, 1, 2, 3] and np.isfinite(found.distance).all() and (found.power > 0).all()


def test_the_distance_of_the_target_does_not_move_the_fog() -> None:
    rays = np.random.default_rng(2).normal(size=(3000, 3))
    near, far = echoes(0.05, rays), echoes(0.05, rays * 40.0)
    assert np.allclose(near.distance, far.distance, atol=1e-4) and np.allclose(near.power, far.power, rtol=1e-4)
