"""What of the weather runs on a device: fog and dust that are even, and what they do to labels and wheels there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from calib import Pinhole
from fusion_aug.core.device.rows import Columns, Numbers, per_row, planned
from fusion_aug.core.device.rules import lacks_on_device, on_device, walks_on_host
from fusion_aug.core.ranges import can_differ_from
from fusion_aug.core.registry import Call
from fusion_aug.sample import REF, Sample
from fusion_aug.sample.depth import depth_item_of
from fusion_aug.sample.to_device import lies_on_device
from fusion_aug.streams import Boxes3D, Camera, Odometry, PlanarScan, Points, RangeReading
from fusion_aug.streams.targets import target_columns
from fusion_aug.transforms.weather.labels import LEAST_CONTRAST
from fusion_aug.transforms.weather.place import T_ref_vehicle
from fusion_aug.transforms.weather.ranges import refuse_ranges_in_weather
from fusion_aug.transforms.weather.state import WeatherState
from fusion_aug.transforms.weather.weather import Weather

Settings = Mapping[str, Any]
VISIBLE = 550e-9  # metres
NEEDED: Mapping[str, float] = {
    "patchiness": 0.0, "rain_rate": 0.0, "snow_rate": 0.0, "sun": 0.0, "surface_wetness": 0.0, "snow_cover": 0.0,
    "lens_drops": 0.0, "water_film": 0.0,
}  # fmt: skip
LEFT_EMPTY = ("illuminance",)

walks_on_host(Weather)  # masks are marked under drops on lenses, which there are none of
on_device(Weather, PlanarScan)(refuse_ranges_in_weather)  # which looks at parameters alone
on_device(Weather, RangeReading)(refuse_ranges_in_weather)


@lacks_on_device(Weather)
def what_weather_lacks(settings: Settings, sample: Sample) -> str:
    """Why a weather cannot run on a batch on a device; nothing where it can."""
    for name, value in NEEDED.items():
        given = settings.get(name)
        if given is not None and can_differ_from(given, value):
            return f"with {name} (on a device only fog and dust run; set {name} to {value:g})"
    for name in LEFT_EMPTY:
        if settings.get(name) is not None:
            return f"with {name} (on a device only fog and dust run; set {name} to null)"
    if settings.get("auto_gain"):
        return "with auto_gain (the mean of all returns is not known there; set it to false)"
    return _clouds_lack(sample) or _cameras_lack(sample)


def _clouds_lack(sample: Sample) -> str:
    for name, stream in sample.of_type(Points).items():
        if lies_on_device(stream) and (texts := set(target_columns(stream)) & set(stream.values.texts)):
            return f"on {name!r} (its column {min(texts)!r} is text, which stays on the host; drop it)"
    return ""


def _cameras_lack(sample: Sample) -> str:
    for name, stream in sample.of_type(Camera).items():
        for item in stream.present.nonzero()[:, 0].tolist() if lies_on_device(stream) else ():
            found = depth_item_of(sample, name, item)
            if found is None or not lies_on_device(sample[found[0]]):
                return (
                    f"without depth of {name} (give a Depth stream beside it in every sample, such as one that "
                    f"the workers of a loader make of fusion_aug.sample.depth.camera_range)"
                )
            depth = sample[found[0]]
            if depth.items[found[1]].measured == 0:  # type: ignore[attr-defined]
                return (
                    f"with {found[0]} (it has pixels without a measurement, which are filled in on the host; complete "
                    f"it before batch.to(...))"
                )
            lens = sample.metas[int(stream.sample_index[item])].true_rig.camera(stream.instance(name)).model
            if depth.measure == "z" and type(lens) is not Pinhole:  # type: ignore[attr-defined]
                return (
                    f"on {name}, whose lens is distorted (its depth along the axis is not known along rays there; "
                    f"give {found[0]} with measure='range')"
                )
    return ""


@on_device(Weather, Boxes3D)
def plan_boxes(stream: Boxes3D, call: Call) -> Boxes3D:
    """Lower the visible share of boxes that the air hides from the vehicle."""
    if "visible" not in stream.values or all(WeatherState.of(p).air.is_clear for _, p in call.asked):
        return stream

    def numbers(item: int, params: Settings) -> dict[str, Any]:
        eye = np.zeros(3)
        if stream.frame == REF:
            eye = T_ref_vehicle(call.sample, int(stream.sample_index[item]))[:3, 3]
        return {"eye": eye, "loss": -WeatherState.of(params).air.extinction(VISIBLE)}

    return planned(stream, call, _faded, numbers, {"eye": np.zeros(3), "loss": 0.0})


def _faded(columns: Columns, numbers: Numbers) -> dict[str, Tensor]:
    eye, loss = per_row(columns, numbers, "eye", "loss")
    visible, place = columns["visible"], columns["pose"][:, :3, 3]
    contrast = torch.exp(loss * torch.linalg.norm(place - eye.to(place.dtype), dim=1))
    return {"visible": visible * (contrast / LEAST_CONTRAST).clamp(max=1.0).to(visible.dtype)}


@on_device(Weather, Odometry)
def keep_wheels(stream: Odometry, call: Call) -> Odometry:
    """Wheels slip on wet and snowy roads alone."""
    return stream
