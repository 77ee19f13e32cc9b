"""Maps of time: laws of motion on real and made data, stamps, sampling."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from panda import ROOTS, rig_file
from samples import make_sample
from scipy.interpolate import CubicSpline

import fusion_aug as fa
from calib import JointPose, Rig, Trajectory
from fusion_aug.physics.timewarp import Warp
from fusion_aug.transforms.temporal.scan import move_with_twist

WARP = {"mean": 1.0, "waves": [[0.45, 1 / 1.5, 0.0]]}  # local speed from 0.55 to 1.45, as the reference figures
ARM = slice(0, 7)
H = 10_000_000


@pytest.fixture(scope="module")
def panda(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> fa.Sample:
    rig = rig_file(real_data, tmp_path_factory.mktemp("rig"), "mcap")
    sample = fa.open_log("mcap", real_data / "panda_lift" / ROOTS["mcap"], rig=str(rig))[0]
    joints = sample["joint_states"]
    slope = torch.from_numpy(np.gradient(joints["velocity"].numpy(), 0.01, axis=0, edge_order=2))
    return sample.with_streams({**sample.streams, "joint_states": joints.with_values(acceleration=slope)})


def relative(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).norm() / b.norm())


def velocity_error(joints: fa.Stream, velocity: torch.Tensor) -> float:
    """Relative RMS against the derivative of position, arm joints, without five samples at the ends."""
    t = (joints.capture_times - joints.capture_times[0]).double().numpy() * 1e-9
    slope = torch.from_numpy(CubicSpline(t, joints["position"][:, ARM].numpy())(t, 1))
    return relative(velocity[5:-5, ARM], slope[5:-5])


def test_velocity_follows_the_position(panda: fa.Sample) -> None:
    joints = fa.TimeWarp.apply_params(panda, WARP)["joint_states"]
    assert velocity_error(joints, joints["velocity"]) <= 0.01
    speed = fa.TimeWarp.warp(WARP, panda.ref.time).speed(joints.capture_times)[:, None]
    assert speed.min() >= 0.55 - 1e-9 and speed.max() <= 1.45 + 1e-9
    assert velocity_error(joints, joints["velocity"] / speed) > 0.2, "resampling alone"


def test_acceleration_needs_the_change_of_speed(panda: fa.Sample) -> None:
    joints = fa.TimeWarp.apply_params(panda, WARP)["joint_states"]
    q = joints["position"][:, ARM]
    second = (q[2:] - 2 * q[1:-1] + q[:-2]) / 1e-4
    assert relative(joints["acceleration"][6:-6, ARM], second[5:-5]) <= 0.08
    warp = fa.TimeWarp.warp(WARP, panda.ref.time)
    law = (
        joints["acceleration"]
        - warp.change(joints.capture_times)[:, None] * joints["velocity"] / warp.speed(joints.capture_times)[:, None]
    )
    assert relative(law[6:-6, ARM], second[5:-5]) > 0.12, "constant-speed law"


def accelerometer_error(sample: fa.Sample, accel: torch.Tensor) -> float:
    """Median against R^T (p'' - g), p'' the second difference of the hand's pose by forward kinematics, m/s^2."""
    times = sample["imu"].capture_times[2:-2]
    T = [sample.rig.T_at_times("world", "panda_hand", times + k * H) for k in (-1, 0, 1)]
    second = (T[2] - 2 * T[1] + T[0])[:, :3, 3] / 1e-4 + torch.tensor([0.0, 0, 9.81], dtype=torch.float64)
    expected = (T[1][:, :3, :3].transpose(1, 2) @ second[..., None])[..., 0]
    return float((accel[2:-2] - expected).abs().median())


def test_gravity_stays_in_the_accelerometer(panda: fa.Sample) -> None:
    out = fa.TimeWarp.apply_params(panda, WARP)
    assert accelerometer_error(out, out["imu"]["accel"]) <= 0.02
    warp = fa.TimeWarp.warp(WARP, panda.ref.time)
    from fusion_aug.streams.resample import read_at

    old = panda["imu"]
    at = warp.old(out["imu"].capture_times).clamp(old.capture_times[0], old.capture_times[-1])
    alone = read_at(old["accel"], fa.Imu.column_table()["accel"], old.capture_times, at)
    assert accelerometer_error(out, alone) > 0.04, "resampling alone"
    assert accelerometer_error(out, alone * warp.speed(out["imu"].capture_times)[:, None] ** 2) > 0.5, "gravity scaled"


def expected_accel(sample: fa.Sample, times: torch.Tensor) -> torch.Tensor:
    """What an accelerometer on the hand would measure by the joints' own motion, second differences over 2 ms."""
    step = 2_000_000
    T = [sample.rig.T_at_times("world", "panda_hand", times + k * step) for k in (-1, 0, 1)]
    second = (T[2] - 2 * T[1] + T[0])[:, :3, 3] / (step * 1e-9) ** 2 + torch.tensor([0.0, 0, 9.81]).double()
    return (T[1][:, :3, :3].transpose(1, 2) @ second[..., None])[..., 0]


def test_an_accelerometer_that_agrees_with_the_joints_still_does(panda: fa.Sample) -> None:
    """Root mean square, m/s^2, without what the log's own unit is off by (0.11): the law, and what is not the law."""
    from fusion_aug.streams.resample import read_at

    imu = panda["imu"]
    inner = torch.arange(2, len(imu) - 2)
    made = imu.take_items(inner).with_values(accel=expected_accel(panda, imu.capture_times[inner]))
    out = fa.TimeWarp.apply_params(panda.with_streams({**panda.streams, "imu": made}), WARP)
    times, warp = out["imu"].capture_times, fa.TimeWarp.warp(WARP, panda.ref.time)
    at = warp.old(times).clamp(made.capture_times[0], made.capture_times[-1])
    alone = read_at(made["accel"], fa.Imu.column_table()["accel"], made.capture_times, at)
    right = expected_accel(out, times[3:-3])

    def rms(accel: torch.Tensor) -> float:
        return float(((accel[3:-3] - right) ** 2).mean().sqrt())

    assert rms(out["imu"]["accel"]) <= 0.02
    assert rms(alone) > 0.25, "resampling alone"
    assert rms(alone * warp.speed(times)[:, None] ** 2) > 3, "gravity scaled"


def test_weight_stays_in_torque() -> None:
    """Where nothing moves, a change of speed changes nothing, neither weight nor what the joints push against."""
    sample = make_sample()
    frames = {
        n: replace(f, pose=replace(f.pose, readings=f.pose.readings[:1].expand_as(f.pose.readings)))
        if isinstance(f.pose, JointPose) else f
        for n, f in sample.rig.frames.items()
    }  # fmt: skip
    rig = Rig(frames, sample.rig.sensors)
    # the vehicle is static as well
    ego = rig.frames["ego"]
    rig = rig.with_pose("ego", Trajectory(ego.pose.times, ego.pose.poses[:1].expand_as(ego.pose.poses).clone()))
    sample = sample.with_meta(0, rig=rig, true_rig=rig)
    still = sample["joints"]
    held = still.with_values(position=still["position"][:1].expand_as(still["position"]).contiguous(),
                             velocity=torch.zeros_like(still["velocity"]),
                             effort=torch.ones_like(still["effort"]) * 3)  # fmt: skip
    from calib import Robot

    robot = Robot.of(sample.true_rig, "ego")
    up = sample.true_rig.T("world", "ego", int(held.capture_times[0]))[:3, :3]
    gravity = robot.gravity_torque(held["position"], held.names, up.T @ torch.tensor([0.0, 0, -9.81]).double())
    pushed = gravity + torch.tensor([0.0, 2.0, 0.0, -12.0, -12.0], dtype=torch.float64)
    held = held.with_values(effort=pushed)
    out = fa.SpeedWarp(speed=1.4)(sample.with_streams({**sample.streams, "joints": held}))["joints"]
    assert torch.allclose(out["effort"], pushed[: len(out)], atol=1e-6)


def test_a_driving_scene_at_another_speed(street: Path) -> None:
    """box_velocity as the devkit works it out, and Doppler, at 0.7 and 1.4 times the speed."""
    log = fa.open_log("nuscenes", street)
    for speed in (0.7, 1.4):
        outs = [fa.SpeedWarp(speed=speed)(s, seed=1) for s in log]
        for a, b in zip(outs, log, strict=True):
            assert torch.equal(a["RADAR_FRONT"]["xyz"], b["RADAR_FRONT"]["xyz"])
            for column in ("velocity", "velocity_comp"):
                assert torch.allclose(a["RADAR_FRONT"][column], b["RADAR_FRONT"][column] * speed, rtol=1e-5)
        tracks: dict[str, list[tuple[float, torch.Tensor, torch.Tensor]]] = {}
        for out in outs:
            T = out.rig.T("world", "ego", out.ref.time)
            for name, pose, v in zip(
                out.boxes()["instance"], out.boxes()["pose"], out.boxes()["velocity"], strict=True
            ):
                seconds = (out.ref.time - outs[0].ref.time) * 1e-9
                tracks.setdefault(str(name), []).append((seconds, (T @ pose)[:3, 3], T[:3, :3] @ v))
        checked = 0
        for track in tracks.values():
            for (t0, p0, _), (_, _, v), (t2, p2, _) in zip(track, track[1:], track[2:], strict=False):
                mean = (p2 - p0) / (t2 - t0)
                assert float((mean - v).norm()) <= 0.02 * max(float(mean.norm()), 1.0)
                checked += 1
        assert checked >= 5


def test_a_warp_and_its_inverse_in_closed_form() -> None:
    warp = Warp(1_000, 1.0, [(0.3, 0.5, 0.7), (0.1, 2.0, 1.9)])
    u = 1_000 + torch.arange(-40, 80) * 37_000_000
    t = warp.old(u)
    assert int((warp.new(t) - u).abs().max()) <= 2
    assert int(warp.old(torch.tensor([1_000]))[0]) == 1_000
    step = 100_000
    slope = (warp.old(u + step) - warp.old(u - step)).double() / (2 * step)
    assert torch.allclose(warp.speed(u), slope, atol=1e-4)
    change = (warp.speed(u + step) - warp.speed(u - step)) / (2 * step * 1e-9)
    assert torch.allclose(warp.change(u), change, atol=1e-4)


def test_point_offsets_are_mapped_with_their_sweep() -> None:
    sample = make_sample()
    out = fa.SpeedWarp(speed=2.0)(sample)
    assert torch.allclose(out["lidar"]["time_offset"], sample["lidar"]["time_offset"] / 2, atol=1e-7)


def test_latency_keeps_the_capture_and_a_wrong_clock_does_not() -> None:
    sample = make_sample()
    late = fa.Latency(delay=0.05, sensors=["CAM_FRONT"], scope="sample")(sample)
    assert torch.equal(late["CAM_FRONT"].capture_times, sample["CAM_FRONT"].capture_times)
    assert torch.equal(late["CAM_FRONT"].arrival_times, sample["CAM_FRONT"].capture_times + 50_000_000)
    assert late["CAM_LEFT"].receive_times is None
    off = fa.ClockOffset(offset=0.02, sensors=["CAM_FRONT"], scope="sample")(sample)
    assert torch.equal(off["CAM_FRONT"].capture_times, sample["CAM_FRONT"].capture_times + 20_000_000)
    assert torch.equal(off["CAM_FRONT"].true_capture_times, sample["CAM_FRONT"].capture_times)
    assert torch.equal(off.T_ref("CAM_FRONT", true_rig=True), sample.T_ref("CAM_FRONT"))
    assert not torch.allclose(off.T_ref("CAM_FRONT"), sample.T_ref("CAM_FRONT"))


def test_no_message_overtakes_another() -> None:
    out = fa.Jitter(sigma=0.02, scope="sample")(make_sample(), seed=3)
    assert bool((out["joints"].arrival_times.diff() >= 0).all()) and out["joints"].receive_times is not None


def test_deskew_and_back() -> None:
    sample = make_sample()
    raw = sample["lidar"]
    out = fa.Deskew()(sample)
    with pytest.raises(fa.DataError, match="compensated and others that are not"):
        fa.Deskew()(fa.collate([sample, out]))
    assert out["lidar"].motion == "compensated" and not torch.equal(out["lidar"]["xyz"], raw["xyz"])  # type: ignore[attr-defined]
    back = fa.Deskew(mode="raw")(out)
    assert torch.allclose(back["lidar"]["xyz"], raw["xyz"], atol=1e-4)
    # against the motion itself: a static point seen from a rotating, driving sensor
    v, w, s = torch.tensor([8.0, 0.5, 0]).double(), torch.tensor([0.0, 0, 0.4]).double(), torch.tensor([-0.05]).double()
    from scipy.integrate import solve_ivp
    from scipy.spatial.transform import Rotation

    def moving(t: float, y: np.ndarray) -> np.ndarray:
        return Rotation.from_rotvec(w.numpy() * t).apply(v.numpy())

    place = solve_ivp(moving, (0, float(s)), [0, 0, 0], rtol=1e-10, atol=1e-12).y[:, -1]
    point = np.array([20.0, 5, 1])
    seen = Rotation.from_rotvec(w.numpy() * float(s)).inv().apply(point - place)
    moved = move_with_twist(torch.from_numpy(seen)[None], s, v, w, raw=False)[0]
    assert np.abs(moved.numpy() - point).max() < 1e-4


@pytest.mark.parametrize("rate", [5.0, 10.0, 40.0])
def test_per_step_actions_add_up_to_the_same(rate: float) -> None:
    sample = make_sample()
    action = sample["action"]
    times = sample.ref.time + 50_000_000 * torch.arange(40)
    deltas = torch.from_numpy(np.random.default_rng(0).normal(size=(40, 3)))
    long = fa.Action(frame="ego", capture_times=times, names=action.names, values={"delta_position": deltas})  # type: ignore[attr-defined]
    sample = sample.with_streams({**sample.streams, "action": long})
    whole = deltas.sum(0)
    out = fa.RateChange(rate=rate, sensors=["action"], scope="sample")(sample)["action"]["delta_position"]
    assert len(out) == (40 - 1) * rate // 20 + 1
    # the last step of a coarser clock may reach beyond the last old one
    assert torch.allclose(out.sum(0), whole, atol=1e-9 if rate <= 20 else float(deltas[-1].abs().max()) / 2 + 1e-9)
    fast = fa.SpeedWarp(speed=2.0)(sample)["action"]["delta_position"]
    assert torch.allclose(fast.sum(0), whole, atol=1e-9)


def test_a_wrench_at_another_speed_is_that_of_newton_and_euler() -> None:
    """The arm world before it touches anything, its payload by differences of the warped poses."""
    pytest.importorskip("mujoco")
    from calib import Frame, Rig, WrenchSensor
    from fusion_aug.sample import Ref, SampleMeta
    from fusion_aug.synth.arm.scene import JOINTS, robot_of
    from fusion_aug.synth.arm.world import simulate

    arm = simulate(1.3)
    robot = robot_of(arm.model)
    times = torch.from_numpy(np.round(arm.values["t"] * 1e9).astype(np.int64))
    q = torch.from_numpy(arm.values["position"])
    frames = robot.to_frames("world", None, {j: (times, q[:, k]) for k, j in enumerate(JOINTS)})
    rig = Rig({"world": Frame(axis_convention="world"), **frames}, {"wrench": WrenchSensor(frame="hand")})
    values = {k: torch.from_numpy(arm.values[k]) for k in ("force", "torque")}
    meta = SampleMeta(id="a", scene="a", ref=Ref("base", 0), rig=rig, true_rig=rig)
    sample = fa.Sample(metas=(meta,), streams={"wrench": fa.Wrench(frame="hand", capture_times=times, values=values)})

    def off(s: fa.Sample) -> tuple[float, float]:
        """Largest difference of force and torque to Newton and Euler, 2 ms differences."""
        at = s["wrench"].capture_times[5:-5]
        h = 2_000_000
        T_hand = s.rig.T_at_times("world", "hand", at)
        F, M = torch.zeros(len(at), 3).double(), torch.zeros(len(at), 3).double()
        for link in ("hand", "finger_left", "finger_right"):
            body = robot.inertias[link]
            T = [s.rig.T_at_times("world", link, at + k * h) for k in (-1, 0, 1)]
            c = [x[:, :3, :3] @ body.center + x[:, :3, 3] for x in T]
            push = body.mass * ((c[2] - 2 * c[1] + c[0]) / (h * 1e-9) ** 2 + torch.tensor([0, 0, 9.81]).double())
            L = []
            for a, b in ((T[0], T[1]), (T[1], T[2])):  # angular momentum in the middle of each step
                W = (b[:, :3, :3] - a[:, :3, :3]) / (h * 1e-9) @ T[1][:, :3, :3].transpose(1, 2)
                w = torch.stack([W[:, 2, 1] - W[:, 1, 2], W[:, 0, 2] - W[:, 2, 0], W[:, 1, 0] - W[:, 0, 1]], 1) / 2
                R = (a + b)[:, :3, :3] / 2
                L.append((R @ body.about_center @ R.transpose(1, 2) @ w[..., None])[..., 0])
            F += push
            M += (L[1] - L[0]) / (h * 1e-9) + torch.linalg.cross(c[1] - T_hand[:, :3, 3], push)
        turn = T_hand[:, :3, :3].transpose(1, 2)
        measured = [s["wrench"][k][5:-5] for k in ("force", "torque")]
        return tuple(
            float((a - (turn @ b[..., None])[..., 0]).abs().max()) for a, b in zip(measured, (F, M), strict=True)
        )  # type: ignore[return-value]

    source = off(sample)
    out = fa.TimeWarp.apply_params(sample, {"mean": 1.2, "waves": [[0.5, 1 / 0.9, 0.3]]})
    warped = off(out)
    assert source[0] < 0.06 and source[1] < 0.01, source
    assert warped[0] < source[0] + 0.03 and warped[1] < source[1] + 0.005, (source, warped)
    alone = out.with_streams({"wrench": out["wrench"].with_values(force=values["force"][: len(out["wrench"])])})
    assert off(alone)[0] > 0.3, "the wrench of the old speed is not that of the new one"
