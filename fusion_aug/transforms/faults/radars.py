"""Faults of radars."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from fusion_aug.core.ranges import Range
from fusion_aug.core.strength import Strength, Strengths
from fusion_aug.ops.radar import Columns, appended, fresh_flags, rays_of, rcs_threshold
from fusion_aug.streams.columns import take_rows
from fusion_aug.transforms.radar.family import RadarTransform, ScanContext


@dataclass(frozen=True, kw_only=True)
class RadarInterference(RadarTransform):
    """Another radar in the band: the noise floor rises by ``noise_rise`` dB, false detections line up towards it.

    Attributes:
        noise_rise: dB; detections that fall below the raised threshold of the rig's ``RadarSensor`` are lost.
        rate: mean number of false detections of a scan (Poisson), on one ray. spread_deg: of their azimuths.
    """

    noise_rise: Range = (3.0, 20.0)
    rate: Range = (0.0, 20.0)
    spread_deg: Range = 3.0

    limits: ClassVar[dict[str, tuple[float, float]]] = {
        "noise_rise": (0.0, 100.0), "rate": (0.0, 1e4), "spread_deg": (0.0, 180.0),
    }  # fmt: skip
    exemptions: ClassVar[dict[str, str]] = RadarTransform.exemptions | {
        "keeps_rows": "it drops and adds detections on purpose"
    }
    strengths: ClassVar[Strengths] = {
        "noise_rise": Strength(0.0, 20.0, "linear", "suite/radar_interference", "dB"),
        "rate": Strength(0.0, 20.0, "linear", "suite/radar_interference", "per scan"),
        "spread_deg": "where false detections lie",
    }
    example: ClassVar[dict[str, Any]] = {"noise_rise": [0, 20], "rate": 5}

    @classmethod
    def change(cls, detections: Columns, params: Mapping[str, Any], scan: ScanContext) -> Columns:
        """Drop detections whose margin over the sensor's threshold is less than ``noise_rise`` dB, add false ones.

        Poisson(``rate``) false detections lie on one random azimuth within 60 degrees, spread by ``spread_deg``, with
        random range and raw Doppler.
        """
        sensor, rng = scan.sensor, scan.rng
        if "rcs" in detections:
            _, distance = rays_of(detections)
            least = rcs_threshold(distance, sensor.min_rcs)
            margin = (detections["rcs"].to(torch.float64) - least).clamp(min=0.5)  # it was detected before
            detections = take_rows(detections, ~(params["noise_rise"] > margin))
        n = int(rng.poisson(params["rate"]))
        azimuth = rng.uniform(-np.pi / 3, np.pi / 3) + rng.normal(0, np.radians(params["spread_deg"]), n)
        far = rng.uniform(2.0, sensor.max_range, n)
        ray = np.stack([np.cos(azimuth), np.sin(azimuth), np.zeros(n)], 1)
        own = np.zeros(3) if scan.own_velocity is None else scan.own_velocity.cpu().numpy()
        raw = rng.uniform(-sensor.max_doppler, sensor.max_doppler, n)
        floor = rcs_threshold(torch.from_numpy(far), sensor.min_rcs).numpy()
        more = {
            "xyz": ray * far[:, None], "velocity": ray * raw[:, None],
            "velocity_comp": ray * (raw + ray @ own)[:, None],
            "rcs": floor + params["noise_rise"] + rng.exponential(2.0, n),
        }  # fmt: skip
        device = detections["xyz"].device
        columns: Columns = {k: torch.from_numpy(v).to(device) for k, v in more.items() if k in detections}
        if "flags" in detections:
            columns["flags"] = fresh_flags(detections, n)
        return appended(detections, columns)
