"""What a LiDAR returns in fog: the figures, and real scans in our fog beside real fog."""

from __future__ import annotations

import numpy as np
import pytest
from places import DRIVE

import fusion_aug as fa
from benchmarks import lidar_in_fog
from fusion_aug.check.air import call_for
from fusion_aug.check.measurement import MEASUREMENTS, Pair
from fusion_aug.check.returns import TITLES, Returns, beams_of, isolated, returns_of
from fusion_aug.transforms.weather.scan import Scan


@pytest.mark.quick
def test_isolated_returns_of_a_ring() -> None:
    azimuth = np.radians(np.arange(-180, 180, 10.0))
    far = np.full(36, 10.0)
    far[5], far[20], far[21], far[35] = 10.5, 6.0, 6.2, 10.3
    expected = np.zeros(36, bool)
    expected[5] = True  # 20 and 21 have each other, and 35 differs by less than 4 %
    assert np.array_equal(isolated(far, azimuth, np.zeros(36)), expected)
    shuffled = np.random.default_rng(0).permutation(36)
    assert np.array_equal(isolated(far[shuffled], azimuth[shuffled], np.zeros(36)), expected[shuffled])
    far[:] = 5.0
    far[0] = 5.31  # nearer than 7.5 m 0.3 m count, and the ring is closed
    assert isolated(far, azimuth, np.zeros(36)).tolist() == [True] + [False] * 35
    assert not isolated(np.array([1.0, 9.0]), azimuth[:2], np.zeros(2)).any()


@pytest.mark.quick
def test_isolated_returns_count_their_own_ring_only() -> None:
    ring = np.tile([3, 7], 40)
    azimuth = np.repeat(np.linspace(-3, 3, 40), 2)
    far = np.where(ring == 3, 4.0, 40.0)
    assert not isolated(far, azimuth, ring).any()
    assert isolated(far, azimuth, np.zeros(80)).all()  # as if of one beam
    far[10] = 8.0
    assert np.flatnonzero(isolated(far, azimuth, ring)).tolist() == [10]


def test_scanners_that_share_ring_numbers_are_told_apart() -> None:
    """Two scanners in one cloud, both with the rings 0 to 31: neighbours are those of the own beam."""
    sample = fa.open_log("nuscenes", DRIVE)[7]
    params = dict(lidar_in_fog.drawn(sample, 0, 1e6, 0.0))
    one = returns_of(sample, "LIDAR_TOP", params)
    cloud = sample["LIDAR_TOP"].realized()
    scan = Scan(call_for(sample, "LIDAR_TOP", params), sample.key_item("LIDAR_TOP"))
    first = np.arange(len(scan.distance)) % 2 == 0
    scan.scanners = [(np.flatnonzero(first), np.zeros(3)), (np.flatnonzero(~first), np.ones(3))]
    ring = cloud["ring"][cloud.item_slice(sample.key_item("LIDAR_TOP"))].numpy()  # type: ignore[attr-defined]
    beam = beams_of(scan, ring)
    assert len(np.unique(beam)) == 2 * len(np.unique(ring))
    assert all(len(np.unique(ring[beam == b])) == 1 and len(np.unique(first[beam == b])) == 1 for b in np.unique(beam))
    assert np.isfinite(one.isolated)


def test_check_reports_them() -> None:
    sample = fa.open_log("nuscenes", DRIVE)[7]
    params = dict(lidar_in_fog.drawn(sample, 0, 120.0, 0.5))
    rows = list(MEASUREMENTS["returns in fog"]([Pair(sample, sample, (params,))]))
    assert [r.measurement for r in rows] == [f"fog, {title}" for title, _ in TITLES.values()]
    assert {r.sensor for r in rows} == {"LIDAR_TOP"} and all(r.status == "intended" or not len(r.values) for r in rows)
    clear = dict(params, mor=None)
    assert not list(MEASUREMENTS["returns in fog"]([Pair(sample, sample, (clear,))]))


def test_denser_fog_returns_less(real_data) -> None:  # type: ignore[no-untyped-def]
    for device, sample, name in lidar_in_fog.scans(real_data):
        found = [returns_of(sample, name, lidar_in_fog.drawn(sample, 0, m, 1.0)) for m in (60.0, 120.0, 250.0, 1000.0)]
        # of the HDL-64E, fog returns what the targets do not
        for figure in ("reach", "beyond", "returned")[: 3 if device == "HDL-32E" else 2]:
            values = [getattr(f, figure) for f in found]
            assert values == sorted(values), (name, figure, values)


def test_a_real_scan_in_our_fog_is_like_one_in_real_fog(real_data) -> None:  # type: ignore[no-untyped-def]
    """HDL-32E with wet surfaces: five figures fit at one and the same MOR, for every draw."""
    scans = {device: (sample, name) for device, sample, name in lidar_in_fog.scans(real_data)}
    sample, name = scans["HDL-32E"]
    found = [returns_of(sample, name, lidar_in_fog.drawn(sample, seed, 150.0, 1.0)) for seed in range(3)]
    for figure, (low, high) in lidar_in_fog.REAL["HDL-32E"].items():
        assert all(low <= getattr(f, figure) <= high for f in found), (figure, found)
    assert all(f.intensity == round(f.intensity) for f in found)


def test_the_ring_of_a_real_scan_by_hdl64(real_data) -> None:  # type: ignore[no-untyped-def]
    """5-20 % of the pulses come back from the air, nearly all of them from 3-10 m, and fewer in thinner fog."""
    scans = {device: (sample, name) for device, sample, name in lidar_in_fog.scans(real_data)}
    sample, name = scans["HDL-64E"]
    found: list[Returns] = []
    for mor in (40.0, 60.0, 80.0):
        found += [returns_of(sample, name, lidar_in_fog.drawn(sample, 1, mor, 0.0))]
    assert all(5 <= f.from_air <= 20 and f.ring >= 90 for f in found), found
    assert [f.from_air for f in found] == sorted((f.from_air for f in found), reverse=True)
