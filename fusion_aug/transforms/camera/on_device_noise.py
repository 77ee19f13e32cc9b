"""Noise of pictures on a device: a number for every value by its key and place, the same as on the CPU."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fusion_aug.core.device.rows import LINES, quantiles
from fusion_aug.ops import color
from fusion_aug.ops.hashed import ItemNoise, RowKey
from fusion_aug.ops.normals import normal_by
from fusion_aug.transforms.camera.exposure import Exposure
from fusion_aug.transforms.camera.on_device import Params, changes_levels, wide
from fusion_aug.transforms.camera.photometric import GaussianNoise, PictureContext

Numbers = Mapping[str, Any]


def keyed(params: Params, picture: PictureContext) -> dict[str, Any]:
    """The numbers of ``grain``; of a picture that is left alone by the draw of another."""
    time = int(picture.stream.capture_times[picture.item])
    key = ItemNoise(params["noise"], picture.call.name, time).rows()
    return {"start": np.int64(key.start), "step": np.int64(key.step), **quantiles()}


def grain(levels: Tensor, numbers: Numbers) -> Tensor:
    """A standard normal variate for every level (N, 3, H, W), float32. Rows are counted as in pictures (H, W, 3)."""
    channels, height, width = levels.shape[1:]
    pixels = torch.arange(height * width, device=levels.device).reshape(1, height, width) * channels
    rows = pixels + torch.arange(channels, device=levels.device).reshape(-1, 1, 1)
    key = RowKey(*(numbers[n].reshape(-1, 1, 1, 1) for n in ("start", "step")))
    return normal_by(numbers[LINES], key, rows)


@changes_levels(GaussianNoise, lambda p, picture: {"sigma": np.float64(p["sigma"]), **keyed(p, picture)})
def noisy(levels: Tensor, numbers: Numbers, white: float) -> Tensor:
    """White noise of standard deviation ``sigma``, a share of full scale."""
    return levels + grain(levels, numbers) * wide(numbers["sigma"] * white)


def _sensor(params: Params, picture: PictureContext) -> dict[str, Any]:
    light, full_well = params["full_well"] * 2.0 ** params["stops"], params["full_well"]
    figures = {"light": light, "full_well": full_well, "read": params["read_noise"] ** 2}
    return {n: np.float32(v) for n, v in figures.items()} | keyed(params, picture)


@changes_levels(Exposure, _sensor, put_back=True)
def exposed(levels: Tensor, numbers: Numbers, white: float) -> Tensor:
    """White gives ``light`` electrons, counted with their own noise and that of reading, of ``full_well`` that fit."""
    electrons = color.to_linear(levels / white) * wide(numbers["light"])
    counted = electrons + grain(levels, numbers) * torch.sqrt(electrons + wide(numbers["read"]))
    return color.to_srgb((counted / wide(numbers["full_well"])).clamp(0, 1)) * white
