"""What radars do: noisy and missing detections, ghosts, clutter, folded Doppler. Only Radar streams change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from calib.ties import nearest_whole
from fusion_aug.core.ranges import Range
from fusion_aug.core.strength import Strength, Strengths
from fusion_aug.ops.hashed import cells, chance, uniform
from fusion_aug.ops.normals import normal
from fusion_aug.ops.radar import (
    Columns,
    appended,
    fresh_flags,
    radial,
    rays_of,
    rcs_threshold,
    rotated_about_z,
)
from fusion_aug.streams.columns import take_rows
from fusion_aug.transforms.radar.family import RadarTransform, ScanContext, velocities_on_rays


@dataclass(frozen=True, kw_only=True)
class RcsNoise(RadarTransform):
    """Vary the radar cross-section: ``bias`` (dB) for all detections of an item, ``sigma`` (dB) for each."""

    sigma: Range = 0.0
    bias: Range = 0.0

    version: ClassVar[int] = 2  # since 2026-11: noise by rows
    limits: ClassVar[dict[str, tuple[float, float]]] = {"sigma": (0.0, 60.0), "bias": (-60.0, 60.0)}
    exemptions: ClassVar[dict[str, str]] = {k: v for k, v in RadarTransform.exemptions.items() if k != "keeps_counts"}
    strengths: ClassVar[Strengths] = {
        "sigma": Strength(0.0, 3.2, "linear", "probe", "dB"),
        "bias": Strength(0.0, (-2.5, 2.5), "linear", "probe", "dB"),
    }
    example: ClassVar[dict[str, Any]] = {"sigma": [0.0, 3.0], "bias": [-3.0, 3.0]}

    @classmethod
    def change(cls, detections: Columns, params: Mapping[str, Any], scan: ScanContext) -> Columns:
        """rcs + ``bias`` + Gaussian noise of ``sigma``, dB; detections without rcs stay."""
        if "rcs" not in detections:
            return detections
        drawn = normal(scan.noise.rows(), scan.rows).to(torch.float64)
        shift = params["bias"] + params["sigma"] * drawn
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

    version: ClassVar[int] = 2  # since 2026-11: noise by rows
    limits: ClassVar[dict[str, tuple[float, float]]] = dict.fromkeys(("range", "azimuth", "doppler"), (0.0, 50.0))
    exemptions: ClassVar[dict[str, str]] = RadarTransform.exemptions | {
        "content_identity": "detections are moved on purpose"
    }
    strengths: ClassVar[Strengths] = {
        "range": Strength(0.0, 2.1, "linear", "probe", "resolutions", exact=False),
        "azimuth": Strength(0.0, 1.1, "linear", "probe", "resolutions", exact=False),
        "doppler": Strength(0.0, 11.0, "linear", "probe", "resolutions", exact=False),
    }
    example: ClassVar[dict[str, Any]] = {"range": [0, 1], "azimuth": 1, "doppler": 1}

    @classmethod
    def change(cls, detections: Columns, params: Mapping[str, Any], scan: ScanContext) -> Columns:
        """Range, azimuth and Doppler with Gaussian errors of the given multiples of the sensor's resolution.

        Ranges stay above 0.1 m. The compensated velocity is recomputed for the measured ray.
        """
        rays, distance = rays_of(detections)
        drawn = normal(scan.noise.rows(), cells(scan.rows, 3)).to(torch.float64)
        far = (distance + params["range"] * scan.sensor.range_resolution * drawn[:, 0]).clamp(min=0.1)
        ray = rotated_about_z(rays, params["azimuth"] * scan.sensor.azimuth_resolution * drawn[:, 1])
        speed = params["doppler"] * scan.sensor.doppler_resolution * drawn[:, 2]
        return {
            **detections,
            "xyz": (ray * far[:, None]).to(detections["xyz"]),
            **velocities_on_rays(detections, scan, rays, ray, speed),
        }


@dataclass(frozen=True, kw_only=True)
class RadarMissed(RadarTransform):
    """Miss detections: each with probability ``share``, and every one whose return falls below a threshold.

    The return falls with the fourth power of the distance, so the threshold is the cross-section that is just detected
    at ``at`` metres: ``min_rcs`` + 40 log10(distance / at) dBsm.
    """

    share: Range = 0.0
    min_rcs: Range = -100.0
    at: Range = 50.0

    version: ClassVar[int] = 2  # since 2026-11: noise by rows
    limits: ClassVar[dict[str, tuple[float, float]]] = {
        "share": (0.0, 1.0),
        "min_rcs": (-200.0, 100.0),
        "at": (0.1, 1e3),
    }
    exemptions: ClassVar[dict[str, str]] = RadarTransform.exemptions | {"keeps_rows": "it drops detections on purpose"}
    strengths: ClassVar[Strengths] = {
        "share": Strength(0.0, 0.8, "linear", "suite/radar_missed", "share of the detections"),
        "min_rcs": Strength(-100.0, 19.0, "linear", "probe", "dBsm", near=-30.0),
        "at": "the distance at which min_rcs is meant",
    }
    example: ClassVar[dict[str, Any]] = {"share": 0.3, "min_rcs": [-10, 0]}

    @classmethod
    def change(cls, detections: Columns, params: Mapping[str, Any], scan: ScanContext) -> Columns:
        """Keep each detection with probability 1 - ``share``, and drop those below the threshold.

        The threshold is ``min_rcs`` + 40 log10(distance / ``at``) dBsm; an unknown (NaN) rcs is kept.
        """
        keep = ~chance(scan.noise.rows(), scan.rows, params["share"])
        if "rcs" in detections:
            _, distance = rays_of(detections)
            floor = rcs_threshold(distance * (50.0 / params["at"]), params["min_rcs"])
            keep &= ~(detections["rcs"].to(torch.float64) < floor)  # an unknown cross-section is kept
        return take_rows(detections, keep)


@dataclass(frozen=True, kw_only=True)
class RadarGhosts(RadarTransform):
    """Add ghosts of detections that came back over a second reflection.

    Each detection gets one with probability ``share``: further away by ``path`` metres, rotated by up to ``spread_deg``
    to either side, ``loss`` dB weaker, with the raw Doppler of its original.
    """

    share: Range = 0.1
    path: Range = (1.0, 10.0)
    spread_deg: Range = 10.0
    loss: Range = (6.0, 15.0)

    version: ClassVar[int] = 2  # since 2026-11: noise by rows
    limits: ClassVar[dict[str, tuple[float, float]]] = {
        "share": (0.0, 1.0), "path": (0.0, 500.0), "spread_deg": (0.0, 180.0), "loss": (0.0, 100.0),
    }  # fmt: skip
    exemptions: ClassVar[dict[str, str]] = RadarTransform.exemptions | {"keeps_rows": "it adds detections on purpose"}
    strengths: ClassVar[Strengths] = {
        "share": Strength(0.0, 0.45, "linear", "probe", "share of the detections"),
        "path": "where a ghost lies",
        "spread_deg": "where a ghost lies",
        "loss": "how one ghost looks, not how many there are",
    }
    example: ClassVar[dict[str, Any]] = {"share": 0.5}

    @classmethod
    def change(cls, detections: Columns, params: Mapping[str, Any], scan: ScanContext) -> Columns:
        """Append for each detection, with probability ``share``, a ghost with the same raw Doppler.

        It lies ``path`` metres further, rotated by up to ``spread_deg`` degrees, ``loss`` dB weaker; none lies beyond
        the sensor's range.
        """
        chosen = chance(scan.noise.rows(), scan.rows, params["share"])
        angle = (2 * uniform(scan.noise.rows("angle"), scan.rows) - 1) * np.radians(params["spread_deg"])
        ghosts = take_rows(detections, chosen)
        rays, distance = rays_of(ghosts)
        ray = rotated_about_z(rays, angle[chosen])
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
    strengths: ClassVar[Strengths] = {
        "rate": Strength(0.0, 25.0, "linear", "probe", "per scan"),
        "view_deg": "where false detections lie",
        "rcs": "how one detection looks, not how many there are",
        "doppler": "how one detection looks, not how many there are",
    }
    example: ClassVar[dict[str, Any]] = {"rate": [0, 10]}

    @classmethod
    def change(cls, detections: Columns, params: Mapping[str, Any], scan: ScanContext) -> Columns:
        """Append Poisson(``rate``) false detections, uniform over the area of the field of view.

        Their compensated speed is up to ``doppler`` m/s; the raw one follows from the sensor's own velocity, 0 where
        that is unknown.
        """
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
    strengths: ClassVar[Strengths] = {"max_doppler": Strength(1000.0, 4.3, "inverse", "probe", "m/s")}
    example: ClassVar[dict[str, Any]] = {"max_doppler": [1.0, 3.0]}

    @classmethod
    def change(cls, detections: Columns, params: Mapping[str, Any], scan: ScanContext) -> Columns:
        """Raw radial velocity v -> v - 2V round(v / 2V), V = ``max_doppler`` or the sensor's.

        The compensated velocity changes by the same amount.
        """
        if "velocity" not in detections:
            return detections
        limit = scan.sensor.max_doppler if params["max_doppler"] is None else params["max_doppler"]
        rays, _ = rays_of(detections)
        step = -2 * limit * nearest_whole(radial(detections, "velocity", rays) / (2 * limit))
        out = dict(detections)
        for name in ("velocity", "velocity_comp"):
            if name in detections:
                out[name] = detections[name] + (rays * step[:, None]).to(detections[name])
        return out
