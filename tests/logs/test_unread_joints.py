"""Described robots of which a log reads some joints alone: wheels, and hands that drivers say nothing of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import policy_logs as made
import pytest

import fusion_aug as fa
from fusion_aug.errors import ConfigError

READ = ["l_a", "l_b", "r_a", "r_b"]
PLACES = {
    "l_a": ("base", "0 0.2 0.3", "0 0 1"), "l_b": ("l_a", "0.3 0 0", "0 1 0"), "r_a": ("base", "0 -0.2 0.3", "0 0 1"),
    "r_b": ("r_a", "0.3 0 0", "0 1 0"), "l_wheel": ("base", "0 0.3 0", "0 1 0"),
    "r_wheel": ("base", "0 -0.3 0", "0 1 0"), "l_lug": ("l_wheel", "0.1 0 0", ""),
}  # fmt: skip
ROWS = np.cumsum(np.random.default_rng(0).normal(scale=0.02, size=(20, 4)), 0)


def description(folder: Path) -> str:
    parts = [f'<link name="{n}"/>' for n in ("base", *PLACES)]
    for name, (parent, xyz, axis) in PLACES.items():
        kind = f'type="continuous"><axis xyz="{axis}"/>' if axis else 'type="fixed">'
        parts.append(
            f'<joint name="{name}" {kind}<parent link="{parent}"/><child link="{name}"/><origin xyz="{xyz}"/></joint>'
        )
    (folder / "robot.urdf").write_text(f'<robot name="made">{"".join(parts)}</robot>')
    return str(folder / "robot.urdf")


def opened(tmp_path: Path, names: list[str], rig: str = "frames: {}") -> fa.Sample:
    root = made.lerobot(tmp_path / "log", {"observation.state": (names, [ROWS])})
    (tmp_path / "rig.yaml").write_text(rig)
    options = {"urdf": description(tmp_path), "rig": str(tmp_path / "rig.yaml")}
    return fa.open_log("lerobot", root, parts={"observation.state": {"position": [0, 4]}}, **options)[0]


def test_links_that_nothing_reads_are_left_out_with_a_word(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"robot\.urdf: nothing in the log reads l_wheel, r_wheel: the links beyond"):
        sample = opened(tmp_path, READ, "frames: {}\nmirror: {l_wheel: r_wheel}")
    assert {"l_b", "r_b"} <= set(sample.rig.frames) and not {"l_wheel", "r_wheel", "l_lug"} & set(sample.rig.frames)
    after = fa.MirrorScene(axis="y")(sample)["state"]["position"].numpy()
    assert np.allclose(after, ROWS[:, [2, 3, 0, 1]] * [-1, 1, -1, 1], atol=1e-6)


def test_a_joint_of_another_name_need_not_be_unread(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no reading of joint 'l_b'.*the description has none of left_b"):
        opened(tmp_path, ["l_a", "left_b", "r_a", "r_b"])
