"""What a network says of depth and sky, against returns."""

from __future__ import annotations

import numpy as np
import pytest

from fusion_aug.physics.predicted import FARTHEST, fitted, sky_said

pytestmark = pytest.mark.quick


@pytest.mark.parametrize("outliers", [0.0, 0.2, 0.4])
def test_scale_and_shift_are_found_among_returns_that_the_camera_does_not_see(outliers: float) -> None:
    """A scanner on the roof measures what lies 1.3 to 7 times as far behind."""
    rng = np.random.default_rng(0)
    depth = np.exp(rng.uniform(np.log(3), np.log(80), 2000))
    said = (30 / depth + 5).astype(np.float32)  # 1 / z = said / 30 - 1 / 6
    measured = depth * np.exp(rng.normal(0, 0.02, 2000))
    hidden = rng.random(2000) < outliers
    measured[hidden] *= np.exp(rng.uniform(np.log(1.3), np.log(7), hidden.sum()))
    fit = fitted(said, measured)
    assert fit.is_good and fit.scale == pytest.approx(1 / 30, rel=0.01) and fit.shift == pytest.approx(-1 / 6, rel=0.01)
    assert fit.share == pytest.approx(1 - hidden.mean(), abs=0.03)
    assert np.abs(fit.depth(said) / depth - 1).max() < 0.03


def test_what_says_nothing_of_depth_is_refused() -> None:
    rng = np.random.default_rng(0)
    depth = np.exp(rng.uniform(np.log(3), np.log(80), 2000))
    assert not fitted(rng.random(2000).astype(np.float32), depth).is_good
    assert not fitted((5 - 30 / depth).astype(np.float32), depth).is_good  # larger where farther
    near = rng.uniform(8, 14, 2000)  # all but one depth
    assert not fitted(rng.random(2000).astype(np.float32), np.where(rng.random(2000) < 0.4, depth, near)).is_good
    flat = fitted(np.ones(2000, np.float32), np.full(2000, 7.0))
    assert flat.is_good and flat.depth(np.ones(1, np.float32))[0] == pytest.approx(7.0)


def test_what_is_no_sky_has_an_end() -> None:
    fit = fitted(np.linspace(1, 2, 200, dtype=np.float32), 1 / np.linspace(0.1, 0.2, 200))
    assert fit.depth(np.array([-5.0, 0.0, 1e-9], np.float32)).tolist() == pytest.approx([FARTHEST] * 3)


def test_a_surface_that_was_hit_is_no_sky() -> None:
    probability = np.full((40, 60), 0.5, np.float32)
    probability[20:] = 0.49
    sky = sky_said(probability, np.array([[30.2, 9.9], [59.4, 0.4]]), 4)
    assert not sky[20:].any() and not sky[8:13, 28:33].any() and not sky[0, 59]
    assert sky[:20].sum() == 20 * 60 - 25 - 9  # five by five around a return, less beyond the corner
