"""Robots: consistency of readings. Joint positions and velocities, inertial units on links, forward kinematics."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from calib import CalibrationError, Rig, Robot
from calib.rates import gravity_of, known_span, rotation_rates
from calib.splines import seconds, spline
from fusion_aug.check.measurement import Pair, Row, measurement
from fusion_aug.sample import Sample
from fusion_aug.streams import Imu, JointState

RATE_LIMIT = 0.05  # relative RMS beyond the source's own
GYRO_LIMIT = 0.05  # rad/s, median beyond the source's own
ACCEL_LIMIT = 0.1  # m/s^2, median beyond the source's own
CHAIN_LIMIT = 1e-6  # metres and 1 of rotation matrices
STEP = 10_000_000  # ns, of differences of poses


@measurement("joint velocity")
def joint_velocity(pairs: Sequence[Pair]) -> list[Row]:
    """Reported velocities against the derivative of the positions, relative RMS over all joints."""
    rows = []
    for pair in pairs:
        for name in pair.augmented.of_type(JointState):
            before, after = (_rate_error(s, name) for s in (pair.source, pair.augmented))
            value = [] if after is None else [max(0.0, after - (before or 0.0))]
            reason = "the joints have no velocities or too few readings"
            rows.append(Row("joint velocity", name, "1", RATE_LIMIT, np.array(value), reason))
    return rows


def _rate_error(sample: Sample, name: str) -> float | None:
    joints = sample.streams.get(name)
    if joints is None or not {"position", "velocity"} <= set(joints.values) or len(joints) < 20:
        return None
    curve = spline(joints.capture_times, joints["position"])
    slope = curve(seconds(joints.capture_times, joints.capture_times[0]), 1)[5:-5]
    reported = joints["velocity"].numpy()[5:-5]
    size = float(np.sqrt(np.mean(slope**2)))
    return float(np.sqrt(np.mean((reported - slope) ** 2))) / size if size > 1e-6 else None


@measurement("inertial unit on a link")
def inertial(pairs: Sequence[Pair]) -> list[Row]:
    """Gyro and accelerometer against the derivatives of the link's pose by forward kinematics, median over time."""
    rows = []
    for pair in pairs:
        for name in pair.augmented.of_type(Imu):
            before, after = (_imu_errors(s, name) for s in (pair.source, pair.augmented))
            reason = "the unit is not on a link that joints move in a known world"
            for k, (column, unit, limit) in enumerate((("gyro", "rad/s", GYRO_LIMIT), ("accel", "m/s^2", ACCEL_LIMIT))):
                value = [] if after is None else [max(0.0, after[k] - (before[k] if before else 0.0))]
                rows.append(Row(f"inertial: {column}", name, unit, limit, np.array(value), reason))
    return rows


def _imu_errors(sample: Sample, name: str) -> tuple[float, float] | None:
    """Median error of gyro and accelerometer of one sample; None where the pose is not known."""
    imu = sample.streams.get(name)
    rig = sample.true_rig
    root = rig.robot_root()
    if imu is None or root is None or imu.frame not in rig.frames or len(imu) < 20:
        return None
    world = rig.root_of(imu.frame)
    if rig.frames[world].axis_convention != "world":
        return None
    times = imu.true_capture_times[3:-3]
    try:
        T = [rig.T_at_times(world, imu.frame, times + k * STEP) for k in (-1, 0, 1)]
        _, spin, _ = rotation_rates(rig, world, imu.frame, times)
    except CalibrationError:
        return None
    second = (T[2] - 2 * T[1] + T[0])[:, :3, 3] / (STEP * 1e-9) ** 2 - gravity_of(rig, imu.instance(name))
    force = (T[1][:, :3, :3].transpose(1, 2) @ second[..., None])[..., 0]
    gyro = (imu["gyro"][3:-3].to(torch.float64) - spin).abs().median()
    accel = (imu["accel"][3:-3].to(torch.float64) - force).abs().median()
    return float(gyro), float(accel)


@measurement("forward kinematics")
def chain(pairs: Sequence[Pair]) -> list[Row]:
    """Links of the reported rig against the reported readings, at the capture times of the readings."""
    rows = []
    for pair in pairs:
        for name, joints in pair.augmented.of_type(JointState).items():
            off, rig = [], pair.augmented.rig
            root = rig.robot_root()
            if root is not None and "position" in joints.values:
                robot = Robot.of(rig, root)
                last = list(robot.edges)[-1]
                inside = _known(rig, root, last, joints)
                if set(robot.joints) & set(joints.names) and bool(inside.any()):
                    times = joints.true_capture_times[inside]
                    q = robot.readings_in(rig, times)  # other joints may be read from other streams
                    for k, joint in enumerate(robot.joints):
                        if joint in joints.names:
                            q[:, k] = joints["position"][inside, joints.names.index(joint)].to(q)
                    off = [float((rig.T_at_times(root, last, times) - robot.forward(q)[last]).abs().max())]
            reason = "no description of the robot (log.urdf)"
            rows.append(Row("forward kinematics", name, "m", CHAIN_LIMIT, np.array(off), reason))
    return rows


def _known(rig: Rig, root: str, link: str, joints: JointState) -> torch.Tensor:
    """(n,) bool, readings within the known times of the link."""
    first, last = known_span(rig, root, link)
    return (joints.true_capture_times >= first) & (joints.true_capture_times <= last)
