"""Gradients through changes of levels are finite differences, also where pixels are black."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from samples import make_sample

import fusion_aug as fa

CHANGES: list[tuple[type[fa.Transform], dict[str, Any]]] = [
    (fa.Brightness, {"factor": 0.8}),
    (fa.Contrast, {"factor": 0.7}),
    (fa.Gamma, {"gamma": 1.3}),
    (fa.Saturation, {"factor": 0.6}),
    (fa.ColorTemperature, {"kelvin": 9000.0}),
    (fa.WhiteBalance, {"red": 0.9, "blue": 0.8}),
]


def with_picture(picture: torch.Tensor) -> fa.Sample:
    sample = make_sample(gels=False)
    return sample.with_streams({"CAM_FRONT": replace(sample["CAM_FRONT"], items=(picture,))})


@pytest.mark.quick
@pytest.mark.parametrize(("cls", "params"), CHANGES)
def test_gradients_of_levels_and_parameters(cls: type[fa.Transform], params: dict[str, Any]) -> None:
    # floats from black to 0.7, so that nothing is clipped
    picture = make_sample(gels=False)["CAM_FRONT"].image(0).float() / 255 * 0.7  # type: ignore[attr-defined]
    assert (picture == 0).any()
    weight = torch.linspace(0.2, 1.8, picture.numel()).reshape(picture.shape).double()
    drawn = cls(**params)(with_picture(picture), seed=1).history[0].params
    rest = next(iter(drawn.values()))

    def outcome(shown: torch.Tensor, **more: Any) -> torch.Tensor:
        out = cls.apply_params(with_picture(shown), {**rest, **more})["CAM_FRONT"]
        return (out.image(0).double() * weight).sum()  # type: ignore[attr-defined, no-any-return]

    way, step = picture * (0.7 - picture), 1e-2
    shown = picture.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(outcome(shown), shown)
    difference = (outcome(picture + step * way) - outcome(picture - step * way)) / (2 * step)
    assert float((gradient * way).sum()) == pytest.approx(float(difference), rel=5e-3)
    for name, value in params.items():
        number = torch.tensor(value, dtype=torch.float64, requires_grad=True)
        (gradient,) = torch.autograd.grad(outcome(picture, **{name: number}), number)
        up, down = (outcome(picture, **{name: value * f}) for f in (1.01, 0.99))
        difference = (up - down) / (value * 0.02)
        assert float(gradient) == pytest.approx(float(difference), rel=2e-2, abs=1e-3), name


def test_steps_of_levels_carry_none() -> None:
    """Their gradient is 0 nearly everywhere, which says nothing."""
    picture = make_sample(gels=False)["CAM_FRONT"].image(0).float() / 255  # type: ignore[attr-defined]
    with pytest.raises(fa.DataError, match="Posterize: cannot carry a gradient through Camera of 'CAM_FRONT'"):
        fa.Posterize(bits=3)(with_picture(picture.requires_grad_()), seed=1)
