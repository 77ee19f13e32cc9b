"""docs/own_logs.md: a data set that no reader knows, into a folder log, out as nuScenes, into a model."""

from __future__ import annotations

import re

import cv2
import numpy as np
import pytest
import torch
from devkit_rules import DevkitLog
from places import REPOSITORY
from radar_set import CAR, FRAMES, MOUNTS, K, box_rows, cloud, ego, make_radar_set, stamps
from written import run

import fusion_aug as fa

MOST_LINES = 30


@pytest.fixture(scope="module")
def blocks() -> list[str]:
    text = (REPOSITORY / "docs" / "own_logs.md").read_text(encoding="utf-8")
    return [b.split("```")[0] for b in text.split("```python\n")[1:]]


@pytest.fixture(scope="module")
def scope(blocks: list[str], tmp_path_factory: pytest.TempPathFactory) -> dict:
    """What the blocks leave behind, run one after another."""
    folder = tmp_path_factory.mktemp("own")
    names: dict = {"root": make_radar_set(folder / "set"), "out": folder / "log"}
    for block in blocks:
        exec(compile(block, "docs/own_logs.md", "exec"), names)
    return names


def test_the_recipe_is_short_and_of_public_names(blocks: list[str]) -> None:
    assert len([line for line in blocks[0].splitlines() if line.strip()]) <= MOST_LINES
    used = {name for block in blocks for name in re.findall(r"\bfa\.(\w+)", block)}
    assert "make_sample" in used and used <= set(fa.__all__)
    assert "_" not in {name[0] for name in re.findall(r"import (.+)", "\n".join(blocks))}


@pytest.mark.quick
def test_every_number_of_the_set_is_in_the_log(scope: dict) -> None:
    log = fa.open_log("folder", scope["out"])
    assert len(log) == FRAMES
    for i, sample in enumerate(log):
        radar, camera, lidar = stamps(i)
        assert sample.meta.scene == "city-1" and sample.ref == ("vehicle", lidar) and sample.meta.start == stamps(0)[2]
        for name, time in (("RADAR_TOP", radar), ("CAM_FRONT", camera), ("LIDAR_TOP", lidar)):
            assert sample[name].capture_times.tolist() == [time]
        assert np.abs(sample["LIDAR_TOP"]["xyz"].numpy() - cloud(i)[:, :3]).max() < 1e-6
        assert np.array_equal(sample["LIDAR_TOP"]["intensity"].numpy(), cloud(i)[:, 3])
        world = sample.rig.T("world", "vehicle", camera).numpy()
        assert np.abs(world - ego(camera)).max() < 1e-4, "between two fixes of the GPS"
        pose, size = sample.boxes()["pose"], sample.boxes()["size"]
        assert np.allclose(pose[:, :3, 3], [r[:3] for r in box_rows(i)], atol=1e-6)
        assert np.allclose(size, [r[3:6] for r in box_rows(i)], atol=1e-6)
        assert np.allclose((world_of(sample) @ pose.numpy())[0, :3, 3], CAR, atol=1e-5), "the car stands still"
        assert sample.boxes()["category"].tolist() == ["car", "pedestrian"]
        power = cv2.imread(str(scope["root"] / f"Navtech_Cartesian/{i + 1:06d}.png"), cv2.IMREAD_GRAYSCALE)
        row, column = np.nonzero(power > 60)
        assert np.array_equal(sample["RADAR_TOP"]["xyz"][:, 0].numpy(), (31.5 - row) / 2)
        assert np.array_equal(sample["RADAR_TOP"]["xyz"][:, 1].numpy(), (31.5 - column) / 2)
        assert len(sample["imu"]) == 9 and float(sample["imu"]["accel"][0, 2]) == 9.81
        source = scope["root"] / f"zed_left/{i + 1:06d}.png"
        assert sample["CAM_FRONT"].sources[0].bytes() == source.read_bytes()  # type: ignore[attr-defined]


def world_of(sample: fa.Sample) -> np.ndarray:
    return sample.rig.T("world", "vehicle", sample.ref.time).numpy()


def test_the_model_saw_the_batch_and_its_boxes_came_back(scope: dict) -> None:
    dense, batch = scope["dense"], scope["batch"]
    assert dense["images"].shape == (2, 1, 32, 48, 3) and bool(dense["image_mask"].all())
    assert dense["boxes"].shape == (2, 2, 9) and dense["labels"].tolist() == [[0, 1]] * 2
    assert not bool(dense["velocity_known"].any()) and bool(torch.isfinite(dense["boxes"]).all())
    assert bool(torch.isfinite(scope["loss"])) and scope["model"].weight.grad.abs().sum() > 0
    back = scope["original"]
    assert back.rows == 2 and set(back["category"]) <= {"car", "pedestrian"}
    truth = fa.boxes_from(dense["boxes"][0], labels=dense["labels"][0], classes=scope["CLASSES"])
    undone = fa.invert(truth, batch.metas[0].history)
    source = fa.open_log("folder", scope["out"])[0].boxes()
    assert torch.allclose(undone["pose"], source["pose"], atol=1e-4), "float32 boxes, back in the scene of the log"
    assert torch.allclose(undone["size"], source["size"], atol=1e-5)


def test_the_set_as_nuscenes_by_the_rules_of_the_devkit(scope: dict) -> None:
    words = ("log=folder", f"log.root={scope['out']}", "output=nuscenes", "pipeline=identity")
    devkit = DevkitLog(run(scope["out"].with_name("run"), *words))
    samples = devkit.samples()
    assert len(samples) == FRAMES and [r["name"] for r in devkit.t["scene"].values()] == ["city-1"]
    for i, sample in enumerate(samples):
        keys = devkit.keyframes(sample)
        frames = {"RADAR_TOP": "navtech", "CAM_FRONT": "zed", "LIDAR_TOP": "velo"}
        assert set(keys) == set(frames)
        for (name, frame), time in zip(frames.items(), stamps(i), strict=True):
            world_ego, ego_sensor, matrix = devkit.poses(keys[name])
            assert keys[name]["timestamp"] == time // 1000
            assert np.abs(world_ego - ego(time)).max() < 1e-4 and np.allclose(ego_sensor, MOUNTS[frame][1], atol=1e-9)
            assert name != "CAM_FRONT" or np.allclose(matrix, K)
        assert np.array_equal(devkit.cloud(keys["LIDAR_TOP"])[:, :4], cloud(i))
        mount = np.array(MOUNTS["velo"][1], float)
        boxes = devkit.boxes(sample, keys["LIDAR_TOP"])
        places = np.array([(mount @ T)[:3, 3] for T, _, _ in boxes])
        assert np.allclose(places, [r[:3] for r in box_rows(i)], atol=1e-6)
        assert np.allclose([size for _, size, _ in boxes], [r[3:6] for r in box_rows(i)])
        counted = [
            a["num_lidar_pts"] for a in devkit.t["sample_annotation"].values() if a["sample_token"] == sample["token"]
        ]
        assert counted[0] >= 40, "the points that were put into the car"
    assert {
        len(devkit.chain("sample_annotation", r["first_annotation_token"])) for r in devkit.t["instance"].values()
    } == {FRAMES}
