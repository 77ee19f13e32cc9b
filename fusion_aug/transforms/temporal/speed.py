"""Changes of speed: one map of time for all sensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from calib import JointPose, Rig
from calib.replacing import replace_unchecked
from calib.trajectory import MovingPose, Trajectory
from fusion_aug.core.parameters import ParameterRows
from fusion_aug.core.ranges import Range, draw
from fusion_aug.core.registry import Call, Context, find_transform, handles, refuse_opaque
from fusion_aug.core.strength import Strength, Strengths
from fusion_aug.core.transform import Transform
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.physics.timewarp import Warp
from fusion_aug.sample import Ref, Sample, SampleMeta
from fusion_aug.sample.history import History
from fusion_aug.streams import Opaque, Points, Stream
from fusion_aug.streams.families import Temporal
from fusion_aug.transforms.cloud.unknown_fields import refuse_unknown_rates
from fusion_aug.transforms.temporal.dynamics import approximated_columns
from fusion_aug.transforms.temporal.laws import warp_stream, with_unwarped_times

LINK_STEP_NS = 1_000_000  # step of the readings of a link in new time
MAX_TIMING_ERROR = 1e-4  # s by which a pose between two known ones may come early or late: 3 mm at 30 m/s


@dataclass(frozen=True, kw_only=True)
class WarpTransform(Transform, Temporal, abstract=True):
    """A map of time that all sensors share. Pictures, sweeps and labels get new times; signals are interpolated."""

    scope: str = "scene"

    scopes: ClassVar[tuple[str, ...]] = ("scene", "sample")
    inverse: ClassVar[str] = "exact"  # of what has stamps of its own
    exemptions: ClassVar[dict[str, str]] = {
        "keeps_rows": "signals of a fixed rate get more or fewer samples",
        "invertible": "signals were read between their samples",
        "differentiable": "it has no geometric parameter",
    }

    def effects(self) -> dict[str, str]:
        """ "time": all times change; formats without times cannot hold it."""
        return {"time": f"{type(self).__name__}.p"}

    @classmethod
    def warp(cls, params: Mapping[str, Any], start: int) -> Warp:
        """Return the time map of drawn parameters.

        Args:
            params: drawn parameters. start: ns, the time that the map keeps.

        Returns:
            a ``Warp`` from new time to old.
        """
        raise NotImplementedError

    @classmethod
    def before(cls, sample: Sample, index: int, params: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """The time that the map keeps, and the columns that stay approximate."""
        return {"start": warp_origin(sample.metas[index]), "approximate": approximated_columns(sample, index)}

    @classmethod
    def undo(cls, stream: Stream, params: Mapping[str, Any], before: Mapping[str, Any], name: str) -> Stream:
        """A stream that keeps its items, back in old time.

        Raises:
            DataError: it is a continuous signal, which was interpolated between its samples.
        """
        if stream.is_continuous:
            raise DataError(f"invert: {cls.__name__} cannot be undone on {type(stream).__name__}: it was resampled")
        return with_unwarped_times(stream, cls.warp(params, int(before["start"])))

    @classmethod
    def apply(cls, sample: Sample, parameters: ParameterRows, context: Context) -> Sample:
        """Map rigs, references and streams."""
        warps = [
            cls.warp(parameters.of(u), warp_origin(meta)).keeping_apart(stamps_of(sample, u))
            for u, meta in enumerate(sample.metas)
        ]
        out = cls.visit(sample, parameters, context, warps)
        metas = []
        for meta, warp in zip(sample.metas, warps, strict=True):
            rig = warp_rig(meta.rig, warp)
            true_rig = rig if meta.true_rig is meta.rig else warp_rig(meta.true_rig, warp)
            time = int(warp.new(_time_tensor(meta.ref.time))[0])
            metas.append(
                replace_unchecked(meta, rig=rig, true_rig=true_rig, ref=Ref(meta.ref.frame, time), start=warp.start)
            )
        return replace_unchecked(out, metas=tuple(metas))


def warp_origin(meta: SampleMeta) -> int:
    """The time (ns) that a scene's warps keep: its first reference time."""
    return meta.ref.time if meta.start is None else meta.start


def stamps_of(sample: Sample, index: int) -> Tensor:
    """All times (n,) int64 ns, as they truly were, at which one sample knows a pose or was captured."""
    meta = sample.metas[index]
    poses = [f.pose for rig in {id(r): r for r in (meta.rig, meta.true_rig)}.values() for f in rig.frames.values()]
    items = [s.true_capture_times[s.sample_index == index] for s in sample.streams.values()]
    return torch.cat([torch.tensor([meta.ref.time]), *(p.times for p in poses if isinstance(p, MovingPose)), *items])


def _time_tensor(time: int) -> Tensor:
    return torch.tensor([time])


def warp_rig(rig: Rig, warp: Warp) -> Rig:
    """The rig with its moving poses in new time, and with readout and exposure of its cameras over the mean speed."""
    known: dict[int, Any] = {}

    def new(pose: MovingPose) -> MovingPose:
        if isinstance(pose, JointPose):
            pose = pose.refined(LINK_STEP_NS)
        elif isinstance(pose, Trajectory) and warp.waves:
            pose = pose.refined(warp.parts(pose.times, MAX_TIMING_ERROR))
        key = id(pose.times)
        if key not in known:
            known[key] = (pose.times, warp.new(pose.times))  # the old ones too, or another could take their id
        moved = pose.retimed(known[key][1])
        if isinstance(moved, JointPose) and isinstance(pose, JointPose):
            ends = pose.times[[0, 0, -1, -1]] + pose.effective_hold_ns * torch.tensor([-1, 0, 0, 1])
            new = warp.new(ends)
            moved = replace_unchecked(moved, reach=int(max(new[1] - new[0], new[3] - new[2])) + 1)
        return moved

    frames = {
        n: replace_unchecked(f, pose=new(f.pose)) if isinstance(f.pose, MovingPose) else f
        for n, f in rig.frames.items()
    }
    return Rig(frames, {n: _with_scaled_exposure(s, warp.mean) for n, s in rig.sensors.items()})


def _with_scaled_exposure(sensor: Any, speed: float) -> Any:
    """A camera whose pictures show the same rows and blur, in a world that moves ``speed`` times as fast."""
    scaled = {k: getattr(sensor, k) / speed for k in ("readout", "exposure") if getattr(sensor, k, None)}
    return replace_unchecked(sensor, **scaled) if scaled and speed != 1 else sensor


def warps_of(history: History) -> list[Warp]:
    """The warps of a history, in order."""
    warps = []
    for record in history:
        cls = find_transform(record.name)
        if record.applied and isinstance(cls, type) and issubclass(cls, WarpTransform):
            warps.append(cls.warp(record.params[""], int(record.before["start"])))
    return warps


class TimeMap:
    """The map from old to new time by all warps of a history.

    Args:
        history: of a sample. expected: (n,) int64 ns, old times that will be asked for: all are mapped at once, which
            costs little more than one.
    """

    def __init__(self, history: History, expected: Tensor | None = None):
        self.warps = warps_of(history)
        old = torch.zeros(0, dtype=torch.int64) if expected is None or not self.warps else expected.unique()
        self._old, self._new = old.numpy(), self.of_all(old).numpy()

    def of_all(self, times: Tensor) -> Tensor:
        """New times (n,) int64 ns of old ones."""
        for warp in self.warps:
            times = warp.new(times)
        return times

    def __call__(self, time: int) -> int:
        """The new time (ns) of an old one."""
        if not self.warps:
            return time
        at = int(np.searchsorted(self._old, time))
        if at < len(self._old) and self._old[at] == time:
            return int(self._new[at])
        return int(self.of_all(_time_tensor(time))[0])


@handles(WarpTransform, Stream)
def handle_warp(stream: Stream, call: Call) -> Stream:
    """The stream in new time, by the laws of physics of its columns (``laws.warp_stream``)."""
    if isinstance(stream, Points):
        refuse_unknown_rates(stream, call.name, call.transform)
    return warp_stream(stream, call.name, call.sample, call.family_state)


@handles(WarpTransform, Opaque)
def handle_opaque(stream: Opaque, call: Call) -> Stream:
    """New stamps for what holds no motion; anything else that is not understood is refused."""
    return handle_warp(stream, call) if stream.is_untouched_by(call.transform) else refuse_opaque(stream, call)


@dataclass(frozen=True, kw_only=True)
class SpeedWarp(WarpTransform):
    """Everything happens ``speed`` times as fast."""

    speed: Range = (0.7, 1.4)

    version: ClassVar[int] = 2  # since 2026-11: deltas in the tool's frame add up to its path
    limits: ClassVar[dict[str, tuple[float, float]]] = {"speed": (0.05, 20.0)}
    strengths: ClassVar[Strengths] = {
        "speed": Strength(1.0, (0.5, 2.0), "log", "declared: loses nothing; half and twice as fast", exact=False),
    }
    excludes: ClassVar[str] = "speed"
    example: ClassVar[dict[str, Any]] = {"speed": [0.7, 1.4]}

    @classmethod
    def warp(cls, params: Mapping[str, Any], start: int) -> Warp:
        """A constant speed: t = start + ``speed`` (u - start)."""
        return Warp(start, float(params["speed"]))


@dataclass(frozen=True, kw_only=True)
class TimeWarp(WarpTransform):
    """A speed that varies smoothly between ``slowest`` and ``fastest``.

    Attributes:
        slowest, fastest: limits of the local speed.
        period: seconds of the longest wave of the speed.
        waves: how many waves, each half as long as the one before.
    """

    slowest: float = 0.55
    fastest: float = 1.45
    period: Range = (1.5, 4.0)
    waves: int = 1

    version: ClassVar[int] = 2  # since 2026-11: deltas in the tool's frame add up to its path
    limits: ClassVar[dict[str, tuple[float, float]]] = {"period": (0.01, 1e5)}
    strengths: ClassVar[Strengths] = {"period": "how fast the speed changes; slowest and fastest say how much"}
    excludes: ClassVar[str] = "speed"
    example: ClassVar[dict[str, Any]] = {"slowest": 0.7, "fastest": 1.4}

    def __post_init__(self) -> None:
        super().__post_init__()
        for field in ("slowest", "fastest"):
            value = getattr(self, field)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ConfigError(f"TimeWarp.{field}: expected a number (the speed swells between two), got {value!r}")
        if not 0.05 <= self.slowest <= self.fastest <= 20:
            raise ConfigError(
                f"TimeWarp.slowest: expected 0.05 <= slowest <= fastest <= 20, got {self.slowest} and {self.fastest}"
            )
        if type(self.waves) is not int or not 1 <= self.waves <= 8:
            raise ConfigError(f"TimeWarp.waves: expected a whole number from 1 to 8, got {self.waves!r}")

    def sample_params(self, rng: np.random.Generator, sample: Sample, context: Context) -> dict[str, Any]:
        """Mean speed and waves (amplitude, Hz, phase)."""
        period = draw(self.period, rng)
        shares = rng.uniform(0.3, 1.0, self.waves)
        shares *= (self.fastest - self.slowest) / 2 / shares.sum()
        phases = rng.uniform(0, 2 * np.pi, self.waves)
        waves = [[float(a), 2**k / period, float(p)] for k, (a, p) in enumerate(zip(shares, phases, strict=True))]
        return {"mean": (self.slowest + self.fastest) / 2, "waves": waves}

    @classmethod
    def warp(cls, params: Mapping[str, Any], start: int) -> Warp:
        """Speed ``mean`` plus the drawn sine waves (amplitude, Hz, phase in rad)."""
        return Warp(start, float(params["mean"]), [(float(a), float(f), float(p)) for a, f, p in params["waves"]])
