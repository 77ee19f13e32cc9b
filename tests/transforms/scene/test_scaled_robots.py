"""Forces and torques of a robot under scales, mirrors and motions of the scene, in any order."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import fusion_aug as fa
from calib import Frame, Rig, Robot
from calib.kinematics import GRAVITY
from calib.se3 import rotation_from_rotvec, se3
from calib.urdf import robot_from_urdf
from fusion_aug.core.engine import run
from fusion_aug.sample import Ref, SampleMeta

TIMES = torch.arange(20, dtype=torch.int64) * 10_000_000
BODY = (
    '<inertial><origin xyz="0.1 0 0.02"/><mass value="1.5"/>'
    '<inertia ixx="0.01" ixy="0" ixz="0" iyy="0.02" iyz="0" izz="0.01"/></inertial>'
)
JOINTS = {"turn": ("revolute", "base", "a", "0 0 0.3", "0 0 1"), "lift": ("revolute", "a", "b", "0.1 0 0.2", "0 1 0"),
          "reach": ("prismatic", "b", "hand", "0.4 0 0.05", "1 0 0")}  # fmt: skip
URDF = '<robot name="arm"><link name="base"/>' + "".join(
    f'<link name="{c}">{BODY}</link><joint name="{n}" type="{kind}"><parent link="{p}"/><child link="{c}"/>'
    f'<origin xyz="{xyz}"/><axis xyz="{axis}"/><limit lower="-3" upper="3" effort="1" velocity="1"/></joint>'
    for n, (kind, p, c, xyz, axis) in JOINTS.items()
) + "</robot>"  # fmt: skip


def needed_efforts(rig: Rig, q: torch.Tensor, wrench: fa.Stream) -> torch.Tensor:
    """g(q) + J^T w (n, J): what holds the robot that a rig describes, with masses as they are, against a wrench."""
    robot = Robot.of(rig, "base")
    R = robot.forward(q)["ft"][:, :3, :3]
    w = torch.cat([R @ wrench[c][..., None] for c in ("force", "torque")], 1)
    down = rig.T("world", "base")[:3, :3].T @ GRAVITY
    return robot.gravity_torque(q, robot.joints, down) + (robot.jacobian(q, "ft").transpose(1, 2) @ w)[..., 0]


def held() -> fa.Sample:
    """An arm that holds itself against its weight and a wrench in a frame that lies off its mirror plane."""
    robot, rng, t = robot_from_urdf(URDF), np.random.default_rng(1), 0.01 * torch.arange(len(TIMES)).double()[:, None]
    q = torch.tensor([0.3, -0.4, 0.1]) + torch.tensor([0.5, 0.3, 0.2]) * torch.sin(3 * t + torch.tensor([0.0, 1, 2]))
    links = robot.to_frames("vehicle", None, {n: (TIMES, q[:, k]) for k, n in enumerate(robot.joints)})
    links["ft"] = Frame(parent="hand", pose=se3(rotation_from_rotvec([0.2, 0.4, -0.9]), [0.02, 0.05, -0.03]))
    rig = Rig({"world": Frame(axis_convention="world"), "vehicle": Frame(parent="world"), **links}, {})
    values = {
        "force": 20 * torch.from_numpy(rng.normal(size=(20, 3))),
        "torque": torch.from_numpy(rng.normal(size=(20, 3))),
    }
    wrench = fa.Wrench(frame="ft", capture_times=TIMES, values=values)
    effort = needed_efforts(rig, q, wrench)
    joints = fa.JointState(
        frame="base", capture_times=TIMES, names=robot.joints, values={"position": q, "effort": effort}
    )
    meta = SampleMeta(id="u", scene="u", ref=Ref("vehicle", 0), rig=rig, true_rig=rig)
    return fa.Sample(metas=(meta,), streams={"wrench": wrench, "joints": joints})


def some_order(seed: int) -> fa.Compose:
    rng = np.random.default_rng(seed)
    known = (
        lambda: fa.ScaleScene(scale=float(rng.uniform(0.5, 2))), lambda: fa.MirrorScene(axis="y"),
        lambda: fa.MirrorScene(axis="x"), lambda: fa.RotateScene(yaw_deg=float(rng.uniform(-180, 180))),
        lambda: fa.TranslateScene(x=float(rng.normal()), y=float(rng.normal())),
    )  # fmt: skip
    return fa.Compose(
        [known[0](), known[1](), *(known[k]() for k in rng.integers(0, 5, rng.integers(0, 4)))][:: rng.choice([-1, 1])]
    )


@pytest.mark.parametrize("seed", range(12))
def test_an_arm_still_holds_itself_after_any_order_of_motions(seed: int) -> None:
    sample, pipeline = held(), some_order(seed)
    fused, one_by_one = run(pipeline, sample), run(pipeline, sample, eager=True)
    for name, stream in fused.streams.items():
        for column, value in stream.values.items():
            assert torch.allclose(one_by_one[name][column], value, atol=1e-9), (name, column)
    joints = fused["joints"]
    needed = needed_efforts(fused.rig, joints["position"], fused["wrench"])
    assert torch.allclose(joints["effort"], needed, atol=1e-9)
    assert float((joints["effort"] - sample["joints"]["effort"]).abs().max()) > 0.1


@pytest.mark.quick
def test_a_scale_of_lengths_scales_torques_and_no_forces() -> None:
    sample = held()
    out = fa.ScaleScene(scale=1.5)(sample)
    assert torch.allclose(out["wrench"]["torque"], 1.5 * sample["wrench"]["torque"])
    assert torch.equal(out["wrench"]["force"], sample["wrench"]["force"])
    factors = torch.tensor([1.5, 1.5, 1.0]).double()  # of two rotary joints and a sliding one
    assert torch.allclose(out["joints"]["effort"], factors * sample["joints"]["effort"])
    back = fa.invert(out["wrench"], out.history, name="wrench")
    assert torch.allclose(back["torque"], sample["wrench"]["torque"])
