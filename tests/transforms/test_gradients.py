"""A gradient is carried or refused by name; none is dropped in silence."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from samples import make_sample

import fusion_aug as fa
from fusion_aug.errors import DataError


def asked(value: float) -> torch.Tensor:
    return torch.tensor(value, dtype=torch.float64, requires_grad=True)


def float_sample(gradient: bool = False, only: str = "CAM_FRONT") -> fa.Sample:
    sample = make_sample()
    floats = tuple((p.float() / 255).requires_grad_(gradient) for p in sample[only].items)  # type: ignore[attr-defined]
    return sample.with_streams({only: replace(sample[only], items=floats)})


def change(cls: type[fa.Transform], sample: fa.Sample, **params: object) -> fa.Sample:
    return cls.apply_params(sample, {"cameras": ["CAM_*"], **params})


def test_a_parameter_through_float_pictures() -> None:
    factor = asked(0.8)
    change(fa.Brightness, float_sample(), factor=factor)["CAM_FRONT"].image(0).sum().backward()
    assert factor.grad is not None and float(factor.grad) > 0


def test_a_parameter_through_levels_is_refused() -> None:
    sample = make_sample(gels=False)
    with pytest.raises(DataError, match=r"Brightness: cannot carry a gradient through Camera of 'CAM_FRONT', item 0"):
        change(fa.Brightness, sample, factor=asked(0.8))
    with torch.no_grad():
        change(fa.Brightness, sample, factor=asked(0.8))


def test_a_parameter_that_is_read_as_a_number_is_refused() -> None:
    with pytest.raises(DataError, match="Hue: cannot carry a gradient"):
        change(fa.Hue, float_sample(), angle_deg=asked(5.0))
    with pytest.raises(DataError, match=r"Hue \(Hue\): angle_deg: a gradient is asked of it"):
        change(fa.Hue, float_sample(gradient=True), angle_deg=asked(5.0))


@pytest.mark.parametrize(
    ("cls", "params"),
    [(fa.JpegCompression, {"quality": 50}), (fa.Clahe, {"limit": 2.0, "tiles": 4}), (fa.Equalize, {"strength": 0.5})],
)
def test_pictures_through_other_libraries_are_refused(cls: type[fa.Transform], params: dict) -> None:
    with pytest.raises(DataError, match=f"{cls.__name__}: cannot carry a gradient through Camera of 'CAM_FRONT'"):
        change(cls, float_sample(gradient=True), **params)
    change(cls, float_sample(), **params)


def test_pictures_in_weather_are_refused() -> None:
    sample = make_sample(gels=False)
    front = float_sample(gradient=True)["CAM_FRONT"]
    with pytest.raises(DataError, match="Fog: cannot carry a gradient through Camera of 'CAM_FRONT'"):
        fa.Fog(mor=50.0)(sample.with_streams({**sample.streams, "CAM_FRONT": front}), seed=1)


def test_a_map_of_pixels() -> None:
    """Calibration and float pictures carry it; levels are refused when they are made, not before."""
    params = {"size": None, "x": 0.5, "y": 0.5}
    scale = asked(0.9)
    out = fa.ResizeCrop.apply_params(make_sample(), {**params, "scale": scale})
    out.rig.camera("CAM_FRONT").A.sum().backward()
    assert scale.grad is not None
    with pytest.raises(DataError, match=r"Camera of 'CAM_FRONT', item 0: a gradient is asked of torch\.uint8 levels"):
        out["CAM_FRONT"].image(0)
    assert out["CAM_LEFT/mask"].image(0).dtype == torch.uint8, "ids that are picked have none"
    picture = fa.ResizeCrop.apply_params(float_sample(), {**params, "scale": scale})["CAM_FRONT"].image(0)
    assert picture.requires_grad
    with pytest.raises(DataError, match=r"ResizeCrop \(ResizeCrop\): x: a gradient is asked of it"):
        fa.ResizeCrop.apply_params(make_sample(), {**params, "scale": 0.9, "x": asked(0.5)})


@pytest.mark.parametrize("step", [fa.FlipImage(), fa.ResizeCrop(scale=0.7), fa.RotateImage(angle_deg=5.0)])
def test_pictures_through_maps(step: fa.Transform) -> None:
    sample = float_sample(gradient=True)
    step(sample, seed=1)["CAM_FRONT"].image(0).sum().backward()
    assert sample["CAM_FRONT"].items[0].grad is not None  # type: ignore[attr-defined]


def with_gradient(name: str, column: str) -> fa.Sample:
    sample = make_sample()
    value = sample[name].values[column].clone().requires_grad_()
    return sample.with_streams({**sample.streams, name: sample[name].with_values(**{column: value})})


@pytest.mark.parametrize("step", [fa.RotateScene(yaw_deg=20.0), fa.PointDropout(share=0.3), fa.RangeJitter(sigma=0.1)])
def test_points_carry_it(step: fa.Transform) -> None:
    assert step(with_gradient("lidar", "xyz"), seed=1)["lidar"]["xyz"].requires_grad


def test_points_that_would_lose_it_are_refused() -> None:
    with pytest.raises(fa.FusionAugError, match=r"RingResample.*gradient|RingResample.*requires grad"):
        fa.RingResample(beams=16)(with_gradient("lidar", "xyz"), seed=1)


def test_what_is_dropped_or_swapped_is_no_loss() -> None:
    sample = make_sample()
    left = float_sample(gradient=True, only="CAM_LEFT")["CAM_LEFT"]
    both = sample.with_streams({**sample.streams, "CAM_LEFT": left})
    assert not bool(fa.ModalityDropout(share=1.0, keep=["imu"])(both, seed=1)["CAM_LEFT"].present.any())
    assert fa.MirrorScene()(both, seed=1)["CAM_RIGHT"].image(0).requires_grad
