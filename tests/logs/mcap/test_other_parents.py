"""Frames that tf hangs on others than the description of the robot does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from robot_bag import run
from ros_bags import header, make, read_bag, tf, write_bag

import fusion_aug as fa

pytest.importorskip("rosbags")
T0 = 1_700_000_000_000_000_000
URDF = """<robot name="arm"><link name="base_link"/><link name="mount"/><link name="probe"/><link name="upper"/>
<joint name="m" type="fixed"><parent link="base_link"/><child link="mount"/><origin xyz="0.2 0 0.4"/></joint>
<joint name="p" type="fixed"><parent link="mount"/><child link="probe"/><origin xyz="0.1 0.05 0"/></joint>
<joint name="j1" type="revolute"><parent link="base_link"/><child link="upper"/><origin xyz="0 0 0.1"/>
<axis xyz="0 0 1"/><limit lower="-3" upper="3" effort="1" velocity="1"/></joint></robot>"""
MIRROR = {"_target_": "fusion_aug.MirrorScene", "axis": "y"}


def arm(folder: Path, parent: str, *xyz: float) -> list[str]:
    """A recording whose tf_static holds the probe in some parent; the words that open it."""
    sent = [("/tf_static", T0, tf(T0, parent, "probe", *xyz))]
    for k in range(5):
        at = T0 + k * 20_000_000
        state = make("sensor_msgs/JointState", header=header(at), name=["j1"], position=np.array([0.05 * k]))
        wrench = make("geometry_msgs/WrenchStamped", header=header(at, "probe"))
        sent += [("/joint_states", at, state), ("/wrench", at, wrench)]
    write_bag(folder / "bag", sent)
    (folder / "arm.urdf").write_text(URDF)
    return [f"log.urdf={folder / 'arm.urdf'}"]


def test_the_same_place_in_another_frame_follows_a_mirror(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = arm(tmp_path, "base_link", 0.3, 0.05, 0.4)
    assert run(tmp_path / "bag", tmp_path / "out", [MIRROR], *words, log="mcap") == 0
    assert "hangs 'probe'" not in capsys.readouterr().out
    found = read_bag(tmp_path / "out")["/tf_static"][0][1].transforms[0]
    shift = found.transform.translation
    rig = fa.MirrorScene(axis="y")(fa.open_log("mcap", tmp_path / "bag", urdf=str(tmp_path / "arm.urdf"))[0]).rig
    expected = rig.T("base_link", "probe")[:3, 3].tolist()
    assert [shift.x, shift.y, shift.z] == pytest.approx(expected, abs=1e-12) and expected[1] == pytest.approx(-0.05)
    assert found.header.frame_id == "base_link"


@pytest.mark.parametrize(("parent", "xyz"), [("base_link", (0.3, 0.5, 0.4)), ("rack", (0.0, 0.0, 0.0))], ids=str)
def test_another_place_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], parent: str, xyz: tuple[float, ...]
) -> None:
    words = arm(tmp_path, parent, *xyz)
    assert run(tmp_path / "bag", tmp_path / "out", [MIRROR], *words, log="mcap") == 0
    told = " ".join(capsys.readouterr().out.split())
    assert f"tf: hangs 'probe' on {parent!r}, and the description of the robot or the rig file on 'mount'" in told
    shift = read_bag(tmp_path / "out")["/tf_static"][0][1].transforms[0].transform.translation
    assert (shift.x, shift.y, shift.z) == xyz
