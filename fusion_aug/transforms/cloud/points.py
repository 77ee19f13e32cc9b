"""Selection and noise of points."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from calib.ties import cell_of
from fusion_aug.core.ranges import Range
from fusion_aug.core.registry import Call, handles
from fusion_aug.core.strength import Strength, Strengths
from fusion_aug.core.transform import Transform
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.ops.hashed import ItemNoise, RowKey, chance, words
from fusion_aug.ops.normals import normal
from fusion_aug.ops.random import noise
from fusion_aug.streams import Points
from fusion_aug.streams.columns import take_rows
from fusion_aug.streams.families import PointOp


@dataclass(frozen=True, kw_only=True)
class PointTransform(Transform, PointOp, abstract=True):
    """A change of clouds, LiDAR and radar alike. Boxes are not touched; writers count their points again."""

    scope: str = "sensor"

    scopes: ClassVar[tuple[str, ...]] = ("scene", "sample", "sensor", "timestep")
    exemptions: ClassVar[dict[str, str]] = {
        "invertible": "lost points do not come back",
        "keeps_counts": "boxes lose or gain the points that were lost or moved",
        "differentiable": "it has no geometric parameter",
        "commutes": "distances are measured after pending motions",
    }
    loss_reason: ClassVar[str] = "dropped"


def keep_points(stream: Points, call: Call, rule: Callable[[int, Mapping[str, Any]], Tensor]) -> Points:
    """Keep rows by a rule per item that is asked for; returns the stream itself if all stay."""
    keep = list(torch.ones(stream.rows, dtype=torch.bool).split(stream.counts.tolist()))
    for i, params in call.asked:
        keep[i] = rule(i, params)
    mask = torch.cat(keep) if keep else torch.zeros(0, dtype=torch.bool)
    return stream if bool(mask.all()) else stream.select(mask)


def item_key(stream: Points, call: Call, item: int, params: Mapping[str, Any], *purpose: str) -> RowKey:
    """Key of the dense noise of an item of a stream; ``purpose`` tells what else is drawn for its rows."""
    return ItemNoise(params["noise"], call.name, int(stream.capture_times[item])).rows(*purpose)


def scanner_place(stream: Points, item: int, call: Call) -> Tensor | None:
    """Where the scanner of an item stands, (3,) float64, m, in the cloud's frame; None where that is its origin.

    A rig may say that the scanner's frame is another one than that which its cloud is given in.

    Raises:
        DataError: the cloud is given in the world, and nothing says where its scanner stands there.
    """
    if not call.sample.metas or stream.frame not in call.sample.metas[0].true_rig.frames:
        return None
    rig, time = call.sample.metas[int(stream.sample_index[item])].true_rig, int(stream.true_capture_times[item])
    sensor = rig.sensors.get(call.name)
    frame = stream.frame if sensor is None else sensor.frame
    if frame != stream.frame:
        return rig.T(stream.frame, frame, time)[:3, 3]
    if rig.frames[frame].axis_convention == "world":
        raise DataError(
            f"stream {call.name!r}: is given in {frame!r}, where no scanner stands, so its rays are not known; name "
            f"the scanner's frame in log.rig (sensors: {{{call.name}: {{kind: lidar, frame: FRAME}}}}), or leave it out"
        )
    return None


def scanner_rays(stream: Points, item: int, call: Call) -> tuple[Tensor, Tensor]:
    """Origins of the rays of an item's points, and the vectors from there to the points, both (rows, 3) float64, m."""
    rows = stream.item_slice(item)
    xyz = stream["xyz"][rows].to(torch.float64)
    start = torch.zeros_like(xyz)
    if stream.origins and "origin" in stream.values:
        meta, time = call.sample.metas[int(stream.sample_index[item])], int(stream.true_capture_times[item])
        places = torch.stack([meta.true_rig.T(stream.frame, frame, time)[:3, 3] for frame in stream.origins])
        start = places.to(xyz)[stream.values["origin"][rows].long()]
    elif (place := scanner_place(stream, item, call)) is not None:
        start = place.to(xyz).expand_as(xyz)
    return start, xyz - start


def scanner_ranges(stream: Points, item: int, call: Call) -> Tensor:
    """Distance (rows,) of an item's points from the scanner that measured them, metres, float64."""
    return torch.linalg.norm(scanner_rays(stream, item, call)[1], dim=1)


@dataclass(frozen=True, kw_only=True)
class PointDropout(PointTransform):
    """Drop each point with probability ``share``."""

    share: Range

    version: ClassVar[int] = 2  # since 2026-11: noise by rows
    dense_noise = True
    limits: ClassVar[dict[str, tuple[float, float]]] = {"share": (0.0, 1.0)}
    exemptions: ClassVar[dict[str, str]] = PointTransform.exemptions | {"keeps_rows": "it drops points on purpose"}
    strengths: ClassVar[Strengths] = {
        "share": Strength(0.0, 0.9, "linear", "suite/points_reducing", "share of the points"),
    }
    example: ClassVar[dict[str, Any]] = {"share": [0.1, 0.5]}


@handles(PointDropout, Points, by_item=True)
def drop_points(stream: Points, call: Call) -> Points:
    """Keep a random subset."""

    def rule(item: int, params: Mapping[str, Any]) -> Tensor:
        lost: Tensor = chance(item_key(stream, call, item, params), stream.noise_rows(item), params["share"])
        return ~lost

    return keep_points(stream, call, rule)


@dataclass(frozen=True, kw_only=True)
class ShufflePoints(PointTransform):
    """Put the points of each item in a random order."""

    dense_noise = True
    exemptions: ClassVar[dict[str, str]] = {
        "keeps_rows": "it changes the order on purpose",
        "invertible": "the order of before is not kept",
        "differentiable": "it has no geometric parameter",
    }


@handles(ShufflePoints, Points)
def shuffle_points(stream: Points, call: Call) -> Points:
    """Permute rows within each item; a pending motion stays pending."""
    rows = []
    for i, params in enumerate(call.params):
        own = stream.item_slice(i)
        rng = noise(params["noise"], call.name, int(stream.capture_times[i]))
        rows.append(own.start + torch.from_numpy(rng.permutation(own.stop - own.start)))
    order = torch.cat(rows) if rows else torch.zeros(0, dtype=torch.int64)
    numbers = stream.row_keys[order]
    return replace(stream, values=take_rows(stream.values, order), offsets=stream.bounds, source_rows=numbers)


@dataclass(frozen=True, kw_only=True)
class VoxelSubsample(PointTransform):
    """Keep one point, drawn at random, of every cube of ``size`` metres."""

    size: Range

    version: ClassVar[int] = 2  # since 2026-11: noise by rows
    dense_noise = True
    limits: ClassVar[dict[str, tuple[float, float]]] = {"size": (1e-3, 1e3)}
    exemptions: ClassVar[dict[str, str]] = PointTransform.exemptions | {"keeps_rows": "it drops points on purpose"}
    strengths: ClassVar[Strengths] = {"size": Strength(0.001, 0.58, "linear", "probe", "m", exact=False)}
    example: ClassVar[dict[str, Any]] = {"size": [0.5, 3.0]}


@handles(VoxelSubsample, Points, by_item=True)
def subsample_points(stream: Points, call: Call) -> Points:
    """Keep the first point of each cube in a random order. Points that are not finite are removed."""
    stream = stream.realized()

    def rule(item: int, params: Mapping[str, Any]) -> Tensor:
        xyz = stream["xyz"][stream.item_slice(item)].detach().cpu().to(torch.float64).numpy()
        order = np.argsort(words(item_key(stream, call, item, params), stream.noise_rows(item).numpy()))
        order = order[np.isfinite(xyz[order]).all(1)]
        _, first = np.unique(cell_of(xyz[order] / params["size"]).astype(np.int64), axis=0, return_index=True)
        keep = torch.zeros(len(xyz), dtype=torch.bool)
        keep[torch.from_numpy(order[first])] = True
        return keep

    return keep_points(stream, call, rule)


@dataclass(frozen=True, kw_only=True)
class RangeJitter(PointTransform):
    """Move each point along its ray by Gaussian noise of standard deviation ``sigma`` metres, never past the sensor."""

    sigma: Range

    version: ClassVar[int] = 2  # since 2026-11: noise by rows
    dense_noise = True
    limits: ClassVar[dict[str, tuple[float, float]]] = {"sigma": (0.0, 100.0)}
    exemptions: ClassVar[dict[str, str]] = PointTransform.exemptions | {
        "content_identity": "points are moved on purpose"
    }
    strengths: ClassVar[Strengths] = {"sigma": Strength(0.0, 0.2, "linear", "suite/lidar_noise", "m")}
    example: ClassVar[dict[str, Any]] = {"sigma": 0.05}


@handles(RangeJitter, Points, by_item=True)
def jitter_points(stream: Points, call: Call) -> Points:
    """Scale every ray."""
    stream = stream.realized()
    xyz = stream["xyz"].clone()
    for i, params in call.asked:
        rows = stream.item_slice(i)
        drawn = normal(item_key(stream, call, i, params), stream.noise_rows(i).to(xyz.device))
        shift = drawn.to(torch.float64) * params["sigma"]
        start, way = scanner_rays(stream, i, call)
        factor = (1 + shift / torch.linalg.norm(way, dim=1).clamp(min=1e-6)).clamp(min=0.01)
        xyz[rows] = (start + way * factor[:, None]).to(xyz.dtype)
    return stream.with_values(xyz=xyz)


@dataclass(frozen=True, kw_only=True)
class RangeCrop(PointTransform):
    """Keep points from ``low`` to ``high`` metres from the sensor. NaN points are removed."""

    low: float = 0.0
    high: float = float("inf")

    exemptions: ClassVar[dict[str, str]] = PointTransform.exemptions | {"keeps_rows": "it drops points on purpose"}
    example: ClassVar[dict[str, Any]] = {"low": 3.0, "high": 30.0}
    loss_reason: ClassVar[str] = "out of range"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not all(isinstance(v, int | float) for v in (self.low, self.high)) or not 0 <= self.low <= self.high:
            raise ConfigError(f"RangeCrop: expected 0 <= low <= high, got {self.low}, {self.high}")

    def sample_params(self, rng: np.random.Generator, sample: Any, context: Any) -> dict[str, Any]:
        """The two limits; an open upper end is null, since JSON has no infinity."""
        return {"low": self.low, "high": self.high if np.isfinite(self.high) else None}


@handles(RangeCrop, Points, by_item=True)
def crop_points(stream: Points, call: Call) -> Points:
    """Keep a shell."""

    def rule(item: int, params: Mapping[str, Any]) -> Tensor:
        distance = scanner_ranges(stream, item, call)
        high = float("inf") if params["high"] is None else params["high"]
        return (distance >= params["low"]) & (distance <= high)

    return keep_points(stream, call, rule)
