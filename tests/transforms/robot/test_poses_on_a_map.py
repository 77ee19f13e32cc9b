"""Errors of an arm move the poses of its hand, not the place of the vehicle that carries it, nor a goal on its map."""

from __future__ import annotations

import torch

import fusion_aug as fa
from calib import Frame, Rig, Trajectory
from calib.se3 import rotation_from_rotvec, se3
from calib.urdf import robot_from_urdf
from fusion_aug.sample import Ref, SampleMeta

TIMES = torch.arange(30, dtype=torch.int64) * 10_000_000
ARM = """<robot name="arm"><link name="torso"/><link name="upper"/><link name="hand"/>
<joint name="j1" type="revolute"><parent link="torso"/><child link="upper"/><origin xyz="0 0 0.3"/><axis xyz="0 0 1"/>
<limit lower="-3" upper="3" effort="1" velocity="1"/></joint>
<joint name="j2" type="revolute"><parent link="upper"/><child link="hand"/><origin xyz="0.4 0 0"/><axis xyz="0 1 0"/>
<limit lower="-3" upper="3" effort="1" velocity="1"/></joint></robot>"""


def test_a_vehicle_on_its_map_has_no_errors_of_the_arm() -> None:
    robot, t = robot_from_urdf(ARM), TIMES.double() * 1e-9
    q = torch.stack([0.3 * torch.sin(t * 5), 0.2 * torch.cos(t * 4)], 1)
    turn = torch.stack([0 * t, 0 * t, 0.5 * t], 1)
    drive = se3(rotation_from_rotvec(turn), torch.stack([t, 0.2 * t, 0 * t], 1))
    links = robot.to_frames("base", None, {j: (TIMES, q[:, k]) for k, j in enumerate(robot.joints)})
    rig = Rig(
        {"map": Frame(axis_convention="world"), "base": Frame(parent="map", pose=Trajectory(TIMES, drive)), **links}
    )
    hand = robot.forward(q)["hand"]
    streams = {
        "joints": fa.JointState(frame="torso", capture_times=TIMES, values={"position": q}, names=tuple(robot.joints)),
        "hand_pose": fa.BodyPose(frame="torso", capture_times=TIMES, values={"pose": hand}),
        "amcl_pose": fa.BodyPose(frame="map", capture_times=TIMES, values={"pose": drive}),
        "goal_pose": fa.BodyPose(frame="map", capture_times=TIMES[:1], values={"pose": drive[-1:]}),
    }
    meta = SampleMeta(id="u", scene="u", ref=Ref("base", 0), rig=rig, true_rig=rig)
    out = fa.KinematicNoise(joint_deg=2.0)(fa.Sample(metas=(meta,), streams=streams), seed=3)
    for name in ("amcl_pose", "goal_pose"):
        assert torch.equal(out[name]["pose"], streams[name]["pose"])
    moved = out["hand_pose"]["pose"]
    assert torch.allclose(moved, robot.forward(out["joints"]["position"])["hand"], atol=1e-9)
    assert float((moved - hand).abs().max()) > 1e-3
