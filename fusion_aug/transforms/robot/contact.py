"""Simulated external forces on the end effector: wrench, joint efforts and touch change together."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from calib import JointPose, Rig, TaxelSensor
from fusion_aug.core.parameters import ParameterRows
from fusion_aug.core.promises import SIGNAL_EXEMPTIONS
from fusion_aug.core.ranges import Range, draw
from fusion_aug.core.registry import Call, Context, handles
from fusion_aug.core.strength import Strength, Strengths
from fusion_aug.core.transform import Transform
from fusion_aug.ops.hashed import cells, row_key
from fusion_aug.ops.normals import normal
from fusion_aug.sample import Sample, SampleMeta
from fusion_aug.streams import JointState, Stream, Taxels, Wrench
from fusion_aug.streams.families import Fault
from fusion_aug.transforms.robot.wrench_signs import interpolate_change, jacobian_of, refuse_unclear_wrenches

PAD_RANK_TOLERANCE = 0.2  # of the largest singular value: pads within 23 degrees of opposite hold nothing across


@dataclass(frozen=True, kw_only=True)
class ContactTransform(Transform, Fault, abstract=True):
    """An external force on the end effector that was not there. Wrench, joint efforts and touch change together.

    Efforts become ``tau + J^T w``, or ``tau - J^T w`` where the rig says of a wrench that it is the environment's. What
    of the force lies along the normals of the pads that are pressed beyond the wrench sensor enters their elements,
    each by its share of the pad's load; no element measures the rest, the shear.
    """

    exemptions: ClassVar[dict[str, str]] = SIGNAL_EXEMPTIONS

    @classmethod
    def wrench_change(cls, params: Mapping[str, Any], name: str, times: Tensor, span: tuple[int, int]) -> Tensor:
        """Return the change of a wrench.

        Args:
            params: drawn parameters. name: stream, for the noise key. times: (n,) int64 ns, true capture times.
            span: first and last of them, ns.

        Returns:
            (n, 6) float64, force N then torque Nm at the origin of the sensor's frame, in its axes.
        """
        raise NotImplementedError

    @classmethod
    def apply(cls, sample: Sample, parameters: ParameterRows, context: Context) -> Sample:
        """Compute the change of every wrench, then apply it to wrenches, efforts and taxels."""
        refuse_unclear_wrenches(sample, cls.__name__)
        changes: dict[tuple[str, int], tuple[Tensor, Tensor]] = {}
        for name, stream in sample.of_type(Wrench).items():
            for u in range(len(sample.metas)):
                times = stream.true_capture_times[stream.sample_index == u]
                if len(times) and parameters.asks(u):
                    span = (int(times[0]), int(times[-1]))
                    changes[name, u] = (times, cls.wrench_change(parameters.of(u, name), name, times, span))
        return cls.visit(sample, parameters, context, changes)


@handles(ContactTransform, Wrench)
def push_wrench(stream: Wrench, call: Call) -> Stream:
    """Add the change, and those at sensors farther out on the same arm."""
    force, torque = stream.values["force"].clone(), stream.values["torque"].clone()
    for mine, change in wrench_changes(stream, call):
        force[mine] += change[:, :3].to(force)
        torque[mine] += change[:, 3:].to(torque)
    return stream.with_values(force=force, torque=torque)


def wrench_changes(stream: Wrench, call: Call) -> Iterator[tuple[Tensor, Tensor]]:
    """What is added to a wrench: indices (k,) of readings, and force N and torque Nm (k, 6) float64 that they get."""
    for (name, u), (times, change) in call.family_state.items():
        mine, rig = (stream.sample_index == u).nonzero()[:, 0], call.sample.metas[u].true_rig
        beyond = call.sample[name].frame
        if name != call.name:
            if len(mine) == 0 or beyond not in rig.frames or stream.frame not in rig.ancestors(beyond)[1:]:
                continue
            change = interpolate_change(times, change, stream.true_capture_times[mine])
            change = change * (rig.wrench_sign(name) * rig.wrench_sign(call.name))
            T = rig.T_at_times(stream.frame, beyond, stream.true_capture_times[mine])
            f, t = ((T[:, :3, :3] @ change[:, k : k + 3, None])[..., 0] for k in (0, 3))
            change = torch.cat([f, t + torch.linalg.cross(T[:, :3, 3], f)], 1)
        yield mine, change


@handles(ContactTransform, JointState)
def push_joints(stream: JointState, call: Call) -> Stream:
    """Add the torques that balance the change: J^T w of every wrench sensor that the joints carry."""
    if not {"effort", "position"} <= set(stream.values):
        return stream
    effort = stream.values["effort"].clone()
    for mine, change in effort_changes(stream, call):
        effort[mine] += change.to(effort)
    return stream.with_values(effort=effort)


def effort_changes(stream: JointState, call: Call) -> Iterator[tuple[Tensor, Tensor]]:
    """What is added to the efforts of joints: indices (k,) of readings, and (k, J) Nm or N float64 that they get."""
    for (name, u), (times, change) in call.family_state.items():
        meta, mine = call.sample.metas[u], (stream.sample_index == u).nonzero()[:, 0]
        held = jacobian_of(meta, call.sample[name].frame, stream, stream.true_capture_times[mine])
        if held is None or len(mine) == 0:
            continue
        jacobian, R = held
        w = interpolate_change(times, change, stream.true_capture_times[mine]) * meta.true_rig.wrench_sign(name)
        in_base = torch.cat([(R @ w[:, :3, None])[..., 0], (R @ w[:, 3:, None])[..., 0]], 1)
        yield mine, (jacobian.transpose(1, 2) @ in_base[..., None])[..., 0]


@handles(ContactTransform, Taxels)
def push_taxels(stream: Taxels, call: Call) -> Stream:
    """Add to the pads' forces what the change presses on them.

    The loaded pads push with ``sum_pad S_pad n_pad``, n the mean normal of a pad by its load. The change of the S is
    the least one that comes nearest to the force; an element never pulls.
    """
    force = stream.values["force"].clone()
    for (name, u), (times, change) in call.family_state.items():
        meta, mine = call.sample.metas[u], (stream.sample_index == u).nonzero()[:, 0]
        sensor_frame = call.sample[name].frame
        link = carrying_link(meta.true_rig, sensor_frame)
        if len(mine) == 0 or link is None or link not in meta.true_rig.ancestors(stream.frame):
            continue
        stamps = stream.true_capture_times[mine]
        force_change = interpolate_change(times, change, stamps)[:, :3] * meta.true_rig.wrench_sign(name)
        pads = {
            n: s
            for n, s in call.sample.of_type(Taxels).items()
            if link in meta.true_rig.ancestors(s.frame) and bool((s.sample_index == u).any())
        }
        normals = torch.stack(
            [pad_normal(s, n, meta, u, sensor_frame, stamps) for n, s in pads.items()], 2
        )  # (n, 3, pads)
        strength = (torch.linalg.pinv(normals, rtol=PAD_RANK_TOLERANCE) @ force_change.to(normals)[..., None])[
            :, list(pads).index(call.name)
        ]
        load = force[mine].to(torch.float64).clamp(min=0)
        share = load / load.sum(1, keepdim=True).clamp(min=1e-12)
        force[mine] = (load + share * strength).clamp(min=0).to(force)
    return stream.with_values(force=force)


def carrying_link(rig: Rig, frame: str) -> str | None:
    """The joint-driven link that carries a frame; None where no joint moves it."""
    chain = rig.ancestors(frame) if frame in rig.frames else []
    return next((n for n in chain if isinstance(rig.frames[n].pose, JointPose)), None)


def pad_normal(stream: Taxels, name: str, meta: SampleMeta, number: int, frame: str, times: Tensor) -> Tensor:
    """Mean normal of a pad by its load, with the true poses of its elements.

    Args:
        stream: of the pad. name: of the stream. meta, number: metadata and index of the sample.
        frame: that the normal is given in. times: (n,) int64 ns.

    Returns:
        (n, 3) float64; zero where nothing presses.
    """
    mine = (stream.sample_index == number).nonzero()[:, 0]
    nearest = mine[torch.searchsorted(stream.true_capture_times[mine], times).clamp(max=len(mine) - 1)]
    load = stream.values["force"][nearest].to(torch.float64).clamp(min=0)
    sensor = meta.true_rig.sensors.get(name)
    known = sensor.poses if isinstance(sensor, TaxelSensor) else None
    poses = stream.poses[nearest] if known is None else known
    own = (poses[..., :3, 2].to(load) * load[..., None]).sum(1)
    own = own / load.sum(1, keepdim=True).clamp(min=1e-12)
    R = meta.true_rig.T_at_times(frame, stream.frame, times)[:, :3, :3]
    return (R.to(own) @ own[..., None])[..., 0]


@dataclass(frozen=True, kw_only=True)
class ForceNoise(ContactTransform):
    """White noise of ``force`` N and ``torque`` Nm on every axis of wrenches, as a hand that is touched all over."""

    scope: str = "sensor"
    force: Range = (0.0, 0.5)
    torque: Range = (0.0, 0.05)

    version: ClassVar[int] = 2  # since 2026-11: noise by rows
    dense_noise: ClassVar[bool] = True
    scopes: ClassVar[tuple[str, ...]] = ("scene", "sample", "sensor")
    limits: ClassVar[dict[str, tuple[float, float]]] = {"force": (0.0, 1e4), "torque": (0.0, 1e4)}
    strengths: ClassVar[Strengths] = {
        "force": Strength(0.0, 0.47, "linear", "probe", "N"),
        "torque": Strength(0.0, 0.0041, "linear", "probe", "Nm"),
    }
    example: ClassVar[dict[str, Any]] = {"force": 0.5}

    @classmethod
    def wrench_change(cls, params: Mapping[str, Any], name: str, times: Tensor, span: tuple[int, int]) -> Tensor:
        """White Gaussian noise of ``force`` N and ``torque`` Nm per axis and item."""
        drawn = normal(row_key(params["noise"], name), cells(times, 6)).to(torch.float64)
        drawn[:, :3] *= params["force"]
        drawn[:, 3:] *= params["torque"]
        return drawn


@dataclass(frozen=True, kw_only=True)
class PushDisturbance(ContactTransform):
    """A push on the hand: half a sine of ``duration`` seconds up to ``peak`` N, in any direction, at any time."""

    scope: str = "sensor"
    peak: Range = (2.0, 15.0)
    duration: Range = (0.05, 0.3)

    scopes: ClassVar[tuple[str, ...]] = ("scene", "sample", "sensor")
    limits: ClassVar[dict[str, tuple[float, float]]] = {"peak": (0.0, 1e4), "duration": (1e-3, 100.0)}
    strengths: ClassVar[Strengths] = {
        "peak": Strength(0.0, 5.7, "linear", "probe", "N"),
        "duration": "how long, not how hard",
    }
    example: ClassVar[dict[str, Any]] = {"peak": [2.0, 15.0]}

    def sample_params(self, rng: np.random.Generator, sample: Sample, context: Context) -> dict[str, Any]:
        """Strength, length, begin as a share of the time there is, and direction in the sensor's frame."""
        direction = rng.standard_normal(3)
        direction /= np.linalg.norm(direction)
        return {"peak": draw(self.peak, rng), "duration": draw(self.duration, rng), "begin": float(rng.random()),
                "direction": direction.tolist()}  # fmt: skip

    @classmethod
    def wrench_change(cls, params: Mapping[str, Any], name: str, times: Tensor, span: tuple[int, int]) -> Tensor:
        """Half a sine of ``peak`` N along ``direction`` during ``duration`` seconds; no torque.

        It begins at the share ``begin`` of the time that is left.
        """
        length = params["duration"] * 1e9
        begin = span[0] + params["begin"] * max(0.0, span[1] - span[0] - length)
        phase = (times.to(torch.float64) - begin) / length
        strength = params["peak"] * torch.sin(math.pi * phase) * ((phase >= 0) & (phase <= 1))
        force = strength[:, None] * torch.tensor(params["direction"], dtype=torch.float64)
        return torch.cat([force, torch.zeros_like(force)], 1)
