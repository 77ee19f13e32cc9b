"""Masks of pixels that dirt and drops on the lens hide, where it is asked for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from samples import make_sample

import fusion_aug as fa
from fusion_aug.errors import DataError

CAMERA, MASK = "CAM_LEFT", "CAM_LEFT/mask"
DIRT = {"spots": 12.0, "size_deg": 9.0, "light": 0.0}


def sample_with(picture: torch.Tensor, mask: torch.Tensor | None = None, **more: object) -> fa.Sample:
    sample = make_sample(gels=False)
    changed = {CAMERA: replace(sample[CAMERA], items=(picture,))}
    if mask is not None:
        changed[MASK] = replace(sample[MASK], items=(mask,), **more)
    return sample.with_streams({**sample.streams, **changed})


def white() -> torch.Tensor:
    return torch.full((48, 64, 3), 255, dtype=torch.uint8)


def test_dirt_hides_where_less_than_half_of_the_light_is_left() -> None:
    sample = sample_with(white())
    out = fa.LensDirt(**DIRT, mark_hidden=True, cameras=(CAMERA,))(sample, seed=3)
    level = out[CAMERA].image(0)[..., 0].numpy() / 255
    light = np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4)  # sRGB
    before, after = sample[MASK].image(0).numpy(), out[MASK].image(0).numpy()
    clear = np.abs(light - 0.5) > 0.01
    assert 0.05 < (light < 0.5).mean() < 0.95
    assert np.array_equal(after[clear], np.where(light < 0.5, 255, before)[clear])
    again = fa.replay(sample, out.history)
    assert torch.equal(again[MASK].image(0), out[MASK].image(0))


def test_drops_hide_what_they_cover() -> None:
    noise = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8))
    sample = sample_with(noise)
    out = fa.Weather(lens_drops=400.0, mark_hidden=True)(sample, seed=1)
    touched = (out[CAMERA].image(0) != noise).any(-1)
    ignored = out[MASK].image(0) == 255
    assert 0.1 < float(touched.double().mean()) < 0.98
    assert not bool((ignored & ~touched).any()), "a pixel that shows the scene is not ignored"
    # rims are soft, and drops of this size on so few pixels are mostly rim
    assert float((ignored & touched).double().sum() / touched.double().sum()) > 0.25
    kept = ~ignored
    assert torch.equal(out[MASK].image(0)[kept], sample[MASK].image(0)[kept])


@pytest.mark.parametrize("step", [fa.LensDirt(**DIRT), fa.Weather(lens_drops=60.0), fa.Rain(rain_rate=20.0)])
def test_by_default_masks_stay(step: fa.Transform) -> None:
    sample = sample_with(white())
    assert step(sample, seed=3)[MASK] is sample[MASK]


def test_sixteen_bits_have_their_own_number() -> None:
    ids = torch.from_numpy(np.arange(48 * 64, dtype=np.uint16).reshape(48, 64))
    sample = sample_with(white(), ids, ignore=65535)
    out = fa.LensDirt(**DIRT, mark_hidden=True)(sample, seed=3)[MASK]
    hidden = out.image(0).to(torch.int64) == 65535
    assert out.image(0).dtype == torch.uint16 and 0 < int(hidden.sum()) < 48 * 64
    assert torch.equal(out.image(0)[~hidden].to(torch.int64), ids[~hidden].to(torch.int64))


def test_other_cameras_and_sound_ones_hide_nothing() -> None:
    sample = sample_with(white())
    assert fa.LensDirt(**DIRT, mark_hidden=True, cameras=("CAM_RIGHT",))(sample)[MASK] is sample[MASK]
    assert fa.LensDirt(**DIRT, mark_hidden=True, each=0.0)(sample)[MASK] is sample[MASK]


def test_after_a_crop_the_pixels_are_those_of_the_canvas() -> None:
    sample = sample_with(white())
    steps = fa.Compose([fa.Crop(size=(30, 40), x=0.2, y=0.9), fa.LensDirt(**DIRT, mark_hidden=True, cameras=(CAMERA,))])
    out = steps(sample, seed=5)
    dark = out[CAMERA].image(0)[..., 0] < 180  # well below half of the light
    assert bool(dark.any()) and bool((out[MASK].image(0)[dark] == 255).all())
    assert tuple(out[MASK].image(0).shape) == (30, 40)


def test_a_mask_of_another_size_is_refused() -> None:
    sample = sample_with(white(), torch.zeros((24, 32), dtype=torch.uint8))
    with pytest.raises(DataError, match="the picture of item 0 is 32x24, but camera"):
        fa.LensDirt(**DIRT, mark_hidden=True)(sample, seed=3)
