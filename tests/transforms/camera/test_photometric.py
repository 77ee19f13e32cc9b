"""Pixel values against their formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from samples import make_sample

import fusion_aug as fa
from fusion_aug.ops import color
from fusion_aug.ops.hashed import row_key


@pytest.fixture
def picture() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8))


def apply(cls, picture: torch.Tensor, **params) -> torch.Tensor:
    return cls.change(picture, params, None)


def test_formulas(picture: torch.Tensor) -> None:
    x = picture.double() / 255
    luma = (x * torch.tensor([0.299, 0.587, 0.114])).sum(-1, keepdim=True)
    pairs = [
        (apply(fa.Brightness, picture, factor=1.3), x * 1.3),
        (apply(fa.Contrast, picture, factor=0.7), (x - x.mean()) * 0.7 + x.mean()),
        (apply(fa.Gamma, picture, gamma=1.8), x**1.8),
        (apply(fa.Saturation, picture, factor=0.4), luma + 0.4 * (x - luma)),
    ]
    for out, expected in pairs:
        assert out.dtype == torch.uint8
        # OpenCV multiplies channels in fixed point: within one level
        assert float((out.double() - expected.clamp(0, 1) * 255).abs().max()) <= 1.0


def test_hue_turns_about_grey() -> None:
    third = color.hue_matrix(2 * np.pi / 3)
    assert torch.allclose(third, torch.tensor([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]], dtype=torch.float64), atol=1e-12)
    grey = torch.full((2, 2, 3), 77, dtype=torch.uint8)
    assert torch.equal(apply(fa.Hue, grey, angle_deg=50.0), grey)


def test_noise_has_the_asked_deviation() -> None:
    grey = torch.full((200, 200, 3), 0.5)
    noisy = color.add_noise(grey, 0.05, row_key("grain"))
    assert abs(float(noisy.std()) - 0.05) < 0.001 and abs(float(noisy.mean()) - 0.5) < 0.001


def test_float_and_uint8_agree(picture: torch.Tensor) -> None:
    for cls, params in ((fa.Brightness, {"factor": 0.6}), (fa.Hue, {"angle_deg": 20.0}), (fa.Gamma, {"gamma": 0.8})):
        whole = apply(cls, picture, **params).double()
        real = apply(cls, picture.float() / 255, **params).double() * 255
        assert float((whole - real).abs().max()) <= 1.0


def test_scope_sensor_draws_per_camera_and_rig_shares() -> None:
    sample = make_sample(gels=False)
    apart = fa.Brightness(factor=[0.5, 1.5], scope="sensor")(sample, seed=1).history[0].params
    assert set(apart) == set(sample.of_type(fa.Camera))
    assert len({p["factor"] for p in apart.values()}) == len(apart)
    assert set(fa.Brightness(factor=[0.5, 1.5])(sample, seed=1).history[0].params) == {""}


def test_only_cameras_change() -> None:
    sample = make_sample(gels=False)
    out = fa.GaussianNoise(sigma=0.1)(sample, seed=1)
    for name, stream in sample.streams.items():
        assert (out[name] is stream) == (not isinstance(stream, fa.Camera))


def test_noise_differs_between_samples_cameras_and_epochs() -> None:
    noise = fa.GaussianNoise(sigma=0.1, scope="scene")
    keys = set()
    for epoch in (0, 1):
        for sample in (make_sample("a", gels=False), make_sample("b", gels=False)):
            keys.add(noise(sample, seed=1, epoch=epoch).history[0].params[""]["noise"])
    assert len(keys) == 4, "dense noise belongs to the sample even where the strength is drawn per scene"
    sample = make_sample(gels=False)
    grey = torch.full((48, 64, 3), 128, dtype=torch.uint8)
    from dataclasses import replace

    flat = {n: replace(s, items=(grey,)) for n, s in sample.of_type(fa.Camera).items()}
    out = noise(sample.with_streams({**sample.streams, **flat}), seed=1)
    assert not torch.equal(out["CAM_FRONT"].images, out["CAM_LEFT"].images)
