"""Maps of time between whole nanoseconds."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fusion_aug.physics.timewarp import Warp

START = 315966265_000000000


@pytest.mark.quick
@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("mean, swing", [(1.0, 0.45), (2.0, 0.0), (1.2, 0.4), (15.0, 4.0)])
def test_close_stamps_stay_apart_and_in_order(seed: int, mean: float, swing: float) -> None:
    rng = np.random.default_rng(seed)
    gaps = rng.choice([1, 1, 2, 3, 15, 5_000_000], 400)
    old = torch.from_numpy(START - 2_000_000 + np.cumsum(gaps))
    warp = Warp(START, mean, [(swing, 1.3, float(rng.uniform(0, 6)))] if swing else [])
    apart = warp.keeping_apart(old[torch.from_numpy(rng.permutation(400))].repeat(2))
    new, nearest = apart.new(old), warp.new(old)
    assert bool((new.diff() > 0).all()) and not bool((nearest.diff() > 0).all())
    assert int((new - nearest).min()) == 0 and int((new - nearest).max()) < 60
    elsewhere = old[:-1][old.diff() > 100] + 50  # times that nobody named
    assert torch.equal(apart.new(elsewhere), warp.new(elsewhere))


def test_stamps_far_apart_are_the_nearest_ones() -> None:
    warp = Warp(START, 1.4)
    old = START + torch.arange(0, 10_000, 7)
    assert warp.keeping_apart(old) is warp and warp.keeping_apart(old[:1]) is warp
    assert torch.equal(warp.new(old), START + ((old - START) / 1.4).round().to(torch.int64))
