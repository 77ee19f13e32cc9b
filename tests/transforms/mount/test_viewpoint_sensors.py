"""What moved radars, IMUs and a user's own sensor measure at their new place."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from samples import make_sample

import fusion_aug as fa
from fusion_aug.synth.sensors import inertial
from fusion_aug.synth.town import make_town
from fusion_aug.transforms.mount.miscalibrate import mounting_matrix

STILL = {"x_deg": 0.0, "y_deg": 0.0, "z_deg": 0.0, "x": 0.0, "y": 0.0, "z": 0.0}


def move(sample: fa.Sample, sensor: str, **numbers: float) -> fa.Sample:
    return fa.Viewpoint.apply_params(sample, {"sensors": [sensor], **STILL, **numbers})


def test_doppler_is_that_of_the_new_place() -> None:
    """v_comp is the target's velocity along the new ray; raw loses the new place's own, the turn included."""
    sample = make_sample(boxes=8)
    out = move(sample, "radar", x=-2.0, y=1.5, z_deg=20.0)
    radar, boxes, ego = out["radar"], out.boxes(), out["ego"]
    time = int(radar.capture_times[0])
    T = out.rig.T("ego", "radar", time, out.ref.time)
    xyz = radar["xyz"].double()
    ray = (xyz / xyz.norm(dim=1, keepdim=True)) @ T[:3, :3].T
    speed = (radar["velocity_comp"].double() @ T[:3, :3].T * ray).sum(1)
    assert torch.allclose(speed, (boxes["velocity"] * ray).sum(1), atol=1e-4)
    k = int((ego.capture_times - time).abs().argmin())
    mount = out.rig.T("ego", "radar", time)
    own = ego["velocity"][k] + torch.linalg.cross(ego["angular_velocity"][k], mount[:3, 3])
    raw = (radar["velocity"].double() * (xyz / xyz.norm(dim=1, keepdim=True))).sum(1)
    along = speed - (xyz / xyz.norm(dim=1, keepdim=True)) @ (mount[:3, :3].T @ own)
    assert torch.allclose(raw, along, atol=1e-4)


def test_a_moved_imu_measures_its_lever_arm() -> None:
    """Against readings that are made at the new place, while the vehicle drives through the bend and brakes."""
    town = make_town(0)
    E = mounting_matrix({**STILL, "x": 1.5, "y": -0.7, "z": 0.3, "z_deg": 30.0, "x_deg": 5.0}).numpy()
    times = np.arange(2.0, 3.2, 0.01)
    stamps = torch.from_numpy(np.round(times * 1e9).astype(np.int64))
    gyro, accel = inertial(town.ego.pose, times)
    imu = fa.Imu(
        frame="imu", capture_times=stamps, values={"gyro": torch.from_numpy(gyro), "accel": torch.from_numpy(accel)}
    )
    sample = make_sample()
    sample = sample.with_streams({"imu": imu})
    out = move(sample, "imu", x=1.5, y=-0.7, z=0.3, z_deg=30.0, x_deg=5.0)["imu"]
    expected = inertial(lambda t: town.ego.pose(t) @ E, times)
    assert np.abs(out["gyro"].numpy() - expected[0]).max() < 1e-9
    assert np.abs(out["accel"].numpy() - expected[1])[2:-2].max() < 5e-3


def test_a_moved_sensor_of_the_users_own_is_turned_by_its_columns() -> None:
    @dataclass(frozen=True, kw_only=True, eq=False)
    class Compass(fa.Stream):
        """Magnetic field in the sensor frame, tesla."""

        columns = (fa.axial("field"),)

    sample = make_sample()
    field = torch.tensor([[2e-5, 1e-5, -4e-5]], dtype=torch.float64)
    compass = Compass(frame="imu", capture_times=sample["imu"].capture_times[:1], values={"field": field})
    sample = sample.with_streams({"compass": compass})
    out = move(sample, "imu", z_deg=90.0, x=5.0)["compass"]["field"]
    assert torch.allclose(out, torch.tensor([[1e-5, -2e-5, -4e-5]], dtype=torch.float64), atol=1e-12)


def test_a_radar_sees_a_box_where_it_was_at_its_stamp() -> None:
    """A car that crosses at 20 m/s, seen 50 ms before the keyframe."""
    sample = make_sample(boxes=1)
    radar, time = sample["radar"], int(sample["radar"].capture_times[0]) - 53_000_000
    rig = make_sample(time=sample.ref.time).rig
    T = torch.linalg.inv(rig.T("ego", "radar", int(sample["radar"].capture_times[0])))
    pose = torch.eye(4, dtype=torch.float64)[None].clone()
    pose[0, :3, 3] = torch.tensor([9.0, 2.0, 0.5])
    velocity = torch.tensor([[0.0, -20.0, 0.0]], dtype=torch.float64)
    boxes = sample.boxes().with_values(pose=pose, velocity=velocity, size=torch.tensor([[4.0, 2.0, 1.5]]).double())
    there = boxes.poses_at(0, time)[0, :3, 3]
    local = T[:3, :3] @ there + T[:3, 3]
    assert float((there - pose[0, :3, 3]).norm()) == pytest.approx(1.0, abs=0.1)
    values = {k: v[:1].clone() for k, v in radar.values.items()} | {"xyz": local[None].float()}
    early = replace(
        radar, capture_times=torch.tensor([sample.ref.time - 50_000_000]), values=values, offsets=torch.tensor([0, 1])
    )
    out = move(sample.with_streams({**sample.streams, "boxes": boxes, "radar": early}), "radar", y=0.5)["radar"]
    ray = out["xyz"][0].double() / out["xyz"][0].double().norm()
    turn = sample.rig.T("ego", "radar", sample.ref.time - 50_000_000, sample.ref.time)[:3, :3]
    expected = float(velocity[0] @ (turn @ ray))
    assert float(out["velocity_comp"][0].double() @ ray) == pytest.approx(expected, abs=0.05)
