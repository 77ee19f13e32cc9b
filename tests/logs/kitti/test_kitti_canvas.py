"""Frames without a picture of a camera: how large its canvas is, for rectangles and for the points in view."""

from __future__ import annotations

from pathlib import Path

import cv2
import kitti_trees as trees
import numpy as np
import pytest
import torch
from written import run

import fusion_aug as fa
from fusion_aug.cli import main
from fusion_aug.logs.kitti.canvas import DEFAULT_SIZE, assumed_size

WIDE, HIGH = 1920, 1200
MIRROR = (
    "pipeline=geometry", "pipeline.zoom=1.0", "pipeline.mirror=1.0", "pipeline.shift=0.0", "pipeline.scene_scale=1.0",
    "pipeline.yaw_deg=0.0",
)  # fmt: skip


def large_rows() -> dict[str, np.ndarray]:
    """Calibration of cameras of 1920 x 1200 pixels, whose principal points are in the middle."""
    rows = trees.calibration()
    move = np.array([[1.0, 0, WIDE / 2 - 158.3], [0, 1, HIGH / 2 - 47.1], [0, 0, 1]])
    return {n: move @ m if n.startswith("P") else m for n, m in rows.items()}


def large_tree(root: Path) -> Path:
    rows = large_rows()
    place, ry = (3.0, 1.7, 12.0), 0.4
    words = trees.label(place, ry, rows).split()
    x, y, z = place
    u = (rows["P2"] @ [x, y - 0.75, z, 1])[:2] / (rows["P2"] @ [x, y - 0.75, z, 1])[2]
    words[4:8] = [f"{v:.2f}" for v in (u[0] - 60, u[1] - 25, u[0] + 60, u[1] + 25)]
    return trees.write_tree(root, rows=rows, labels=[" ".join(words)], pictures=())


def rectangle(root: Path) -> np.ndarray:
    return np.array(trees.read_labels(root)[0][4:8], float)


def test_the_size_that_is_assumed_without_any_picture() -> None:
    K = torch.tensor([[721.5, 0, 609.6, 44.9], [0, 721.5, 172.9, 0.2], [0, 0, 1, 0.003]], dtype=torch.float64)
    assert assumed_size(K) == DEFAULT_SIZE
    K[:2, 2] = torch.tensor([960.0, 600.0])
    assert assumed_size(K) == (HIGH, WIDE)
    turned = K.clone()
    turned[:, :3] = K[:, :3] @ torch.tensor(trees.turn(1, 30.0) @ np.diag([-1.0, 1, 1]))
    assert assumed_size(turned) == (HIGH, WIDE)
    K[:2, 2] = torch.tensor([1e9, 5.0])
    assert assumed_size(K) == DEFAULT_SIZE


def test_rectangles_of_a_tree_without_pictures_follow_a_mirror(tmp_path: Path) -> None:
    root = large_tree(tmp_path / "tree")
    out = run(tmp_path / "out", "log=kitti", f"log.root={root}", *MIRROR)
    left, top, right, bottom = rectangle(root)
    assert np.allclose(rectangle(out), [WIDE - 1 - right, top, WIDE - 1 - left, bottom], atol=1e-4)
    assert main(["check", str(out)]) == 0


def test_the_view_of_a_tree_without_pictures_is_not_guessed(tmp_path: Path) -> None:
    root = large_tree(tmp_path / "tree")
    with pytest.raises(fa.DataError, match="crop_to_view: there is no picture of image_2"):
        run(tmp_path / "out", "log=kitti", f"log.root={root}", *MIRROR, "log.crop_to_view=true")
    assert not (tmp_path / "out/manifest.jsonl").exists()


def test_pictures_of_other_frames_say_how_large_a_canvas_is(tmp_path: Path) -> None:
    root = large_tree(tmp_path / "tree")
    for path in list((root / "training").rglob("000000.*")):
        path.with_name(f"000001{path.suffix}").write_bytes(path.read_bytes())
    (root / "training/image_2").mkdir()
    cv2.imwrite(str(root / "training/image_2/000001.png"), np.zeros((HIGH - 80, WIDE, 3), np.uint8))
    out = run(tmp_path / "out", "log=kitti", f"log.root={root}", *MIRROR, "log.crop_to_view=true")
    rows, points = trees.read_rows(out / "training/calib/000000.txt"), trees.read_cloud(root)
    pixels, depth = trees.project(points, trees.read_rows(root / "training/calib/000000.txt"), "P2")
    inside = (depth > 0) & (pixels >= 0).all(1) & (pixels[:, 0] < WIDE) & (pixels[:, 1] < HIGH - 80)
    written = trees.read_cloud(out)
    assert 0.99 * inside.sum() <= len(written) <= inside.sum()
    seen, ahead = trees.project(written, rows, "P2")
    assert (ahead > 0).all() and (seen >= 0).all() and (seen < [WIDE, HIGH - 80]).all()
