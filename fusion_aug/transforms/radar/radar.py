"""What radars do: noisy and missing detections, ghosts, clutter, folded Doppler. Only Radar streams change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
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
    sensor_velocity,
    turned,
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
    def change(cls, rows: Columns, params: Mapping[str, Any], look: ScanContext) -> Columns:
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
    own: Tensor | None
    index: int
    time: int

    def compensated(self, raw: Tensor, rays: Tensor, old_raw: Tensor, old_comp: Tensor) -> Tensor:
        """Compensated Doppler (n,) of raw ones measured on rays (n, 3): v + own . ray.

        Where the radar's own motion is unknown, the old difference of the two is kept.
        """
        return raw + (old_comp - old_raw if self.own is None else rays @ self.own.to(rays))


@handles(RadarTransform, Radar)
def change_radar(stream: Radar, call: Call) -> Radar:
    """Change item by item."""
    return look_by_look(stream, call, lambda columns, params, look: call.transform.change(columns, params, look))


def look_by_look(
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
        look = ScanContext(known, noise(params.get("noise", ""), call.name, time), own, index, time)
        parts.append(change(columns, params, look) if bool(stream.present[i]) else columns)
    counts = torch.tensor([0, *(len(p["xyz"]) for p in parts)])
    values = {k: torch.cat([p[k] for p in parts]) if parts else v for k, v in stream.values.items()}
    return replace(stream, values=values, offsets=counts.cumsum(0))


@dataclass(frozen=True, kw_only=True)
class RcsNoise(RadarTransform):
    """Vary the radar cross-section: ``bias`` (dB) for all detections of an item, ``sigma`` (dB) for each."""

    sigma: Range = 0.0
    bias: Range = 0.0

    limits: ClassVar[dict[str, tuple[float, float]]] = {"sigma": (0.0, 60.0), "bias": (-60.0, 60.0)}
    exemptions: ClassVar[dict[str, str]] = {k: v for k, v in RadarTransform.exemptions.items() if k != "keeps_counts"}

    @classmethod
    def change(cls, rows: Columns, params: Mapping[str, Any], look: ScanContext) -> Columns:
        """See ``RadarTransform``."""
        if "rcs" not in rows:
            return rows
        shift = params["bias"] + normal(look.rng, params["sigma"], rows)
        return {**rows, "rcs": rows["rcs"] + shift.to(rows["rcs"])}


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

    @classmethod
    def change(cls, rows: Columns, params: Mapping[str, Any], look: ScanContext) -> Columns:
        """See ``RadarTransform``."""
        rays, distance = rays_of(rows)
        far = (distance + normal(look.rng, params["range"] * look.sensor.range_resolution, rows)).clamp(min=0.1)
        ray = turned(rays, normal(look.rng, params["azimuth"] * look.sensor.azimuth_resolution, rows))
        speed = normal(look.rng, params["doppler"] * look.sensor.doppler_resolution, rows)
        return {**rows, "xyz": (ray * far[:, None]).to(rows["xyz"]), **on_rays(rows, look, rays, ray, speed)}


def on_rays(rows: Columns, look: ScanContext, old: Tensor, new: Tensor, speed: Tensor | float = 0.0) -> Columns:
    """Velocities of detections that are taken to lie on other rays: raw Doppler stays but for an error ``speed``.

    The compensation is made for the ray that was measured, so a wrong angle enters the compensated velocity.
    """
    if "velocity" not in rows or "velocity_comp" not in rows:
        return {n: (new * (radial(rows, n, old) + speed)[:, None]).to(rows[n]) for n in VELOCITIES if n in rows}
    was_raw, was_comp = (radial(rows, n, old) for n in VELOCITIES)
    raw = was_raw + speed
    comp = look.compensated(raw, new, was_raw, was_comp)
    return {n: (new * v[:, None]).to(rows[n]) for n, v in zip(VELOCITIES, (raw, comp), strict=True)}


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

    @classmethod
    def change(cls, rows: Columns, params: Mapping[str, Any], look: ScanContext) -> Columns:
        """See ``RadarTransform``."""
        keep = torch.from_numpy(look.rng.random(len(rows["xyz"])) >= params["share"]).to(rows["xyz"].device)
        if "rcs" in rows:
            _, distance = rays_of(rows)
            floor = rcs_threshold(distance * (50.0 / params["at"]), params["min_rcs"])
            keep &= ~(rows["rcs"].to(torch.float64) < floor)  # an unknown cross-section is kept
        return take_rows(rows, keep)


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

    @classmethod
    def change(cls, rows: Columns, params: Mapping[str, Any], look: ScanContext) -> Columns:
        """See ``RadarTransform``."""
        n = len(rows["xyz"])
        chosen = torch.from_numpy(look.rng.random(n) < params["share"])
        angle = torch.from_numpy(look.rng.uniform(-1, 1, n) * np.radians(params["spread_deg"]))
        ghosts = take_rows(rows, chosen.to(rows["xyz"].device))
        rays, distance = rays_of(ghosts)
        ray = turned(rays, angle[chosen].to(rays.device))
        seen = distance + params["path"] <= look.sensor.max_range
        more = {**ghosts, "xyz": ray * (distance + params["path"])[:, None], **on_rays(ghosts, look, rays, ray)}
        if "rcs" in ghosts:
            more["rcs"] = ghosts["rcs"] - params["loss"]
        return appended(rows, take_rows(more, seen))


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

    @classmethod
    def change(cls, rows: Columns, params: Mapping[str, Any], look: ScanContext) -> Columns:
        """See ``RadarTransform``."""
        n = int(look.rng.poisson(params["rate"]))
        azimuth = torch.from_numpy(look.rng.uniform(-1, 1, n) * np.radians(params["view_deg"]))
        distance = torch.from_numpy(look.sensor.max_range * np.sqrt(look.rng.random(n)))  # even over the area
        ray = torch.stack([torch.cos(azimuth), torch.sin(azimuth), torch.zeros(n, dtype=torch.float64)], 1)
        speed = torch.from_numpy(look.rng.uniform(-1, 1, n) * params["doppler"])
        more: Columns = {"xyz": ray * distance[:, None], "velocity_comp": ray * speed[:, None]}
        own = torch.zeros(3, dtype=torch.float64) if look.own is None else look.own
        more["velocity"] = ray * (speed - ray @ own)[:, None]
        if "rcs" in rows:
            more["rcs"] = torch.full((n,), float(params["rcs"]), dtype=torch.float64)
        if "flags" in rows:
            more["flags"] = fresh_flags(rows, n)
        return appended(rows, {k: v.to(rows["xyz"].device) for k, v in more.items() if k in rows})


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

    @classmethod
    def change(cls, rows: Columns, params: Mapping[str, Any], look: ScanContext) -> Columns:
        """See ``RadarTransform``."""
        if "velocity" not in rows:
            return rows
        limit = look.sensor.max_doppler if params["max_doppler"] is None else params["max_doppler"]
        rays, _ = rays_of(rows)
        step = -2 * limit * torch.round(radial(rows, "velocity", rays) / (2 * limit))
        out = dict(rows)
        for name in ("velocity", "velocity_comp"):
            if name in rows:
                out[name] = rows[name] + (rays * step[:, None]).to(rows[name])
        return out
