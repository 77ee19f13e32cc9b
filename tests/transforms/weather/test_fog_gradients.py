"""Fog and dust in float pictures have a gradient: the same picture, and finite differences of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from samples import make_sample

import fusion_aug as fa

KEPT = ("CAM_FRONT", "CAM_FRONT/depth", "CAM_LEFT/mask", "boxes", "ego")


def in_floats(gradient: bool = False, names: tuple[str, ...] = KEPT) -> fa.Sample:
    """A sample of a camera with a depth stream, and no scan."""
    sample = make_sample(gels=False)
    picture = (sample["CAM_FRONT"].image(0).float() / 255).requires_grad_(gradient)  # type: ignore[attr-defined]
    streams = {n: s for n, s in sample.streams.items() if n in names}
    return sample.with_streams({**streams, "CAM_FRONT": replace(sample["CAM_FRONT"], items=(picture,))})


@pytest.mark.parametrize(
    "fields",
    [{"mor": 60.0}, {"mor": 900.0}, {"dust_mor": 90.0, "mor": 300.0}, {"visual_range": 200.0, "overcast": 0.3}],
)
def test_gradients_are_finite_differences(fields: dict[str, float]) -> None:
    sample = in_floats()
    plain = fa.Weather(**fields)(sample, seed=1)  # type: ignore[arg-type]
    params, picture = plain.history[0].params[""], plain["CAM_FRONT"].image(0)  # type: ignore[attr-defined]
    weight = torch.linspace(0.3, 1.7, picture.numel()).reshape(picture.shape).double()

    def outcome(name: str, value: Any) -> torch.Tensor:
        out = fa.Weather.apply_params(sample, {**params, name: value})["CAM_FRONT"].image(0)  # type: ignore[attr-defined]
        assert torch.allclose(out, picture, atol=0.02)
        return (out.double() * weight).sum()  # type: ignore[no-any-return]

    for name in (*fields, "airlight"):
        number = torch.tensor(params[name], dtype=torch.float64, requires_grad=True)
        out = fa.Weather.apply_params(sample, {**params, name: number})["CAM_FRONT"].image(0)  # type: ignore[attr-defined]
        assert float((out - picture).abs().max().detach()) < 2e-5, "OpenCV adds 1e-5 to the weights that it blends by"
        (gradient,) = torch.autograd.grad(outcome(name, number), number)
        step = 1e-3 * params[name]
        difference = (outcome(name, params[name] + step) - outcome(name, params[name] - step)) / (2 * step)
        assert float(gradient) == pytest.approx(float(difference), rel=2e-3), name


def test_a_picture_carries_its_gradient_where_depth_is_given_and_the_sun_stays() -> None:
    sample, fog = in_floats(gradient=True), fa.Fog(mor=60.0, overcast=0.0)
    out = fog(sample, seed=1)["CAM_FRONT"].image(0)  # type: ignore[attr-defined]
    out.sum().backward()
    gradient = sample["CAM_FRONT"].items[0].grad  # type: ignore[attr-defined]
    distance = sample["CAM_FRONT/depth"].image(0)  # type: ignore[attr-defined]
    assert float(gradient.min()) > 0 and float(gradient.max()) < 1
    near, far = gradient[distance < 5].mean(), gradient[distance > 50].mean()
    assert near > 3 * far, "what is far shows less"


@pytest.mark.parametrize(
    ("fields", "names", "said"),
    [
        ({"mor": 60.0}, KEPT, "set overcast to 0"),
        ({"mor": 60.0, "overcast": 0.0}, (*KEPT[2:], "CAM_FRONT", "lidar"), "distances without a depth stream"),
        ({"mor": 60.0, "overcast": 0.0, "rain_rate": 5.0}, KEPT, "clouds, rain, snow and wet roads carry none"),
        ({"mor": 60.0, "overcast": 0.0, "illuminance": 5.0}, KEPT, "night, sun and drops on lenses carry none"),
    ],
)
def test_a_picture_that_would_lose_it_is_refused(fields: dict[str, Any], names: tuple[str, ...], said: str) -> None:
    with pytest.raises(fa.DataError, match=f"Weather: cannot carry a gradient through Camera of 'CAM_FRONT'.*{said}"):
        fa.Weather(**fields)(in_floats(gradient=True, names=names), seed=1)


def test_returns_carry_none() -> None:
    params = fa.Fog(mor=60.0)(in_floats(), seed=1).history[0].params[""]
    asked = {**params, "mor": torch.tensor(60.0, requires_grad=True)}
    with pytest.raises(fa.DataError, match="Fog: a gradient is asked of it, but 'lidar' gains and loses returns"):
        fa.Fog.apply_params(in_floats(names=(*KEPT, "lidar")), asked)
    with pytest.raises(fa.DataError, match=r"Fog: cannot carry a gradient through Camera of 'CAM_FRONT'.*float32"):
        fa.Fog.apply_params(in_floats(), {**params, "wind": torch.tensor(6.0, requires_grad=True)})
