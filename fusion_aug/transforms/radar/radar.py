"""What radars do: noisy and missing detections, ghosts, clutter, folded Doppler. Only Radar streams change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from calib import RadarSensor
from fusion_aug.core.ranges import Range
from fusion_aug.core.registry import Call, handles
from fusion_aug.core.transform import Transform
from fusion_aug.ops.radar import (
    VELOCITIES,
    Columns,
    appended,
    fresh_flags,
    normal,
    radial,
    rays_of,
    rcs_threshold,
    rotated_about_z,
    sensor_velocity,
)
from fusion_aug.ops.random import noise
from fusion_aug.sample.ego import radar_velocity
from fusion_aug.streams import Radar
from fusion_aug.streams.columns import take_rows
from fusion_aug.streams.families import PointOp


@dataclass(frozen=True, kw_only=True)
class RadarTransform(Transform, PointOp, abstract=True):
    """A change of radar detections. Resolutions come from the rig's ``RadarSensor``."""

    scope: str = "sensor"

    dense_noise = True
    scopes = ("scene", "sample", "sensor", "timestep")
    exemptions: ClassVar[dict[str, str]] = {
        "invertible": "what was measured is overwritten",
        "keeps_counts": "detections are moved, lost or added",
        "differentiable": "it has no geometric parameter",
        "commutes": "resolutions are those of the sensor, in which detections are measured after pending motions",
    }

    @classmethod
    def change(cls, detections: Columns, params: Mapping[str, Any], scan: ScanContext) -> Columns:
        """The columns of one item's detections, changed. Rows may be fewer or more."""
        raise NotImplementedError


@dataclass(frozen=True)
class ScanContext:
    """The circumstances of one scan.

    Attributes:
        sensor: the radar. rng: random stream of the scan.
        own: velocity (3,) of the radar over ground in its own frame, m/s; None where nothing tells it.
        unit, time: of the sample, and its stamp, ns.
    """

    sensor: RadarSensor
    rng: np.random.Generator
    own_velocity: Tensor | None
    index: int
    time: int

    def compensated(self, raw: Tensor, rays: Tensor, old_raw: Tensor, old_comp: Tensor) -> Tensor:
        """Compensated Doppler (n,) of raw ones measured on rays (n, 3): v + own . ray.

        Where the radar's own motion is unknown, the old difference of the two is kept.
        """
        return raw + (old_comp - old_raw if self.own_velocity is None else rays @ self.own_velocity.to(rays))


@handles(RadarTransform, Radar)
def change_radar(stream: Radar, call: Call) -> Radar:
    """Change item by item."""
    return change_each_scan(stream, call, lambda columns, params, scan: call.transform.change(columns, params, scan))


def change_each_scan(
    stream: Radar, call: Call, change: Callable[[Columns, Mapping[str, Any], ScanContext], Columns]
) -> Radar:
    """Change the detections of every item and pack them again; a silent radar stays silent."""
    stream = stream.realized()
    parts = []
    for i, (params, columns) in enumerate(zip(call.params, stream.realized_items(), strict=True)):
        index, time = int(stream.sample_index[i]), int(stream.true_capture_times[i])
        sensor = call.sample.metas[index].true_rig.sensors.get(call.name)
        known = sensor if isinstance(sensor, RadarSensor) else RadarSensor(frame=stream.frame)
        own = radar_velocity(call.sample, stream, i)
        own = sensor_velocity(columns) if own is None else own
        scan = ScanContext(known, noise(params.get("noise", ""), call.name, time), own, index, time)
        parts.append(change(columns, params, scan) if bool(stream.present[i]) else columns)
    return stream.repacked(parts)


@dataclass(frozen=True, kw_only=True)
class RcsNoise(RadarTransform):
    """Vary the radar cross-section: ``bias`` (dB) for all detections of an item, ``sigma`` (dB) for each."""

    sigma: Range = 0.0
    bias: Range = 0.0

    limits: ClassVar[dict[str, tuple[float, float]]] = {"sigma": (0.0, 60.0), "bias": (-60.0, 60.0)}
    exemptions: ClassVar[dict[str, str]] = {k: v for k, v in RadarTransform.exemptions.items() if k != "keeps_counts"}
    example: ClassVar[dict[str, Any]] = {"sigma": [0.0, 3.0], "bias": [-3.0, 3.0]}

    @classmethod
    def change(cls, detections: Columns, params: Mapping[str, Any], scan: ScanContext) -> Columns:
        """See ``RadarTransform``."""
        if "rcs" not in detections:
            return detections
        shift = params["bias"] + normal(scan.rng, params["sigma"], detections)
        return {**detections, "rcs": detections["rcs"] + shift.to(detections["rcs"])}


@dataclass(frozen=True, kw_only=True)
class RadarNoise(RadarTransform):
    """Noise of range, azimuth and Doppler, each a multiple of the sensor's resolution (standard deviation).

    Raw and compensated Doppler get the same noise, as one measurement. An error of the azimuth makes the ego motion be
    taken off for the wrong ray, which the compensated velocity shows, as in a real radar.
    """

    range: Range = 0.0
    azimuth: Range = 0.0
    doppler: Range = 0.0

    limits: ClassVar[dict[str, tuple[float, float]]] = dict.fromkeys(("range", "azimuth", "doppler"), (0.0, 50.0))
    exemptions: ClassVar[dict[str, str]] = RadarTransform.exemptions | {
        "content_identity": "detections are moved on purpose"
    }
    example: ClassVar[dict[str, Any]] = {"range": [0, 1], "azimuth": 1, "doppler": 1}

    @classmethod
    def change(cls, detections: Columns, params: Mapping[str, Any], scan: ScanContext) -> Columns:
        """See ``RadarTransform``."""
        rays, distance = rays_of(detections)
        far = (distance + normal(scan.rng, params["range"] * scan.sensor.range_resolution, detections)).clamp(min=0.1)
        ray = rotated_about_z(rays, normal(scan.rng, params["azimuth"] * scan.sensor.azimuth_resolution, detections))
        speed = normal(scan.rng, params["doppler"] * scan.sensor.doppler_resolution, detections)
        return {
            **detections,
            "xyz": (ray * far[:, None]).to(detections["xyz"]),
            **velocities_on_rays(detections, scan, rays, ray, speed),
        }


def velocities_on_rays(
    detections: Columns, scan: ScanContext, old: Tensor, new: Tensor, speed: Tensor | float = 0.0
) -> Columns:
    """Velocities of detections that are taken to lie on other rays: raw Doppler stays but for an error ``speed``.

    The compensation is made for the ray that was measured, so a wrong angle enters the compensated velocity.
    """
    if "velocity" not in detections or "velocity_comp" not in detections:
        return {
            n: (new * (radial(detections, n, old) + speed)[:, None]).to(detections[n])
            for n in VELOCITIES
            if n in detections
        }
    was_raw, was_comp = (radial(detections, n, old) for n in VELOCITIES)
    raw = was_raw + speed
    comp = scan.compensated(raw, new, was_raw, was_comp)
    return {n: (new * v[:, None]).to(detections[n]) for n, v in zip(VELOCITIES, (raw, comp), strict=True)}


@dataclass(frozen=True, kw_only=True)
class RadarMissed(RadarTransform):
    """Miss detections: each with probability ``share``, and every one whose return falls below a threshold.

    The return falls with the fourth power of the distance, so the threshold is the cross-section that is just detected
    at ``at`` metres: ``min_rcs`` + 40 log10(distance / at) dBsm.
    """

    share: Range = 0.0
    min_rcs: Range = -100.0
    at: Range = 50.0

    limits: ClassVar[dict[str, tuple[float, float]]] = {
        "share": (0.0, 1.0),
        "min_rcs": (-200.0, 100.0),
        "at": (0.1, 1e3),
    }
    exemptions: ClassVar[dict[str, str]] = RadarTransform.exemptions | {"keeps_rows": "it drops detections on purpose"}
    example: ClassVar[dict[str, Any]] = {"share": 0.3, "min_rcs": [-10, 0]}

    @classmethod
    def change(cls, detections: Columns, params: Mapping[str, Any], scan: ScanContext) -> Columns:
        """See ``RadarTransform``."""
        keep = torch.from_numpy(scan.rng.random(len(detections["xyz"])) >= params["share"]).to(detections["xyz"].device)
        if "rcs" in detections:
            _, distance = rays_of(detections)
            floor = rcs_threshold(distance * (50.0 / params["at"]), params["min_rcs"])
            keep &= ~(detections["rcs"].to(torch.float64) < floor)  # an unknown cross-section is kept
        return take_rows(detections, keep)


@dataclass(frozen=True, kw_only=True)
class RadarGhosts(RadarTransform):
    """Add ghosts of detections that came back over a second reflection.

    Each detection gets one with probability ``share``: further away by ``path`` metres, turned by up to ``spread_deg``
    to either side, ``loss`` dB weaker, with the raw Doppler of its original.
    """

    share: Range = 0.1
    path: Range = (1.0, 10.0)
    spread_deg: Range = 10.0
    loss: Range = (6.0, 15.0)

    limits: ClassVar[dict[str, tuple[float, float]]] = {
        "share": (0.0, 1.0), "path": (0.0, 500.0), "spread_deg": (0.0, 180.0), "loss": (0.0, 100.0),
    }  # fmt: skip
    exemptions: ClassVar[dict[str, str]] = RadarTransform.exemptions | {"keeps_rows": "it adds detections on purpose"}
    example: ClassVar[dict[str, Any]] = {"share": 0.5}

    @classmethod
    def change(cls, detections: Columns, params: Mapping[str, Any], scan: ScanContext) -> Columns:
        """See ``RadarTransform``."""
        n = len(detections["xyz"])
        chosen = torch.from_numpy(scan.rng.random(n) < params["share"])
        angle = torch.from_numpy(scan.rng.uniform(-1, 1, n) * np.radians(params["spread_deg"]))
        ghosts = take_rows(detections, chosen.to(detections["xyz"].device))
        rays, distance = rays_of(ghosts)
        ray = rotated_about_z(rays, angle[chosen].to(rays.device))
        seen = distance + params["path"] <= scan.sensor.max_range
        more = {
            **ghosts,
            "xyz": ray * (distance + params["path"])[:, None],
            **velocities_on_rays(ghosts, scan, rays, ray),
        }
        if "rcs" in ghosts:
            more["rcs"] = ghosts["rcs"] - params["loss"]
        return appended(detections, take_rows(more, seen))


@dataclass(frozen=True, kw_only=True)
class RadarClutter(RadarTransform):
    """Add false detections: on average ``rate`` per scan (Poisson), spread evenly over the field of view.

    Attributes:
        rate: mean number per scan.
        view_deg: half of the field of view about the sensor's x axis, degrees.
        rcs: dBsm. doppler: largest compensated speed, m/s, either way.
    """

    rate: Range = 5.0
    view_deg: Range = 60.0
    rcs: Range = (-10.0, 5.0)
    doppler: Range = 2.0

    limits: ClassVar[dict[str, tuple[float, float]]] = {
        "rate": (0.0, 1e4), "view_deg": (0.0, 180.0), "rcs": (-100.0, 100.0), "doppler": (0.0, 200.0),
    }  # fmt: skip
    exemptions: ClassVar[dict[str, str]] = RadarTransform.exemptions | {"keeps_rows": "it adds detections on purpose"}
    example: ClassVar[dict[str, Any]] = {"rate": [0, 10]}

    @classmethod
    def change(cls, detections: Columns, params: Mapping[str, Any], scan: ScanContext) -> Columns:
        """See ``RadarTransform``."""
        n = int(scan.rng.poisson(params["rate"]))
        azimuth = torch.from_numpy(scan.rng.uniform(-1, 1, n) * np.radians(params["view_deg"]))
        distance = torch.from_numpy(scan.sensor.max_range * np.sqrt(scan.rng.random(n)))  # even over the area
        ray = torch.stack([torch.cos(azimuth), torch.sin(azimuth), torch.zeros(n, dtype=torch.float64)], 1)
        speed = torch.from_numpy(scan.rng.uniform(-1, 1, n) * params["doppler"])
        more: Columns = {"xyz": ray * distance[:, None], "velocity_comp": ray * speed[:, None]}
        own = torch.zeros(3, dtype=torch.float64) if scan.own_velocity is None else scan.own_velocity
        more["velocity"] = ray * (speed - ray @ own)[:, None]
        if "rcs" in detections:
            more["rcs"] = torch.full((n,), float(params["rcs"]), dtype=torch.float64)
        if "flags" in detections:
            more["flags"] = fresh_flags(detections, n)
        return appended(detections, {k: v.to(detections["xyz"].device) for k, v in more.items() if k in detections})


@dataclass(frozen=True, kw_only=True)
class DopplerFolding(RadarTransform):
    """Fold raw Doppler into the unambiguous interval of ``max_doppler`` m/s (either way; the sensor's by default).

    v -> v - 2 V round(v / 2V). The compensated velocity takes the same step, as a tracker that trusts it would.
    """

    max_doppler: Range | None = None

    dense_noise = False
    limits: ClassVar[dict[str, tuple[float, float]]] = {"max_doppler": (0.1, 1e3)}
    exemptions: ClassVar[dict[str, str]] = {
        "invertible": "how often a velocity was folded is lost",
        "content_identity": "velocities are folded on purpose",
        "differentiable": "it has no geometric parameter",
        "commutes": "the limit is the sensor's, in which velocities are measured after pending motions",
    }
    example: ClassVar[dict[str, Any]] = {"max_doppler": [1.0, 3.0]}

    @classmethod
    def change(cls, detections: Columns, params: Mapping[str, Any], scan: ScanContext) -> Columns:
        """See ``RadarTransform``."""
        if "velocity" not in detections:
            return detections
        limit = scan.sensor.max_doppler if params["max_doppler"] is None else params["max_doppler"]
        rays, _ = rays_of(detections)
        step = -2 * limit * torch.round(radial(detections, "velocity", rays) / (2 * limit))
        out = dict(detections)
        for name in ("velocity", "velocity_comp"):
            if name in detections:
                out[name] = detections[name] + (rays * step[:, None]).to(detections[name])
        return out
