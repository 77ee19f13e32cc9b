"""Views: independent draws of one sample, keyed by their number."""

from __future__ import annotations

import pytest
import torch
from generic import assert_same_streams
from samples import make_batch, make_sample

import fusion_aug as fa

PIPELINE = fa.Compose({
    "yaw": fa.RotateScene(yaw_deg=[-180, 180]),
    "light": fa.OneOf([fa.Brightness(factor=[0.5, 1.5], cameras=["CAM*"]), fa.Gamma(gamma=[0.5, 2], cameras=["CAM*"])]),
    "thin": fa.PointDropout(share=[0.1, 0.5]),
})  # fmt: skip


def drawn(sample: fa.Sample, index: int = 0) -> list:
    return [r.params for r in sample.metas[index].history]


@pytest.mark.quick
def test_view_0_is_the_pipeline_and_others_are_drawn_anew() -> None:
    sample = make_sample()
    first, second, third = fa.views(sample, PIPELINE, n=3, seed=7, epoch=2)
    plain = PIPELINE(sample, seed=7, epoch=2)
    assert drawn(first) == drawn(plain) and [r.path for r in first.history] == [r.path for r in plain.history]
    assert_same_streams(first, plain)
    assert drawn(first) != drawn(second) != drawn(third) != drawn(first)
    assert {r.path.split("/")[0] for r in second.history} == {"view1"}
    assert third.history[0].path == "view2/yaw"
    again = fa.views(sample, PIPELINE, n=2, seed=7, epoch=2)[1]  # however many there are
    assert drawn(again) == drawn(second)
    assert drawn(fa.views(sample, PIPELINE, seed=8, epoch=2)[1]) != drawn(second)


def test_a_view_is_replayed() -> None:
    sample = make_sample()
    view = fa.views(sample, PIPELINE, seed=5)[1]
    assert_same_streams(fa.replay(sample, view.history), view)


def test_views_of_a_batch_are_those_of_its_samples() -> None:
    batch = make_batch(2)
    for k, view in enumerate(fa.views(batch, PIPELINE, seed=3)):
        for index in range(2):
            alone = fa.views(batch.take([index]), PIPELINE, seed=3)[k]
            assert drawn(view, index) == drawn(alone)
            assert torch.allclose(view.take([index])["lidar"]["xyz"], alone["lidar"]["xyz"], atol=1e-5)


@pytest.mark.quick
def test_a_pipeline_for_each_view() -> None:
    sample = make_sample()
    weak, strong = fa.views(sample, [fa.RotateScene(yaw_deg=1.0), fa.RotateScene(yaw_deg=90.0)])
    assert weak.history[0].params[""]["yaw_deg"] == 1.0 and strong.history[0].params[""]["yaw_deg"] == 90.0
    assert strong.history[0].path == "view1"
    for wrong in (0, -1, 1.5, True):
        with pytest.raises(fa.ConfigError, match=r"views\.n"):
            fa.views(sample, PIPELINE, n=wrong)  # type: ignore[arg-type]
    with pytest.raises(fa.ConfigError, match=r"views\.pipeline: expected one pipeline, or one for each of 3"):
        fa.views(sample, [PIPELINE, PIPELINE], n=3)
