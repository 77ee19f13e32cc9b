"""Donors: who fits, what is recorded, and what stops a replay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from generic import assert_same_streams, fingerprint
from samples import make_sample

import fusion_aug as fa
from calib.agreement import difference
from calib.se3 import rotation_about, se3
from fusion_aug.core.mixing.identity import sample_hash
from fusion_aug.core.mixing.transform import MixTransform
from fusion_aug.errors import ConfigError, DataError

SENSORS = ("CAM_FRONT", "lidar")


@pytest.fixture
def take_imu(own_names: None) -> Any:
    """A mix of a user's own: the donor's gyro, by a share that is drawn."""

    @dataclass(frozen=True, kw_only=True)
    class TakeGyro(MixTransform):
        needs: str = ""

        def refusal(self, sample: fa.Sample, donor: fa.Sample) -> str:
            rigs, bodies = (sample.rig, donor.rig), (sample.ref.frame, donor.ref.frame)
            return difference(*rigs, SENSORS, bodies, (sample.ref.time, donor.ref.time))

        def plan(self, rng: np.random.Generator, sample: fa.Sample, donor: fa.Sample) -> dict[str, Any] | str:
            if self.needs and self.needs not in donor.streams:
                return f"it has no {self.needs}"
            return {"share": float(rng.random())}

        @classmethod
        def mixed(cls, sample: fa.Sample, donor: fa.Sample, params: Mapping[str, Any]) -> fa.Sample:
            gyro = torch.lerp(sample["imu"]["gyro"], donor["imu"]["gyro"], params["share"])
            return sample.with_streams({**sample.streams, "imu": sample["imu"].with_values(gyro=gyro)})

    return TakeGyro


def some(count: int = 4) -> list[fa.Sample]:
    return [make_sample(f"s{k}", seed=k, gels=False, scene=f"scene{k % 2}") for k in range(count)]


@pytest.mark.quick
def test_a_partner_is_drawn_recorded_and_replayed(take_imu: Any) -> None:
    log = some()
    donors, mix = fa.Donors(log), take_imu()
    before = fingerprint(log[0])
    outs = [mix(log[0], seed=k, resources={"donors": donors}) for k in range(20)]
    partners = {o.history[0].params[""]["donor"] for o in outs}
    assert partners == {"s1", "s2", "s3"}
    params = outs[0].history[0].params[""]
    other = log[int(params["donor"][1:])]
    assert params["donor_hash"] == sample_hash(other)
    expected = torch.lerp(log[0]["imu"]["gyro"], other["imu"]["gyro"], params["share"])
    assert torch.equal(outs[0]["imu"]["gyro"], expected)
    again = fa.replay(log[0], outs[0].history, resources={"donors": fa.Donors(some())})
    assert_same_streams(outs[0], again)
    assert all(a is b or torch.equal(a, b) for a, b in zip(before, fingerprint(log[0]), strict=True)
               if isinstance(a, torch.Tensor))  # fmt: skip


@pytest.mark.quick
def test_a_donor_that_has_changed_stops_a_replay(take_imu: Any) -> None:
    log = some(2)
    out = take_imu()(log[0], resources={"donors": fa.Donors(log)})
    boxes = log[1]["boxes"]
    moved = boxes.with_values(velocity=boxes["velocity"] + 1e-9)
    other = [log[0], log[1].with_streams({**log[1].streams, "boxes": moved})]
    with pytest.raises(DataError, match="the donor 's1' has changed since"):
        fa.replay(log[0], out.history, resources={"donors": fa.Donors(other)})
    with pytest.raises(fa.FusionAugError, match="needs donors"):
        fa.replay(log[0], out.history)


def test_batches_give_each_sample_its_own_partner(take_imu: Any) -> None:
    log = some()
    resources = {"donors": fa.Donors(log)}
    together = take_imu(p=0.5)(fa.collate(log), seed=1, resources=resources)
    alone = [take_imu(p=0.5)(s, seed=1, resources=resources) for s in log]
    assert [m.history for m in together.metas] == [s.history for s in alone]
    assert len({m.history[0].applied for m in together.metas}) == 2
    assert_same_streams(fa.collate(alone), together)


def test_what_parts_two_rigs_is_said_with_its_figure(take_imu: Any) -> None:
    log = some(2)
    frame = log[1].rig.frames["CAM_FRONT"]
    turned = log[1].rig.with_pose("CAM_FRONT", frame.pose @ se3(rotation_about("y", np.radians(0.05)), [0, 0, 0]))
    other = log[1].with_meta(0, rig=turned, true_rig=turned)
    with pytest.raises(
        DataError, match=r"none of 1 donors fits sample 's0': of 's1', 'CAM_FRONT' is turned by 0.050 d"
    ):
        take_imu()(log[0], resources={"donors": fa.Donors([log[0], other])})
    shifted = log[1].rig.with_pose("lidar", se3(torch.eye(3), [0, 0, 0.0021]) @ log[1].rig.frames["lidar"].pose)
    assert "'lidar' is mounted 2.1 mm elsewhere" in difference(log[0].rig, shifted, SENSORS, ("ego", "ego"), (0, 0))
    device = log[1].rig.with_sensor("lidar", replace(log[1].rig.sensors["lidar"], wavelength=1.55e-6))
    assert "wavelength" in difference(log[0].rig, device, SENSORS, ("ego", "ego"), (0, 0))
    small = make_sample("small", size=(40, 64), gels=False).rig
    assert "pictures of 64x48 and 64x40" in difference(log[0].rig, small, SENSORS, ("ego", "ego"), (0, 0))
    with pytest.raises(DataError, match="it has no thermal"):
        take_imu(needs="thermal")(log[0], resources={"donors": fa.Donors(log)})


def test_mixes_stand_first(take_imu: Any) -> None:
    turn, fog = fa.RotateScene(yaw_deg=5.0), fa.Brightness(factor=1.1)
    with pytest.raises(ConfigError, match="stands before all transforms that do not; move it in front of RotateScene"):
        fa.Compose([turn, take_imu()])
    with pytest.raises(ConfigError, match="move it in front of first/Brightness"):
        fa.Compose({"first": fa.OneOf([take_imu(), fog]), "second": take_imu()})
    fa.Compose([fa.OneOf([take_imu(), fog]), turn])
    log = some(2)
    with pytest.raises(ConfigError, match="'s0' has been through RotateScene already"):
        take_imu()(turn(log[0]), resources={"donors": fa.Donors(log)})


@pytest.mark.parametrize("given", [None, {"donors": 3}, {"donors": "self"}])
def test_without_donors_it_says_what_to_give(take_imu: Any, given: Any) -> None:
    with pytest.raises(ConfigError, match=r"needs donors|make it with fa.Donors\(log\)"):
        take_imu()(make_sample(gels=False), resources=given)


class Conditioned(list):  # type: ignore[type-arg]
    """A log that knows when it was."""

    def conditions(self, sample_id: str) -> dict[str, str]:
        return {"time_of_day": "night" if int(sample_id[1:]) % 2 else "day"}


def test_the_index_finds_donors_and_is_kept(take_imu: Any, tmp_path: Path) -> None:
    log, file = Conditioned(some(6)), tmp_path / "index.json"
    donors = fa.Donors(log, index=file)
    assert donors.facts["s3"].classes == {"car": 5} and donors.facts["s3"].time_of_day == "night"
    again = fa.Donors(log, index=file)
    again._read = None  # type: ignore[method-assign,assignment]  # what is in the file is not read again
    assert again.facts == donors.facts
    outs = [take_imu(same=["time_of_day"])(log[1], seed=k, resources={"donors": donors}) for k in range(12)]
    assert {o.history[0].params[""]["donor"] for o in outs} == {"s3", "s5"}
    assert fa.Donors(log[:3], index=file).facts.keys() == {"s0", "s1", "s2"}  # other samples: made anew
    file.write_text("{")
    with pytest.raises(DataError, match="is no index of donors"):
        _ = fa.Donors(log, index=file).facts
    with pytest.raises(ConfigError, match="same: 'sun' is not one of scene, weather, time_of_day"):
        take_imu(same=["sun"])
    with pytest.raises(DataError, match=r"none of 2 fits sample 's0' \(same scene\)"):
        take_imu(same=["scene"])(log[0], resources={"donors": fa.Donors(log[:2])})
