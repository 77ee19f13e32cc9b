"""RandomTexture: colours of surfaces change, the light on them stays, and patterns are fixed in space."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from samples import make_sample

import fusion_aug as fa
from fusion_aug.ops.hashed import row_key
from fusion_aug.ops.random_fields import random_field

ROOT = Path(__file__).resolve().parents[3]


def srgb(light: np.ndarray) -> np.ndarray:
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 1e-9) ** (1 / 2.4) - 0.055)


def linear(level: np.ndarray) -> np.ndarray:
    return np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4)


def lit_sample() -> tuple[fa.Sample, np.ndarray]:
    """A camera whose left half shows a chequered wall in a light that falls off, with a hard shadow across it."""
    size = (96, 128)
    sample = make_sample(gels=False, size=size)
    v, u = np.indices(size)
    falls = (0.9 - 0.4 * u / size[1]) * np.where(v > 56, 0.3, 1.0)
    albedo = np.where((u // 2 + v // 2) % 2 == 0, 0.44, 0.36)  # a fine pattern of weak contrast
    levels = np.rint(255 * srgb(albedo * falls)).astype(np.uint8)
    picture = torch.from_numpy(np.repeat(levels[..., None], 3, 2))
    mask = torch.from_numpy((u < 64).astype(np.uint8))
    mask_stream = replace(sample["CAM_LEFT/mask"], items=(mask,), label_names=("other", "wall"))
    camera = replace(sample["CAM_LEFT"], items=(picture,))
    return sample.with_streams({"CAM_LEFT": camera, "CAM_LEFT/mask": mask_stream}), falls


@pytest.mark.quick
def test_the_light_on_a_surface_stays_and_its_pattern_goes() -> None:
    sample, falls = lit_sample()
    flat = fa.RandomTexture(cameras=["CAM_LEFT"], classes=["wall"], albedo=[0.4, 0.4], space="picture")
    out = flat(sample, seed=0)["CAM_LEFT"].image(0).double().numpy() / 255
    was = sample["CAM_LEFT"].image(0).double().numpy() / 255
    assert np.array_equal(out[:, 64:], was[:, 64:])
    light = linear(out[:, :64, 1])
    assert np.allclose(out[:, :64], out[:, :64, 1:2])  # one albedo for all channels is grey
    ratio = light / falls[:, :64]
    away = np.ones(96, bool)
    away[50:64] = False  # the filter's window reaches over the edge of the shadow there
    assert ratio[away].std() / ratio[away].mean() < 0.06  # the pattern alone was 0.10
    before = linear(was[:, :64, 1]) / falls[:, :64]
    assert before[away].std() / before[away].mean() > 0.095
    across = light[70:90].mean() / light[20:50].mean()
    true = falls[70:90, :64].mean() / falls[20:50, :64].mean()
    assert abs(across / true - 1) < 0.1
    # the shadow's edge is as steep as it was: within two pixels most of the way is gone
    step = light[54].mean() - light[59].mean()
    assert step > 0.75 * (light[40:50].mean() - light[65:75].mean())


@pytest.mark.quick
def test_colours_belong_to_classes_and_to_the_draw() -> None:
    sample, _ = lit_sample()
    texture = fa.RandomTexture(cameras=["CAM_LEFT"], classes=["*"], space="picture")
    a, b, again = (texture(sample, seed=s)["CAM_LEFT"].image(0) for s in (1, 2, 1))
    assert torch.equal(a, again) and not torch.equal(a, b)
    hue = [a[:, s].double().mean((0, 1)) / a[:, s].double().mean() for s in (slice(0, 60), slice(68, None))]
    assert float((hue[0] - hue[1]).abs().max()) > 0.03
    out = texture(sample, seed=1)
    assert torch.equal(fa.replay(sample, out.history)["CAM_LEFT"].image(0), a)


@pytest.mark.quick
def test_fields_are_smooth_and_even() -> None:
    rng = np.random.default_rng(0)
    places = rng.uniform(-50, 50, (20000, 3))
    key = row_key("field")
    values = random_field(key, places)
    assert values.min() >= 0 and values.max() <= 1 and abs(values.mean() - 0.5) < 0.02 and values.std() > 0.15
    assert np.abs(random_field(key, places + 1e-4) - values).max() < 2e-3
    order = rng.permutation(len(places))
    assert np.array_equal(random_field(key, places[order]), values[order])
    assert abs(np.corrcoef(values, random_field(row_key("other"), places))[0, 1]) < 0.03


def test_two_cameras_see_the_same_pattern() -> None:
    """Points of a LiDAR on buildings that the front camera and the fisheye both see have one colour in both."""
    log = fa.open_log("nuscenes", ROOT / "datasets/drive")
    sample = next(s for s in (log[7], log[14]) if "CAM_FRONT/classes" in s.streams)
    names = ("CAM_FRONT", "FISHEYE_FRONT")
    kept = {n: s for n, s in sample.streams.items() if n.split("/")[0] in (*names, "LIDAR_TOP")}
    sample = sample.with_streams({**kept, "LIDAR_TOP": sample.take_key("LIDAR_TOP")})
    texture = fa.RandomTexture(cameras=list(names), classes=["building"], grain=4.0, albedo=[0.1, 0.7])
    out = texture(sample, seed=1)
    colours, common = [], torch.ones(sample["LIDAR_TOP"].loaded().rows, dtype=torch.bool)
    for name in names:
        pixels, seen = sample.project("LIDAR_TOP", name)
        u, v = (
            pixels[:, i].nan_to_num(0).round().long().clamp(0, sample[name].image(0).shape[1 - i] - 1) for i in (0, 1)
        )
        building = sample[f"{name}/classes"].image(0).long()[v, u] == 4
        camera = sample.T_ref(name)[:3, 3]
        far = (sample.points("LIDAR_TOP")["xyz"].double() - camera).norm(dim=1)
        depth = sample[f"{name}/depth"]
        known = depth.image(0).double()
        along = far if depth.measure == "range" else far * sample.rig.camera(name).cosines()[v, u]
        common &= seen & building & ((known[v, u] - along).abs() < 0.1 + 0.02 * along)
        levels = out[name].image(0).double().numpy()[v, u] / 255
        light = linear(levels)
        colours.append(light / light.sum(1, keepdims=True))
    a, b = (c[common.numpy()] for c in colours)
    assert len(a) > 100
    spread = max(float(a[:, i].std()) for i in range(3))
    assert spread > 0.02 and float(np.abs(a - b).mean()) < 0.25 * spread


@pytest.mark.quick
def test_a_picture_as_texture(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "red.png"), np.full((8, 8, 3), (0, 0, 255), np.uint8))
    sample, _ = lit_sample()
    texture = fa.RandomTexture(
        cameras=["CAM_LEFT"], classes=["wall"], pictures=tmp_path, space="picture", albedo=[0.1, 0.5]
    )
    out = texture(sample)["CAM_LEFT"].image(0).double().numpy()[:, :64] / 255
    light = linear(out).mean((0, 1))
    assert light[0] / light[1] == pytest.approx(5.0, rel=0.05) and light[1] == pytest.approx(light[2], rel=0.02)


@pytest.mark.quick
def test_refusals() -> None:
    sample = make_sample(gels=False)
    for wrong in ({"classes": []}, {"albedo": [0.5, 0.2]}, {"space": "nowhere"}, {"pattern": 0.0}):
        with pytest.raises(fa.ConfigError, match=r"RandomTexture\.(classes|albedo|space|pattern)"):
            fa.RandomTexture(**{"classes": ["wall"], **wrong})
    with pytest.raises(fa.DataError, match="has no mask of classes"):
        fa.RandomTexture(classes=["*"], cameras=["CAM_FRONT"])(sample)
    blind = sample.with_streams({n: s for n, s in sample.streams.items() if n != "lidar"})
    with pytest.raises(fa.DataError, match="say space=picture"):
        fa.RandomTexture(classes=["*"], cameras=["CAM_LEFT"])(blind)
