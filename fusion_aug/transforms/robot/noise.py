"""Noise, drift and disturbances of inertial units, forces and joints."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from calib import ImuSensor, JointPose, Robot
from fusion_aug.families import Fault
from fusion_aug.ops.resample import bracket
from fusion_aug.random import noise
from fusion_aug.ranges import Range, draw
from fusion_aug.registry import Call, Context, handles
from fusion_aug.sample import Sample, Unit
from fusion_aug.streams import Imu, JointState, Stream, Wrench
from fusion_aug.transforms.base import Rows, Transform

SIGNAL: dict[str, str] = {
    "invertible": "noise is not undone by looking at it",
    "differentiable": "it has no geometric parameter",
}


@dataclass(frozen=True, kw_only=True)
class SensorBias(Transform, Fault):
    """White noise and a wandering bias, by the densities that data sheets give; every axis on its own.

    A sample of rate r gets white noise of ``density sqrt(r)`` and a bias whose steps are ``walk / sqrt(r)``.

    Attributes:
        gyro_noise: rad/s/sqrt(Hz). gyro_walk: rad/s^2/sqrt(Hz). None: what the rig says of the unit.
        accel_noise: m/s^2/sqrt(Hz). accel_walk: m/s^3/sqrt(Hz). None: what the rig says of the unit.
        force_noise: N/sqrt(Hz). force_walk: N/s/sqrt(Hz), of wrenches.
        torque_noise: Nm/sqrt(Hz). torque_walk: Nm/s/sqrt(Hz), of wrenches.
    """

    scope: str = "sensor"
    gyro_noise: Range | None = None
    gyro_walk: Range | None = None
    accel_noise: Range | None = None
    accel_walk: Range | None = None
    force_noise: Range = 0.0
    force_walk: Range = 0.0
    torque_noise: Range = 0.0
    torque_walk: Range = 0.0

    dense_noise: ClassVar[bool] = True
    scopes: ClassVar[tuple[str, ...]] = ("log", "rig", "sensor")
    limits: ClassVar[dict[str, tuple[float, float]]] = {
        f"{q}_{k}": (0.0, 1e3) for q in ("gyro", "accel", "force", "torque") for k in ("noise", "walk")
    }
    waives: ClassVar[dict[str, str]] = SIGNAL


def wandering(rng: np.random.Generator, times: Tensor, density: float, walk: float, width: int) -> Tensor:
    """White noise and bias random walk (n, width) at stamps (n,) ns.

    Args:
        density: unit/sqrt(Hz). walk: unit/s/sqrt(Hz).
    """
    n = len(times)
    white, steps = rng.standard_normal((n, width)), rng.standard_normal((n, width))
    if n < 2:
        return torch.zeros(n, width, dtype=torch.float64)
    rate = 1e9 / float(times.diff().median())
    drift = np.cumsum(steps, 0) * (walk / math.sqrt(rate))
    return torch.from_numpy(white * (density * math.sqrt(rate)) + drift)


def _noisy(stream: Stream, call: Call, columns: Mapping[str, str]) -> Stream:
    out = {c: stream.values[c].clone() for c in columns if c in stream.values}
    for u, unit in enumerate(call.sample.units):
        mine = (stream.sample_index == u).nonzero()[:, 0]
        if len(mine) == 0:
            continue
        params, times = call.params[int(mine[0])], stream.times[mine]
        for c, quantity in columns.items():
            density, walk = (_figure(params, unit, call.name, quantity, k) for k in ("noise", "walk"))
            rng = noise(params["noise"], f"{call.name}/{c}", int(times[0]))
            if c in out and (density or walk):
                out[c][mine] += wandering(rng, times, density, walk, 3).to(out[c])
    return stream.with_values(**out)


def _figure(params: Mapping[str, Any], unit: Unit, name: str, quantity: str, kind: str) -> float:
    told = params.get(f"{quantity}_{kind}")
    if told is not None:
        return float(told)
    sensor = unit.rig.sensors.get(name)
    field = f"{quantity}_{'noise' if kind == 'noise' else 'bias_walk'}"
    return float(getattr(sensor, field)) if isinstance(sensor, ImuSensor) else 0.0


@handles(SensorBias, Imu)
def noisy_imu(stream: Imu, call: Call) -> Stream:
    """Gyro and accelerometer."""
    return _noisy(stream, call, {"gyro": "gyro", "accel": "accel"})


@handles(SensorBias, Wrench)
def noisy_wrench(stream: Wrench, call: Call) -> Stream:
    """Force and torque."""
    return _noisy(stream, call, {"force": "force", "torque": "torque"})


@dataclass(frozen=True, kw_only=True)
class TorqueNoise(Transform, Fault):
    """White noise of ``sigma`` Nm (or N) on what joints tell of their effort."""

    scope: str = "sensor"
    sigma: Range = (0.0, 0.5)

    dense_noise: ClassVar[bool] = True
    scopes: ClassVar[tuple[str, ...]] = ("log", "rig", "sensor")
    limits: ClassVar[dict[str, tuple[float, float]]] = {"sigma": (0.0, 1e4)}
    waives: ClassVar[dict[str, str]] = SIGNAL


@handles(TorqueNoise, JointState)
def noisy_effort(stream: JointState, call: Call) -> Stream:
    """Add the noise, item by item."""
    if "effort" not in stream.values:
        return stream
    effort = stream.values["effort"].clone()
    for i, (p, t) in enumerate(zip(call.params, stream.times.tolist(), strict=True)):
        drawn = noise(p["noise"], call.name, t).standard_normal(len(stream.names)) * p["sigma"]
        effort[i] += torch.from_numpy(drawn).to(effort)
    return stream.with_values(effort=effort)


@dataclass(frozen=True, kw_only=True)
class ContactTransform(Transform, Fault, abstract=True):
    """A force on the hand that was not there. Wrench and joint efforts change together: ``tau' = tau + J^T w``."""

    waives: ClassVar[dict[str, str]] = SIGNAL

    @classmethod
    def pushed(cls, params: Mapping[str, Any], name: str, times: Tensor, span: tuple[int, int]) -> Tensor:
        """Change (n, 6) of force and torque in the sensor's frame at stamps (n,) ns."""
        raise NotImplementedError

    @classmethod
    def apply(cls, sample: Sample, rows: Rows, context: Context) -> Sample:
        """Work out the change of every wrench, then change wrenches and efforts."""
        changes: dict[tuple[str, int], tuple[Tensor, Tensor]] = {}
        for name, stream in sample.of_type(Wrench).items():
            for u in range(len(sample.units)):
                times = stream.times[stream.sample_index == u]
                if len(times):
                    span = (int(times[0]), int(times[-1]))
                    changes[name, u] = (times, cls.pushed(rows.of(u, name), name, times, span))
        return cls.visit(sample, rows, context, changes)


@handles(ContactTransform, Wrench)
def push_wrench(stream: Wrench, call: Call) -> Stream:
    """Add the change."""
    force, torque = stream.values["force"].clone(), stream.values["torque"].clone()
    for (name, u), (_, change) in call.shared.items():
        if name == call.name:
            mine = stream.sample_index == u
            force[mine] += change[:, :3].to(force)
            torque[mine] += change[:, 3:].to(torque)
    return stream.with_values(force=force, torque=torque)


@handles(ContactTransform, JointState)
def push_joints(stream: JointState, call: Call) -> Stream:
    """What the joints have to hold besides: J^T w of every wrench sensor that they carry."""
    if not {"effort", "position"} <= set(stream.values):
        return stream
    effort = stream.values["effort"].clone()
    for (name, u), (times, change) in call.shared.items():
        unit, mine = call.sample.units[u], (stream.sample_index == u).nonzero()[:, 0]
        held = _jacobian_of(unit, call.sample[name].frame, stream, mine)
        if held is None or len(mine) == 0:
            continue
        jacobian, R = held
        before, after, weight = bracket(times, stream.times[mine])
        w = change[before] + weight[:, None] * (change[after] - change[before])
        in_base = torch.cat([(R @ w[:, :3, None])[..., 0], (R @ w[:, 3:, None])[..., 0]], 1)
        effort[mine] += (jacobian.transpose(1, 2) @ in_base[..., None])[..., 0].to(effort)
    return stream.with_values(effort=effort)


def _jacobian_of(unit: Unit, frame: str, stream: JointState, mine: Tensor) -> tuple[Tensor, Tensor] | None:
    """Jacobian (n, 6, J) of a sensor's frame, and its rotation (n, 3, 3), in the base; None where it is not carried."""
    rig = unit.truth
    if frame not in rig.frames or not any(
        isinstance(f.pose, JointPose) and f.pose.joint.name in stream.names for f in rig.frames.values()
    ):
        return None
    robot = Robot.of(rig, unit.ref.frame)
    if frame not in robot.edges or not set(robot.joints) <= set(stream.names):
        return None
    q = stream.values["position"][mine].to(torch.float64)
    return robot.jacobian(q, frame, stream.names), robot.forward(q, stream.names)[frame][:, :3, :3]


@dataclass(frozen=True, kw_only=True)
class ForceNoise(ContactTransform):
    """White noise of ``force`` N and ``torque`` Nm on every axis of wrenches, as a hand that is touched all over."""

    scope: str = "sensor"
    force: Range = (0.0, 0.5)
    torque: Range = (0.0, 0.05)

    dense_noise: ClassVar[bool] = True
    scopes: ClassVar[tuple[str, ...]] = ("log", "rig", "sensor")
    limits: ClassVar[dict[str, tuple[float, float]]] = {"force": (0.0, 1e4), "torque": (0.0, 1e4)}

    @classmethod
    def pushed(cls, params: Mapping[str, Any], name: str, times: Tensor, span: tuple[int, int]) -> Tensor:
        """See ``ContactTransform``."""
        drawn = noise(params["noise"], name, span[0]).standard_normal((len(times), 6))
        drawn[:, :3] *= params["force"]
        drawn[:, 3:] *= params["torque"]
        return torch.from_numpy(drawn)


@dataclass(frozen=True, kw_only=True)
class PushDisturbance(ContactTransform):
    """A push on the hand: half a sine of ``duration`` seconds up to ``peak`` N, in any direction, at any time."""

    scope: str = "sensor"
    peak: Range = (2.0, 15.0)
    duration: Range = (0.05, 0.3)

    scopes: ClassVar[tuple[str, ...]] = ("log", "rig", "sensor")
    limits: ClassVar[dict[str, tuple[float, float]]] = {"peak": (0.0, 1e4), "duration": (1e-3, 100.0)}

    def sample_params(self, rng: np.random.Generator, sample: Sample, context: Context) -> dict[str, Any]:
        """Strength, length, begin as a share of the time there is, and direction in the sensor's frame."""
        direction = rng.standard_normal(3)
        direction /= np.linalg.norm(direction)
        return {"peak": draw(self.peak, rng), "duration": draw(self.duration, rng), "begin": float(rng.random()),
                "direction": direction.tolist()}  # fmt: skip

    @classmethod
    def pushed(cls, params: Mapping[str, Any], name: str, times: Tensor, span: tuple[int, int]) -> Tensor:
        """See ``ContactTransform``."""
        length = params["duration"] * 1e9
        begin = span[0] + params["begin"] * max(0.0, span[1] - span[0] - length)
        phase = (times.to(torch.float64) - begin) / length
        strength = params["peak"] * torch.sin(math.pi * phase) * ((phase >= 0) & (phase <= 1))
        force = strength[:, None] * torch.tensor(params["direction"], dtype=torch.float64)
        return torch.cat([force, torch.zeros_like(force)], 1)
