"""The probe's loss of readings: against plain NumPy, and where readings are gone or were never known."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

import fusion_aug as fa
from fusion_aug.policy.probe import readings_loss

pytestmark = pytest.mark.quick
RNG = np.random.default_rng(3)
GYRO, ACCEL = RNG.normal(0, [1, 2, 0.01], (40, 3)), RNG.normal(0, 3, (40, 3))


def imu(gyro: np.ndarray, accel: np.ndarray) -> fa.Imu:
    values = {"gyro": torch.from_numpy(gyro), "accel": torch.from_numpy(accel)}
    return fa.Imu(frame="imu", capture_times=torch.arange(len(gyro)), values=values)


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def test_of_whole_readings_it_is_the_rms_over_the_spread() -> None:
    off = RNG.normal(0, 0.2, (40, 3))
    spread = np.maximum(GYRO.std(0), 0.1 * GYRO.std(0).max())
    wanted = np.sqrt(np.mean((off / spread) ** 2))
    assert readings_loss(imu(GYRO, ACCEL), imu(GYRO + off, ACCEL)) == pytest.approx(wanted)
    assert readings_loss(imu(GYRO, ACCEL), imu(GYRO, ACCEL)) == 0
    assert readings_loss(imu(GYRO, ACCEL), imu(GYRO + 99, ACCEL)) == 1


@pytest.mark.parametrize("by_sum", [False, True])
def test_readings_that_became_nan_are_lost(by_sum: bool) -> None:
    none, half = np.full_like(GYRO, np.nan), GYRO.copy()
    half[::2] = np.nan
    assert readings_loss(imu(GYRO, ACCEL), imu(none, ACCEL), by_sum) == pytest.approx(1.0)
    share = np.abs(GYRO[::2]).sum() / np.abs(GYRO).sum() if by_sum else np.sqrt(0.5)
    assert readings_loss(imu(GYRO, ACCEL), imu(half, ACCEL), by_sum) == pytest.approx(share)


@pytest.mark.parametrize("by_sum", [False, True])
def test_readings_that_were_never_known_hide_no_others(by_sum: bool) -> None:
    gaps = GYRO.copy()
    gaps[3] = np.nan
    assert readings_loss(imu(gaps, ACCEL), imu(gaps, ACCEL), by_sum) == 0
    assert readings_loss(imu(gaps, ACCEL), imu(gaps + 99, ACCEL), by_sum) == 1
    unknown = np.full_like(GYRO, np.nan)
    assert readings_loss(imu(unknown, ACCEL), imu(unknown, ACCEL), by_sum) == 0


def test_of_no_readings_all_are_lost_and_of_fewer_a_share() -> None:
    whole = imu(GYRO, ACCEL)
    none = whole.take_items(torch.zeros(0, dtype=torch.int64))
    assert readings_loss(whole, none) == 1
    assert readings_loss(whole, whole.take_items(torch.arange(30))) == 0.25
