"""Kinematic errors, mirrors of robots, forces and noise."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from arm import JOINTS, arm_robot
from samples import make_sample

import fusion_aug as fa
from calib import Robot
from calib.se3 import invert
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.ops.hashed import row_key
from fusion_aug.transforms.robot.noise import noise_and_bias_walk


def hand_of(sample: fa.Sample, readings: torch.Tensor) -> torch.Tensor:
    return Robot.of(sample.true_rig, "ego").forward(readings, JOINTS)["hand"]


def test_a_reported_error_enters_everything_that_depends_on_it() -> None:
    sample = make_sample()
    out = fa.KinematicNoise(joint_deg=[-1, 1], hand_eye=0.003, hand_eye_deg=0.5)(sample, seed=4)
    offsets = out.history[0].params[""]["joints"]
    expected = torch.tensor([offsets[j] for j in JOINTS], dtype=torch.float64)
    assert torch.allclose(out["joints"]["position"] - sample["joints"]["position"], expected.expand(37, 5), atol=1e-14)
    assert torch.allclose(
        out["action"]["joint_position"] - sample["action"]["joint_position"], expected[:3].expand(7, 3)
    )
    times = sample["tip"].capture_times
    # the tool is fixed on the hand, so its reported pose follows the reported forward kinematics
    for s in (sample, out):
        tool = invert(s.rig.T_at_times("ego", "hand", times)) @ s["tip"]["pose"]
        assert torch.allclose(tool, tool[:1].expand_as(tool), atol=1e-12)
    assert torch.allclose(
        out.rig.T_at_times("ego", "hand", sample["joints"].capture_times), hand_of(sample, out["joints"]["position"])
    )
    assert out.true_rig is sample.true_rig and out["WRIST"] is sample["WRIST"] and out["imu"] is sample["imu"]
    assert not torch.allclose(out.T_ref("WRIST"), sample.T_ref("WRIST"))
    assert torch.equal(out.T_ref("WRIST", true_rig=True), sample.T_ref("WRIST"))
    assert not torch.allclose(out.T_ref("wrench"), sample.T_ref("wrench"))


def test_a_robot_that_moved_is_seen_from_its_new_camera() -> None:
    sample = make_sample()
    out = fa.KinematicNoise(joint_deg=0.5, mode="truth")(sample, seed=4)
    assert out.true_rig is out.rig and not torch.equal(out["WRIST"].image(0), sample["WRIST"].image(0))  # type: ignore[attr-defined]
    assert "WRIST/valid" in out.streams and out["CAM_FRONT"] is sample["CAM_FRONT"]
    assert torch.allclose(
        out.rig.T_at_times("ego", "hand", sample["joints"].capture_times), hand_of(sample, out["joints"]["position"])
    )


def test_a_camera_that_turned_on_a_link_needs_no_depth() -> None:
    """No joint and no link moved, so the drawn turn is all there is, whatever the poses above it come to."""
    sample = make_sample()
    alone = sample.with_streams({n: sample[n] for n in ("WRIST", "joints")})
    out = fa.KinematicNoise(hand_eye_deg=[-1, 1], mode="truth")(alone, seed=1)
    assert out["WRIST"].pending[0] is not None  # type: ignore[attr-defined]
    with pytest.raises(fa.DataError, match="needs depth"):
        fa.KinematicNoise(hand_eye=[-0.01, 0.01], mode="truth")(alone, seed=1)


def test_a_mirrored_robot_obeys_its_own_description() -> None:
    sample = make_sample()
    out = fa.MirrorRobot()(sample)
    nominal = arm_robot().forward(out["joints"]["position"], JOINTS)
    for link, T in nominal.items():
        assert torch.allclose(out.rig.T_at_times("arm_base", link, sample["joints"].capture_times), T, atol=1e-12), link
    assert torch.allclose(out["joints"]["velocity"][:, 0], -sample["joints"]["velocity"][:, 0])
    assert torch.equal(out["joints"]["position"][:, 3], sample["joints"]["position"][:, 4])
    assert torch.equal(out["TOUCH_LEFT"]["force"], sample["TOUCH_RIGHT"]["force"])
    assert out["skeleton"]["name"].tolist() == ["right_hand", "left_hand", "head"]
    assert str(out["caption"]["text"][0]) == "Turn right at the car on the left"
    back = fa.MirrorRobot()(out)
    for name, stream in sample.streams.items():
        for column, value in stream.values.items():
            if isinstance(value, torch.Tensor) and value.is_floating_point():
                assert torch.allclose(back[name][column], value, atol=1e-5, equal_nan=True), (name, column)
    assert torch.allclose(back["TOUCH_LEFT"].poses, sample["TOUCH_LEFT"].poses, atol=1e-12)  # type: ignore[attr-defined]


def test_power_does_not_change_in_a_mirror() -> None:
    sample = make_sample()
    out = fa.MirrorRobot()(sample)
    power = [(s["joints"]["velocity"] * s["joints"]["effort"]).sum(1) for s in (sample, out)]
    assert torch.allclose(*power, atol=1e-12)


def test_a_robot_without_description_is_refused() -> None:
    sample = make_sample()
    frames = {n: f for n, f in sample.rig.frames.items() if f.pose_kind != "joint"}
    bare = type(sample.rig)(frames, {})
    with pytest.raises(DataError, match=r"has no joints; describe the robot with log\.urdf"):
        fa.MirrorRobot()(sample.with_meta(0, rig=bare, true_rig=bare))
    with pytest.raises(ConfigError, match=r"KinematicNoise\.mode: 'real'"):
        fa.KinematicNoise(mode="real")


def test_a_joint_beyond_its_limits_is_not_mirrored() -> None:
    from dataclasses import replace

    sample = make_sample()
    frame = sample.rig.frames["link1"]
    limited = replace(frame.pose.joint, lower=-0.05, upper=1.0)  # type: ignore[union-attr]
    rig = sample.rig.with_pose("link1", replace(frame.pose, joint=limited))  # type: ignore[type-var]
    with pytest.raises(DataError, match=r"joint 'turn' would move to .* beyond its limits -0\.050 and 1\.000"):
        fa.MirrorRobot()(sample.with_meta(0, rig=rig, true_rig=rig))


@pytest.mark.parametrize(
    "transform", [fa.ForceNoise(force=2.0, torque=0.3), fa.PushDisturbance(peak=10.0, duration=0.05)]
)
def test_wrench_and_torque_stay_consistent(transform: fa.Transform) -> None:
    """tau' - tau = J^T (w' - w), the Jacobian by differences of forward kinematics."""
    sample = make_sample()
    out = transform(sample, seed=2)
    at = out["wrench"].capture_times
    rows = torch.isin(sample["joints"].capture_times, at)
    q = sample["joints"]["position"][rows]
    robot = Robot.of(sample.true_rig, "ego")
    change = torch.cat([out["wrench"][c] - sample["wrench"][c] for c in ("force", "torque")], 1)
    assert float(change[:, :3].norm(dim=1).max()) > 0.5
    expected = torch.zeros(len(q), 5, dtype=torch.float64)
    step = 1e-6
    R = robot.forward(q, JOINTS)["ft"][:, :3, :3]
    F, M = ((R @ change[:, s, None])[..., 0] for s in (slice(0, 3), slice(3, 6)))
    for j in range(5):
        d = torch.zeros(5, dtype=torch.float64)
        d[j] = step
        a, b = (robot.forward(q + s * d, JOINTS)["ft"] for s in (-1, 1))
        v = (b[:, :3, 3] - a[:, :3, 3]) / (2 * step)
        W = (b[:, :3, :3] - a[:, :3, :3]) @ R.transpose(1, 2) / (2 * step)
        w = torch.stack([W[:, 2, 1], W[:, 0, 2], W[:, 1, 0]], 1)
        expected[:, j] = (v * F).sum(1) + (w * M).sum(1)
    assert torch.allclose(out["joints"]["effort"][rows] - sample["joints"]["effort"][rows], expected, atol=1e-6)


def test_a_push_has_its_peak() -> None:
    out = fa.PushDisturbance(peak=10.0, duration=0.05)(make_sample(), seed=2)
    force = (out["wrench"]["force"] - make_sample()["wrench"]["force"]).norm(dim=1)
    assert 9.0 <= float(force.max()) <= 10.0 and float(force.min()) == 0


def test_an_allan_fit_returns_the_densities() -> None:
    """PHYSICS section 10, within 5 %."""
    allantools = pytest.importorskip("allantools")
    rate, n = 100.0, 400_000
    times = torch.arange(n) * 10_000_000
    white = noise_and_bias_walk(row_key("walk", 0), times, 0.02, 0.0, 1)[:, 0].numpy()
    taus, deviation, *_ = allantools.oadev(white, rate=rate, data_type="freq", taus=[0.1, 0.3, 1.0, 3.0])
    assert np.allclose(deviation * np.sqrt(taus), 0.02, rtol=0.05)
    found = []
    for seed in range(8):  # long averages of one walk scatter
        walk = noise_and_bias_walk(row_key("walk", seed), times, 0.0, 0.003, 3).numpy()
        for axis in range(3):
            taus, deviation, *_ = allantools.oadev(walk[:, axis], rate=rate, data_type="freq", taus=[1.0, 3.0, 10.0])
            found.append(deviation / np.sqrt(taus / 3))
    assert np.sqrt(np.mean(np.square(found))) == pytest.approx(0.003, rel=0.05)


def test_densities_come_from_the_rig_where_none_are_given() -> None:
    from dataclasses import replace

    sample = make_sample()
    unit = replace(sample.rig.sensors["imu"], gyro_noise=0.01)  # type: ignore[call-arg]
    rig = sample.rig.with_sensor("imu", unit)
    out = fa.SensorBias()(sample.with_meta(0, rig=rig, true_rig=rig), seed=1)
    assert not torch.equal(out["imu"]["gyro"], sample["imu"]["gyro"])
    assert torch.equal(out["imu"]["accel"], sample["imu"]["accel"])


def test_a_moved_robot_holds_its_weight_in_its_new_pose() -> None:
    """Efforts against pinocchio, whose gravity torque is of the readings before and after."""
    pin = pytest.importorskip("pinocchio")
    from places import ARM

    sample = fa.open_log("mcap", ARM / "mcap", rig=str(ARM / "mcap_rig.yaml"))[0]
    sample = sample.with_streams({"joint_states": sample["joint_states"]})
    out = fa.KinematicNoise(joint_deg=[-2, 2], hand_eye=0.0, mode="truth")(sample, seed=2)
    assert out.history[0].before["approximate"] == []
    model = pin.buildModelFromUrdf(str(ARM / "arm.urdf"))
    data, names = model.createData(), sample["joint_states"].names  # type: ignore[attr-defined]

    def weight(joints: fa.Stream, row: int) -> np.ndarray:
        q = pin.neutral(model)
        for name, value in zip(names, joints["position"][row].tolist(), strict=True):
            q[model.joints[model.getJointId(name)].idx_q] = value
        torque = pin.computeGeneralizedGravity(model, data, q)
        return np.array([torque[model.joints[model.getJointId(n)].idx_v] for n in names])

    before, after = sample["joint_states"], out["joint_states"]
    for row in (0, 400, 1500):
        change = (after["effort"][row] - before["effort"][row]).numpy()
        asked = weight(after, row) - weight(before, row)
        assert np.abs(asked).max() > 0.05 and np.allclose(change, asked, atol=1e-6)


def test_efforts_without_masses_are_declared() -> None:
    sample = make_sample()
    frames = {
        n: type(f)(parent=f.parent, pose=f.pose, axis_convention=f.axis_convention)
        for n, f in sample.rig.frames.items()
    }
    rig = type(sample.rig)(frames, sample.rig.sensors)
    out = fa.KinematicNoise(joint_deg=1.0, mode="truth")(sample.with_meta(0, rig=rig, true_rig=rig))
    assert out.history[0].before["approximate"] == ["joints: effort"]
    assert torch.equal(out["joints"]["effort"], sample["joints"]["effort"])
