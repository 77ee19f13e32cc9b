"""An arm on a base that drives on a circle: efforts and wrench at another speed, against pinocchio's RNEA."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

import fusion_aug as fa
from calib import Frame, Rig, Trajectory, WrenchSensor, robot_from_urdf
from calib.se3 import quaternion_from_rotation, rotation_about, se3
from fusion_aug.sample import Ref, SampleMeta
from fusion_aug.transforms.temporal.dynamics import payload

SPEED, SPIN = 0.8, 0.8  # of the base, m/s and rad/s
ODOMETRY, SENSORS = 20_000_000, 5_000_000  # steps, ns
JOINTS = ("pan", "lift", "slide")
MASSES = {"base_link": 20.0, "shoulder": 2.0, "flange": 0.3, "hand": 0.5, "finger": 0.1}
BORDER = 40  # samples at each end, where the splines of readings are less exact


def urdf(ft_mount: str = "fixed") -> str:
    """base_link -pan- shoulder -lift- flange = ft_link = hand -slide- finger; = is a fixed joint."""
    links = []
    for name in ("base_link", "shoulder", "flange", "ft_link", "hand", "finger"):
        inertia = f"""<inertial><origin xyz="0.05 0.01 -0.02"/><mass value="{MASSES.get(name)}"/>
            <inertia ixx="0.003" iyy="0.002" izz="0.004" ixy="0.0005" ixz="0" iyz="0.0002"/></inertial>"""
        links.append(f'<link name="{name}">{inertia if name in MASSES else ""}</link>')
    joints = []
    for name, kind, parent, child, xyz, axis in (
        ("pan", "revolute", "base_link", "shoulder", "0.15 0.05 0.5", "0 0 1"),
        ("lift", "revolute", "shoulder", "flange", "0.3 0 0.05", "0 1 0"),
        ("ft_mount", ft_mount, "flange", "ft_link", "0.25 0 0", "1 0 0"),
        ("hand_mount", "fixed", "ft_link", "hand", "0.03 0 0.01", "1 0 0"),
        ("slide", "prismatic", "hand", "finger", "0.06 0 0", "0 1 0"),
    ):
        joints.append(
            f'<joint name="{name}" type="{kind}"><parent link="{parent}"/><child link="{child}"/>'
            f'<origin xyz="{xyz}" rpy="0.1 0.2 0.3"/><axis xyz="{axis}"/>'
            '<limit lower="-3" upper="3" effort="99" velocity="9"/></joint>'
        )
    return f'<robot name="driving">{"".join(links + joints)}</robot>'


def base(times: torch.Tensor) -> torch.Tensor:
    """Poses (n, 4, 4) in odom: ahead at SPEED, turning left at SPIN."""
    angle = SPIN * times.double() * 1e-9
    place = torch.stack([angle.sin(), -angle.cos(), torch.zeros_like(angle)], 1) * SPEED / SPIN
    return se3(rotation_about("z", angle), place)


def readings(times: torch.Tensor, moving: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Joint positions, velocities, accelerations (n, 3)."""
    t, size, rate, phase = times.numpy()[:, None] * 1e-9, *np.array([[0.6, 0.4, 0.02], [1.7, 2.3, 3.0], [0.2, 1.0, 2]])
    size = size * moving
    q = np.array([0.4, -0.7, 0.01]) + size * np.sin(rate * t + phase)
    return q, size * rate * np.cos(rate * t + phase), -size * rate**2 * np.sin(rate * t + phase)


@cache
def model() -> Any:
    pin = pytest.importorskip("pinocchio")
    # a joint that stands still where the sensor is, so that what passes through it is told
    return pin.buildModelFromXML(urdf("revolute"), pin.JointModelFreeFlyer())


def by_pinocchio(
    at: torch.Tensor, moving: bool, speed: np.ndarray, change: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Efforts (n, 3), and force and torque (n, 6) of the flange on the sensor's link, at old times and phi', phi''."""
    import pinocchio as pin

    robot = model()
    data, joint = robot.createData(), [robot.getJointId(n) for n in JOINTS]
    efforts, wrenches = [], []
    for q, v, a, T, s, c in zip(*readings(at, moving), base(at), speed, change, strict=True):
        full, rates, second = pin.neutral(robot), np.zeros(robot.nv), np.zeros(robot.nv)
        full[:7] = [*T[:3, 3].tolist(), *quaternion_from_rotation(T[:3, :3])[[1, 2, 3, 0]].tolist()]
        rates[[0, 5]] = SPEED, SPIN  # a twist that stays: its derivative is zero
        for k, number in enumerate(joint):
            full[robot.joints[number].idx_q] = q[k]
            rates[robot.joints[number].idx_v], second[robot.joints[number].idx_v] = v[k], a[k]
        tau = pin.rnea(robot, data, full, s * rates, s**2 * second + c * rates)
        efforts.append([tau[robot.joints[number].idx_v] for number in joint])
        wrenches.append(data.f[robot.getJointId("ft_mount")].vector.copy())
    return np.array(efforts), np.array(wrenches)


def driving_arm(moving: bool, of: str) -> fa.Sample:
    """Four seconds; efforts and wrenches are pinocchio's."""
    times = SENSORS * torch.arange(801)
    q, v, _ = readings(times, moving)
    frames = robot_from_urdf(urdf()).to_frames(
        "odom", None, {j: (times, torch.from_numpy(q[:, k])) for k, j in enumerate(JOINTS)}
    )
    track = ODOMETRY * torch.arange(201)
    frames["base_link"] = Frame(parent="odom", pose=Trajectory(track, base(track)), inertia=frames["base_link"].inertia)
    rig = Rig({"odom": Frame(axis_convention="world"), **frames}, {"ft": WrenchSensor(frame="ft_link", of=of)})  # type: ignore[arg-type]
    one = np.ones(len(times))
    effort, wrench = (torch.from_numpy(x) for x in by_pinocchio(times, moving, one, 0 * one))
    wrench = wrench if of == "tool" else -wrench
    values = {"position": torch.from_numpy(q), "velocity": torch.from_numpy(v), "effort": effort}
    streams = {
        "joints": fa.JointState(frame="base_link", capture_times=times, names=JOINTS, values=values),
        "ft": fa.Wrench(frame="ft_link", capture_times=times, values={"force": wrench[:, :3], "torque": wrench[:, 3:]}),
    }
    meta = SampleMeta(id="a", scene="a", ref=Ref("base_link", 0), rig=rig, true_rig=rig)
    return fa.Sample(metas=(meta,), streams=streams)


def measured(sample: fa.Sample) -> tuple[np.ndarray, np.ndarray]:
    """Efforts (n, 3) and wrench (n, 6)."""
    ft = sample["ft"]
    return sample["joints"]["effort"].numpy(), torch.cat([ft["force"], ft["torque"]], 1).numpy()


def test_what_hangs_on_a_sensor() -> None:
    frames = dict(driving_arm(False, "tool").rig.frames)
    frames["mark_on_hand"], frames["mark_on_flange"] = Frame(parent="hand"), Frame(parent="flange")
    rig = Rig(frames)
    assert payload(rig, "ft_link") == payload(rig, "hand") == ["hand", "finger"]
    assert payload(rig, "mark_on_hand") == ["hand", "finger"], "a mark on a body stands for the body"
    assert payload(rig, "flange") == payload(rig, "mark_on_flange") == ["flange", "hand", "finger"]
    assert payload(rig, "finger") == ["finger"]


@pytest.mark.parametrize("speed", [0.5, 2.0])
@pytest.mark.parametrize("of", ["tool", "environment"])
def test_at_another_speed_it_is_that_of_newton_and_euler(speed: float, of: str) -> None:
    sample = driving_arm(True, of)
    out = fa.SpeedWarp(speed=speed)(sample, seed=0)
    at = fa.SpeedWarp.warp({"speed": speed}, 0).old(out["ft"].capture_times)
    one = np.ones(len(at))
    sign = 1 if of == "tool" else -1
    efforts, wrench = by_pinocchio(at, True, speed * one, 0 * one)
    old_efforts, old_wrench = by_pinocchio(at, True, one, 0 * one)
    for mine, theirs, old in zip(
        measured(out), (efforts, sign * wrench), (old_efforts, sign * old_wrench), strict=True
    ):
        off = np.abs(mine - theirs)[BORDER:-BORDER].max()
        assert off < 0.002 < 0.05 < np.abs(theirs - old)[BORDER:-BORDER].max(), off


def test_a_still_arm_on_a_circle_has_the_load_of_its_circle() -> None:
    """m omega^2 rho, towards the centre, times phi'^2; no other part of the force changes, and nothing jumps."""
    sample, speed = driving_arm(False, "tool"), 0.5
    out = fa.SpeedWarp(speed=speed)(sample, seed=0)
    at = fa.SpeedWarp.warp({"speed": speed}, 0).old(out["ft"].capture_times)
    rig, load = sample.rig, torch.zeros(len(at), 3, dtype=torch.float64)
    for link in ("hand", "finger"):
        inertia = rig.frames[link].inertia
        assert inertia is not None
        T_base = rig.T_at_times("base_link", link, at)
        com = T_base[:, :3, :3] @ inertia.center + T_base[:, :3, 3] - torch.tensor([0.0, SPEED / SPIN, 0])
        com[:, 2] = 0  # of the circle's plane
        load -= inertia.mass * SPIN**2 * com
    load = (rig.T_at_times("base_link", "ft_link", at)[:, :3, :3].transpose(1, 2) @ load[..., None])[..., 0]
    change = out["ft"]["force"] - sample["ft"]["force"][:1]
    assert float(load.norm(dim=1).min()) > 0.25
    assert float((change - (speed**2 - 1) * load).abs().max()) < 1e-3
    for effort in (out["joints"]["effort"], out["ft"]["torque"]):
        assert float((effort - effort[:1]).abs().max()) < 1e-3


def test_two_warps_are_one() -> None:
    """The poses that a changing speed fills in between those of the base do not bend its path."""
    sample = driving_arm(True, "tool")
    params = {"mean": 1.2, "waves": [[0.5, 0.5, 0.3]]}
    waved = fa.TimeWarp.apply_params(sample, params)
    out = fa.SpeedWarp(speed=2.0)(waved, seed=0)
    first, second = fa.TimeWarp.warp(params, 0), fa.SpeedWarp.warp({"speed": 2.0}, 0)
    between = second.old(out["ft"].capture_times)
    phi, rate, change = first.old(between), first.speed(between).numpy(), first.change(between).numpy()
    for mine, theirs in zip(measured(out), by_pinocchio(phi, True, 2 * rate, 4 * change), strict=True):
        assert np.abs(mine - theirs)[BORDER:-BORDER].max() < 0.02
