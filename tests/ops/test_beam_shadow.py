"""What returns that are put into a scan hide, on scans whose beams are known."""

from __future__ import annotations

import numpy as np
import pytest

from fusion_aug.ops.beam_shadow import Beams, hidden_by_pasting

STEP = np.radians(1.0)


def beams(ring: np.ndarray, column: np.ndarray, far: np.ndarray | float, rings: bool = True) -> Beams:
    """Returns of known beams: rings a degree apart, columns of one degree."""
    azimuth, elevation = -np.pi + (column + 0.3) * STEP, np.radians(ring - 10.0)
    rays = np.stack([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)], 1)
    return Beams(rays * np.broadcast_to(far, ring.shape)[:, None], ring if rings else None)


def scan(far: float) -> tuple[np.ndarray, np.ndarray, Beams]:
    ring, column = (g.ravel() for g in np.meshgrid(np.arange(16), np.arange(360), indexing="ij"))
    return ring, column, beams(ring, column, far)


NOTHING = Beams(np.zeros((0, 3)), np.zeros(0, np.int64))


@pytest.mark.quick
@pytest.mark.parametrize("rings", [True, False])
def test_along_each_beam_the_nearer_return_remains(rings: bool) -> None:
    ring, column, own = scan(20.0)
    own = own if rings else Beams(own.rays, None)
    inside = (ring >= 4) & (ring < 9) & (column >= 100) & (column < 130)
    added = beams(ring[inside], column[inside], 8.0, rings)
    hidden, covered = hidden_by_pasting(own, added, NOTHING if rings else Beams(np.zeros((0, 3)), None))
    assert np.array_equal(hidden, inside) and not covered.any()
    far = beams(ring[inside], column[inside], 30.0, rings)
    hidden, covered = hidden_by_pasting(own, far, NOTHING if rings else Beams(np.zeros((0, 3)), None))
    assert not hidden.any() and covered.all()


@pytest.mark.quick
def test_gaps_hide_too_but_not_where_something_farther_was_seen_through_them() -> None:
    ring, column, own = scan(20.0)
    inside = (ring == 5) & (column >= 100) & (column < 110)
    glass, window = inside & (column == 104), inside & (column == 107)
    shown = inside & ~glass & ~window
    added = beams(ring[shown], column[shown], 8.0)
    hidden, _ = hidden_by_pasting(own, added, beams(ring[window], column[window], 25.0))
    assert np.array_equal(hidden, inside & ~window)
    hidden, _ = hidden_by_pasting(own, added, beams(ring[window], column[window], 6.0))
    assert np.array_equal(hidden, inside)


@pytest.mark.quick
def test_returns_without_a_place_hide_nothing_and_are_not_hidden() -> None:
    ring, column, own = scan(20.0)
    rays = own.rays.copy()
    rays[7], rays[8] = np.nan, 0.0
    added = Beams(
        np.concatenate([beams(ring[:20], column[:20], 5.0).rays, np.full((1, 3), np.nan)]), np.append(ring[:20], 3)
    )
    hidden, covered = hidden_by_pasting(Beams(rays, ring), added, NOTHING)
    assert hidden[:7].all() and not hidden[7:9].any() and hidden[9:20].all() and not hidden[20:].any()
    assert not covered.any()
    none, nobody = hidden_by_pasting(NOTHING, added, NOTHING)
    assert len(none) == 0 and not nobody.any()
