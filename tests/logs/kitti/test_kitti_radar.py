"""Trees of a radar: seven declared numbers per return, as in trees that hold a LiDAR and a radar tree side by side."""

from __future__ import annotations

from pathlib import Path

import kitti_trees as trees
import numpy as np
import pytest
from written import drawn_motion, manifest, run

import fusion_aug as fa
from fusion_aug.cli import main
from fusion_aug.streams import Lidar, Radar

COLUMNS = ["x", "y", "z", "rcs", "v_r", "v_r_comp", "time"]
DECLARED = "log.columns=[x,y,z,rcs,v_r,v_r_comp,time]"


def detections(number: int = 300) -> np.ndarray:
    rng = np.random.default_rng(3)
    low, high = [3, -20, -2, -30, -15, -15, -4], [60, 20, 3, 20, 15, 15, 0]
    return rng.uniform(low, high, (number, 7))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """``lidar`` and ``radar``, each a KITTI tree of its own."""
    trees.write_tree(tmp_path / "both/lidar")
    trees.write_tree(tmp_path / "both/radar", cloud=detections())
    return tmp_path / "both"


def test_a_radar_is_read_as_one(tree: Path) -> None:
    sample = fa.open_log("kitti", tree / "radar", columns=COLUMNS)[0]
    cloud = sample["velodyne"]
    assert isinstance(cloud, Radar) and cloud.rows == 300
    speed = (cloud["velocity"] * cloud["xyz"]).sum(1) / cloud["xyz"].norm(dim=1)
    assert np.allclose(speed, detections()[:, 4], atol=1e-4)
    assert isinstance(fa.open_log("kitti", tree / "lidar")[0]["velodyne"], Lidar)
    with pytest.raises(fa.DataError, match=r"7 numbers per point.*log\.columns"):
        fa.open_log("kitti", tree / "radar")[0]["velodyne"]["xyz"]


def test_a_cloud_that_does_not_fit_is_not_copied_either(tmp_path: Path, tree: Path) -> None:
    (tree / "radar/training/velodyne/000000.bin").write_bytes(detections(301).astype("<f4").tobytes())
    with pytest.raises(fa.DataError, match=r"not a multiple of 16.*log\.columns"):
        run(tmp_path / "out", "log=kitti", f"log.root={tree / 'radar'}", "pipeline=identity")


@pytest.mark.parametrize("mirror", [0.0, 1.0])
def test_motions_of_the_scene_move_lidar_and_radar_alike(tmp_path: Path, tree: Path, mirror: float) -> None:
    words = ["pipeline=geometry", f"pipeline.mirror={mirror}", "seed=2"]
    outs = {}
    for name, declared in (("lidar", []), ("radar", [DECLARED])):
        outs[name] = run(tmp_path / name, "log=kitti", f"log.root={tree / name}", *words, *declared)
        assert main(["check", str(outs[name])]) == 0
    H = drawn_motion(manifest(outs["radar"])[0])
    scale = abs(np.linalg.det(H[:3, :3])) ** (1 / 3)
    assert np.array_equal(H, drawn_motion(manifest(outs["lidar"])[0]))
    before, after = detections().astype("f4"), trees.read_cloud(outs["radar"], 7)
    assert np.allclose(before[:, :3] @ H[:3, :3].T + H[:3, 3], after[:, :3], atol=1e-4)
    assert np.allclose(after[:, 4:6], scale * before[:, 4:6], atol=1e-4)
    assert np.array_equal(after[:, [3, 6]], before[:, [3, 6]])
    again = run(tmp_path / "again", "log=kitti", f"log.root={outs['radar']}", *words, DECLARED)
    assert main(["check", str(again)]) == 0


def test_errors_of_radars_reach_the_file(tmp_path: Path, tree: Path) -> None:
    config = tmp_path / "conf/pipeline"
    config.mkdir(parents=True)
    step = "{_target_: fusion_aug.RcsNoise, sigma: 2.0}"
    (config / "noise.yaml").write_text(f"_target_: fusion_aug.pipeline\ntransforms:\n  noise: {step}\n")
    words = ["run", "log=kitti", f"log.root={tree / 'radar'}", f"out={tmp_path / 'out'}", "pipeline=noise", DECLARED]
    assert main([*words, "--config-dir", str(tmp_path / "conf")]) == 0
    before, after = detections().astype("f4"), trees.read_cloud(tmp_path / "out", 7)
    assert len(before) == len(after) and not np.allclose(before[:, 3], after[:, 3])
    assert np.allclose(before[:, [0, 1, 2, 4, 5, 6]], after[:, [0, 1, 2, 4, 5, 6]], atol=1e-5)
    assert main(["check", str(tmp_path / "out")]) == 0
