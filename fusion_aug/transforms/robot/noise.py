"""Noise and drift of IMUs, wrenches and joint efforts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from calib import ImuSensor
from fusion_aug.core.promises import SIGNAL_EXEMPTIONS
from fusion_aug.core.ranges import Range
from fusion_aug.core.registry import Call, handles
from fusion_aug.core.strength import Strength, Strengths
from fusion_aug.core.transform import Transform
from fusion_aug.ops.hashed import RowKey, cells, item_keys, row_key
from fusion_aug.ops.normals import normal
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

    version: ClassVar[int] = 2  # since 2026-11: noise by rows
    dense_noise: ClassVar[bool] = True
    scopes: ClassVar[tuple[str, ...]] = ("scene", "sample", "sensor")
    limits: ClassVar[dict[str, tuple[float, float]]] = {
        f"{q}_{k}": (0.0, 1e3) for q in ("gyro", "accel", "force", "torque") for k in ("noise", "walk")
    }
    exemptions: ClassVar[dict[str, str]] = SIGNAL_EXEMPTIONS
    strengths: ClassVar[Strengths] = {
        "gyro_noise": Strength(0.0, 0.012, "linear", "probe", "rad/s/sqrt(Hz)"),
        "gyro_walk": Strength(0.0, 0.14, "linear", "probe", "rad/s^2/sqrt(Hz)"),
        "accel_noise": Strength(0.0, 0.037, "linear", "probe", "m/s^2/sqrt(Hz)"),
        "accel_walk": Strength(0.0, 0.32, "linear", "probe", "m/s^3/sqrt(Hz)"),
        "force_noise": Strength(0.0, 0.021, "linear", "probe", "N/sqrt(Hz)"),
        "force_walk": Strength(0.0, 0.43, "linear", "probe", "N/s/sqrt(Hz)"),
        "torque_noise": Strength(0.0, 0.00019, "linear", "probe", "Nm/sqrt(Hz)"),
        "torque_walk": Strength(0.0, 0.0026, "linear", "probe", "Nm/s/sqrt(Hz)"),
    }
    example: ClassVar[dict[str, Any]] = {"gyro_noise": 1e-4, "accel_noise": 1e-3}


def noise_and_bias_walk(key: RowKey, times: Tensor, density: float, walk: float, width: int) -> Tensor:
    """White noise and bias random walk (n, width) float64 at times (n,) ns.

    Args:
        key: of the noise, whose rows are the times. times: (n,) int64 ns. width: number of axes.
        density: of the white noise, per sqrt(Hz). walk: of the bias, per second and sqrt(Hz).
    """
    n = len(times)
    if n < 2:
        return torch.zeros(n, width, dtype=torch.float64)
    white, steps = normal(key, cells(times, 2 * width)).to(torch.float64).split(width, dim=1)
    rate = 1e9 / float(times.diff().median())
    return white * (density * math.sqrt(rate)) + steps.cumsum(0) * (walk / math.sqrt(rate))


def _with_noise(stream: Stream, call: Call, columns: Mapping[str, str]) -> Stream:
    out = {c: stream.values[c].clone() for c in columns if c in stream.values}
    for c, mine, noise in noise_parts(stream, call, columns):
        out[c][mine] += noise.to(out[c])
    return stream.with_values(**out)


def noise_parts(stream: Stream, call: Call, columns: Mapping[str, str]) -> Iterator[tuple[str, Tensor, Tensor]]:
    """What is added: a column, indices (k,) of readings, and the noise (k, 3) float64 that they get.

    Args:
        stream: of readings. call: the application to it. columns: the quantity in each, as the fields name it.
    """
    for u, meta in enumerate(call.sample.metas):
        mine = (stream.sample_index == u).nonzero()[:, 0]
        if len(mine) == 0 or call.params[int(mine[0])] is None:
            continue
        params, times = call.params[int(mine[0])], stream.capture_times[mine]
        for c, quantity in columns.items():
            density, walk = (noise_density(params, meta, call.name, quantity, k) for k in ("noise", "walk"))
            if c in stream.values and (density or walk):
                key = row_key(params["noise"], call.name, c)
                yield c, mine, noise_and_bias_walk(key, times, density, walk, 3)


def noise_density(params: Mapping[str, Any], meta: SampleMeta, name: str, quantity: str, kind: str) -> float:
    """What is drawn for a quantity (gyro, accel, force, torque) of a stream, else what the rig's ``ImuSensor`` says.

    Args:
        params: drawn. meta: of the sample. name: of the stream. quantity: as the fields name it.
        kind: "noise", per sqrt(Hz), or "walk", per second and sqrt(Hz).
    """
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

    version: ClassVar[int] = 2  # since 2026-11: noise by rows
    dense_noise: ClassVar[bool] = True
    scopes: ClassVar[tuple[str, ...]] = ("scene", "sample", "sensor")
    limits: ClassVar[dict[str, tuple[float, float]]] = {"sigma": (0.0, 1e4)}
    exemptions: ClassVar[dict[str, str]] = SIGNAL_EXEMPTIONS
    strengths: ClassVar[Strengths] = {"sigma": Strength(0.0, 0.31, "linear", "probe", "Nm")}
    example: ClassVar[dict[str, Any]] = {"sigma": 0.3}


@handles(TorqueNoise, JointState)
def add_effort_noise(stream: JointState, call: Call) -> Stream:
    """Add the noise, the same for a stamp and joint however many readings there are."""
    if "effort" not in stream.values:
        return stream
    effort = stream.values["effort"]
    keys = item_keys([row_key(p["noise"], call.name) for p in call.params])
    drawn = normal(keys, cells(stream.capture_times, effort.shape[1]))
    sigma = torch.tensor([[p["sigma"]] for p in call.params], dtype=torch.float64)
    return stream.with_values(effort=effort + (drawn * sigma).to(effort))
