"""Noise and external forces of robots on a device: what is added to readings is worked out on the host.

How much of a force the elements of a pad feel hangs on what presses on them, so taxels have no rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from fusion_aug.core.device.rules import lacks_on_device, on_device, walks_on_host
from fusion_aug.core.device.sums import planned_sums
from fusion_aug.core.registry import Call
from fusion_aug.ops.hashed import cells, item_keys, row_key
from fusion_aug.ops.normals import normal
from fusion_aug.sample import Sample
from fusion_aug.sample.to_device import lies_on_device
from fusion_aug.streams import Imu, JointState, Stream, Wrench
from fusion_aug.transforms.robot.contact import ContactTransform, effort_changes, wrench_changes
from fusion_aug.transforms.robot.noise import SensorBias, TorqueNoise, noise_parts

walks_on_host(ContactTransform)


@on_device(SensorBias, Imu)
def plan_imu_noise(stream: Imu, call: Call) -> Stream:
    """Noise and bias of gyro and accelerometer."""
    return planned_sums(stream, call, noise_parts(stream, call, {"gyro": "gyro", "accel": "accel"}))


@on_device(SensorBias, Wrench)
def plan_wrench_noise(stream: Wrench, call: Call) -> Stream:
    """Noise and bias of force and torque."""
    return planned_sums(stream, call, noise_parts(stream, call, {"force": "force", "torque": "torque"}))


@on_device(TorqueNoise, JointState)
def plan_effort_noise(stream: JointState, call: Call) -> Stream:
    """Noise of every effort."""
    if "effort" not in stream.values or not call.asked:
        return stream
    mine = torch.tensor([i for i, _ in call.asked])
    keys = item_keys([row_key(p["noise"], call.name) for _, p in call.asked])
    drawn = normal(keys, cells(stream.capture_times[mine], len(stream.names)))
    sigma = torch.tensor([[p["sigma"]] for _, p in call.asked], dtype=torch.float64)
    return planned_sums(stream, call, [("effort", mine, drawn * sigma)])


@lacks_on_device(ContactTransform)
def what_contact_lacks(settings: Mapping[str, Any], sample: Sample) -> str:
    """Why a force cannot be added on a device; nothing where it can: the sign of a wrench is tried by its values."""
    efforts = any({"effort", "position"} <= set(s.values) for s in sample.of_type(JointState).values())
    for name, wrench in sample.of_type(Wrench).items() if efforts else ():
        if lies_on_device(wrench) and any(
            getattr(m.true_rig.sensors.get(name), "of", None) is None for m in sample.metas
        ):
            return (
                f"with {name} (whether efforts fit it is not looked at on a device; declare its sign in the rig file, "
                f"as in sensors: {{{name}: {{kind: wrench, of: tool}}}})"
            )
    return ""


@on_device(ContactTransform, Wrench)
def plan_push(stream: Wrench, call: Call) -> Stream:
    """Add the change of the wrench, and those at sensors farther out on the same arm."""
    parts = (
        (column, mine, change[:, k : k + 3])
        for mine, change in wrench_changes(stream, call)
        for column, k in (("force", 0), ("torque", 3))
    )
    return planned_sums(stream, call, parts)


@on_device(ContactTransform, JointState)
def plan_push_of_joints(stream: JointState, call: Call) -> Stream:
    """Add the torques that balance the change."""
    if not {"effort", "position"} <= set(stream.values):
        return stream
    return planned_sums(stream, call, (("effort", mine, change) for mine, change in effort_changes(stream, call)))
