"""Nothing mixes devices: the same code on torch's ``meta`` device, which computes shapes and refuses other devices.

No GPU is needed; numbers are compared on the CPU elsewhere.
"""

from __future__ import annotations

import re

import pytest
import torch
from cases import CASES
from generic import Case, build
from samples import make_sample

import fusion_aug as fa
from calib import Rig, WrenchSensor
from fusion_aug.core.registry import own_transforms
from fusion_aug.errors import DataError
from fusion_aug.ops.image_map import ImageMap
from fusion_aug.ops.warp import warp
from fusion_aug.streams.families import ImagePlane, Photometric, Scene
from fusion_aug.transforms.image.image_plane import resize_map
from fusion_aug.transforms.robot.contact import ContactTransform
from fusion_aug.transforms.robot.noise import SensorBias, TorqueNoise
from fusion_aug.transforms.touch.taxels import TaxelTransform


@pytest.mark.parametrize("scale", [0.2, 0.8, 1.3])
@pytest.mark.parametrize("interpolation", ["linear", "nearest"])
def test_warp(scale: float, interpolation: str) -> None:
    picture = torch.zeros(40, 50, 3, dtype=torch.uint8, device="meta")
    out = warp(picture, ImageMap.homography(resize_map(scale, scale), (20, 30)), interpolation)
    assert out.device.type == "meta" and out.shape == (20, 30, 3) and out.dtype == torch.uint8


# all that move data without looking at its values, as the mean of the picture, its histogram or the LiDAR's distances
WORLD_CAMERAS = (
    "AutoContrast",
    "Clahe",
    "Contrast",
    "EgoMotionBlur",
    "Equalize",
    "FrozenCamera",
    "JpegCompression",
    "LensScratches",
    "PixelOp",
    "Shadow",
)
MOVING = [
    n for n in CASES if issubclass(own_transforms()[n], Scene | ImagePlane | Photometric) and n not in WORLD_CAMERAS
]


READINGS = [
    n for n in CASES if issubclass(own_transforms()[n], ContactTransform | TaxelTransform | SensorBias | TorqueNoise)
]


def with_known_sign(sample: fa.Sample) -> fa.Sample:
    """The sample with a wrench whose sign is declared, so that nobody has to look for it in the efforts."""
    rig = sample.rig
    known = Rig(rig.frames, {**rig.sensors, "wrench": WrenchSensor(frame=sample["wrench"].frame, of="tool")})
    return sample.with_meta(0, rig=known, true_rig=known)


@pytest.mark.parametrize("name", MOVING + READINGS)
def test_transforms(name: str) -> None:
    sample = with_known_sign(make_sample(gels=False))
    there = sample.to("meta")
    for settings in CASES[name]:
        here = own_transforms()[name](**settings)(sample, seed=1).realized()
        out = own_transforms()[name](**settings)(there, seed=1).realized()
        for stream_name, stream in here.streams.items():
            other = out[stream_name]
            for column, value in stream.values.items():
                if isinstance(value, torch.Tensor):
                    assert other.values[column].device.type == "meta", (stream_name, column)
                    assert other.values[column].shape == value.shape, (stream_name, column)
            for a, b in zip(getattr(stream, "items", ()), getattr(other, "items", ()), strict=True):
                assert b.device.type == "meta" and a.shape == b.shape, stream_name


def test_every_transform_runs_there_or_refuses(case: Case) -> None:
    """One sentence that names the transform and the device; what runs leaves nothing behind on the CPU."""
    there = make_sample(gels=False).to("meta")
    try:
        out = build(case)(there, seed=1).realized()
    except DataError as refused:
        assert re.search(rf"{case[0]}.*: cannot work on values that lie on meta; bring the sample", str(refused))
    else:
        for name, stream in out.streams.items():
            values = [v for v in stream.values.values() if isinstance(v, torch.Tensor)]
            assert {v.device.type for v in (*values, *getattr(stream, "items", ()))} <= {"meta"}, name


def test_there_and_back() -> None:
    sample = make_sample()
    back = sample.to("cpu")
    assert torch.equal(back["lidar"]["xyz"], sample["lidar"]["xyz"])
    assert (
        back["lidar"].capture_times.device.type == "cpu" == make_sample().to("meta")["lidar"].capture_times.device.type
    )
    assert isinstance(back["CAM_FRONT"], fa.Camera)
