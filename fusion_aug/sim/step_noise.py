"""Steps of IMUs, wrenches and joints: noise, bias, saturation, and errors of the robot's geometry."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from fusion_aug.ops.hashed import RowKey, cells, row_key
from fusion_aug.ops.normals import normal
from fusion_aug.sim.step_rules import (
    BLOCK,
    Blocks,
    Columns,
    Kernel,
    Rows,
    StepCall,
    changes_report,
    steps,
)
from fusion_aug.streams import BodyPose, Imu, JointState, RobotVector, Taxels, Wrench
from fusion_aug.transforms.faults.motion import ImuSaturation
from fusion_aug.transforms.robot.kinematics import KinematicNoise
from fusion_aug.transforms.robot.noise import SensorBias, TorqueNoise, noise_density

changes_report(KinematicNoise)


def dtype_of(call: StepCall, column: str) -> np.dtype:
    """Of a column, as NumPy calls it."""
    return call.stream.values[column].numpy().dtype


def adding(parts: Mapping[str, Rows]) -> Kernel | None:
    """A kernel that adds each row's numbers to its columns; None where there is nothing to add."""
    pairs = [(column, rows.at) for column, rows in parts.items()]

    def add(row: int, columns: Columns) -> None:
        for column, at in pairs:
            value = columns[column]
            np.add(value, at(row), value)

    return add if pairs else None


def white_noise(call: StepCall, key: RowKey, sigma: np.ndarray | float, width: int, dtype: np.dtype) -> Blocks:
    """Normal variates (BLOCK, width) times ``sigma``, block after block."""
    first = 0
    while True:
        drawn = normal(key, cells(call.stamps(first), width)).astype(np.float64)
        yield (drawn * sigma).astype(dtype)
        first += BLOCK


def drifting_noise(call: StepCall, key: RowKey, density: float, walk: float, dtype: np.dtype) -> Blocks:
    """White noise and a walk of the bias (BLOCK, 3), as ``noise_and_bias_walk`` gives them for a whole stream."""
    rate, bias, first = 1e9 / float(call.period), np.zeros((1, 3)), 0
    while True:
        drawn = normal(key, cells(call.stamps(first), 6)).astype(np.float64)
        bias = np.cumsum(np.concatenate([bias[-1:], drawn[:, 3:]]), axis=0)[1:]
        white = drawn[:, :3] * (density * math.sqrt(rate))
        yield (white + bias * (walk / math.sqrt(rate))).astype(dtype)
        first += BLOCK


@steps(SensorBias, Imu)
def add_imu_noise(call: StepCall) -> Kernel | None:
    """Noise and bias of gyro and accelerometer."""
    return _with_bias(call, ("gyro", "accel"))


@steps(SensorBias, Wrench)
def add_wrench_noise(call: StepCall) -> Kernel | None:
    """Noise and bias of force and torque."""
    return _with_bias(call, ("force", "torque"))


def _with_bias(call: StepCall, columns: tuple[str, ...]) -> Kernel | None:
    parts = {}
    for column in columns:
        density, walk = (noise_density(call.params, call.meta, call.name, column, k) for k in ("noise", "walk"))
        if column in call.stream.values and (density or walk):
            key = row_key(call.params["noise"], call.name, column)
            parts[column] = Rows(_bound(drifting_noise, call, key, density, walk, dtype_of(call, column)))
    return adding(parts)


def _bound(blocks: Callable[..., Blocks], *given: object) -> Callable[[], Blocks]:
    return lambda: blocks(*given)


@steps(TorqueNoise, JointState)
def add_effort_noise(call: StepCall) -> Kernel | None:
    """White noise of the efforts."""
    if "effort" not in call.stream.values:
        return None
    width, key = call.stream.values["effort"].shape[1], row_key(call.params["noise"], call.name)
    sigma = np.float64(call.params["sigma"])
    return adding({"effort": Rows(_bound(white_noise, call, key, sigma, width, dtype_of(call, "effort")))})


@steps(ImuSaturation, Imu)
def saturate(call: StepCall) -> Kernel | None:
    """Clip every axis."""
    ends = [
        (column, np.float32(call.params[field] * to_si).astype(dtype_of(call, column)))  # as the handler rounds it
        for column, field, to_si in (("accel", "accel", 1.0), ("gyro", "gyro_deg", math.pi / 180))
        if column in call.stream.values
    ]

    def clip(row: int, columns: Columns) -> None:
        for column, end in ends:
            value = columns[column]
            np.maximum(value, -end, out=value)
            np.minimum(value, end, out=value)

    return clip


@steps(KinematicNoise, JointState)
def offset_joints(call: StepCall) -> Kernel | None:
    """Readings of joints with their offsets."""
    return _with_offsets(call, "position")


@steps(KinematicNoise, RobotVector)
def offset_vector(call: StepCall) -> Kernel | None:
    """Joint readings and absolute targets with the offsets; poses of the hand are refused."""
    told = [c.name for c in call.stream.column_types.values() if c.name in call.stream.values and _is_pose(c.kind)]
    if told:
        raise call.refusal(
            f"its {told[0]!r} would follow the readings of all joints at its stamp; give joint readings without it"
        )
    return _with_offsets(call, "joint_position")


@steps(KinematicNoise, BodyPose)
def offset_pose(call: StepCall) -> Kernel | None:
    """Refuse poses of the robot's parts."""
    raise call.refusal("a pose follows the readings of all joints at its stamp; leave it out")


@steps(KinematicNoise, Taxels)
def keep_forces(call: StepCall) -> None:
    """The elements are reported elsewhere, which the sample tells; their forces stay."""


def _is_pose(kind: str) -> bool:
    return kind in ("pose", "position", "rotation")


def _with_offsets(call: StepCall, column: str) -> Kernel | None:
    if column not in call.stream.values:
        return None
    drawn = [call.params["joints"].get(n, 0.0) for n in call.stream.names]  # type: ignore[attr-defined]
    offsets = np.array(drawn, np.float64).astype(dtype_of(call, column))

    def shift(row: int, columns: Columns) -> None:
        value = columns[column]
        np.add(value, offsets, value)

    return shift
