"""The user's own networks: settings, records, and distances that are those of a known scene."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from networks import write_network
from places import DRIVE

import fusion_aug as fa
from calib.se3 import invert, transform_points
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.ops.grid import pixel_grid
from fusion_aug.physics.completion import SKY_DISTANCE
from fusion_aug.sample import networks
from fusion_aug.sample.depth import camera_depth
from fusion_aug.sample.depth_settings import DepthSettings

CAMERA = "CAM_FRONT"
NEAREST, FARTHEST = 5.0, 60.0  # metres


def known_scene(step: int = 6) -> tuple[fa.Sample, np.ndarray, np.ndarray, tuple[int, int]]:
    """A slope before a camera with a pole that no return lies on, and sky above it that is as bright as the slope.

    Red holds inverse depth (0 at 60 m, 1 at 5 m), green the probability of sky. Returns lie below the sky on a grid.

    Returns:
        the sample, true depth along the axis (H, W), where the sky is (H, W), and the canvas.
    """
    sample = fa.open_log("nuscenes", DRIVE)[3]
    sensor, camera, cloud = sample.rig.camera(CAMERA), sample[CAMERA], sample["LIDAR_TOP"].realized()
    height, width = sensor.size
    v, u = np.mgrid[0:height, 0:width]
    inverse = 1 / FARTHEST + (1 / NEAREST - 1 / FARTHEST) * v / (height - 1)
    pole = np.abs(u - width // 3) < 3
    inverse[pole & (v > height // 5)] = 1 / 6.0
    sky = v < height // 4
    red = (inverse - 1 / FARTHEST) / (1 / NEAREST - 1 / FARTHEST)
    picture = np.stack([red, np.where(sky, 0.9, 0.1), np.full(red.shape, 0.3)], -1).astype(np.float32)
    rows, columns = (x.ravel() for x in np.mgrid[height // 4 + 4 : height : step, 2:width:step])
    clear = ~pole[rows, columns]
    rows, columns = rows[clear], columns[clear]
    rays = sensor.unproject(torch.from_numpy(np.stack([columns, rows], 1).astype(float)))
    points = rays / rays[:, 2:] / torch.from_numpy(inverse[rows, columns])[:, None]
    T = sample.rig.T(
        camera.frame,
        cloud.frame,
        int(cloud.true_capture_times[sample.key_item("LIDAR_TOP", 0)]),
        int(camera.true_capture_times[0]),
    )
    key = sample.key_item("LIDAR_TOP", 0)
    scan = cloud.take_items(torch.tensor([key]))
    scan = scan.select(torch.arange(scan.rows) < len(points))
    scan = scan.with_values(xyz=transform_points(invert(T), points).to(cloud["xyz"].dtype))
    shown = type(camera)(
        frame=camera.frame, capture_times=camera.capture_times, items=(torch.from_numpy(picture),)
    )  # fmt: skip
    streams = {CAMERA: shown, "LIDAR_TOP": scan}
    return sample.with_streams(streams), 1 / inverse, sky, (height, width)


def settings(**words: Any) -> DepthSettings:
    drawn = fa.Fog(mor=80, **words)
    return DepthSettings(drawn.refine, drawn.depth, drawn.sky)


def test_depth_is_the_scenes_between_and_beyond_the_returns(tmp_path: Path) -> None:
    sample, depth, _, size = known_scene()
    model = write_network(tmp_path / "depth.onnx", (7, 0, 0), 3.0, (1, 3, *size))
    found = camera_depth(sample, CAMERA, 0, settings(depth=model))
    cosine = sample.rig.camera(CAMERA).unproject(pixel_grid(size))[..., 2].numpy()
    off = np.abs(found.distance * cosine / depth - 1)
    below = found.distance < SKY_DISTANCE
    assert below[size[0] // 4 + 8 :].all() and off[below].max() < 2e-3  # the pole too, whole
    assert found.confidence[below].min() > 0.97
    usual = camera_depth(sample, CAMERA, 0)
    pole = np.s_[size[0] // 2 : -4, size[1] // 3]
    assert np.abs(usual.distance * cosine / depth - 1)[pole].max() > 0.2  # which returns alone do not show


@pytest.mark.parametrize("form", ["half", "squeezed", "small", "any size", "normalized"])
def test_forms_of_networks_say_the_same(tmp_path: Path, form: str) -> None:
    sample, depth, _, size = known_scene()
    words: dict[str, Any] = {"shape": (1, 3, *size)}
    given: dict[str, Any] = {}
    if form == "half":
        words["kind"] = networks_kind()
    if form == "squeezed":
        words["squeeze"] = True
    if form == "small":
        words["shape"] = (1, 3, size[0] // 2, size[1] // 2)
    if form == "any size":
        words["shape"], given["size"] = ("batch", 3, "height", "width"), list(size)
    if form == "normalized":
        given |= {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
    model = write_network(tmp_path / "depth.onnx", (1, 0, 0), **words)
    found = camera_depth(sample, CAMERA, 0, settings(depth={"file": str(model), **given}))
    cosine = sample.rig.camera(CAMERA).unproject(pixel_grid(size))[..., 2].numpy()
    below = found.distance < SKY_DISTANCE
    off = np.abs(found.distance * cosine / depth - 1)[below]
    assert np.median(off) < 0.01 and (off > 0.05).mean() < 0.02  # beside the pole, where a small one mixes both sides


def networks_kind() -> int:
    from onnx import TensorProto

    return int(TensorProto.FLOAT16)


def test_sky_is_where_the_network_says_but_for_what_was_hit(tmp_path: Path) -> None:
    sample, _, sky, size = known_scene()
    model = write_network(tmp_path / "sky.onnx", (0, 1, 0), 0.0, (1, 3, *size))
    found = camera_depth(sample, CAMERA, 0, settings(sky=model)).distance >= 0.5 * SKY_DISTANCE
    assert (found == sky).all()
    everywhere = write_network(tmp_path / "all.onnx", (0, 0, 0), 1.0, (1, 3, *size))
    found = camera_depth(sample, CAMERA, 0, settings(sky=everywhere)).distance >= 0.5 * SKY_DISTANCE
    assert found[sky].mean() > 0.98 and not found[size[0] // 4 + 4 :: 6, 2 : size[1] // 4 : 6].any()


def test_a_depth_stream_goes_before_networks(tmp_path: Path) -> None:
    sample, _, _, size = known_scene()
    model = write_network(tmp_path / "depth.onnx", (7, 0, 0), 3.0, (1, 3, *size))
    camera = sample[CAMERA]
    depth = fa.Depth(
        frame=camera.frame, camera=CAMERA, measure="distance", capture_times=camera.capture_times,
        items=(torch.full(size, 12.5),),
    )  # fmt: skip
    both = sample.with_streams({**sample.streams, "depth": depth})
    assert (camera_depth(both, CAMERA, 0, settings(depth=model)).distance == 12.5).all()


def test_few_returns_and_bad_fits_are_told(tmp_path: Path) -> None:
    sample, _, _, size = known_scene(step=60)
    model = write_network(tmp_path / "depth.onnx", (7, 0, 0), 3.0, (1, 3, *size))
    with pytest.raises(DataError, match=r"CAM_FRONT.*depth\.onnx.*100 returns at least, and the picture shows \d+"):
        camera_depth(sample, CAMERA, 0, settings(depth=model))
    sample = known_scene()[0]
    wrong = write_network(tmp_path / "wrong.onnx", (-7, 0, 0), 9.0, (1, 3, *size))
    with pytest.raises(
        DataError, match=r"wrong\.onnx: what it says fits \d+% of \d+ returns, and one depth .*larger where"
    ):
        camera_depth(sample, CAMERA, 0, settings(depth=wrong))
    high = write_network(tmp_path / "high.onnx", (9, 9, 9), 9.0, (1, 3, *size))
    with pytest.raises(DataError, match=r"high\.onnx: expected probabilities of sky from 0 to 1, got"):
        camera_depth(sample, CAMERA, 0, settings(sky=high))


def test_records_hold_what_the_network_is_and_replay_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sample, _, _, size = known_scene()
    model = write_network(tmp_path / "depth.onnx", (7, 0, 0), 3.0, (1, 3, *size))
    fog = fa.Fog(mor=80, depth=model, refine=False)
    out = fog(sample, seed=1)
    (record,) = json.loads(json.dumps(fa.history_to_json(out.metas[0].history)))
    said = record["params"][""]["depth"]
    assert said["file"] == "depth.onnx" and len(said["sha256"]) == 64 and str(tmp_path) not in json.dumps(record)
    assert (said["provider"], said["threads"]) == ("CPUExecutionProvider", 1)
    history = fa.history_from_json([record])
    again = fa.replay(sample, history)
    assert torch.equal(again[CAMERA].image(0), out[CAMERA].image(0))
    usual = fa.Fog(mor=80)(sample, seed=1)
    assert not torch.equal(usual[CAMERA].image(0), out[CAMERA].image(0))
    # in another process, which knows of no file
    monkeypatch.setattr(networks, "_PATHS", {})
    networks._opened.cache_clear()
    sample = known_scene()[0]
    with pytest.raises(DataError, match=r"depth\.onnx: where this network is .* is not known; .*know_network"):
        fa.replay(sample, history).realized()
    write_network(tmp_path / "depth.onnx", (8, 0, 0), 3.0, (1, 3, *size))
    networks.believe_network(said["sha256"], tmp_path / "depth.onnx")
    with pytest.raises(DataError, match=r"depth\.onnx: is another network than was used"):
        fa.replay(sample, history).realized()


@pytest.mark.parametrize(
    "damage",
    [
        {"path": "/etc/model.onnx"},
        {"threads": "many"},
        {"std": [1, 2]},
        {"mean": [[1], 2, 3]},
        {"sha256": 7},
        {"size": [1]},
    ],
)
def test_damaged_records_are_refused(damage: dict[str, Any]) -> None:
    good = networks.Network("m.onnx", "0" * 64)
    assert networks.Network.from_record(good.recorded()) == good
    with pytest.raises(DataError, match="history: a network is damaged"):
        networks.Network.from_record({**good.recorded(), **damage})
    with pytest.raises(DataError, match="history: a network is damaged"):
        networks.Network.from_record("m.onnx")  # type: ignore[arg-type]


def test_transforms_travel_and_are_built_back(tmp_path: Path) -> None:
    model = write_network(tmp_path / "depth.onnx", (7, 0, 0))
    fog = fa.Fog(mor=80, depth={"file": str(model), "threads": 2}, sky=model)
    config = fog.to_config()
    assert config["sky"] == str(model) and config["depth"] == {"file": str(model), "threads": 2}
    assert fa.Fog(**{k: v for k, v in config.items() if k != "_target_"}) == fog
    assert pickle.loads(pickle.dumps(fog)) == fog
    for made in (fa.Viewpoint(depth=model), fa.EgoMotionBlur(exposure=0.01, sky=model), fa.FrozenCamera(depth=model)):
        assert networks.Network.from_record(made.sample_params(*drawing())["depth"]) in (None, fog.sky)


def drawing() -> tuple[np.random.Generator, fa.Sample, fa.Context]:
    return np.random.default_rng(0), fa.open_log("nuscenes", DRIVE)[3], fa.Context({})


WRONG: list[tuple[Any, str]] = [
    ("missing.onnx", r"missing\.onnx: cannot be read"),
    ("model.pt", r"the name of a network ends in \.onnx"),
    (7, r"expected a file, as in model\.onnx"),
    ({"file": "depth.onnx", "threats": 2}, r"no setting 'threats'"),
    ({"file": "depth.onnx", "threads": 0}, r"threads: expected a whole number from 1"),
    ({"file": "depth.onnx", "threads": True}, r"threads: expected a whole number"),
    ({"file": "depth.onnx", "std": [1, 0, 1]}, r"std: expected three numbers above 0"),
    ({"file": "depth.onnx", "mean": "grey"}, r"mean: expected three numbers, got 'grey'"),
    ({"file": "depth.onnx", "size": [48, 64]}, r"takes pictures of \(24, 32\) only"),
    ({"file": "any.onnx"}, r"says no size of its picture; give one"),
    ({"file": "any.onnx", "size": [0, 64]}, r"size: expected \[height, width\]"),
]


@pytest.mark.parametrize(("value", "text"), WRONG)
def test_wrong_settings_are_told(value: Any, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_network(tmp_path / "depth.onnx", (7, 0, 0))
    write_network(tmp_path / "any.onnx", (7, 0, 0), shape=(1, 3, "h", "w"))
    with pytest.raises(ConfigError, match=rf"^Fog\.depth.*{text}"):
        fa.Fog(mor=80, depth=value)


def test_a_provider_that_is_not_there_is_told(tmp_path: Path) -> None:
    sample, _, _, size = known_scene()
    model = write_network(tmp_path / "depth.onnx", (7, 0, 0), 3.0, (1, 3, *size))
    with pytest.raises(ConfigError, match=r"provider: there is no Abacus on this computer \(it has .*CPUExecution"):
        camera_depth(sample, CAMERA, 0, settings(depth={"file": str(model), "provider": "Abacus"}))
