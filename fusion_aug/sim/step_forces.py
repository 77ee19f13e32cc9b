"""Steps of forces on the hand: its wrench, and the efforts that balance it."""

from __future__ import annotations

import numpy as np
import torch

from calib import Robot
from calib.kinematics import align_to_joints
from fusion_aug.ops.hashed import cells, row_key
from fusion_aug.ops.modes import standard_modes
from fusion_aug.ops.normals import normal
from fusion_aug.sim.step_rules import BLOCK, Blocks, Columns, Kernel, Rows, StepCall, steps
from fusion_aug.streams import JointState, Taxels, Wrench
from fusion_aug.transforms.robot.contact import ForceNoise, carrying_link
from fusion_aug.transforms.robot.wrench_signs import jacobian_of


def pushes(call: StepCall) -> Rows:
    """Force N and torque Nm (6,) float64 that a wrench gets, by its rows."""
    key = row_key(call.params["noise"], call.name)

    def blocks() -> Blocks:
        first = 0
        while True:
            drawn = normal(key, cells(call.true_stamps(first), 6)).astype(np.float64)
            drawn[:, :3] *= call.params["force"]
            drawn[:, 3:] *= call.params["torque"]
            yield drawn
            first += BLOCK

    return Rows(blocks)


@steps(ForceNoise, Wrench)
def push_wrench(call: StepCall) -> Kernel:
    """White noise of force and torque, as of a hand that is touched all over."""
    others = [n for n in call.sample.of_type(Wrench) if n != call.name]
    if others:
        raise call.refusal(f"it also changes {others[0]!r}, by poses at other readings; leave one of the two out")
    rows = pushes(call)

    def push(row: int, columns: Columns) -> None:
        change, force, torque = rows.at(row), columns["force"], columns["torque"]
        force += change[:3].astype(force.dtype)
        torque += change[3:].astype(torque.dtype)

    return push


@steps(ForceNoise, JointState)
def push_joints(call: StepCall) -> Kernel | None:
    """The efforts that balance the push: J^T w, which takes 1 to 2 ms a reading for its forward kinematics."""
    joints, meta, wrenches = call.stream, call.meta, list(call.sample.of_type(Wrench))
    if not wrenches or not {"effort", "position"} <= set(joints.values):
        return None
    assert isinstance(joints, JointState)
    of_wrench = call.of(wrenches[0])
    frame, times = of_wrench.stream.frame, joints.true_capture_times
    if jacobian_of(meta, frame, joints, times) is None:
        return None
    robot, rows, sign = (
        Robot.of(meta.true_rig, meta.ref.frame),
        pushes(of_wrench),
        meta.true_rig.wrench_sign(of_wrench.name),
    )
    missing = [j for j in robot.joints if j not in joints.names]
    late = int(times[0]) - int(of_wrench.stream.true_capture_times[0])
    if missing or late % of_wrench.period or call.period % of_wrench.period or late < 0:
        reason = f"{missing[0]!r} has no reading in it" if missing else f"{of_wrench.name!r} is not read at its stamps"
        raise call.refusal(f"efforts follow by the Jacobian, but {reason}; leave effort out, or use TorqueNoise")
    first, each = late // of_wrench.period, call.period // of_wrench.period
    order = [joints.names.index(j) for j in robot.joints]
    kind = joints.values["position"].numpy().dtype

    @standard_modes()
    def push(row: int, columns: Columns) -> None:
        reading = np.asarray(call.raw.values["position"], kind)[order].astype(np.float64)
        q = torch.from_numpy(reading)[None]
        poses = robot.forward(q)
        jacobian = align_to_joints(robot.jacobian(q, frame, poses=poses), robot.joints, joints.names)
        R = poses[frame][:, :3, :3]
        w = torch.from_numpy(rows.at(first + each * row))[None] * sign
        in_base = torch.cat([(R @ w[:, :3, None])[..., 0], (R @ w[:, 3:, None])[..., 0]], 1)
        effort = columns["effort"]
        effort += (jacobian.transpose(1, 2) @ in_base[..., None])[0, :, 0].numpy().astype(effort.dtype)

    return push


@steps(ForceNoise, Taxels)
def push_taxels(call: StepCall) -> None:
    """Refuse pads beyond a wrench sensor."""
    rig = call.meta.true_rig
    for wrench in call.sample.of_type(Wrench).values():
        if carrying_link(rig, wrench.frame) in rig.ancestors(call.stream.frame):
            raise call.refusal(
                "all pads share a push by what presses on each of them, which one reading does not tell; push the hand "
                "in the world, or use SensorBias on the wrench"
            )
