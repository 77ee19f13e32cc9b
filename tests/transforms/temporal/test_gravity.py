"""An inertial unit at rest reads gravity, as large as it does, whatever speed or scale the scene gets."""

from __future__ import annotations

import pytest
import torch

import fusion_aug as fa
from calib import CalibrationError, ImuSensor, Rig
from calib.rig_file import rig_from_dict
from calib.se3 import rotation_from_rotvec
from fusion_aug.sample import Ref, SampleMeta

TILT = [0.3, -0.2, 0.5]
TIMES = torch.arange(50, dtype=torch.int64) * 10_000_000
STANDARD = 9.80665  # m/s^2, what one g of a unit that counts in g is


def at_rest(reads: float, told: float | None) -> fa.Sample:
    """A unit that lies still and tilted; what it reads of gravity, and what its rig file says of that."""
    more = {} if told is None else {"gravity": told}
    R = rotation_from_rotvec(TILT)
    frames = {
        "world": {"axis_convention": "world"}, "base": {"parent": "world"},
        "imu": {"parent": "base", "times": [0, 490_000_000], "rotation": [R.tolist()] * 2},
    }  # fmt: skip
    rig: Rig = rig_from_dict({"frames": frames, "sensors": {"unit": {"kind": "imu", "frame": "imu", **more}}})
    force = (R.T @ torch.tensor([0.0, 0, reads]).double()).expand(len(TIMES), 3)
    imu = fa.Imu(frame="imu", capture_times=TIMES, values={"gyro": torch.zeros_like(force), "accel": force.clone()})
    meta = SampleMeta(id="u", scene="u", ref=Ref("base", 0), rig=rig, true_rig=rig)
    return fa.Sample(metas=(meta,), streams={"unit": imu})


@pytest.mark.quick
@pytest.mark.parametrize("transform", [fa.SpeedWarp(speed=1.5), fa.ScaleScene(scale=1.5)], ids=str)
@pytest.mark.parametrize(("reads", "told"), [(9.81, None), (STANDARD, STANDARD), (9.78, 9.78)])
def test_what_lies_still_reads_the_same(transform: fa.Transform, reads: float, told: float | None) -> None:
    sample = at_rest(reads, told)
    accel = transform(sample)["unit"]["accel"]
    assert torch.allclose(accel, sample["unit"]["accel"][:1].expand_as(accel), atol=1e-9)


def test_another_gravity_than_it_reads_is_seen() -> None:
    sample = at_rest(STANDARD, None)
    accel = fa.SpeedWarp(speed=1.5)(sample)["unit"]["accel"]
    off = float((accel[0] - sample["unit"]["accel"][0]).norm())
    assert off == pytest.approx((1.5**2 - 1) * (9.81 - STANDARD), abs=1e-5)  # 4 mm/s^2


def test_figures_that_are_no_gravity_are_refused() -> None:
    with pytest.raises(CalibrationError, match=r"gravity: .*m/s\^2 from 0 to 30"):
        ImuSensor(frame="imu", gravity=-9.81)
