"""What the tests of weather share."""

from __future__ import annotations

import numpy as np
import torch

import fusion_aug as fa
from fusion_aug.ops.random import digest

KEY = digest("a world of particles")


def lidar_only(sample: fa.Sample, name: str = "LIDAR_TOP") -> fa.Sample:
    keep = {n: s for n, s in sample.streams.items() if n in (name, "boxes", "ego")}
    return sample.with_streams(keep)


def cloud_in_weather(sample: fa.Sample, weather: fa.Weather, seed: int = 3) -> tuple[fa.Points, torch.Tensor]:
    """The cloud in a weather, and which of its points are as measured."""
    cloud = weather(lidar_only(sample), seed=seed)["LIDAR_TOP"].realized()
    everything = torch.ones(cloud.rows, dtype=torch.bool)  # type: ignore[attr-defined]
    return cloud, cloud["status"] == 0 if "status" in cloud.values else everything  # type: ignore[return-value]


def radar_only(sample: fa.Sample) -> fa.Sample:
    """One scan of one radar, all of strong targets."""
    scan = sample.take_key("RADAR_FRONT").realized()
    strong = scan.with_values(rcs=torch.full_like(scan["rcs"], 40.0))
    return sample.with_streams({"RADAR_FRONT": strong, "ego": sample["ego"]})


def params_of(weather: fa.Weather, sample: fa.Sample) -> dict:
    return {**weather.sample_params(np.random.default_rng(0), sample, None), "noise": digest("noise"), "key": KEY}  # type: ignore[arg-type]


def picture_of(sample: fa.Sample) -> torch.Tensor:
    return sample["CAM_FRONT"].image(0).float()  # type: ignore[attr-defined]
