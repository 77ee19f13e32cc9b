"""What breaks, and how far: severities in the units that they are given in."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from places import DRIVE
from samples import make_sample

import fusion_aug as fa
from fusion_aug.errors import DataError
from fusion_aug.ops.points import points_in_boxes

CAMERAS = ("CAM_FRONT", "CAM_LEFT", "CAM_RIGHT", "FISHEYE")


@pytest.fixture(scope="module")
def street() -> fa.Sample:
    """A keyframe of the sample log without its sweeps."""
    sample = fa.open_log("nuscenes", DRIVE)[4]
    return sample.with_streams({**sample.streams, "LIDAR_TOP": sample.take_key("LIDAR_TOP")})


def picture(sample: fa.Sample, name: str = "CAM_FRONT") -> torch.Tensor:
    return sample[name].image(0)  # type: ignore[attr-defined]


def test_dead_and_stuck_pixels_have_the_given_number_and_stay(street: fa.Sample) -> None:
    fault = fa.DeadPixels(dead=3000.0, stuck=1000.0, cameras=["CAM_FRONT"], scope="scene")
    out = fault(street, seed=1)
    changed = (picture(out) != picture(street)).any(-1)
    count = picture(street).shape[0] * picture(street).shape[1]
    assert int(changed.sum()) == pytest.approx(4000e-6 * count, rel=0.02)
    assert int((picture(out) == 255).all(-1).sum()) >= int(400e-6 * count)
    assert torch.equal(picture(out, "CAM_BACK"), picture(street, "CAM_BACK"))
    later = fa.open_log("nuscenes", DRIVE)[5]
    again = (picture(fault(later, seed=1)) != picture(later)).any(-1)
    assert float((again & changed).sum() / changed.sum()) > 0.95  # the same pixels in the next frame


def test_banding_has_the_frequency_of_the_lamps() -> None:
    grey = torch.full((480, 64, 3), 128, dtype=torch.uint8)
    sample = make_sample(size=(480, 64))
    cameras = {n: sample[n] for n in ("CAM_FRONT",)}
    flat = sample.with_streams(
        {n: fa.Camera(frame=n, capture_times=s.capture_times, items=(grey,)) for n, s in cameras.items()}
    )
    out = fa.Banding(depth=0.5, frequency=120.0, readout=0.05)(flat, seed=1)
    rows = picture(out)[:, 0, 0].double().numpy()
    spectrum = np.abs(np.fft.rfft(rows - rows.mean()))
    assert int(spectrum.argmax()) == 6  # periods in 0.05 s
    light = (rows / 255) ** 2.2
    assert 1 - light.min() / light.max() == pytest.approx(0.5, abs=0.03)


def test_black_cameras_are_as_many_as_drawn() -> None:
    sample = make_sample()
    dropped = 0
    for seed in range(60):
        out = fa.BlackCamera(each=0.25)(sample, seed=seed)
        dropped += sum(not bool(picture(out, c).any()) for c in CAMERAS)
    assert dropped / (60 * len(CAMERAS)) == pytest.approx(0.25, abs=0.08)


def test_overexposure_is_in_stops() -> None:
    sample = make_sample()
    dark = torch.full((48, 64, 3), 60, dtype=torch.uint8)
    sample = sample.with_streams(
        {"CAM_FRONT": fa.Camera(frame="CAM_FRONT", capture_times=sample["CAM_FRONT"].capture_times, items=(dark,))}
    )
    level = picture(fa.Overexposure(stops=1.0)(sample, seed=1)).double().mean() / 255
    light = [((x + 0.055) / 1.055) ** 2.4 for x in (60 / 255, float(level))]
    assert light[1] / light[0] == pytest.approx(2.0, rel=0.02)


def test_dirt_and_scratches_have_the_given_size(street: fa.Sample) -> None:
    out = fa.LensDirt(spots=1.0, size_deg=10.0, light=0.0, cameras=["CAM_FRONT"])(street, seed=4)
    dark = (picture(out).float().mean(-1) < 0.5 * picture(street).float().mean(-1)).sum()
    radius = math.radians(10.0) * float(street.rig.camera("CAM_FRONT").model.K[0, 0]) / 2
    assert 0.1 * math.pi * radius**2 < float(dark) < 4 * math.pi * radius**2
    lines = fa.LensScratches(scratches=5.0, strength=0.5, cameras=["CAM_FRONT"])(street, seed=1)
    brighter = picture(lines).int() - picture(street).int()
    assert int(brighter.min()) >= 0 and 50 < int((brighter > 5).any(-1).sum()) < 20000


def test_a_frozen_camera_shows_what_it_saw(street: fa.Sample) -> None:
    """Rendered back by half a second of driving, it is nearer to the picture of then than the new one is."""
    log = fa.open_log("nuscenes", DRIVE)
    now, then = log[4], log[3]
    gap = (int(now["CAM_FRONT"].capture_times[0]) - int(then["CAM_FRONT"].capture_times[0])) * 1e-9
    out = fa.FrozenCamera(age=gap, cameras=["CAM_FRONT"])(now, seed=1)

    def off(a: fa.Sample) -> float:
        return float((picture(a).float() - picture(then).float()).abs()[100:].mean())

    assert off(out) < 0.85 * off(now)
    assert torch.equal(out["CAM_FRONT"].capture_times, now["CAM_FRONT"].capture_times)
    # a clip that holds the old picture shows it again
    first, second = now["CAM_FRONT"], torch.zeros_like(picture(now))
    both = fa.Camera(
        frame="CAM_FRONT", capture_times=torch.tensor([0, 10**9]) + first.capture_times, items=(picture(now), second)
    )
    clip = now.with_streams({"CAM_FRONT": both})
    again = fa.FrozenCamera(age=0.9)(clip, seed=1)["CAM_FRONT"]
    assert torch.equal(again.image(1), picture(now))  # type: ignore[attr-defined]


def test_lost_packets_are_sectors(street: fa.Sample) -> None:
    cloud = street["LIDAR_TOP"].realized()
    out = fa.DroppedPackets(share=0.3, packet_deg=5.0)(street, seed=2)["LIDAR_TOP"]
    assert len(out["xyz"]) / len(cloud["xyz"]) == pytest.approx(0.7, abs=0.12)
    sector = lambda xyz: set(torch.floor(torch.rad2deg(torch.atan2(xyz[:, 1], xyz[:, 0])) / 5.0).int().tolist())  # noqa: E731
    assert len(sector(cloud["xyz"])) - len(sector(out["xyz"])) >= 0.15 * 72


def test_crosstalk_stays_on_its_rays(street: fa.Sample) -> None:
    cloud = street["LIDAR_TOP"].realized()
    out = fa.LidarCrosstalk(share=0.05)(street, seed=2)["LIDAR_TOP"]
    moved = (out["xyz"] != cloud["xyz"]).any(1)
    assert float(moved.double().mean()) == pytest.approx(0.05, abs=0.01)
    a, b = (x[moved] / x[moved].norm(dim=1, keepdim=True) for x in (out["xyz"], cloud["xyz"]))
    assert float((a - b).norm(dim=1).max()) < 1e-5
    far = out["xyz"][moved].norm(dim=1)
    assert float(far.min()) >= 0.5 and float(far.max()) <= 100.0
    assert (out["intensity"][moved] <= 255).all()


def test_incomplete_echo_takes_dark_points_of_vehicles_only(street: fa.Sample) -> None:
    cloud = street["LIDAR_TOP"].realized()
    numbered = cloud.with_values(number=torch.arange(cloud.rows).double())  # type: ignore[attr-defined]
    sample = street.with_streams({**street.streams, "LIDAR_TOP": numbered})
    out = fa.IncompleteEcho(share=1.0, reflectivity=0.3)(sample, seed=2)["LIDAR_TOP"]
    lost = torch.ones(cloud.rows, dtype=torch.bool)  # type: ignore[attr-defined]
    lost[out["number"].long()] = False
    assert int(lost.sum()) > 10
    assert (cloud["intensity"][lost] / (255 * 100 / 255) < 0.3).all()
    boxes = street["boxes"]
    inside = torch.zeros_like(lost)
    for rows in points_in_boxes(street.points("LIDAR_TOP")["xyz"], boxes["pose"], boxes["size"] + 0.05):
        inside[rows] = True
    assert bool(inside[lost].all())


def test_reduced_view_looks_ahead(street: fa.Sample) -> None:
    out = fa.ReducedView(view_deg=90.0)(street, seed=1)
    xyz = out.points("LIDAR_TOP")["xyz"] - street.T_ref("LIDAR_TOP")[:3, 3]
    assert len(xyz) > 500
    assert float(torch.rad2deg(torch.atan2(xyz[:, 1], xyz[:, 0])).abs().max()) < 45.01
    assert (
        fa.ReducedView(view_deg=360.0)(street, seed=1)["LIDAR_TOP"].counts.tolist()
        == street["LIDAR_TOP"].counts.tolist()
    )  # type: ignore[attr-defined]


def test_a_shaken_scan_moves_by_the_given_amount(street: fa.Sample) -> None:
    out = fa.ScanMotionBlur(shift=0.1, tilt_deg=0.0, frequency=10.0)(street, seed=1)["LIDAR_TOP"]
    off = (out["xyz"] - street["LIDAR_TOP"]["xyz"]).norm(dim=1)
    assert 0.05 < float(off.max()) <= 0.1 + 1e-4
    still = fa.ScanMotionBlur(shift=0.0, tilt_deg=0.0)(street, seed=1)["LIDAR_TOP"]
    assert torch.allclose(still["xyz"], street["LIDAR_TOP"]["xyz"])


def test_interference_lifts_the_noise_floor(street: fa.Sample) -> None:
    scan = street.with_streams({n: street[n] for n in ("RADAR_FRONT", "ego")})
    counts = [
        len(fa.RadarInterference(noise_rise=r, rate=0.0)(scan, seed=1)["RADAR_FRONT"]["rcs"]) for r in (0, 10, 20, 40)
    ]
    assert (
        counts[0] == len(scan["RADAR_FRONT"]["rcs"])
        and counts == sorted(counts, reverse=True)
        and counts[3] < counts[0]
    )
    more = [len(fa.RadarInterference(noise_rise=0.0, rate=7.0)(scan, seed=s)["RADAR_FRONT"]["rcs"]) for s in range(40)]
    items = len(scan["RADAR_FRONT"])
    assert (np.mean(more) - counts[0]) / items == pytest.approx(7.0, abs=1.2)


def test_imu_ends_at_its_scale() -> None:
    sample = make_sample()
    out = fa.ImuSaturation(accel=0.5, gyro_deg=30.0)(sample, seed=1)["imu"]
    before = sample["imu"]
    assert torch.equal(out["accel"], before["accel"].clamp(-0.5, 0.5))
    assert torch.allclose(out["gyro"], before["gyro"].clamp(-math.radians(30), math.radians(30)))


def test_a_gps_jump_moves_the_reported_pose_only(street: fa.Sample) -> None:
    out = fa.GpsJump(distance=5.0, heading_deg=90.0)(street, seed=1)
    reported = [s.rig.T("world", "ego", s.ref.time)[:3, 3] for s in (street, out)]
    assert torch.allclose(reported[1] - reported[0], torch.tensor([0.0, 5.0, 0.0]).double(), atol=1e-6)
    assert torch.equal(out.true_rig.T("world", "ego", out.ref.time), street.true_rig.T("world", "ego", street.ref.time))
    assert torch.allclose(
        out["ego"]["pose"][:, :3, 3] - street["ego"]["pose"][:, :3, 3], reported[1] - reported[0], atol=1e-6
    )
    # nothing moves against anything else
    uv = [s.project("LIDAR_TOP", "CAM_FRONT")[0] for s in (street, out)]
    assert torch.allclose(*uv, atol=1e-6)


def test_what_is_broken_stays_broken_over_a_scene() -> None:
    log, fault = fa.open_log("nuscenes", DRIVE), fa.DeadPixels(dead=3000.0, stuck=0.0)
    a, b = ((picture(fault(log[k], seed=1)) != picture(log[k])).any(-1) for k in (0, 1))
    assert float((a & b).sum() / a.sum()) > 0.95


def test_dirt_keeps_its_size_on_a_smaller_canvas(street: fa.Sample) -> None:
    sample = street.with_streams({"CAM_FRONT": street["CAM_FRONT"]})
    dirt, shares = fa.LensDirt(spots=6.0, size_deg=4.0, light=0.0), []
    for chain in ([dirt], [fa.Resize(size=(99, 176)), dirt]):
        bare = fa.Compose(chain[:-1])(sample, seed=1)
        out = fa.Compose(chain)(sample, seed=1)
        shares.append(float((picture(out).float().mean(-1) < 0.6 * picture(bare).float().mean(-1)).double().mean()))
    assert shares[0] > 0.005 and shares[1] == pytest.approx(shares[0], rel=0.4)


def test_a_fault_of_no_camera_is_refused() -> None:
    with pytest.raises(DataError, match=r"LensDirt\.cameras: CAM_NOPE names no camera"):
        fa.LensDirt(cameras=["CAM_NOPE"])(make_sample(), seed=1)
