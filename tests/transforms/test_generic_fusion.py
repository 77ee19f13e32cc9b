"""The promise ``commutes``: what is pending may be applied at the end, or after every transform."""

from __future__ import annotations

import torch
from generic import Case, build, making, same_values
from samples import make_sample

import fusion_aug as fa
from fusion_aug.core.engine import run
from fusion_aug.streams import Stream, TactileImage

LIMITS = {torch.float32: 1e-4, torch.float64: 1e-7}


@making("commutes")
def test_fused_and_one_by_one_agree(case: Case) -> None:
    """In every number of every stream; pictures of cameras are resampled once or several times, so they may differ."""
    sample = make_sample(size=(24, 32), points=120)
    before = [fa.RotateScene(yaw_deg=20.0), fa.MirrorScene()]  # a mirror after it asks for a robot without link errors
    chain = fa.Compose([*before, build(case), fa.TranslateScene(x=0.5), fa.RotateImage(angle_deg=6.0)])
    fused, eager = (run(chain, sample, seed=12, eager=eager).realized() for eager in (False, True))
    assert [r.params for r in fused.history] == [r.params for r in eager.history]
    assert list(fused.streams) == list(eager.streams)
    for name, stream in fused.streams.items():
        assert_close(name, stream, eager[name])


def assert_close(name: str, a: Stream, b: Stream) -> None:
    """Whether two streams hold the same items, rows and numbers."""
    for field in ("capture_times", "arrival_times", "present", "sample_index"):
        assert torch.equal(getattr(a, field), getattr(b, field)), (name, field)
    assert a.values.keys() == b.values.keys(), name
    for column, value in a.values.items():
        other = b.values[column]
        if isinstance(value, torch.Tensor) and value.is_floating_point():
            assert value.shape == other.shape, (name, column)
            assert torch.allclose(value, other, atol=LIMITS[value.dtype], equal_nan=True), (name, column)
        else:
            assert same_values(value, other), (name, column)
    for p, q in zip(getattr(a, "items", ()), getattr(b, "items", ()), strict=True):
        assert p.shape == q.shape and p.dtype == q.dtype, name
        if isinstance(a, TactileImage):
            assert (p.double() - q.double()).abs().mean() <= 1, name  # levels are rounded once or several times
