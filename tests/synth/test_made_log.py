"""The made street against its own truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

import fusion_aug as fa
from fusion_aug.synth.nuscenes_log import T0, camera_sensor, ego_pose, make_log
from fusion_aug.synth.world import World, street


def test_points_lie_on_what_was_hit(street: Path) -> None:
    """LiDAR points on the ground or on a block, through the log's own calibration."""
    sample = fa.open_log("nuscenes", street)[1]
    cloud = sample.points("LIDAR_TOP")
    key = sample.key_item("LIDAR_TOP")
    xyz = cloud["xyz"][cloud.rows_of(key)]
    ground = xyz[:, 2].abs() < 0.05
    assert 0.2 < float(ground.double().mean()) < 0.9
    counts = [a["num_lidar_pts"] for a in fa.open_log("nuscenes", street).tables.rows("sample_annotation")]  # type: ignore[attr-defined]
    assert sum(c > 20 for c in counts) > 15


def test_pictures_show_the_boxes_where_they_project(tmp_path: Path) -> None:
    """A depth edge of the ray-cast picture lies where a car's corner projects."""
    blocks = street(0)
    world = World(blocks, 0.0)
    camera = camera_sensor("CAM_FRONT", (180, 320))
    T = torch.from_numpy(ego_pose(T0)) @ torch.eye(4, dtype=torch.float64)
    from fusion_aug.synth.nuscenes_log import Builder, _fixed_tables

    mount = _fixed_tables(Builder(tmp_path, 0, (180, 320)))["CAM_FRONT"][1]
    pose = T.numpy() @ mount
    cars = [i for i, b in enumerate(blocks) if b.look == "body"]
    car = blocks[cars[0]]
    local = torch.from_numpy((np.linalg.inv(pose) @ np.append(car.position(0.0), 1.0))[:3])
    pixel, visible = camera.project(local)
    assert bool(visible)
    ray = camera.unproject(pixel).numpy() @ pose[:3, :3].T
    hits = world.cast(pose[:3, 3][None], ray[None])
    assert hits.block[0] in (cars[0], cars[0] + 1), "the centre of the car is the car"


def test_the_same_seed_gives_the_same_log(tmp_path: Path) -> None:
    logs = [
        make_log(tmp_path / n, frames=1, size=(36, 64), columns=60, seed=s) for n, s in (("a", 1), ("b", 1), ("c", 2))
    ]
    files = [sorted(p.relative_to(log) for p in log.rglob("*") if p.is_file()) for log in logs]
    assert files[0] == files[1]
    assert all((logs[0] / f).read_bytes() == (logs[1] / f).read_bytes() for f in files[0])
    assert (logs[0] / "v1.0-mini/sample.json").read_bytes() != (logs[2] / "v1.0-mini/sample.json").read_bytes()


def test_radar_agrees_with_the_boxes(street: Path) -> None:
    from fusion_aug.check import Pair
    from fusion_aug.check.velocity import doppler

    log = fa.open_log("nuscenes", street)
    rows = doppler([Pair(log[i], log[i]) for i in range(1, 4)])
    values = np.concatenate([r.values for r in rows])
    assert len(values) > 20 and values.max() < 1e-3
