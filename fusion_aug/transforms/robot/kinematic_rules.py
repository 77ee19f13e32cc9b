"""Errors of a robot's geometry in each kind of stream."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from calib import Rig, Robot
from calib.kinematics import GRAVITY, align_to_joints
from calib.rates import known_span
from calib.replacing import replace_unchecked
from calib.rotation_forms import moved_form
from calib.se3 import invert
from fusion_aug.core.registry import Call, handles
from fusion_aug.sample import REF
from fusion_aug.streams import BodyPose, JointState, RobotVector, Stream, Taxels
from fusion_aug.streams.rotations import CHANGE, form_of
from fusion_aug.transforms.robot.kinematics import KinematicNoise
from fusion_aug.transforms.robot.rig_errors import end_effector_link, taxel_pose_errors
from fusion_aug.transforms.scene.robot import refuse_misplaced
from fusion_aug.transforms.temporal.dynamics import robot_with_masses


def _shifted(stream: JointState | RobotVector, call: Call, column: str) -> Tensor:
    value = stream.values[column]
    drawn = [call.parameters.of(u)["joints"] for u in range(len(call.sample.metas))]
    rows = np.array([[joints.get(n, 0.0) for n in stream.names] for joints in drawn], dtype=np.float64)
    offsets = torch.from_numpy(rows.reshape(len(drawn), len(stream.names))).to(value)
    return value + (offsets if len(drawn) == 1 else offsets[stream.sample_index.to(value.device)])


@handles(KinematicNoise, JointState)
def offset_joint_readings(stream: JointState, call: Call) -> Stream:
    """Readings with the offsets.

    With ``mode=truth`` efforts change too, to those that hold the robot's weight in its new posture.
    """
    refuse_misplaced(stream, call)
    if "position" not in stream.values:
        return stream
    out = stream.with_values(position=_shifted(stream, call, "position"))
    if "effort" not in stream.values:
        return out
    effort = stream.values["effort"].to(torch.float64).clone()
    for u, (meta, rig) in enumerate(call.family_state):
        mine, robot = (stream.sample_index == u).nonzero()[:, 0], robot_with_masses(meta, stream.names)
        if len(mine) and robot is not None and call.parameters.of(u)["mode"] == "truth":
            before = robot.readings_in(meta.true_rig, stream.true_capture_times[mine])
            after = before + torch.tensor([call.parameters.of(u)["joints"].get(j, 0.0) for j in robot.joints])
            root = meta.true_rig.root_of(robot.root)
            up = meta.true_rig.T(root, robot.root, int(stream.true_capture_times[mine][0]))[:3, :3]
            more = Robot.of(rig, robot.root).gravity_torque(after, robot.joints, up.T @ GRAVITY)
            more = more - robot.gravity_torque(before, robot.joints, up.T @ GRAVITY)
            effort[mine] += align_to_joints(more, robot.joints, stream.names)
    return out.with_values(effort=effort.to(stream.values["effort"]))


@handles(KinematicNoise, RobotVector)
def offset_vector(stream: RobotVector, call: Call) -> Stream:
    """Absolute joint targets and readings with the offsets, absolute poses of the hand by its forward kinematics.

    Raises:
        UnhandledStream: numbers of a pose are declared as others.
    """
    refuse_misplaced(stream, call)
    out = {}
    if "joint_position" in stream.values:
        out["joint_position"] = _shifted(stream, call, "joint_position")
    turns = [c for c in stream.columns if c.name in stream.values and form_of(c) and not c.kind.startswith(CHANGE)]
    if turns or {"pose", "position"} & set(stream.values):
        motion = end_effector_error(stream, call)
        if "pose" in stream.values:
            out["pose"] = motion.to(stream.values["pose"]) @ stream.values["pose"]
        if "position" in stream.values:
            p = stream.values["position"]
            moved = (motion[:, :3, :3] @ p.to(torch.float64)[..., None])[..., 0] + motion[:, :3, 3]
            out["position"] = moved.to(p)
        none, eye = torch.zeros(len(stream), dtype=torch.bool), torch.eye(3, dtype=torch.float64)
        for column in turns:
            v = stream.values[column.name]
            moved = moved_form(form_of(column), v, motion[:, :3, :3], eye.expand(len(stream), 3, 3), none)
            out[column.name] = moved.to(v)
    return stream.with_values(**out) if out else stream


@handles(KinematicNoise, Taxels)
def move_taxel_poses(stream: Taxels, call: Call) -> Stream:
    """Reported poses of the elements of a pad on its link."""
    errors = [
        taxel_pose_errors(meta.rig, call.parameters.of(u)).get(call.name) if call.parameters.per_sample[u] else None
        for u, (meta, _) in enumerate(call.family_state)
    ]
    if all(error is None for error in errors):
        return stream
    poses = stream.poses.clone()
    for u, error in enumerate(errors):
        if error is not None:
            mine = stream.sample_index == u
            poses[mine] = error.to(poses) @ poses[mine]
    return replace_unchecked(stream, poses=poses)


@handles(KinematicNoise, BodyPose)
def move_body_pose(stream: BodyPose, call: Call) -> Stream:
    """The reported pose of a part of the robot, by its forward kinematics with the errors."""
    return stream.with_values(pose=end_effector_error(stream, call).to(stream.values["pose"]) @ stream.values["pose"])


def _moves_apart(rig: Rig, frame: str, link: str) -> bool:
    """Whether something else than joints moves a robot's link against a frame: a drive, against a map."""
    between = set(rig.ancestors(frame)) ^ set(rig.ancestors(link))
    return any(rig.frames[n].pose_kind == "known" for n in between)


def end_effector_error(stream: Stream, call: Call) -> Tensor:
    """``T_frame_tip' T_tip_frame`` (n, 4, 4): motion of the end effector in the stream's frame by the errors.

    A pose that names no link is that of the end effector where its frame does not move against the robot's base.
    """
    out = torch.eye(4, dtype=torch.float64).repeat(len(stream), 1, 1)
    for u, (meta, rig) in enumerate(call.family_state):
        mine = (stream.sample_index == u).nonzero()[:, 0]
        tip = stream.child if stream.child in rig.frames else end_effector_link(meta.rig, call.name)
        if len(mine) == 0 or tip is None:
            continue
        frame = meta.ref.frame if stream.frame == REF else stream.frame
        if not stream.child and _moves_apart(meta.rig, frame, tip):
            continue  # the place of a vehicle on its map, or a goal there
        first, last = known_span(rig, frame, tip)
        times = stream.capture_times[mine].clamp(
            first, last
        )  # the reported times of a clock that is off may lie beyond the readings
        out[mine] = rig.T_at_times(frame, tip, times) @ invert(meta.rig.T_at_times(frame, tip, times))
    return out
