"""Torques and wrenches at another speed: inertial parts change, weight and contact stay."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from calib import Joint, JointPose, Rig, Robot
from calib.kinematics import align_to_joints
from calib.rates import known_times, point_motion, rotation_rates
from calib.se3 import invert
from fusion_aug.sample import Sample, SampleMeta
from fusion_aug.streams import JointState, Wrench


def approximated_columns(sample: Sample, number: int) -> list[str]:
    """Columns that a change of speed leaves as they are, since the masses that would change them are unknown."""
    meta, out = sample.metas[number], []
    for name, stream in sample.streams.items():
        if (
            isinstance(stream, JointState)
            and "effort" in stream.values
            and robot_with_masses(meta, stream.names) is None
        ):
            out.append(f"{name}: effort")
        if "joint_effort" in stream.values:
            out.append(f"{name}: joint_effort")
        if isinstance(stream, Wrench) and (
            stream.frame not in meta.true_rig.frames or not payload(meta.true_rig, stream.frame)
        ):
            out.append(f"{name}: inertial part")
    return out


def robot_with_masses(meta: SampleMeta, joints: tuple[str, ...]) -> Robot | None:
    """The robot that joints belong to, where the masses of all its links are known; else None."""
    rig = meta.true_rig
    bases = [f.parent for f in rig.frames.values() if isinstance(f.pose, JointPose) and f.pose.joint.name in joints]
    if not bases or bases[0] is None:
        return None
    robot = Robot.of(rig, meta.ref.frame if meta.ref.frame in rig.frames else bases[0])
    return robot if robot.has_dynamics() else None


def effort_at_speed(
    values: Mapping[str, Any], stream: JointState, meta: SampleMeta, at: Tensor, speed: Tensor, change: Tensor
) -> Tensor:
    """tau' = tau + (phi'^2 - 1) (M a + c) + phi'' M v, link by link; tau itself where masses are unknown.

    So what the joints hold (weight, a grip, a push on the table) stays, and only the inertial part changes. Without
    contact and friction this is phi'^2 (tau - g) + g + phi'' M v. Where the joints are is known from the rig: a log may
    tell efforts and positions in vectors of their own.

    Args:
        values: columns at the new times. stream: before. meta: of its sample.
        at: (n,) int64 ns, old times. speed: phi' (n,). change: phi'' (n,) 1/s.
    """
    robot = robot_with_masses(meta, stream.names)
    effort = values["effort"]
    if robot is None:
        return effort
    rig = meta.true_rig
    q = robot.readings_in(rig, at)
    root = rig.root_of(robot.root)
    out = effort.to(torch.float64)
    for link in robot.inertias:
        if not any(isinstance(robot.edges[n][1], Joint) for n in robot.chain(link)):
            continue
        push, twist, T = inertial_demand(rig, root, link, at, speed, change)
        R = rig.T_at_times(robot.root, link, known_times(rig, root, link, at)[0])[:, :3, :3]
        jacobian = align_to_joints(robot.jacobian(q, link), robot.joints, stream.names)
        push = R @ T[:, :3, :3].transpose(1, 2) @ push[..., None]  # in the axes of the robot's root, which may turn
        arm = (R @ robot.inertias[link].center)[..., None]
        moving = jacobian[:, :3] + torch.linalg.cross(jacobian[:, 3:], arm.expand_as(jacobian[:, 3:]), dim=1)
        out = out + (moving.transpose(1, 2) @ push)[..., 0]
        out = out + (jacobian[:, 3:].transpose(1, 2) @ (R @ twist[..., None]))[..., 0]
    return out.to(effort)


def inertial_demand(
    rig: Rig, root: str, link: str, at: Tensor, speed: Tensor, change: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The further force and torque that the mass of a link demands at another speed.

    Returns:
        force (n, 3) N at its centre of mass, axes of the root; torque (n, 3) Nm about it, axes of the link; and
        ``T_root_link`` (n, 4, 4).
    """
    inertia = rig.frames[link].inertia
    assert inertia is not None
    T, velocity, acceleration = point_motion(rig, root, link, at, inertia.center)
    _, spin, angular_acceleration = rotation_rates(rig, root, link, at)
    gain, change = (speed**2 - 1)[:, None], change[:, None]
    I = inertia.about_center  # noqa: E741
    twist = gain * (angular_acceleration @ I.T + torch.linalg.cross(spin, spin @ I.T)) + change * (spin @ I.T)
    return inertia.mass * (gain * acceleration + change * velocity), twist, T


def wrench_at_speed(
    values: Mapping[str, Any], stream: Wrench, name: str, meta: SampleMeta, at: Tensor, speed: Tensor, change: Tensor
) -> dict[str, Tensor]:
    """Force and torque (n, 3) with the inertial part of the payload at the new speed; weight and contact stay.

    A sensor may tell only one of them, as the two vectors of robosuite do.
    """
    rig, frame = meta.true_rig, stream.frame
    sign = rig.wrench_sign(name)
    nothing = torch.zeros(len(at), 3, dtype=torch.float64)
    force, torque = (values[c].to(torch.float64) if c in values else nothing for c in ("force", "torque"))
    for link in payload(rig, frame) if frame in rig.frames else ():
        root, inertia = rig.root_of(link), rig.frames[link].inertia
        if inertia is None or root == link:
            continue
        push, twist, T = inertial_demand(rig, root, link, at, speed, change)
        T_frame_link = invert(rig.T_at_times(root, frame, known_times(rig, root, frame, at)[0])) @ T
        R = T_frame_link[:, :3, :3]
        push = (R @ T[:, :3, :3].transpose(1, 2) @ push[..., None])[..., 0]
        arm = (R @ inertia.center) + T_frame_link[:, :3, 3]
        force = force + sign * push
        torque = torque + sign * ((R @ twist[..., None])[..., 0] + torch.linalg.cross(arm, push))
    return {c: v.to(values[c]) for c, v in (("force", force), ("torque", torque)) if c in values}


def payload(rig: Rig, frame: str) -> list[str]:
    """Links with a mass on the far side of a wrench sensor: that of its frame and all that hang on it.

    Where there are none, the frame marks a place on a body: then they are those of the nearest link that it is fixed
    to and that carries a mass.
    """
    for top in rig.ancestors(frame):
        heavy = _heavy_below(rig, top)
        if heavy or not isinstance(rig.frames[top].pose, Tensor):
            break
    return heavy


def _heavy_below(rig: Rig, top: str) -> list[str]:
    """Frames with an inertia among a frame and its descendants, in the order of the rig."""
    return [n for n, f in rig.frames.items() if f.inertia is not None and top in rig.ancestors(n)]
