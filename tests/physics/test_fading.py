"""Steps of distance far from all points fade where the picture is plain, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest

from fusion_aug.physics.fading import UNKNOWN, faded

pytestmark = pytest.mark.quick
CELL, SHAPE = 4, (30, 50)
SIZE = (SHAPE[0] * CELL - 1, SHAPE[1] * CELL - 2)  # the last cells are not whole


def scene() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """10 m on the left, 40 m on the right of a grey wall of which nothing is known; sky in the upper rows."""
    far = np.full(SIZE, np.log(10.0), np.float32)
    far[:, 101:] = np.log(40.0)
    sky = np.zeros(SIZE, bool)
    sky[:20] = True
    return far, np.zeros(SHAPE, np.float32), np.full((*SHAPE, 3), 0.4, np.float32), sky


def largest_step(far: np.ndarray) -> float:
    return float(np.abs(np.diff(far, axis=1)).max())


def test_a_step_that_nothing_proves_fades() -> None:
    far, sure, guide, sky = scene()
    kept = far.copy()
    out = faded(far, sure, guide, sky, CELL)
    assert out.dtype == np.float32 and out.shape == SIZE and (far == kept).all()
    below = out[40:]
    assert largest_step(far) > 1.3 and largest_step(below) < 0.2
    assert (below[:, :60] == far[40:, :60]).all() and (below[:, 140:] == far[40:, 140:]).all()
    assert (np.diff(below, axis=1) > -1e-5).all() and below.min() >= np.log(10) - 1e-5 and below.max() < np.log(40.01)


@pytest.mark.parametrize("proof", ["points", "picture"])
def test_a_step_that_something_proves_stays(proof: str) -> None:
    far, sure, guide, sky = scene()
    if proof == "points":
        sure[:] = 2 * UNKNOWN
    else:
        guide[:, 25:] = 0.6
    assert (faded(far, sure, guide, sky, CELL) == far).all()


def test_half_a_proof_keeps_its_half() -> None:
    """The picture has an edge in the lower half alone, and what fades above goes no way over it."""
    far, sure, guide, sky = scene()
    guide[18:, 25:] = 0.6
    out = faded(far, sure, guide, sky, CELL)
    assert largest_step(out[40:60]) < 0.2 and (out[112:] == far[112:]).all()
    assert (np.abs(np.diff(out[76:], axis=1)).max(1) > 1.0).all()


def test_the_outline_of_the_sky_stays() -> None:
    far, sure, guide, sky = scene()
    out = faded(far, sure, guide, sky, CELL)
    assert (out[:20] == far[:20]).all()
