"""Transforms of tf that are no pose: copied where nothing has to change them, and no option lets a motion pass them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from robot_bag import ARMLESS, MIRROR, STILL, robot, run
from ros_bags import raw_bag, write_bag

pytest.importorskip("rosbags")
IDENTITY: list[Any] = []


def no_position(transform: Any) -> None:
    transform.translation.y = float("nan")


def infinite_position(transform: Any) -> None:
    transform.translation.x = float("inf")


def no_rotation(transform: Any) -> None:
    transform.rotation.x = transform.rotation.y = transform.rotation.z = transform.rotation.w = 0.0


def damaged(folder: Path, damage: Any) -> Path:
    """The recording of a robot of whose transforms of the base the fourth is none."""
    sent = robot()
    damage([m for topic, _, m in sent if topic == "/tf"][3].transforms[0].transform)
    write_bag(folder / "bag", sent)
    return folder / "bag"


@pytest.mark.parametrize("damage", [no_position, infinite_position, no_rotation])
def test_they_are_copied(tmp_path: Path, damage: Any, capsys: pytest.CaptureFixture[str]) -> None:
    root = damaged(tmp_path, damage)
    assert run(root, tmp_path / "out", IDENTITY, log="mcap") == 0
    assert raw_bag(root) == raw_bag(tmp_path / "out")
    assert "hangs" not in capsys.readouterr().out


@pytest.mark.parametrize("damage", [no_position, no_rotation])
@pytest.mark.parametrize("words", [STILL, "log.no_geometry=[/text,/tf]"], ids=["nothing told", "no_geometry"])
def test_a_mirror_stops_there(tmp_path: Path, damage: Any, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    root = damaged(tmp_path, damage)
    assert run(root, tmp_path / "out", [MIRROR], ARMLESS, words, log="mcap") == 2
    told = capsys.readouterr().err
    assert "topic /tf" in told and "frame 'base_link'" in told and "correct these transforms" in told
    assert "log.no_geometry" not in told and "rig file: frames" not in told
