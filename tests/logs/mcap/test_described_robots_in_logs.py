"""Descriptions and rig files with recordings: roots called world, partners by hand, wrenches of data sets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bags import HALF, T0, open_recording, recording

import fusion_aug as fa
from fusion_aug.errors import ConfigError, DataError

pytest.importorskip("mcap")
JOINT = (
    '<joint name="{name}" type="{kind}"><parent link="{parent}"/><child link="{child}"/><origin xyz="{xyz}"/>'
    '<axis xyz="0 0 1"/><limit lower="-3" upper="3" effort="1" velocity="1"/></joint>'
)


def described(tmp_path: Path, joints: list[tuple[str, str, str, str, str]], root: str, rig: str = "") -> Path:
    """A recording of two swinging joints ``one`` and ``two`` and an inertial unit, with a description."""

    def renamed(topic: str, message: Any, number: int) -> Any:
        if topic == "/joint_states":
            message.name = ["one", "two"]
            for field in ("position", "velocity", "effort"):
                setattr(message, field, getattr(message, field)[:2])
        return message

    folder = recording(tmp_path / "log" / "a.mcap", edit=renamed, seconds=0.7)
    links = "".join(f'<link name="{n}"/>' for n in (root, *(j[2] for j in joints)))
    rows = "".join(JOINT.format(name=n, parent=p, child=c, kind=k, xyz=x) for n, p, c, k, x in joints)
    (tmp_path / "arm.urdf").write_text(f'<robot name="made">{links}{rows}</robot>')
    (tmp_path / "rig.yaml").write_text(f"urdf: arm.urdf\n{rig}frames:\n  imu: {{parent: {joints[-1][2]}}}\n")
    return folder


ARMS = [("one", "base_link", "p", "revolute", "0 0.2 0"), ("two", "base_link", "q", "revolute", "0 -0.2 0")]
TOWER = [("fix", "world", "stand", "fixed", "0.1 0 0.7"), ("one", "stand", "a", "revolute", "0 0 0.2"),
         ("two", "a", "b", "revolute", "0.3 0 0")]  # fmt: skip


@pytest.mark.parametrize("root", ["world", "odom"])
def test_a_root_called_world_is_the_world(tmp_path: Path, root: str) -> None:
    joints = [(n, root if p == "world" else p, *rest) for n, p, *rest in TOWER]
    folder = described(tmp_path, joints, root)  # type: ignore[arg-type]
    sample = open_recording(folder, exclude=["/tf_static"])[0]
    on_base = [(n, p.replace("world", "base"), *rest) for n, p, *rest in TOWER]
    other = described(tmp_path / "b", on_base, "base")  # type: ignore[arg-type]
    rig, plain = sample.rig, open_recording(other, exclude=["/tf_static"])[0].rig
    assert rig.frames[root].axis_convention == "world" and sample.ref.frame == "reference"
    assert float((rig.T(root, "b", T0 + HALF) - plain.T("base", "b", T0 + HALF)).abs().max()) < 1e-12
    fast = fa.SpeedWarp(speed=2.0)(sample, seed=0)  # needs the attitude of the inertial unit
    assert len(fast["imu"]) < len(sample["imu"])
    turned = fa.RotateScene(yaw_deg=30.0)(sample, seed=0)
    moved = turned.rig.T(root, "b", T0 + HALF) @ torch.linalg.inv(rig.T(root, "b", T0 + HALF))
    assert float((moved - torch.eye(4)).abs().max()) < 1e-9  # a rigid motion changes nothing in the world
    assert torch.equal(turned["imu"]["accel"], sample["imu"]["accel"])
    mirrored = fa.MirrorScene(axis="y", p=1.0)(sample, seed=0)
    S = torch.diag(torch.tensor([1.0, -1.0, 1.0, 1.0], dtype=torch.float64))
    place = (S @ rig.T("reference", "b", T0 + HALF))[:3, 3]
    assert float((mirrored.rig.T("reference", "b", T0 + HALF)[:3, 3] - place).abs().max()) < 1e-9


@pytest.mark.parametrize("mirror", ["mirror: {p: q}\n", "mirror: {one: two}\n", ""])
def test_partners_by_hand(tmp_path: Path, mirror: str) -> None:
    """By links or by joints; without a word, by geometry."""
    folder = described(tmp_path, ARMS, "base_link", mirror)
    sample = open_recording(folder, exclude=["/tf_static", "/imu"])[0]
    mirrored = fa.MirrorScene(axis="y", p=1.0)(sample, seed=0)
    before, after = (s["joint_states"]["position"].numpy() for s in (sample, mirrored))
    assert np.abs(after + before[:, ::-1]).max() < 1e-12  # about z a mirror turns the sense


@pytest.mark.parametrize(
    ("mirror", "told"),
    [
        ("mirror: {p: nobody}\n", r"rig.yaml: mirror.nobody: the robot has no such link or joint"),
        ("mirror: [p, q]\n", r"rig.yaml: mirror: expected a mapping"),
        ("mirror: {p: q, base_link: p}\n", r"rig.yaml: mirror"),
    ],
)
def test_wrong_partners_are_named(tmp_path: Path, mirror: str, told: str) -> None:
    folder = described(tmp_path, ARMS, "base_link", mirror)
    with pytest.raises((ConfigError, DataError), match=told):
        open_recording(folder, exclude=["/tf_static", "/imu"])[0]
