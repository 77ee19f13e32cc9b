"""Draws are those of NumPy's own functions, which take longer for one number."""

from __future__ import annotations

import json

import numpy as np
import pytest
from samples import make_sample

import fusion_aug as fa
from fusion_aug.core.engine import Run
from fusion_aug.core.random import Keys
from fusion_aug.core.ranges import draw, draw_several
from fusion_aug.core.registry import Context
from fusion_aug.ops.random import canonical, digest, generator


def pair(seed: int) -> tuple[np.random.Generator, np.random.Generator]:
    return generator(digest(seed)), np.random.Generator(np.random.Philox(key=int(digest(seed), 16)))


@pytest.mark.parametrize("seed", range(20))
def test_numbers_of_a_key(seed: int) -> None:
    ours, numpy = pair(seed)
    low, high = sorted(numpy.normal(size=2).tolist())
    ours, numpy = pair(seed)
    assert draw((low, high), ours) == numpy.uniform(low, high)
    assert draw_several((low, high), ours, 3) == numpy.uniform(low, high, 3).tolist()
    assert draw_several(0.5, ours, 2) == [0.5, 0.5] and draw(2, ours) == 2.0
    assert draw({"distribution": "uniform", "low": low, "high": high}, ours) == numpy.uniform(low, high)
    assert ours.random() == numpy.random()


@pytest.mark.parametrize("weights", [None, (1.0, 2.0, 3.0), (0.0, 1.0, 0.5)])
def test_a_choice(weights: tuple[float, ...] | None) -> None:
    choice = fa.OneOf([fa.RotateScene(yaw_deg=float(k)) for k in range(3)], weights=weights)
    shares = np.array(weights or (1.0,) * 3)
    sample = make_sample()
    for seed in range(50):
        run = Run(Keys(seed), Context({}))
        numpy = Keys(seed).generator(sample.id, "one", "choice")
        assert choice.choose(run, sample, 0, "one") == [numpy.choice(3, p=shares / shares.sum())]


@pytest.mark.parametrize(
    "parts", [[1, -2, 'a"b\\\n\u1234\x00\x7f\u2028\U0001f600'], [True, "x", ("id", 3), None], [10**30, "\u00fc"]]
)
def test_the_text_of_a_key(parts: list[object]) -> None:
    text = json.dumps(parts, separators=(",", ":"), ensure_ascii=False, sort_keys=True)
    assert canonical(parts) == text.encode()
