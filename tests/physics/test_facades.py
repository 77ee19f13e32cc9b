"""Facades among points: walls are found where they are, and no trees, buses or low walls are taken for them."""

from __future__ import annotations

import numpy as np
import pytest

from fusion_aug.physics.facades import Facade, find_facades

MIDDLE = np.array([812.0, -345.0])


def wall(rng: np.random.Generator, length: float, tall: float, noise: float = 0.03) -> np.ndarray:
    """Points (n, 3) of a wall from (-length / 2, 14) to (length / 2, 14), in rows 0.4 m apart."""
    along, up = np.meshgrid(np.arange(-length / 2, length / 2, 0.15), np.arange(1.8, tall, 0.4))
    off = rng.normal(0, noise, along.size)
    return np.column_stack([along.reshape(-1), 14 + off, up.reshape(-1)])


def found(points: np.ndarray, yaw: float = 0.4, edge: float = np.inf) -> list[Facade]:
    """Facades of points turned about the vehicle; what lies above ``edge`` is at the scan's edge."""
    c, s = np.cos(yaw), np.sin(yaw)
    place = points @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]).T + np.append(MIDDLE, 0)
    return find_facades(place, points[:, 2], points[:, 2] > edge, MIDDLE)


def test_a_wall_is_found_where_it_is() -> None:
    (facade,) = found(wall(np.random.default_rng(0), 20.0, 7.0))
    towards = np.array([np.sin(0.4), -np.cos(0.4)])
    assert facade.normal @ towards > np.cos(np.radians(0.5))
    assert facade.offset - facade.normal @ MIDDLE == pytest.approx(-14, abs=0.05)
    assert facade.stop - facade.start == pytest.approx(20, abs=2)
    assert np.abs((facade.start + facade.stop) / 2 - facade.tangent @ MIDDLE) < 1
    assert facade.top.max() == pytest.approx(6.6, abs=0.05)


def test_what_ends_below_five_metres_is_none_unless_the_scan_ends_there() -> None:
    bus = wall(np.random.default_rng(0), 12.0, 3.4)
    assert not found(bus)
    assert found(bus, edge=3.0)


def test_short_walls_and_foliage_are_none() -> None:
    rng = np.random.default_rng(1)
    assert not found(wall(rng, 4.0, 7.0))
    assert not found(wall(rng, 20.0, 7.0, noise=0.5))
    crowns = [rng.normal((x, 13.0, 5.0), 1.2, (1500, 3)) for x in range(-20, 21, 5)]
    assert not found(np.concatenate(crowns))
    assert not found(np.zeros((0, 3)))


def test_a_wall_behind_trees_is_found_in_pieces_between_them() -> None:
    rng = np.random.default_rng(2)
    trees = [rng.normal((x, 13.2, 4.0), 0.8, (800, 3)) for x in (-10.0, 12.0)]
    facades = found(np.concatenate([wall(rng, 40.0, 7.0), *trees]))
    assert facades and all(abs(f.offset - f.normal @ MIDDLE + 14) < 0.1 for f in facades)
    middles = [(f.start + f.stop) / 2 - f.tangent @ MIDDLE for f in facades]
    assert any(-8 < m < 10 for m in middles)


def test_each_point_belongs_to_one_wall() -> None:
    rng = np.random.default_rng(3)
    facades = found(np.concatenate([wall(rng, 30.0, 7.0, noise=0.08), wall(rng, 30.0, 7.0, noise=0.08)]))
    assert len(facades) == 1
