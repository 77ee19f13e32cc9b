"""Nothing mixes devices: the same code on torch's ``meta`` device, which computes shapes and refuses other devices.

No GPU is needed; numbers are compared on the CPU elsewhere.
"""

from __future__ import annotations

import pytest
import torch
from samples import make_sample

import fusion_aug as fa
from fusion_aug.ops.image_map import ImageMap
from fusion_aug.ops.warp import warp
from fusion_aug.transforms.image.image_plane import resize_map


@pytest.mark.parametrize("scale", [0.2, 0.8, 1.3])
@pytest.mark.parametrize("interpolation", ["linear", "nearest"])
def test_warp(scale: float, interpolation: str) -> None:
    picture = torch.zeros(40, 50, 3, dtype=torch.uint8, device="meta")
    out = warp(picture, ImageMap.homography(resize_map(scale, scale), (20, 30)), interpolation)
    assert out.device.type == "meta" and out.shape == (20, 30, 3) and out.dtype == torch.uint8


def test_on_the_cpu_it_stays() -> None:
    sample = make_sample()
    back = sample.to("cpu")
    assert torch.equal(back["lidar"]["xyz"], sample["lidar"]["xyz"])
    assert isinstance(back["CAM_FRONT"], fa.Camera)
