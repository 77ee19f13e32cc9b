"""A robot with two arms: streams of one side, hands, pushes, mirrors of masses; mounts and mimics."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import fusion_aug as fa
from calib import CameraSensor, Frame, ImuSensor, Pinhole, Rig, Robot, TaxelSensor
from calib.errors import CalibrationError
from calib.rates import expected_imu_reading
from calib.se3 import rotation_from_rotvec, se3
from calib.sides import side_of
from calib.urdf import robot_from_urdf
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.sample import Ref, SampleMeta
from fusion_aug.streams import strings

TIMES = torch.arange(60, dtype=torch.int64) * 10_000_000


def arm(side: str, sign: int) -> str:
    links = "".join(
        f'<link name="{side}{n}"><inertial><origin xyz="0.02 {0.01 * sign} 0.05"/><mass value="1"/><inertia ixx="0.01" '
        f'ixy="{0.001 * sign}" ixz="0" iyy="0.02" iyz="{0.002 * sign}" izz="0.015"/></inertial></link>'
        for n in ("upper", "fore", "hand")
    )
    joints = "".join(
        f'<joint name="{side}{n}" type="revolute"><parent link="{p}"/><child link="{side}{c}"/><origin xyz="{xyz}" '
        f'rpy="{rpy}"/><axis xyz="{axis}"/><limit lower="-3" upper="3" effort="1" velocity="1"/></joint>'
        for n, p, c, xyz, rpy, axis in (
            ("j1", "torso", "upper", f"0 {0.2 * sign} 0.5", f"{-0.3 * sign} 0.1 {0.2 * sign}", "0 0 1"),
            ("j2", f"{side}upper", "fore", "0.3 0 0.1", "0 0 0", "0 1 0"),
            ("j3", f"{side}fore", "hand", f"0.25 {0.02 * sign} 0", "0 0 0", "1 0 0"),
        )
    )
    return links + joints


def two_arms(left: str = "left_", right: str = "right_") -> Robot:
    return robot_from_urdf(f'<robot name="two"><link name="torso"/>{arm(left, 1)}{arm(right, -1)}</robot>')


def stream(kind: type, values: dict[str, Tensor], frame: str = "torso", **more: Any) -> Any:
    return kind(frame=frame, capture_times=TIMES, values=values, **more)


def side_columns(robot: Robot) -> dict[str, list[int]]:
    return {s: [i for i, n in enumerate(robot.joints) if side_of(n) == s] for s in ("left", "right")}


def sample_of(robot: Robot, split: bool, more: dict[str, Any] | None = None, sensors: dict[str, Any] | None = None,
              frames: dict[str, Frame] | None = None) -> tuple[fa.Sample, Tensor]:  # fmt: skip
    """Two arms that swing, with joints in one stream or in one for each side."""
    rng, t = np.random.default_rng(0), np.arange(len(TIMES)) * 0.01
    q = torch.from_numpy(np.stack([
        0.4 * np.sin(2 * np.pi * rng.uniform(0.3, 1) * t + rng.uniform(0, 6)) + rng.uniform(-0.4, 0.4)
        for _ in robot.joints
    ], 1))  # fmt: skip
    links = robot.to_frames("base", None, {j: (TIMES, q[:, k]) for k, j in enumerate(robot.joints)})
    rig = Rig(
        {"world": Frame(axis_convention="world"), "base": Frame(parent="world"), **links, **(frames or {})},
        sensors or {},
    )
    effort = robot.gravity_torque(q)
    streams = dict(more or {})
    for name, chosen in side_columns(robot).items() if split else (("both", list(range(6))),):
        names = tuple(robot.joints[i] for i in chosen)
        values = {"position": q[:, chosen], "effort": effort[:, chosen]}
        streams[f"{name}/joints"] = stream(fa.JointState, values, names=names)
    meta = SampleMeta(id="u", scene="u", ref=Ref("base", 0), rig=rig, true_rig=rig)
    return fa.Sample(metas=(meta,), streams=streams), q


@pytest.mark.parametrize("names", [("left_", "right_"), ("l_", "r_"), ("L_", "R_")])
def test_one_stream_or_one_for_each_side_mirror_alike(names: tuple[str, str]) -> None:
    robot = two_arms(*names)
    whole, split = (fa.MirrorRobot()(sample_of(robot, s)[0]) for s in (False, True))
    for side, chosen in side_columns(robot).items():
        assert split[f"{side}/joints"].names == tuple(robot.joints[i] for i in chosen)  # type: ignore[attr-defined]
        assert torch.allclose(split[f"{side}/joints"]["position"], whole["both/joints"]["position"][:, chosen])
    # the masses are mirrored too: what the joints hold is still the weight
    q = whole["both/joints"]["position"]
    for description in (robot, Robot.of(whole.rig, "torso")):
        assert torch.allclose(description.gravity_torque(q, robot.joints), whole["both/joints"]["effort"], atol=1e-9)


@pytest.mark.quick
def test_hands_forces_and_commands_change_sides() -> None:
    robot = two_arms()
    _, q = sample_of(robot, False)
    FK, ones = robot.forward(q), torch.ones(len(TIMES), 3, dtype=torch.float64)
    hands = {f"eef_{s}": stream(fa.BodyPose, {"pose": FK[f"{s}_hand"]}) for s in ("left", "right")}
    forces = {f"ft_{s}": stream(fa.Wrench, {"force": ones * k, "torque": ones * k}, f"{s}_hand")
              for k, s in ((1, "left"), (2, "right"))}  # fmt: skip
    sample, _ = sample_of(robot, False, {**hands, **forces})
    out = fa.MirrorRobot()(sample)
    FK = robot.forward(out["both/joints"]["position"])
    for side in ("left", "right"):
        assert torch.allclose(out[f"eef_{side}"]["pose"][:, :3, 3], FK[f"{side}_hand"][:, :3, 3], atol=1e-9)
        assert out[f"ft_{side}"].frame == f"{side}_hand"
    assert float(out["ft_left"]["force"].abs().max()) == pytest.approx(2.0, abs=1e-9)
    noisy = fa.KinematicNoise(joint_deg=2.0, joints=("right_*",))(sample)
    FK = robot.forward(noisy["both/joints"]["position"])
    for side in ("left", "right"):
        assert torch.allclose(noisy[f"eef_{side}"]["pose"], FK[f"{side}_hand"], atol=1e-9)
    grips = stream(fa.Action, {"command": ones[:, :2]})
    with pytest.raises(DataError, match="which command is for which"):
        fa.MirrorRobot()(sample_of(robot, False, {"action": grips})[0])


def test_a_push_reaches_every_joint_and_every_sensor_below() -> None:
    robot, zero = two_arms(), torch.zeros(len(TIMES), 3, dtype=torch.float64)
    sensors = {n: stream(fa.Wrench, {"force": zero, "torque": zero}, f)
               for n, f in (("wrist", "left_hand"), ("shoulder", "left_upper"))}  # fmt: skip
    push = fa.PushDisturbance(peak=10.0, duration=0.2)
    whole, q = sample_of(robot, False, sensors)
    split, _ = sample_of(robot, True, sensors)
    a, b = push(whole, seed=1), push(split, seed=1)
    change = a["both/joints"]["effort"] - whole["both/joints"]["effort"]
    mine, other = side_columns(robot).values()
    assert float(change[:, mine].abs().max()) > 0.5 and not bool(change[:, other].any())
    assert torch.allclose(b["left/joints"]["effort"] - split["left/joints"]["effort"], change[:, mine], atol=1e-12)
    T = whole.rig.T_at_times("left_upper", "left_hand", TIMES)
    alone = push(sample_of(robot, False, {"shoulder": sensors["shoulder"]})[0], seed=1)["shoulder"]["force"]
    carried = (T[:, :3, :3] @ a["wrist"]["force"][..., None])[..., 0]
    assert torch.allclose(a["shoulder"]["force"], alone + carried, atol=1e-9)
    held = torch.zeros_like(change)
    for frame, force in (("left_hand", a["wrist"]["force"]), ("left_upper", alone)):
        in_base = robot.forward(q)[frame][:, :3, :3] @ force[..., None]
        held += (robot.jacobian(q, frame)[:, :3].transpose(1, 2) @ in_base)[..., 0]
    assert torch.allclose(change, held, atol=1e-9)


def mounted() -> fa.Sample:
    """The left hand with a camera, an inertial unit, a wrench sensor, and a pad of taxels on the link itself."""
    robot = two_arms()
    eye = torch.eye(4, dtype=torch.float64)
    place = eye.clone()
    place[:3, 3] = torch.tensor([0.05, 0.0, 0.02], dtype=torch.float64)
    frames = {n: Frame(parent="left_hand", pose=place) for n in ("imu", "ft")}
    frames["eye"] = Frame(parent="left_hand", pose=place, axis_convention="camera")
    K = torch.tensor([[50.0, 0, 31.5], [0, 50, 23.5], [0, 0, 1]], dtype=torch.float64)
    sensors = {"eye": CameraSensor(frame="eye", model=Pinhole(K=K, size=(48, 64))),
               "pad": TaxelSensor(frame="left_hand", poses=eye.expand(2, 4, 4)),
               "odd": ImuSensor(frame="left_fore")}  # fmt: skip
    probe, q = sample_of(robot, False, None, sensors, frames)
    gyro, accel = expected_imu_reading(probe.rig, "imu", TIMES)
    zero = torch.zeros(len(TIMES), 3, dtype=torch.float64)
    streams = {
        "imu": stream(fa.Imu, {"gyro": gyro, "accel": accel}, "imu"),
        "ft": stream(fa.Wrench, {"force": zero + 1, "torque": zero}, "ft"),
        "pad": stream(fa.Taxels, {"force": zero[:, :2]}, "left_hand", poses=eye.expand(2, 4, 4)),
        "eef": stream(fa.BodyPose, {"pose": robot.forward(q)["left_hand"]}),
    }
    return sample_of(robot, False, streams, sensors, frames)[0]


def test_a_mounting_error_is_the_sensors_own() -> None:
    sample = mounted()
    noisy = fa.KinematicNoise(hand_eye=0.01, hand_eye_deg=2.0)(sample)
    t = int(TIMES[5])
    for frame in ("eye", "imu", "ft"):
        off = (noisy.rig.T("left_hand", frame, t) - sample.rig.T("left_hand", frame, t))[:3, 3].norm()
        assert abs(float(off) - 0.01 * 3**0.5) < 1e-9, frame
    assert torch.equal(noisy.rig.T("base", "left_hand", t), sample.rig.T("base", "left_hand", t))
    assert torch.allclose(noisy["eef"]["pose"], sample["eef"]["pose"], atol=1e-12)
    assert abs(float(noisy["pad"].poses[0, 0, :3, 3].norm()) - 0.01 * 3**0.5) < 1e-9  # type: ignore[attr-defined]
    assert torch.equal(noisy["pad"].poses[0], noisy.rig.sensors["pad"].poses)  # type: ignore[attr-defined, union-attr]
    for kwargs, words in (
        ({"sensors": ("odd",)}, "at the frame of the link 'left_fore' itself"), ({"sensors": ("nope",)}, "names none"),
        ({"joints": ("nope",)}, "names none"),
    ):  # fmt: skip
        with pytest.raises(ConfigError, match=words):
            fa.KinematicNoise(hand_eye=0.01, joint_deg=1.0, **kwargs)(sample)  # type: ignore[arg-type]


@pytest.mark.parametrize("what", [{"joint_deg": 3.0}, {"joint_deg": 5.0, "joints": ("left_j1",)}, {"link": 0.005}])
def test_an_inertial_unit_measures_the_true_motion(what: dict[str, Any]) -> None:
    sample = mounted()
    # without the camera's picture there is nothing to render
    out = fa.KinematicNoise(mode="truth", **what)(sample)
    gyro, accel = expected_imu_reading(out.true_rig, "imu", TIMES)
    assert float((out["imu"]["gyro"] - gyro).abs().max()) < 1e-9
    assert float((out["imu"]["accel"] - accel).abs().max()) < 1e-6


def test_a_moved_wrench_sensor_measures_another_torque() -> None:
    sample = mounted()
    out = fa.KinematicNoise(hand_eye=[-0.02, 0.02], hand_eye_deg=[-5, 5], sensors=("ft",), mode="truth")(sample, seed=1)
    E = torch.linalg.inv(sample.true_rig.T("left_hand", "ft")) @ out.true_rig.T("left_hand", "ft")
    force, lever = sample["ft"]["force"], E[:3, 3].expand(len(TIMES), 3)
    assert torch.allclose(out["ft"]["force"], force @ E[:3, :3], atol=1e-12)
    assert torch.allclose(out["ft"]["torque"], -torch.linalg.cross(lever, force) @ E[:3, :3], atol=1e-12)


def test_a_reading_of_a_mimic_follows_too() -> None:
    text = (
        '<robot name="g"><link name="base"/><link name="l"/><link name="r"/><link name="x"/>'
        '<joint name="g_l" type="prismatic"><parent link="base"/><child link="l"/><axis xyz="0 1 0"/></joint>'
        '<joint name="g_r" type="prismatic"><parent link="base"/><child link="r"/><axis xyz="0 -1 0"/>'
        '<mimic joint="g_l"/></joint>'
        '<joint name="g_x" type="prismatic"><parent link="r"/><child link="x"/><axis xyz="0 1 0"/>'
        '<mimic joint="g_r" multiplier="2" offset="0.5"/></joint></robot>'
    )
    robot = robot_from_urdf(text)
    assert robot.joints == ("g_l",)
    at = robot.forward(torch.tensor([0.03], dtype=torch.float64))["x"]
    assert abs(float(at[1, 3]) - (-0.03 + 2 * 0.03 + 0.5)) < 1e-12
    q = torch.full((len(TIMES), 2), 0.03, dtype=torch.float64)
    rig = Rig({**robot.to_frames(None, None, {"g_l": (TIMES, q[:, 0])})})
    joints = stream(fa.JointState, {"position": q}, "base", names=("g_l", "g_r"))
    meta = SampleMeta(id="u", scene="u", ref=Ref("base", 0), rig=rig, true_rig=rig)
    out = fa.KinematicNoise(joint=0.002)(fa.Sample(metas=(meta,), streams={"j": joints}))
    assert torch.allclose(out["j"]["position"], q + 0.002)
    for wrong, words in (
        (text.replace('joint="g_r"', 'joint="none"'), "no joint 'none'"),
        (text.replace('joint="g_r"', 'joint="g_x"'), "no joint 'g_x'"),
        (text.replace('name="g_r" type', 'name="g_l" type'), "two of this name"),
    ):
        with pytest.raises(CalibrationError, match=words):
            robot_from_urdf(wrong)
    with pytest.raises(CalibrationError, match="map to joint 'g_l'"):
        robot_from_urdf(text, joint_map={"a": "g_l", "b": "-g_l"})


def test_names_of_points_swap_by_their_parts() -> None:
    robot = two_arms()
    names = ["LWrist", "r_knee", "upright_post"]
    xyz = torch.rand(3 * len(TIMES), 3, dtype=torch.float64)
    points = stream(fa.Keypoints3D, {"xyz": xyz, "name": strings(names * len(TIMES))},
                    offsets=torch.arange(len(TIMES) + 1) * 3)  # fmt: skip
    out = fa.MirrorRobot()(sample_of(robot, False, {"points": points})[0])
    assert [str(n) for n in out["points"]["name"][:3]] == ["RWrist", "l_knee", "upright_post"]


def test_pads_that_are_not_quite_opposite_hold_no_more() -> None:
    """What lies across two pads is shear, also where their normals are two degrees off."""
    sample = mounted()
    half = torch.tensor([0.0, torch.pi / 2 - 0.017, 0.0]), torch.tensor([0.0, -torch.pi / 2 - 0.017, 0.0])
    poses = [se3(rotation_from_rotvec(r.tolist())).to(torch.float64).expand(2, 4, 4) for r in half]
    load = torch.full((len(TIMES), 2), 3.0, dtype=torch.float64)
    pads = {f"pad{k}": stream(fa.Taxels, {"force": load}, "left_hand", poses=p) for k, p in enumerate(poses)}
    left = {n: s for n, s in sample.streams.items() if n != "pad"}
    out = fa.ForceNoise(force=0.5, torque=0.0)(sample.with_streams({**left, **pads}), seed=1)
    pushed = (out["ft"]["force"] - sample["ft"]["force"]).norm(dim=1).max()
    for name in pads:
        change = (out[name]["force"] - load).sum(1).abs().max()
        assert 0 < float(change) <= float(pushed)
