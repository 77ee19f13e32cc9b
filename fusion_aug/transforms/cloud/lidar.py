"""What LiDARs do: lost beams, other intensities, another number of beams. Radars are left alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from calib import LidarSensor, Rig
from calib.replacing import replace_unchecked
from fusion_aug.core.parameters import ParameterRows
from fusion_aug.core.ranges import Range
from fusion_aug.core.registry import Call, Context, handles
from fusion_aug.core.strength import Strength, Strengths
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.ops.hashed import chance, row_key
from fusion_aug.ops.rings import ring_elevations, to_elevations
from fusion_aug.sample import Sample
from fusion_aug.streams import Lidar, Points
from fusion_aug.streams.columns import take_rows
from fusion_aug.transforms.cloud.points import PointTransform, keep_points


def check_rings(stream: Points, name: str) -> None:
    """Raise where the beams of a cloud are unknown.

    Raises:
        DataError: the cloud has no ring column.
    """
    if "ring" not in stream.values:
        raise DataError(f"stream {name!r}: has no column 'ring', so its beams are unknown")


def rings_of(stream: Points, name: str) -> Tensor:
    """Ring number of every point; raises as ``check_rings``."""
    check_rings(stream, name)
    ring: Tensor = stream.values["ring"]
    return ring


def lidar_of(call: Call, stream: Points, item: int) -> LidarSensor:
    """The rig's model of the scanner; a standard one where the rig has none."""
    sensor = call.sample.metas[int(stream.sample_index[item])].true_rig.sensors.get(call.name)
    return sensor if isinstance(sensor, LidarSensor) else LidarSensor(frame=stream.frame)


def lidar_with_scale(call: Call, stream: Points, item: int) -> LidarSensor:
    """The model of the scanner of a cloud whose intensities are used; of one that has none the scale is 1.

    Raises:
        DataError: nobody knows the scale of the intensities.
    """
    sensor, rows = lidar_of(call, stream, item), stream.item_slice(item)
    if "intensity" not in stream.values or rows.start == rows.stop:
        return replace_unchecked(sensor, intensity_scale=1.0)
    if sensor.intensity_scale is None:
        low, high = (float(v) for v in stream.values["intensity"][rows].detach().aminmax())
        raise DataError(
            f"{call.transform.__name__}: the scale of the intensities of {call.name!r}, from {low:g} to {high:g}, is "
            f"not known; give the largest that a return can have, such as log.intensity_scale=255, or the sensor's "
            f"intensity_scale in log.rig"
        )
    return sensor


class LidarTransform(PointTransform, abstract=True):
    """A change of LiDAR clouds; a radar has no beams."""


@dataclass(frozen=True, kw_only=True)
class BeamDropout(LidarTransform):
    """Lose whole beams: each ring with probability ``share``."""

    share: Range

    version: ClassVar[int] = 2  # since 2026-11: noise by rows
    limits: ClassVar[dict[str, tuple[float, float]]] = {"share": (0.0, 1.0)}
    exemptions: ClassVar[dict[str, str]] = PointTransform.exemptions | {"keeps_rows": "it drops points on purpose"}
    strengths: ClassVar[Strengths] = {"share": Strength(0.0, 0.8, "linear", "suite/beam_missing", "share of the beams")}
    example: ClassVar[dict[str, Any]] = {"share": [0.1, 0.4]}

    def sample_params(self, rng: np.random.Generator, sample: Sample, context: Context) -> dict[str, Any]:
        """The share, and which beams are lost: the same in every scan that shares the draw."""
        return {**super().sample_params(rng, sample, context), "beams": f"{int(rng.integers(2**62)):x}"}


@handles(BeamDropout, Lidar, by_item=True)
def drop_beams(stream: Points, call: Call) -> Points:
    """Keep the points of the beams that work."""
    ring = rings_of(stream, call.name).cpu()

    def rule(item: int, params: Mapping[str, Any]) -> Tensor:
        own = ring[stream.item_slice(item)].long()
        lost = chance(row_key(params["beams"], call.name), own, params["share"])
        return ~lost | (own < 0)  # a point of no known beam stays

    return keep_points(stream, call, rule)


@dataclass(frozen=True, kw_only=True)
class IntensityGain(LidarTransform):
    """Change intensities to ``gain`` times their power ``gamma``, as shares of the sensor's scale, and clip."""

    gain: Range = 1.0
    gamma: Range = 1.0

    limits: ClassVar[dict[str, tuple[float, float]]] = {"gain": (0.0, 100.0), "gamma": (0.01, 100.0)}
    exemptions: ClassVar[dict[str, str]] = {
        "invertible": "clipped intensities are lost",
        "differentiable": "it has no geometric parameter",
    }
    strengths: ClassVar[Strengths] = {
        "gain": Strength(1.0, (0.58, 1.7), "log", "probe"),
        "gamma": Strength(1.0, (0.78, 1.3), "log", "probe"),
    }
    example: ClassVar[dict[str, Any]] = {"gain": [0.5, 2.0], "gamma": [0.8, 1.2]}


@handles(IntensityGain, Lidar, by_item=True)
def change_intensity(stream: Points, call: Call) -> Points:
    """Change the column; a pending motion stays pending."""
    if "intensity" not in stream.values:
        return stream
    intensity = stream.values["intensity"].clone()
    for i, params in call.asked:
        rows = stream.item_slice(i)
        scale = lidar_with_scale(call, stream, i).scale
        share = (intensity[rows].to(torch.float64) / scale).clamp(0, 1)
        intensity[rows] = (scale * (params["gain"] * share ** params["gamma"]).clamp(0, 1)).to(intensity)
    return stream.with_values(intensity=intensity)


@dataclass(frozen=True, kw_only=True)
class RingResample(LidarTransform):
    """See the scene with a LiDAR of other beams, such as 32 instead of 64.

    Each new beam lies between two old ones; where both hit one surface, the new point lies on the line between their
    points, at the new elevation (exact on planes). Elsewhere the nearer beam's point is kept. Beams outside the old
    field of view stay empty. The rig's sensor takes the new elevations. Beams are cones about the sensor's z axis:
    resample before a Viewpoint tilts it.

    Attributes:
        beams: number of beams, spread evenly from ``lowest_deg`` to ``highest_deg``.
        lowest_deg, highest_deg: elevations of the outermost beams; the old sensor's by default.
        elevations_deg: all elevations, lowest first, instead.
        columns: columns per revolution; those of the old sensor by default.
    """

    beams: int | None = None
    lowest_deg: float | None = None
    highest_deg: float | None = None
    elevations_deg: tuple[float, ...] | None = None
    columns: int | None = None

    scopes: ClassVar[tuple[str, ...]] = ("scene", "sample", "sensor")
    exemptions: ClassVar[dict[str, str]] = PointTransform.exemptions | {
        "keeps_rows": "points of other beams are other points",
        "content_identity": "points are made between beams on purpose",
    }
    example: ClassVar[dict[str, Any]] = {"beams": 16}

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.beams is None) == (self.elevations_deg is None):
            raise ConfigError("RingResample: give either beams or elevations_deg")
        if self.beams is not None and (type(self.beams) is not int or self.beams < 1):
            raise ConfigError(f"RingResample.beams: expected a whole number of at least 1, got {self.beams!r}")
        if self.elevations_deg is not None and list(self.elevations_deg) != sorted(self.elevations_deg):
            raise ConfigError("RingResample.elevations_deg: expected the lowest beam first")
        ends = (self.lowest_deg, self.highest_deg)
        if any(e is not None and not isinstance(e, int | float) for e in ends):
            raise ConfigError(f"RingResample: expected lowest_deg and highest_deg in degrees, got {ends}")
        if None not in ends and self.lowest_deg >= self.highest_deg:  # type: ignore[operator]
            raise ConfigError(f"RingResample: lowest_deg {self.lowest_deg} does not lie below {self.highest_deg}")
        if self.columns is not None and (type(self.columns) is not int or self.columns < 1):
            raise ConfigError(f"RingResample.columns: expected a whole number of at least 1, got {self.columns!r}")

    @classmethod
    def apply(cls, sample: Sample, parameters: ParameterRows, context: Context) -> Sample:
        """Change the clouds, and the elevations of the sensors in the reported and the true rig."""
        out = cls.visit(sample, parameters, context)
        for u, meta in enumerate(sample.metas):
            rig, true_rig = meta.rig, meta.true_rig
            for name, stream in sample.of_type(Lidar).items():
                if not isinstance(rig.sensors.get(name), LidarSensor):
                    continue
                mine = (stream.sample_index == u).nonzero()[:, 0]
                if len(mine):
                    new = tuple(
                        new_elevations(stream, int(mine[0]), parameters.of(u, name), rig.sensors[name], name).tolist()
                    )
                    rig, true_rig = (_with_elevations(r, name, new) for r in (rig, true_rig))
            out = out.with_meta(u, rig=rig, true_rig=rig if meta.true_rig is meta.rig else true_rig)
        return out


def _with_elevations(rig: Rig, name: str, elevations: tuple[float, ...]) -> Rig:
    return rig.with_sensor(name, replace_unchecked(rig.sensors[name], elevations=elevations))


def old_elevations(stream: Points, item: int, sensor: Any, name: str) -> np.ndarray:
    """Elevation of every ring, radians: the sensor model's, else measured."""
    if isinstance(sensor, LidarSensor) and sensor.elevations:
        return np.array(sensor.elevations)
    cloud = stream.realized()
    rows = cloud.item_slice(item)
    return ring_elevations(cloud.values["xyz"][rows], rings_of(cloud, name)[rows])


def new_elevations(stream: Points, item: int, params: Mapping[str, Any], sensor: Any, name: str) -> np.ndarray:
    """Elevations that the parameters ask for, radians, lowest first."""
    if params["elevations_deg"] is not None:
        return np.radians(params["elevations_deg"])
    old = old_elevations(stream, item, sensor, name)
    if not np.isfinite(old).any():
        return np.zeros(0)  # no point, so no beam
    low = np.nanmin(old) if params["lowest_deg"] is None else np.radians(params["lowest_deg"])
    high = np.nanmax(old) if params["highest_deg"] is None else np.radians(params["highest_deg"])
    return np.linspace(low, high, params["beams"])


@handles(RingResample, Lidar)
def resample_rings(stream: Points, call: Call) -> Points:
    """Make the points of every new beam, item by item."""
    stream = stream.realized()
    rings_of(stream, call.name)
    if stream.origins:
        scanners = ", ".join(stream.origins)
        raise DataError(f"stream {call.name!r}: joins the clouds of {scanners}, which are not the beams of one LiDAR")
    parts, moved = [], []
    for i, (params, columns) in enumerate(zip(call.params, stream.realized_items(), strict=True)):
        sensor = lidar_of(call, stream, i)
        old = old_elevations(stream, i, sensor, call.name)
        new = new_elevations(stream, i, params, sensor, call.name)
        rows, xyz, ring = to_elevations(columns["xyz"], columns["ring"], old, new, params["columns"])
        chosen = take_rows(columns, rows)
        parts.append(chosen)
        moved.append({"xyz": xyz.to(columns["xyz"]), "ring": ring.to(columns["ring"])})
    if not parts:
        return stream
    return stream.repacked(parts).with_values(**{n: torch.cat([m[n] for m in moved]) for n in ("xyz", "ring")})
