"""What is cached with a stream goes with it."""

from __future__ import annotations

import gc
import weakref

import pytest
from samples import make_sample

import fusion_aug as fa
from fusion_aug.sample import depth

pytestmark = pytest.mark.quick


@pytest.mark.parametrize("name", ["fog", "rain", "snow", "night"])
def test_weather_leaves_nothing_behind(name: str) -> None:
    gc.collect()
    before = len(depth._CACHE)
    sample = make_sample(points=200, size=(24, 32), gels=False)
    lidar = weakref.ref(sample["lidar"])
    out = fa.preset(name)(sample, seed=1).realized()
    depth.ground_plane(sample, 0)  # cached with the stream that it is fitted to
    assert len(depth._CACHE) > before and lidar() is not None
    del sample, out
    gc.collect()
    assert lidar() is None and len(depth._CACHE) == before


def test_the_last_answer_is_kept_while_its_inputs_are_the_same() -> None:
    sample = make_sample(gels=False)
    owner, calls = sample["lidar"], []

    def ask(*inputs: object) -> int:
        return depth.cached_with_stream(owner, "question", list(inputs), lambda: calls.append(1) or len(calls))  # type: ignore[func-returns-value]

    assert [ask(owner, sample.rig), ask(owner, sample.rig)] == [1, 1]
    assert [ask(owner), ask(owner, make_sample(gels=False).rig), ask(owner, sample.rig)] == [2, 3, 4]
