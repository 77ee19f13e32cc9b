"""Rings and columns of scans: found from the order of the points, aligned, and what hides what."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fusion_aug.ops.beam_grid import column_count, columns_of, ring_shift, rings_by_order
from fusion_aug.ops.beam_hiding import shadow

pytestmark = pytest.mark.quick


def listed(
    rings: int = 12, columns: int = 300, spin: int = 1, start: float = 0.0, view: float = np.pi
) -> tuple[np.ndarray, np.ndarray]:
    """Returns of a scan, ring by ring, a tenth of them lost, within a view to both sides; and their rings."""
    rng = np.random.default_rng(3)
    azimuth = start + spin * (np.arange(columns) + 0.3) * 2 * np.pi / columns
    elevation = np.linspace(0.05, -0.4, rings)
    ring, a = (g.ravel() for g in np.meshgrid(np.arange(rings), azimuth, indexing="ij"))
    keep = (rng.random(len(a)) < 0.9) & (np.abs((a + np.pi) % (2 * np.pi) - np.pi) < view)
    r, ring, a = rng.uniform(3, 40, int(keep.sum())), ring[keep], a[keep]
    e = elevation[ring]
    return np.stack([r * np.cos(e) * np.cos(a), r * np.cos(e) * np.sin(a), r * np.sin(e)], 1), ring


@pytest.mark.parametrize(
    "scan", [{}, {"spin": -1}, {"start": 1.3}, {"view": 0.7}, {"spin": -1, "view": 0.7}, {"start": -2.0}]
)
def test_rings_are_found_from_the_order(scan: dict) -> None:
    xyz, ring = listed(**scan)
    found = rings_by_order(xyz)
    assert found is not None and (found.ring == ring).mean() > 0.995  # one that begins a ring may be lost
    assert "start" in scan or np.array_equal(found.ring, ring)


def test_other_orders_are_none() -> None:
    xyz, ring = listed()
    order = np.random.default_rng(0).permutation(len(xyz))
    assert rings_by_order(xyz[order]) is None, "by chance"
    azimuth = np.arctan2(xyz[:, 1], xyz[:, 0])
    assert rings_by_order(xyz[np.lexsort((ring, azimuth))]) is None, "firing by firing"
    angle = np.linspace(0, 80, 4000)  # a rosette, as Livox's prisms draw
    rosette = np.stack(
        [np.ones(4000), 0.3 * np.sin(angle) * np.cos(0.61 * angle), 0.3 * np.sin(angle) * np.sin(0.61 * angle)], 1
    )
    assert rings_by_order(20 * rosette) is None
    assert rings_by_order(np.zeros((0, 3))) is None and rings_by_order(np.full((50, 3), np.nan)) is None


def test_places_that_nobody_knows_do_not_disturb_the_others() -> None:
    xyz, ring = listed()
    xyz[::7] = np.nan
    found = rings_by_order(xyz)
    there = np.isfinite(xyz).all(1)
    assert found is not None and np.array_equal(found.ring[there], ring[there])


def test_a_real_cloud_of_kitti(real_data: Path) -> None:
    raw = np.fromfile(real_data / "kitti" / "training" / "velodyne" / "000008.bin", np.float32).reshape(-1, 4)
    xyz = raw[:, :3].astype(float)
    found = rings_by_order(xyz)
    assert found is not None and found.ring.max() + 1 == 46
    ring = found.ring
    assert (found.order(xyz, ring) == np.arange(len(xyz))).mean() > 0.98
    elevation = np.degrees(np.arctan2(xyz[:, 2], np.hypot(xyz[:, 0], xyz[:, 1])))
    middle = np.array([np.median(elevation[ring == k]) for k in range(46)])
    assert (np.diff(middle) < 0.1).all() and abs(np.diff(middle).mean() + 0.385) < 0.05, "the steps of an HDL-64E"
    azimuth = np.arctan2(xyz[:, 1], xyz[:, 0])
    assert abs(2 * np.pi / column_count(azimuth[ring == 3]) - np.radians(0.18)) < np.radians(0.01)


def test_columns_go_around_without_a_seam() -> None:
    azimuth = (np.arange(900) + 0.5) * 2 * np.pi / 900 - np.pi
    assert column_count(azimuth) == 900 and np.array_equal(columns_of(azimuth, 900), np.arange(900))
    assert columns_of(np.array([np.pi, -np.pi]), 360).tolist() == [0, 0]


def test_scans_that_lack_rings_are_aligned() -> None:
    elevations = np.cumsum(np.random.default_rng(1).uniform(0.005, 0.008, 40))
    for lacks in range(4):
        assert ring_shift(elevations, elevations[lacks:] + 0.001) == lacks
        assert ring_shift(elevations[lacks:], elevations) == -lacks


def test_an_object_hides_what_lies_between_its_outermost_returns() -> None:
    seen = np.zeros((3, 10), bool)
    seen[1, 0] = True
    ring, column = np.array([1, 1, 2]), np.array([8, 2, 5])
    found = shadow(ring, column, np.array([6.0, 5.0, 7.0]), seen, (3, 10))
    assert np.isinf(found[0]).all() and found[2].tolist() == [np.inf] * 5 + [7.0] + [np.inf] * 4
    assert found[1].tolist() == [np.inf, 5.0, 5.0, *[np.inf] * 5, 5.0, 5.0], "around the seam, but for the window"
    far = shadow(ring[:2], column[:2], np.array([6.0, 5.0]), seen, (3, 10))
    assert np.array_equal(far[1], found[1])
