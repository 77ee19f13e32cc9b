"""Pixel operations of other libraries."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
import torch
import yaml
from samples import make_sample

import fusion_aug as fa
from fusion_aug.run.config import build_pipeline


def pictures(sample: fa.Sample) -> dict[str, torch.Tensor]:
    return {n: s.image(0) for n, s in sample.of_type(fa.Camera).items()}


def test_a_function_is_seeded_from_our_stream_and_leaves_global_states_alone() -> None:
    def grain(image: np.ndarray) -> np.ndarray:
        noise = np.random.normal(0, 20, image.shape) + random.uniform(-9, 9)  # noqa: NPY002
        return np.clip(image + noise, 0, 255).astype(np.uint8)

    op = fa.pixel_op(grain, "grain", cameras=["CAM_*"])
    sample = make_sample()
    states = random.getstate(), np.random.get_state()[1].tolist(), torch.random.get_rng_state()  # noqa: NPY002
    first, again, other = op(sample, seed=1), op(sample, seed=1), op(sample, seed=2)
    assert random.getstate() == states[0] and np.random.get_state()[1].tolist() == states[1]  # noqa: NPY002
    assert torch.equal(torch.random.get_rng_state(), states[2])
    a, b, c = pictures(first), pictures(again), pictures(other)
    assert torch.equal(a["CAM_FRONT"], b["CAM_FRONT"]) and not torch.equal(a["CAM_FRONT"], c["CAM_FRONT"])
    difference = a["CAM_FRONT"].int() - sample["CAM_FRONT"].image(0).int()
    assert not torch.equal(difference, a["CAM_LEFT"].int() - sample["CAM_LEFT"].image(0).int())
    assert torch.equal(a["FISHEYE"], sample["FISHEYE"].image(0)), "not chosen"
    assert torch.equal(pictures(fa.replay(sample, first.history))["CAM_FRONT"], a["CAM_FRONT"])


def test_kornia() -> None:
    augmentation = pytest.importorskip("kornia.augmentation")
    op = fa.pixel_op(augmentation.ColorJiggle(0.3, 0.3, 0.3, 0.1, p=1.0), "jiggle")
    sample = make_sample(gels=False)
    a, b = (pictures(op(sample, seed=4))["CAM_FRONT"] for _ in range(2))
    assert torch.equal(a, b) and a.dtype == torch.uint8 and not torch.equal(a, sample["CAM_FRONT"].image(0))


def test_albumentations() -> None:
    albumentations = pytest.importorskip("albumentations")
    op = fa.pixel_op(albumentations.RandomBrightnessContrast(p=1.0), "brightness contrast")
    sample = make_sample(gels=False)
    a, b, c = (pictures(op(sample, seed=s))["CAM_FRONT"] for s in (4, 4, 5))
    assert torch.equal(a, b) and not torch.equal(a, c)


def test_what_moves_pixels_is_refused() -> None:
    op = fa.pixel_op(lambda image: image[:-1], "cut")
    with pytest.raises(fa.DataError, match="only operations on pixels"):
        op(make_sample())


def test_names() -> None:
    with pytest.raises(fa.ConfigError, match="not registered"):
        fa.PixelOp(op="nobody knows it")
    fa.pixel_op(np.asarray, "taken")
    with pytest.raises(fa.ConfigError, match="is taken"):
        fa.pixel_op(np.array, "taken")


def test_other_types_and_moved_pixels_are_refused() -> None:
    half = fa.pixel_op(lambda image: image * 0.5, "half")
    with pytest.raises(fa.DataError, match="give uint8 back"):
        half(make_sample())
    albumentations = pytest.importorskip("albumentations")
    with pytest.raises(fa.ConfigError, match="moves pixels"):
        fa.pixel_op(albumentations.HorizontalFlip(p=1.0))


def test_the_cameras_stay_in_a_configuration() -> None:
    """Through YAML, and back to the same transform with the same cameras; so it is in a record, and so in a replay."""
    op = fa.pixel_op(lambda image: 255 - image, "turned", cameras=["CAM_*", "WRIST"], p=0.5, scope="sensor")
    text = yaml.safe_dump({"_target_": "fusion_aug.pipeline", "transforms": {"it": op.to_config()}})
    assert yaml.safe_load(text)["transforms"]["it"] == {
        "_target_": "fusion_aug.PixelOp", "op": "turned", "cameras": ["CAM_*", "WRIST"], "p": 0.5, "scope": "sensor",
    }  # fmt: skip
    (back,) = build_pipeline(yaml.safe_load(text)).transforms
    assert back == op and back.cameras == ("CAM_*", "WRIST")
    sample = make_sample()
    out = fa.PixelOp(op="turned", cameras="CAM_LEFT")(sample, seed=1)
    assert out.history[0].params[""]["cameras"] == ["CAM_LEFT"]
    again = fa.replay(sample, fa.history_from_json(json.loads(json.dumps(fa.history_to_json(out.history)))))
    for changed in (out, again):
        turned = [n for n, p in pictures(changed).items() if not torch.equal(p, pictures(sample)[n])]
        assert turned == ["CAM_LEFT"]


def test_an_operation_that_needs_no_plugin() -> None:
    sample = make_sample()
    out = fa.PixelOp(op="negative", cameras=["CAM_FRONT"])(sample, seed=1)
    assert torch.equal(pictures(out)["CAM_FRONT"], 255 - pictures(sample)["CAM_FRONT"])
