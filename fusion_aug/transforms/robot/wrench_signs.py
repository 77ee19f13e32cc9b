"""Wrenches beside the efforts of the joints that carry them: whether one fits the other."""

from __future__ import annotations

import torch
from torch import Tensor

from calib import JointPose, Robot, WrenchSensor
from calib.kinematics import GRAVITY, align_to_joints
from fusion_aug.errors import ConfigError, DataError, Obstacle
from fusion_aug.ops.resample import bracket
from fusion_aug.sample import Sample, SampleMeta
from fusion_aug.streams import JointState, Wrench
from fusion_aug.transforms.temporal.dynamics import robot_with_masses

CONTACT = 1.0  # Nm or N at a joint from which on a wrench tells its sign
BETTER = 0.25  # the other sign fits better where it leaves no more than this share of the squares


def interpolate_change(times: Tensor, change: Tensor, wanted: Tensor) -> Tensor:
    """A change (k, 6) at times (k,), interpolated linearly at other times (n,), int64 ns."""
    before, after, weight = bracket(times, wanted)
    return change[before] + weight[:, None] * (change[after] - change[before])


def jacobian_of(meta: SampleMeta, frame: str, stream: JointState, times: Tensor) -> tuple[Tensor, Tensor] | None:
    """Jacobian (n, 6, J) of a sensor's frame, and its rotation (n, 3, 3), in the base; None where it is not carried.

    Args:
        meta: of the sample. frame: of the sensor. stream: whose joints the columns are of. times: (n,) int64 ns.
    """
    rig = meta.true_rig
    if frame not in rig.frames or not any(
        isinstance(f.pose, JointPose) and f.pose.joint.name in stream.names for f in rig.frames.values()
    ):
        return None
    robot = Robot.of(rig, meta.ref.frame)
    if frame not in robot.edges:
        return None
    q = robot.readings_in(rig, times)
    poses = robot.forward(q)
    jacobian = align_to_joints(robot.jacobian(q, frame, poses=poses), robot.joints, stream.names)
    return jacobian, poses[frame][:, :3, :3]


def refuse_unclear_wrenches(sample: Sample, transform: str) -> None:
    """Stop where a force on the hand cannot be carried over to the joints.

    Args:
        sample: to look at. transform: name of the class that adds the force.

    Raises:
        Obstacle: a stream tells a force without the torque that belongs to it, or a torque alone.
        DataError: the frame of a wrench is not known, and the links follow joints whose efforts are known.
        ConfigError: a wrench without a declared sign disagrees with the efforts, which the other sign fits.
    """
    for name, wrench in sample.of_type(Wrench).items():
        if missing := {"force", "torque"} - set(wrench.values):
            reason = f"it tells no {' and no '.join(sorted(missing))}, and a contact changes force and torque together"
            remedy = "give both in one vector, or leave the stream out with log.exclude"
            raise Obstacle(f"stream {name!r}", transform, reason, remedy)
        for joints_name, joints in sample.of_type(JointState).items():
            if not {"effort", "position"} <= set(joints.values):
                continue
            for u, meta in enumerate(sample.metas):
                drives = any(isinstance(f.pose, JointPose) for f in meta.true_rig.frames.values())
                if not wrench.frame and drives:
                    raise DataError(
                        f"stream {name!r}: its axes are not known, so a force in them cannot be carried over to the "
                        f"efforts of {joints_name!r}; name its frame in the rig file, as in "
                        f"sensors: {{{name}: {{kind: wrench, frame: LINK}}}}"
                    )
                sensor = meta.true_rig.sensors.get(name)
                if isinstance(sensor, WrenchSensor) and sensor.of is not None:
                    continue
                if _has_other_sign(wrench, joints, meta, u):
                    raise ConfigError(
                        f"stream {name!r}: the efforts of {joints_name!r} fit it with the opposite sign, effort = "
                        f"gravity - J^T w: it tells what the environment does to the tool; declare it in the rig file, "
                        f"as in sensors: {{{name}: {{kind: wrench, frame: {wrench.frame}, of: environment}}}}, or "
                        f"of: tool where the efforts are to be trusted less"
                    )


def _has_other_sign(wrench: Wrench, joints: JointState, meta: SampleMeta, number: int) -> bool:
    """Whether efforts are what holds the links up less J^T w, by all readings at which the wrench is felt."""
    felt = (wrench.sample_index == number).nonzero()[:, 0]
    times, known = joints.true_capture_times, wrench.true_capture_times[felt]
    if len(felt) < 2 or robot_with_masses(meta, joints.names) is None:
        return False
    mine = ((joints.sample_index == number) & (times >= known[0]) & (times <= known[-1])).nonzero()[:, 0]
    held = jacobian_of(meta, wrench.frame, joints, times[mine]) if len(mine) else None
    if held is None:
        return False
    jacobian, R = held
    w = torch.cat([wrench["force"].cpu()[felt], wrench["torque"].cpu()[felt]], 1).to(torch.float64)
    w = interpolate_change(known, w, times[mine])
    in_base = torch.cat([(R @ w[:, k : k + 3, None])[..., 0] for k in (0, 3)], 1)
    carried = (jacobian.transpose(1, 2) @ in_base[..., None])[..., 0]
    rest = joints["effort"].cpu()[mine].to(torch.float64) - _weight(joints, meta, times[mine])
    seen = (carried.abs() > CONTACT) & torch.isfinite(rest)
    as_declared, other = (float(((rest - s * carried)[seen] ** 2).sum()) for s in (1.0, -1.0))
    return bool(seen.any()) and other < BETTER * as_declared


def _weight(joints: JointState, meta: SampleMeta, times: Tensor) -> Tensor:
    """Efforts (n, J) that hold the links still."""
    rig = meta.true_rig
    robot = Robot.of(rig, meta.ref.frame)
    root = rig.root_of(robot.root)
    up = rig.T(root, robot.root, int(times[0]))[:3, :3]
    weight = robot.gravity_torque(robot.readings_in(rig, times), robot.joints, up.T @ GRAVITY)
    return align_to_joints(weight, robot.joints, joints.names)
