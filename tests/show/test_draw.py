"""Pictures of samples."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from samples import make_sample

import fusion_aug as fa
from fusion_aug.cli import main
from fusion_aug.sample.history import Record
from fusion_aug.show.draw import birds_eye, camera_tile
from fusion_aug.show.numbers import drawn_lines, held_lines
from fusion_aug.show.panel import fits, panel, strip
from fusion_aug.show.sheet import columns_of, draw_sample, draw_sheet


def street_sample() -> fa.Sample:
    """A sample without joints, by which it would be a robot's."""
    sample = make_sample(size=(96, 128))
    return sample.with_streams({n: s for n, s in sample.streams.items() if not isinstance(s, fa.JointState)})


def test_every_kind_of_camera_is_drawn() -> None:
    sample = street_sample()
    out = fa.Compose([fa.RotateScene(yaw_deg=40), fa.MirrorScene()])(sample)
    picture = draw_sheet(sample, out)
    assert picture.dtype == np.uint8 and picture.ndim == 3 and min(picture.shape[:2]) > 500
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 500


def test_points_are_drawn_where_they_project() -> None:
    sample = make_sample(size=(96, 128))
    plain, dotted = camera_tile(sample, "CAM_FRONT", overlay=False), camera_tile(sample, "CAM_FRONT", overlay=True)
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


# --- the sheet -------------------------------------------------------------------------------------------------------
def empty_share(picture: np.ndarray) -> float:
    """Share of a picture in squares of 70 pixels of one colour."""
    height, width = (n // 70 * 70 for n in picture.shape[:2])
    squares = picture[:height, :width].reshape(height // 70, 70, width // 70, 70, 3).astype(int)
    return float((squares.max((1, 3)) == squares.min((1, 3))).all(-1).mean())


@pytest.mark.parametrize("count", range(1, 8))
def test_a_sheet_has_no_empty_third(count: int) -> None:
    sample = make_sample(size=(96, 128))
    cameras = [sample["CAM_FRONT"], sample["CAM_LEFT"]]
    rest = {n: s for n, s in sample.streams.items() if not isinstance(s, fa.Camera | fa.ImageStream)}
    many = {f"CAM{i}": replace(cameras[i % 2]) for i in range(count)}
    drawn = draw_sample(sample.with_streams({**rest, **many}), "t", held_lines(sample), overlay=False, needed=False)
    assert empty_share(drawn[28:]) < 1 / 3
    assert -(-count // columns_of(count)) * columns_of(count) - count <= 1


def test_the_overlay_can_be_left_out() -> None:
    sample = street_sample()
    out = fa.RotateScene(yaw_deg=0.0)(sample)
    drawn, bare = (draw_sheet(sample, out, overlay) for overlay in (True, False))
    assert drawn.shape == bare.shape and 0.001 < np.any(drawn != bare, axis=2).mean() < 0.6
    tile = camera_tile(sample, "CAM_FRONT", overlay=False, width=128)
    assert np.array_equal(tile[22:], sample["CAM_FRONT"].image(sample.key_item("CAM_FRONT")).numpy()[22:])


@pytest.mark.quick
def test_drawn_numbers_are_told() -> None:
    def record(path: str, params: dict, applied: bool = True) -> Record:
        return Record(path, "fusion_aug.Fog", 1, params, applied)

    history = (
        record("yaw", {"": {"yaw_deg": -17.98, "axis": "y", "noise": "0" * 32}}),
        record("gain", {"a": {"factor": 1.0, "size": [3, 4]}, "b": {"factor": 1.25, "size": [3, 4]}}),
        record("off", {}, applied=False),
        record("bare", {"": {}}),
    )
    assert drawn_lines(history) == ["yaw: yaw_deg -18, axis y", "gain: factor 1 to 1.25, size[0] 3, size[1] 4", "bare"]
    assert "lidar: Lidar" in " ".join(held_lines(make_sample()))


@pytest.mark.quick
def test_a_panel_breaks_its_lines_and_counts_those_without_room() -> None:
    lines = ["word " * 40, *"abcdefgh"]
    assert fits(lines, 200, 900) and not fits(lines, 200, 100)
    whole, cut = panel(lines, 200, 900), panel(lines, 200, 100)
    assert whole.shape == (900, 200, 3) and cut.shape == (100, 200, 3) and strip(lines, 200).shape[0] < 900
    inked = np.flatnonzero((whole.max(2) > 100).any(1))
    assert inked.max() < strip(lines, 200).shape[0] and (whole.max(2) > 100)[:, -6:].sum() == 0
    assert np.array_equal(panel([], 50, 20), np.full((20, 50, 3), (24, 26, 30), np.uint8))


def test_show_takes_overlay(street: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["show", "log=nuscenes", f"log.root={street}", "pipeline=geometry", f"out={tmp_path / 'a.png'}"]
    assert main([*words, "overlay=false"]) == 0
    assert main([*words, "overlay=2"]) == 2 and "overlay: expected true or false" in capsys.readouterr().err
