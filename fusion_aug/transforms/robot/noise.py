"""Noise and drift of IMUs, wrenches and joint efforts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from calib import ImuSensor
from fusion_aug.core.promises import SIGNAL_EXEMPTIONS
from fusion_aug.core.ranges import Range
from fusion_aug.core.registry import Call, handles
from fusion_aug.core.transform import Transform
from fusion_aug.ops.random import noise
from fusion_aug.sample import SampleMeta
from fusion_aug.streams import Imu, JointState, Stream, Wrench
from fusion_aug.streams.families import Fault


@dataclass(frozen=True, kw_only=True)
class SensorBias(Transform, Fault):
    """White noise and a random walk of the bias, by the densities that data sheets give; every axis on its own.

    A sample of rate r gets white noise of ``density sqrt(r)`` and a bias whose steps are ``walk / sqrt(r)``.

    Attributes:
        gyro_noise: rad/s/sqrt(Hz). gyro_walk: rad/s^2/sqrt(Hz). None: the rig's ``ImuSensor``.
        accel_noise: m/s^2/sqrt(Hz). accel_walk: m/s^3/sqrt(Hz). None: the rig's ``ImuSensor``.
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
    scopes: ClassVar[tuple[str, ...]] = ("scene", "sample", "sensor")
    limits: ClassVar[dict[str, tuple[float, float]]] = {
        f"{q}_{k}": (0.0, 1e3) for q in ("gyro", "accel", "force", "torque") for k in ("noise", "walk")
    }
    exemptions: ClassVar[dict[str, str]] = SIGNAL_EXEMPTIONS
    example: ClassVar[dict[str, Any]] = {"gyro_noise": 1e-4, "accel_noise": 1e-3}


def noise_and_bias_walk(rng: np.random.Generator, times: Tensor, density: float, walk: float, width: int) -> Tensor:
    """White noise and bias random walk (n, width) float64 at times (n,) ns.

    Args:
        rng: random stream. times: (n,) int64 ns. width: number of axes.
        density: of the white noise, per sqrt(Hz). walk: of the bias, per second and sqrt(Hz).
    """
    n = len(times)
    white, steps = rng.standard_normal((n, width)), rng.standard_normal((n, width))
    if n < 2:
        return torch.zeros(n, width, dtype=torch.float64)
    rate = 1e9 / float(times.diff().median())
    drift = np.cumsum(steps, 0) * (walk / math.sqrt(rate))
    return torch.from_numpy(white * (density * math.sqrt(rate)) + drift)


def _with_noise(stream: Stream, call: Call, columns: Mapping[str, str]) -> Stream:
    out = {c: stream.values[c].clone() for c in columns if c in stream.values}
    for u, meta in enumerate(call.sample.metas):
        mine = (stream.sample_index == u).nonzero()[:, 0]
        if len(mine) == 0:
            continue
        params, times = call.params[int(mine[0])], stream.capture_times[mine]
        for c, quantity in columns.items():
            density, walk = (_noise_density(params, meta, call.name, quantity, k) for k in ("noise", "walk"))
            rng = noise(params["noise"], f"{call.name}/{c}", int(times[0]))
            if c in out and (density or walk):
                out[c][mine] += noise_and_bias_walk(rng, times, density, walk, 3).to(out[c])
    return stream.with_values(**out)


def _noise_density(params: Mapping[str, Any], meta: SampleMeta, name: str, quantity: str, kind: str) -> float:
    drawn = params.get(f"{quantity}_{kind}")
    if drawn is not None:
        return float(drawn)
    sensor = meta.rig.sensors.get(name)
    field = f"{quantity}_{'noise' if kind == 'noise' else 'bias_walk'}"
    return float(getattr(sensor, field)) if isinstance(sensor, ImuSensor) else 0.0


@handles(SensorBias, Imu)
def add_imu_noise(stream: Imu, call: Call) -> Stream:
    """Noise and bias of gyro (rad/s) and accelerometer (m/s^2)."""
    return _with_noise(stream, call, {"gyro": "gyro", "accel": "accel"})


@handles(SensorBias, Wrench)
def add_wrench_noise(stream: Wrench, call: Call) -> Stream:
    """Noise and bias of force (N) and torque (Nm)."""
    return _with_noise(stream, call, {"force": "force", "torque": "torque"})


@dataclass(frozen=True, kw_only=True)
class TorqueNoise(Transform, Fault):
    """White noise of ``sigma`` Nm (or N) on the reported efforts of joints."""

    scope: str = "sensor"
    sigma: Range = (0.0, 0.5)

    dense_noise: ClassVar[bool] = True
    scopes: ClassVar[tuple[str, ...]] = ("scene", "sample", "sensor")
    limits: ClassVar[dict[str, tuple[float, float]]] = {"sigma": (0.0, 1e4)}
    exemptions: ClassVar[dict[str, str]] = SIGNAL_EXEMPTIONS
    example: ClassVar[dict[str, Any]] = {"sigma": 0.3}


@handles(TorqueNoise, JointState)
def add_effort_noise(stream: JointState, call: Call) -> Stream:
    """Add the noise, item by item."""
    if "effort" not in stream.values:
        return stream
    effort = stream.values["effort"].clone()
    for i, (p, t) in enumerate(zip(call.params, stream.capture_times.tolist(), strict=True)):
        drawn = noise(p["noise"], call.name, t).standard_normal(len(stream.names)) * p["sigma"]
        effort[i] += torch.from_numpy(drawn).to(effort)
    return stream.with_values(effort=effort)
