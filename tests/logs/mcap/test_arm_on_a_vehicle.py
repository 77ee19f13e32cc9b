"""An arm that a motion of the scene has moved on its vehicle is read there, with its description."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ros_pictures import T0, Message, bag, changed, header, make

import fusion_aug as fa

pytest.importorskip("mcap")
URDF = """<robot name="mobile"><link name="base_link"/><link name="arm_base"/><link name="upper"/>
<joint name="mount" type="fixed"><parent link="base_link"/><child link="arm_base"/><origin xyz="0.2 0 0.4"/></joint>
<joint name="j1" type="revolute"><parent link="arm_base"/><child link="upper"/><origin xyz="0 0 0.1"/>
<axis xyz="0 0 1"/><limit lower="-3" upper="3" effort="1" velocity="1"/></joint></robot>"""


def placed(child: str, x: float, z: float, parent: str = "base_link", time: int = T0) -> Any:
    shift = make("geometry_msgs/Vector3", x=x, y=0.0, z=z)
    turn = make("geometry_msgs/Quaternion", x=0.0, y=0.0, z=0.0, w=1.0)
    pose = make("geometry_msgs/Transform", translation=shift, rotation=turn)
    one = make("geometry_msgs/TransformStamped", header=header(time, parent), child_frame_id=child, transform=pose)
    return make("tf2_msgs/TFMessage", transforms=[one])


@pytest.mark.parametrize("tells", [True, False], ids=["tf_static has the mount", "only the description has it"])
def test_a_moved_arm_is_read_where_it_was_written(tmp_path: Path, tells: bool) -> None:
    messages: list[Message] = [("/tf_static", T0, placed("laser", 0.3, 0.2))]
    messages += [("/tf_static", T0, placed("arm_base", 0.2, 0.4))] if tells else []
    for k in range(11):
        time, none = T0 + k * 20_000_000, np.zeros(0)
        state = make("sensor_msgs/JointState", header=header(time, ""), name=["j1"], position=np.array([0.05 * k]),
                     velocity=none, effort=none)  # fmt: skip
        messages += [("/joint_states", time, state), ("/tf", time, placed("base_link", 0.01 * k, 0.0, "odom", time))]
    urdf, time = tmp_path / "mobile.urdf", T0 + 100_000_000
    urdf.write_text(URDF)
    log = fa.open_log("mcap", bag(tmp_path / "log", messages), urdf=str(urdf))
    T = log[0].rig.T("base_link", "upper", time)
    changed(log, tmp_path / "out", fa.RotateScene(yaw_deg=30.0), fa.TranslateScene(x=0.3, y=-0.1))
    again = fa.open_log("mcap", tmp_path / "out", urdf=str(urdf))[0].rig.T("base_link", "upper", time)
    c, s = np.cos(np.pi / 6), np.sin(np.pi / 6)
    motion = torch.tensor([[c, -s, 0, 0.3], [s, c, 0, -0.1], [0, 0, 1, 0], [0, 0, 0, 1]], dtype=torch.float64)
    assert torch.allclose(again, motion @ T, atol=1e-9)
