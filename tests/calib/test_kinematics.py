"""Robots against pinocchio and against hand-made answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from arm import JOINTS, arm_robot

from calib import CalibrationError, JointPose, Rig, load_urdf, rig_from_dict, rig_to_dict, robot_from_urdf
from calib.se3 import rotation_about
from calib.symmetry import check_mirror, find_mirror

ONE = """<robot name="one"><link name="a"/><link name="b"/>
<joint name="j" type="{kind}"><parent link="a"/><child link="{child}"/><axis xyz="{axis}"/></joint></robot>"""


def test_a_panda_as_pinocchio_has_it(real_data: Path) -> None:
    pin = pytest.importorskip("pinocchio")
    path = real_data / "panda_lift" / "panda_arm_hand.urdf"
    fingers = {"panda_finger_joint1": "panda_finger_joint1", "panda_finger_joint2": "panda_finger_joint2"}
    robot = load_urdf(path, fingers)  # pinocchio takes a mimic joint as one of its own
    model = pin.buildModelFromUrdf(str(path))
    data = model.createData()
    names = [model.names[i] for i in range(1, model.njoints)]
    q = torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, (5, len(names))))
    poses, jacobian = robot.forward(q, names), robot.jacobian(q, "panda_hand", names)
    gravity, mass = robot.gravity_torque(q, names), robot.mass_matrix(q, names)
    for k, row in enumerate(q.numpy()):
        pin.forwardKinematics(model, data, row)
        pin.updateFramePlacements(model, data)
        for link, T in poses.items():
            theirs = data.oMf[model.getFrameId(link)].homogeneous
            assert np.abs(theirs - T[k].numpy()).max() < 1e-12, link
        hand = model.getFrameId("panda_hand")
        theirs = pin.computeFrameJacobian(model, data, row, hand, pin.LOCAL_WORLD_ALIGNED)
        assert np.abs(theirs - jacobian[k].numpy()).max() < 1e-12
        assert np.abs(pin.computeGeneralizedGravity(model, data, row) - gravity[k].numpy()).max() < 1e-12
        full = pin.crba(model, data, row)
        full = np.triu(full) + np.triu(full, 1).T
        assert np.abs(full - mass[k].numpy()).max() < 1e-12


def test_forward_kinematics_has_a_gradient() -> None:
    robot = arm_robot()
    q = torch.tensor([0.3, -0.2, 0.4, 0.01, 0.02], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: robot.forward(x)["hand"], (q,))
    J = robot.jacobian(q.detach(), "hand")
    numeric = torch.autograd.functional.jacobian(lambda x: robot.forward(x)["hand"][:3, 3], q.detach())
    assert torch.allclose(J[:3], numeric, atol=1e-12)


def test_the_arm_is_its_own_mirror_image(real_data: Path) -> None:
    robot = arm_robot()
    mirror = find_mirror(robot)
    assert check_mirror(robot, mirror) < 1e-12
    assert mirror.joints["turn"] == ("turn", -1.0, 0.0)
    assert mirror.joints["finger_left_joint"] == ("finger_right_joint", 1.0, 0.0)
    panda = load_urdf(real_data / "panda_lift" / "panda_arm_hand.urdf")
    assert check_mirror(panda, find_mirror(panda)) < 1e-6


def test_an_asymmetric_robot_is_refused_with_the_joint() -> None:
    robot = arm_robot()
    parent, joint = robot.edges["link2"]
    from dataclasses import replace

    origin = joint.origin.clone()  # type: ignore[union-attr]
    origin[1, 3] = 0.02
    crooked = replace(robot, edges={**robot.edges, "link2": (parent, replace(joint, origin=origin))})  # type: ignore[type-var]
    with pytest.raises(CalibrationError, match=r"not left-right symmetric.*joint 'lift' \(link 'link2'\).*40 mm"):
        find_mirror(crooked)


def test_links_follow_their_joints_and_come_back_from_a_file() -> None:
    robot = arm_robot()
    times = torch.arange(6) * 10_000_000
    q = torch.from_numpy(np.random.default_rng(1).normal(size=(6, 5))) * 0.1
    rig = Rig(robot.to_frames(None, None, {n: (times, q[:, i]) for i, n in enumerate(JOINTS)}))
    for frame, T in robot.forward(q).items():
        assert torch.allclose(rig.T_at_times("arm_base", frame, times), T, atol=1e-14)
        assert torch.allclose(rig.T("arm_base", frame, int(times[2])), T[2], atol=1e-14)
    again = rig_from_dict(rig_to_dict(rig, exact=True))
    between = torch.tensor([3_000_000, 47_000_000])
    assert torch.equal(again.T_at_times("arm_base", "hand", between), rig.T_at_times("arm_base", "hand", between))
    inertia = again.frames["hand"].inertia
    assert inertia is not None and inertia.mass == robot.inertias["hand"].mass
    pose = rig.frames["hand"].pose
    assert isinstance(pose, JointPose)
    assert torch.allclose(pose.refined(2_000_000).T_at_times(between), pose.T_at_times(between), atol=1e-3)
    # half a step beyond the ends a reading still stands, then nothing is known
    assert torch.equal(rig.T("arm_base", "hand", -4_000_000), rig.T("arm_base", "hand", 0))
    with pytest.raises(CalibrationError, match="outside the known poses"):
        rig.T("arm_base", "hand", -6_000_000)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<robot", "not valid XML"),
        ("<!DOCTYPE x><robot/>", "document type"),
        ("<sdf/>", "top element is <sdf>"),
        (ONE.format(kind="revolute", child="c", axis="0 0 1"), "joint 'j': child: there is no link 'c'"),
        (ONE.format(kind="planar", child="b", axis="0 0 1"), "joint 'j': type: 'planar' is not supported"),
        (ONE.format(kind="revolute", child="b", axis="0 0 0"), "joint 'j': axis: has no length"),
        (ONE.format(kind="revolute", child="b", axis="0 up 1"), "xyz: expected 3"),
        ("<robot><link name='a'/><link name='b'/></robot>", "expected one root link, found a, b"),
    ],
)
def test_damaged_descriptions_name_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(CalibrationError, match=message):
        robot_from_urdf(text, "arm.urdf")


def test_names_of_a_log_and_directions_of_counting() -> None:
    text = ONE.format(kind="continuous", child="b", axis="0 0 2")
    robot = robot_from_urdf(text, joint_map={"log_j": "-j"})
    T = robot.forward(torch.tensor([[0.3]], dtype=torch.float64))["b"][0]
    assert torch.allclose(T[:3, :3], rotation_about("z", -0.3))
    with pytest.raises(CalibrationError, match="has no joint 'k'"):
        robot_from_urdf(text, joint_map={"x": "k"})
    with pytest.raises(CalibrationError, match="needs a reading of every joint"):
        robot.forward(torch.zeros(1, 0, dtype=torch.float64))
