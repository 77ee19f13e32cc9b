"""Pictures of robots."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from arm_log import open_arm
from places import ARM

import fusion_aug as fa
from fusion_aug.cli import main
from fusion_aug.show.robot import FONT, GREY, PLOT, _legend_rows, camera, draw_robot, is_robot, item_at, plot, skeleton

pytest.importorskip("mcap")


@pytest.fixture(scope="module")
def arm() -> fa.Sample:
    return open_arm("mcap")


@pytest.mark.quick
def test_links_are_drawn_where_they_project(arm: fa.Sample) -> None:
    """In front the wrist joint's pixel shows the arm and not the wall, before and after a mirror."""
    for sample in (arm, fa.MirrorRobot()(arm)):
        item = item_at(sample["front"])
        drawn = skeleton(sample, "front", item)
        assert len(drawn) >= 6
        depth = sample["front/depth"].image(item)  # type: ignore[attr-defined]
        T = sample.rig.T_at_times("front", "link5", sample["front"].capture_times[item : item + 1])[0]
        pixel, _ = sample.rig.camera("front").project(T[None, :3, 3])
        assert any(np.allclose(end, pixel[0].numpy()) for pair in drawn for end in pair)
        u, v = pixel[0].round().long().tolist()
        assert abs(float(depth[v, u]) - float(T[2, 3])) < 0.08, "the surface lies just before the joint's axis"


def test_traces_show_both(arm: fa.Sample) -> None:
    after = arm.with_streams({**arm.streams, "wrench": arm["wrench"].with_values(force=arm["wrench"]["force"] + 5)})
    image = plot(arm, after, ["wrench"], lambda s: s["force"].numpy(), "wrench", "xyz")
    bare = plot(arm, after, ["wrench"], lambda s: s["force"].numpy(), "wrench", "")
    assert np.abs(image[:20].astype(int) - bare[:20]).max() > 60, "the key"
    assert image.shape == (*PLOT, 3)
    coloured = (image.max(2).astype(int) - image.min(2) > 60).any(0)
    grey = (np.abs(image.astype(int) - GREY).max(2) < 12).any(0)
    assert coloured.mean() > 0.8 and grey.mean() > 0.2


def test_the_figure_holds_cameras_gels_and_traces(arm: fa.Sample) -> None:
    image = draw_robot(arm, fa.MirrorRobot()(arm), "arm")
    assert image.dtype == np.uint8 and image.shape[1] == 2 * PLOT[1] and image.shape[0] > 800
    assert is_robot(arm)
    bare = arm.with_streams({"wrench": arm["wrench"]})
    assert not is_robot(bare) and draw_robot(bare, bare).shape[0] > 100


def test_the_command(tmp_path: Path) -> None:
    words = ["log=mcap", f"log.root={ARM}/mcap", f"log.rig={ARM}/mcap_rig.yaml", "pipeline=timewarp"]
    assert main(["show", *words, f"out={tmp_path}/arm.png"]) == 0
    assert cv2.imread(str(tmp_path / "arm.png")).shape[1] == 2 * PLOT[1]


@pytest.mark.quick
def test_a_legend_of_any_length_is_whole() -> None:
    """No key lies under the title, outside, or over another."""
    keys = [f"left_arm_joint_{i}" for i in range(14)]
    rows = _legend_rows(keys, "joint_states position, rad or m", PLOT[1])
    assert sorted(i for row in rows for i, _ in row) == list(range(14)) and len(rows) == 2
    for number, row in enumerate(rows):
        places = sorted((x, x + cv2.getTextSize(keys[i], *FONT, 1)[0][0]) for i, x in row)
        assert places[0][0] >= (30 + 8 * 31 if number == 0 else 0) and places[-1][1] <= PLOT[1] - 12
        assert all(a[1] < b[0] for a, b in pairwise(places))


def test_the_arm_is_left_out_of_pictures_without_overlay(arm: fa.Sample) -> None:
    with_arm, bare = camera(arm, "front"), camera(arm, "front", overlay=False)
    changed = np.any(with_arm != bare, axis=2)
    assert 0.001 < changed.mean() < 0.1
    out = fa.MirrorRobot()(arm)
    assert draw_robot(arm, out, "arm", overlay=False).shape == draw_robot(arm, out, "arm").shape
