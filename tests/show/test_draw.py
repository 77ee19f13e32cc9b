"""Pictures of samples."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from samples import make_sample

import fusion_aug as fa
from fusion_aug.cli import main
from fusion_aug.show.draw import birds_eye, camera_tile, draw_before_after


def test_every_kind_of_camera_is_drawn() -> None:
    sample = make_sample(size=(96, 128))
    out = fa.Compose([fa.RotateScene(yaw_deg=40), fa.MirrorScene()])(sample)
    picture = draw_before_after(sample, out)
    assert picture.dtype == np.uint8 and picture.ndim == 3 and min(picture.shape[:2]) > 500
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 500


def test_points_are_drawn_where_they_project() -> None:
    sample = make_sample(size=(96, 128))
    plain, dotted = camera_tile(sample, "CAM_FRONT", points=False), camera_tile(sample, "CAM_FRONT", points=True)
    assert 0.001 < np.any(plain != dotted, axis=2).mean() < 0.5


def test_the_view_from_above_turns_with_the_scene() -> None:
    sample = make_sample(boxes=0)
    sample = sample.with_streams({"lidar": sample["lidar"]})
    quarter = fa.RotateScene(yaw_deg=90.0)(sample)
    a, b = birds_eye(sample)[24:-24, 24:-24].astype(int), birds_eye(quarter)[24:-24, 24:-24].astype(int)
    lit = [np.any(np.abs(x - [24, 26, 30]) > 60, axis=2) for x in (a, b)]
    for one in lit:
        one[200:312, 226:286] = False  # the arrow of the vehicle does not rotate
    # a point may fall one pixel aside
    wide = cv2.dilate(np.rot90(lit[0]).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    assert (wide & lit[1]).sum() / lit[1].sum() > 0.9
    assert (wide & lit[0]).sum() / lit[0].sum() < 0.6


def test_show_writes_a_picture(street: Path, tmp_path: Path) -> None:
    words = ["log=nuscenes", f"log.root={street}", "pipeline=driving"]
    assert main(["show", *words, f"out={tmp_path / 'a.png'}", "index=2"]) == 0
    assert cv2.imread(str(tmp_path / "a.png")) is not None
    assert main(["run", *words, f"out={tmp_path / 'out'}", "limit=1"]) == 0
    assert main(["show", str(tmp_path / "out"), f"out={tmp_path / 'b.jpg'}"]) == 0
    assert cv2.imread(str(tmp_path / "b.jpg")) is not None
