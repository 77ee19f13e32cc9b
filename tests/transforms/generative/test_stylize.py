"""``Stylize``: what networks make is what pictures become, alike in all cameras, and its fog is in all sensors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from networks import write_network, write_translator
from places import DRIVE

import fusion_aug as fa
from fusion_aug.cli import main
from fusion_aug.core.parameters import ParameterRows
from fusion_aug.core.registry import Context
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.sample import networks
from fusion_aug.sample.depth import camera_range
from fusion_aug.transforms.generative import made_pictures
from fusion_aug.transforms.generative.shown_objects import boxes_in

DOT, BOX = np.ones((1, 1)), np.full((5, 5), 1 / 25)
WITH_DEPTH = 7  # a keyframe of the sample log


@pytest.fixture(scope="module")
def sample() -> fa.Sample:
    return fa.open_log("nuscenes", DRIVE)[WITH_DEPTH]


def stylized(sample: fa.Sample, model: Any, seed: int = 1, **words: Any) -> fa.Sample:
    return fa.Stylize(model=model, **words)(sample, seed=seed)


def levels(sample: fa.Sample, name: str = "CAM_FRONT") -> np.ndarray:
    return sample[name].image(0).numpy().astype(float)  # type: ignore[attr-defined]


def test_the_picture_is_the_networks_by_strength(sample: fa.Sample, tmp_path: Path) -> None:
    model = write_translator(tmp_path / "m.onnx", BOX, mean=0.05)
    before, after = levels(sample), levels(stylized(sample, model))
    inner = np.s_[2:-2, 2:-2]
    from scipy.ndimage import uniform_filter

    wanted = np.clip(uniform_filter(before, (5, 5, 1)) + 0.05 * 255, 0, 255)
    assert np.abs(after - wanted)[inner].max() <= 0.5 + 1e-3
    half = levels(stylized(sample, model, strength=0.5))
    assert np.abs(half - (before + wanted) / 2)[inner].max() <= 0.5 + 1e-3
    assert stylized(sample, model, strength=0.0)["LIDAR_TOP"] is sample["LIDAR_TOP"]


def test_tiles_and_normalized_levels_say_the_same(sample: fa.Sample, tmp_path: Path) -> None:
    free = write_translator(tmp_path / "free.onnx", BOX)
    fixed = write_translator(tmp_path / "fixed.onnx", BOX, (1, 3, 64, 96))
    whole = levels(stylized(sample, free))
    tiled = levels(stylized(sample, {"file": str(fixed), "margin": 2}))
    assert np.abs(tiled - whole)[:-4, :-4].max() <= 1
    asked = levels(stylized(sample, {"file": str(free), "size": [128, 160], "margin": 8}))
    assert np.abs(asked - whole)[:-4, :-4].max() <= 1
    scaled = levels(stylized(sample, {"file": str(free), "mean": [0.5] * 3, "std": [0.25] * 3}))
    assert np.abs(scaled - whole)[4:-4, 4:-4].max() <= 1  # but where levels beyond the picture are 0


def test_one_latent_of_a_scene_for_all_cameras_and_times(sample: fa.Sample, tmp_path: Path) -> None:
    model = write_translator(tmp_path / "m.onnx", DOT, latent=5)
    log, names = fa.open_log("nuscenes", DRIVE), ["CAM_FRONT", "CAM_BACK"]
    tints = []
    for place in (WITH_DEPTH, WITH_DEPTH + 1):
        out = stylized(log[place], model)
        latent = np.array(out.history[0].params[""]["latent"])
        assert latent.shape == (5,)
        for name in names:
            before, after = levels(log[place], name), levels(out, name)
            free = (after > 2) & (after < 253)
            tints.append([np.median((after - before)[..., c][free[..., c]]) for c in range(3) if free[..., c].any()])
        assert np.allclose(
            out.history[0].params[""]["latent"], stylized(log[place], model).history[0].params[""]["latent"]
        )
        assert np.allclose(latent, stylized(sample, model).history[0].params[""]["latent"])
    assert log[WITH_DEPTH].metas[0].scene == log[WITH_DEPTH + 1].metas[0].scene
    first = np.array(stylized(sample, model).history[0].params[""]["latent"])
    assert np.abs(np.array(tints[0]) / 255 - first[: len(tints[0])]).max() < 0.01
    assert all(np.allclose(t, tints[0], atol=1) for t in tints[1:] if len(t) == len(tints[0]))
    assert not np.allclose(first, stylized(sample, model, seed=2).history[0].params[""]["latent"])


@pytest.mark.parametrize("mor", [40.0, 150.0])
def test_its_fog_is_in_all_sensors(sample: fa.Sample, tmp_path: Path, mor: float) -> None:
    model = write_translator(tmp_path / "m.onnx", DOT, ("n", 4, "h", "w"), fog=np.log(20) / mor, near=2.0)
    out = stylized(sample, {"file": str(model), "near": 2.0}, lidar="weather:fog")
    told = out.history[0].params[""]["fog"]
    assert told["params"]["mor"] == pytest.approx(mor, rel=0.05) and told["explained"] > 0.95
    name = "LIDAR_TOP"
    alone = fa.Fog(mor=told["params"]["mor"], overcast=0.0)(sample, seed=5)
    lost, wanted = (1 - s[name].rows / sample[name].rows for s in (out, alone))
    assert wanted > 0 and lost == pytest.approx(wanted, rel=0.3)
    near = camera_range(sample, "CAM_FRONT", 0).numpy()
    clear = np.exp(-np.log(20) / mor * np.maximum(near, 2.0))[..., None]
    assert np.abs(levels(out) - (levels(sample) * clear + 178.5 * (1 - clear))).max() < 1.5  # not in two fogs
    again = fa.replay(sample, out.history)
    assert all(torch.equal(again[name].values[c], v) for c, v in out[name].values.items())


def test_nearness_follows_the_cloud(sample: fa.Sample, tmp_path: Path) -> None:
    model = write_translator(tmp_path / "m.onnx", DOT, ("n", 4, "h", "w"), fog=0.03)
    bare = sample.with_streams({n: s for n, s in sample.streams.items() if not n.endswith("/depth")})
    thin = bare.with_streams({**bare.streams, "LIDAR_TOP": bare["LIDAR_TOP"].realized().select(
        torch.arange(bare["LIDAR_TOP"].realized().rows) % 9 == 0)})  # fmt: skip
    one, other = (levels(stylized(s, str(model))) for s in (bare, thin))
    assert np.abs(one - other).max() > 5  # the same picture, of which other distances are known


def test_what_is_no_fog_is_refused(sample: fa.Sample) -> None:
    with pytest.raises(DataError, match=r"fog explains .* of what the network changes with distance .*leave out lidar"):
        stylized(sample, "warm", lidar="weather:fog")
    blind = sample.with_streams({"CAM_FRONT": sample["CAM_FRONT"]})
    with pytest.raises(DataError, match=r"nothing tells how far away is what 'CAM_FRONT' shows"):
        stylized(blind, "warm", lidar="weather:fog")
    with pytest.raises(ConfigError, match=r"Stylize\.lidar: expected null or weather:fog, got 'rain'"):
        fa.Stylize(model="warm", lidar="rain")
    with pytest.raises(ConfigError, match=r"sensor gives every picture a look of its own"):
        fa.Stylize(model="warm", lidar="weather:fog", scope="sensor")


@pytest.mark.parametrize(("words", "text"), [
    ({"margin": -1}, r"Stylize\.model\.margin: expected a whole number from 0 to 4096"),
    ({"stride": 2.5}, r"Stylize\.model\.stride: expected a whole number"),
    ({"near": 0}, r"Stylize\.model\.near: expected metres above 0"),
    ({"size": [64, 64]}, r"tiles of 64 x 64 pixels: a side of 64 pixels is too short for margins of 32; 80 do"),
    ({"latent": 3}, r"there is no setting 'latent' \(there are file, margin, "),
])  # fmt: skip
def test_wrong_settings(tmp_path: Path, words: dict[str, Any], text: str) -> None:
    model = write_translator(tmp_path / "m.onnx", DOT)
    with pytest.raises(ConfigError, match=text):
        fa.Stylize(model={"file": str(model), **words})


def test_networks_that_make_no_picture_are_refused(sample: fa.Sample, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"one picture out are understood"):
        fa.Stylize(model=str(write_translator(tmp_path / "five.onnx", DOT, ("n", 5, "h", "w"))))
    map_of = write_network(tmp_path / "map.onnx", (1, 0, 0), shape=(1, 3, 64, 96))
    out = stylized(sample, {"file": str(map_of), "margin": 0})
    with pytest.raises(DataError, match=r"map\.onnx: expected a picture \(1, 3, 64, 96\) of finite floats, got"):
        levels(out)


def test_a_run_its_replay_and_a_changed_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model, out = write_translator(tmp_path / "style.onnx", DOT, latent=3), tmp_path / "out"
    style = f"+pipeline.transforms.style={{_target_: fusion_aug.Stylize, model: '{model}', strength: [0.2, 0.9]}}"
    words = ["log=nuscenes", f"log.root={DRIVE}", "limit=1", "pipeline=identity", style]
    assert main(["run", *words, f"out={out}"]) == 0
    line = json.loads((out / "manifest.jsonl").read_text().splitlines()[1])
    assert str(tmp_path) not in json.dumps(line) and len(line["history"][0]["params"][""]["latent"]) == 3
    forget(monkeypatch)
    assert main(["replay", str(out), line["id"]]) == 0 and "digest agrees" in capsys.readouterr().out
    write_translator(model, BOX, latent=3)
    forget(monkeypatch)
    assert main(["replay", str(out), line["id"]]) == 2
    assert "style.onnx: is another network than was used" in capsys.readouterr().err


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """As another process knows nothing of networks."""
    monkeypatch.setattr(networks, "_PATHS", {})
    networks._opened.cache_clear()
    made_pictures._MADE.clear()


def test_a_batch_is_the_loop_over_its_samples(tmp_path: Path) -> None:
    """Also where one sample's fog has none beside it in the batch, and boxes are those of the picture's own sample."""
    log, near = fa.open_log("nuscenes", DRIVE), write_translator(tmp_path / "m.onnx", DOT, ("n", 4, "h", "w"), fog=0.05)
    pipeline = fa.Stylize(model={"file": str(near), "near": 2.0}, lidar="weather:fog", scope="sample", p=0.5)
    samples = [log[WITH_DEPTH], log[14]]
    seed = next(s for s in range(50) if [pipeline(x, seed=s).history[0].applied for x in samples] == [False, True])
    together = pipeline(fa.collate(samples), seed=seed)
    for i, sample in enumerate(samples):
        alone, mine = pipeline(sample, seed=seed), together.take([i])
        assert mine["LIDAR_TOP"].rows == alone["LIDAR_TOP"].rows
        assert np.abs(levels(mine) - levels(alone)).max() <= 1
        batch = fa.collate(samples)
        assert np.allclose(boxes_in(batch, "CAM_FRONT", i), boxes_in(sample, "CAM_FRONT", 0))
    stays = {**together.metas[1].history[0].params[""], "fog": None, "strength": 0.0}
    rows = ParameterRows([{"": stays}, {"": together.metas[1].history[0].params[""]}])
    mixed = fa.Stylize.apply(fa.collate(samples), rows, Context({}))
    assert mixed.take([0])["LIDAR_TOP"].rows == samples[0]["LIDAR_TOP"].rows
    assert mixed.take([1])["LIDAR_TOP"].rows == pipeline(samples[1], seed=seed)["LIDAR_TOP"].rows
