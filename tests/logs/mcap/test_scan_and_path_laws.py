"""What transforms do to messages of paths, scanners and satellites, and to fields of a vendor, against NumPy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from ros_messages import BASE, MOUNTED, STEP, STORE, T0, after, sample_of, series, stamp, stream_of
from ros_numbers import MIRROR, rotation, xyz
from scipy.spatial.transform import Rotation

import fusion_aug as fa
from calib import LidarSensor
from fusion_aug.errors import DataError, Obstacle
from fusion_aug.logs.mcap.typed import TYPES

IMU, ODOMETRY, SCAN = "sensor_msgs/msg/Imu", "nav_msgs/msg/Odometry", "sensor_msgs/msg/LaserScan"


# --- paths -----------------------------------------------------------------------------------------------------------
def test_a_path_moves_with_its_frame_and_its_stamps_with_the_time() -> None:
    messages = series("nav_msgs/msg/Path", BASE, count=4)
    stamps = [0, 250_000_000, 700_000_000]  # ns after the path's own; the first was never set
    for k, m in enumerate(messages):
        own = [stamp(T0 + k * STEP + s if s else 0) for s in stamps]
        poses = [replace(p, header=replace(p.header, stamp=t)) for p, t in zip(m.poses, own, strict=True)]
        messages[k] = replace(m, poses=poses)
    R = Rotation.from_euler("z", 40, degrees=True).as_matrix()
    both = fa.Compose([fa.RotateScene(yaw_deg=40), fa.SpeedWarp(speed=2.0)])
    pairs = after(messages, both, BASE)
    assert len(pairs) == 4
    for k, (before, now) in enumerate(pairs):
        for old, new, t in zip(before.poses, now.poses, stamps, strict=True):
            assert np.allclose(xyz(new.pose.position), R @ xyz(old.pose.position))
            assert np.allclose(rotation(new.pose.orientation), R @ rotation(old.pose.orientation))
            found = new.header.stamp.sec * 10**9 + new.header.stamp.nanosec
            assert found == (T0 + (k * STEP + t) // 2 if t else 0)


def test_a_path_without_poses_is_a_path() -> None:
    messages = [replace(m, poses=[]) for m in series("geometry_msgs/msg/PoseArray")]
    assert all(now.poses == [] for _, now in after(messages, MIRROR))


def test_a_path_of_poses_in_other_frames_is_not_understood() -> None:
    messages = series("nav_msgs/msg/Path", BASE)
    pose = messages[1].poses[0]
    wrong = replace(pose, header=replace(pose.header, frame_id="map"))
    messages[1] = replace(messages[1], poses=[wrong, *messages[1].poses[1:]])
    with pytest.raises(DataError, match="a pose in it is in frame 'map', and itself in 'base_link'"):
        stream_of(messages)


# --- scans -----------------------------------------------------------------------------------------------------------
def scans(time_increment: float = 0.0) -> list[Any]:
    ranges = np.array([2.0, np.inf, 3.5, np.nan, 0.0, 4.25, 5.0], np.float32)
    out = []
    for k, m in enumerate(series(SCAN, MOUNTED)):
        rays = ranges[: 7 - k % 2]  # as some drivers send them: not always as many
        out.append(
            replace(
                m, ranges=rays, intensities=np.arange(len(rays), dtype=np.float32), angle_min=-0.5,
                angle_increment=0.25, angle_max=-0.5 + 0.25 * (len(rays) - 1), time_increment=time_increment,
                scan_time=0.1, range_min=0.125, range_max=30.0,
            )
        )  # fmt: skip
    return out


def points(scan: Any) -> dict[float, tuple[float, ...]]:
    """Intensity of every ray -> its angle and range."""
    angles = scan.angle_min + scan.angle_increment * np.arange(len(scan.ranges))
    rays = zip(scan.intensities.tolist(), angles.tolist(), scan.ranges.tolist(), strict=True)
    return {i: (round(a, 6), r) for i, a, r in rays}


@pytest.mark.parametrize("time_increment", [0.0, 1e-3])
def test_a_mirrored_scan_sees_the_mirrored_world(time_increment: float) -> None:
    for before, now in after(scans(time_increment), MIRROR, MOUNTED):
        old, new = points(before), points(now)
        assert set(new) == set(old)
        assert np.allclose([new[i] for i in old], [(-a, r) for a, r in old.values()], equal_nan=True)
        assert now.angle_max == pytest.approx(now.angle_min + now.angle_increment * (len(now.ranges) - 1))
        assert now.ranges.dtype == np.float32 and len(now.ranges) == len(before.ranges)
        # rays of one time are put in the other order; others keep it, and so their times
        assert bool(now.intensities[0] == before.intensities[0]) is bool(time_increment)
        assert (now.angle_increment > 0) is not bool(time_increment)
        assert now.time_increment == before.time_increment


def test_a_scan_scales_and_keeps_what_was_not_measured() -> None:
    for before, now in after(scans(), fa.ScaleScene(scale=2.0), MOUNTED):
        assert np.array_equal(now.ranges, 2 * before.ranges, equal_nan=True)
        assert (now.range_min, now.range_max) == (0.25, 60.0)
        assert now.angle_min == before.angle_min and np.array_equal(now.intensities, before.intensities)


def test_a_faster_world_is_scanned_in_less_time() -> None:
    for _, now in after(scans(1e-3), fa.SpeedWarp(speed=1.25), MOUNTED):
        assert now.scan_time == pytest.approx(0.08) and now.time_increment == pytest.approx(8e-4)


def test_a_scanner_turned_on_its_mounting_sees_other_angles() -> None:
    sensors = {"t": LidarSensor(frame=MOUNTED)}
    for before, now in after(scans(), fa.Viewpoint(sensors=["t"], z_deg=30), MOUNTED, sensors):
        assert now.angle_min == pytest.approx(before.angle_min - np.pi / 6)
        assert now.ranges is before.ranges
    for moved in (fa.Viewpoint(sensors=["t"], x=0.1), fa.Viewpoint(sensors=["t"], x_deg=3)):
        with pytest.raises(Obstacle, match="at another place or tilt is not in the recording; leave the topic out"):
            after(scans(), moved, MOUNTED, sensors)


def test_scans_of_different_lengths_make_a_batch() -> None:
    long, short = scans(), [replace(m, ranges=m.ranges[:4], intensities=m.intensities[:4]) for m in scans()]
    bare = [replace(m, intensities=m.intensities[:0]) for m in long]
    parts = [sample_of(m, MOUNTED).with_meta(0, id=str(k)) for k, m in enumerate((long, short, bare))]
    out = MIRROR(fa.collate(parts), seed=0)["t"]
    alone = [MIRROR(p, seed=0)["t"] for p in parts]
    for k, part in enumerate(alone):
        mine = out.take_items((out.sample_index == k).nonzero()[:, 0])
        width = part["range"].shape[1]
        assert torch.equal(mine["range"][:, :width].nan_to_num(-1.0), part["range"].nan_to_num(-1.0))
        assert bool(mine["range"][:, width:].isnan().all()) and torch.equal(mine["rays"], part["rays"])
    assert bool(out["intensity"][-len(bare) :].isnan().all())


def test_the_weather_is_refused_by_name() -> None:
    for kind in (SCAN, "sensor_msgs/msg/Range"):
        with pytest.raises(Obstacle, match="stream 't': Fog would have to change it, but nothing in a message tells"):
            after(series(kind, MOUNTED), fa.Fog(mor=60), MOUNTED)
        for before, now in after(series(kind, MOUNTED), fa.Night(), MOUNTED):
            assert now is before


# --- satellites ------------------------------------------------------------------------------------------------------
def test_a_place_on_the_earth_is_neither_mirrored_nor_scaled() -> None:
    messages = series("sensor_msgs/msg/NavSatFix", MOUNTED)
    for motion in (MIRROR, fa.ScaleScene(scale=1.1)):
        with pytest.raises(Obstacle, match="a position on the earth cannot be mirrored or scaled"):
            after(messages, motion, MOUNTED)
    for before, now in after(messages, fa.Compose([fa.RotateScene(yaw_deg=9), fa.TranslateScene(x=3)]), MOUNTED):
        assert now is before


def test_places_are_read_between_fixes_the_short_way_around() -> None:
    template = series("sensor_msgs/msg/NavSatFix", MOUNTED)[0]
    east = [179.98, 179.99, -180.0, -179.99, -179.98]
    messages = [replace(template, longitude=e, latitude=0.01 * k) for k, e in enumerate(east)]
    found = after(messages, fa.SpeedWarp(speed=2.0), MOUNTED)
    unwrapped = [now.longitude % 360 for _, now in found]
    assert np.allclose(unwrapped, [179.98, 180.0, 180.02]) and np.allclose(
        [n.latitude for _, n in found], [0, 0.02, 0.04]
    )


def test_a_jump_of_the_receiver_is_as_long_as_it_is_drawn() -> None:
    template = replace(series("sensor_msgs/msg/NavSatFix", MOUNTED)[0], latitude=48.1, longitude=11.5)
    jump = fa.GpsJump(distance=100.0, heading_deg=30.0)
    for _, now in after([template] * 3, jump, MOUNTED):
        # metres per degree at 48.1 degrees, by the series of the US Army (TM 5-241)
        phi = np.deg2rad(48.1)
        north = 111132.92 - 559.82 * np.cos(2 * phi) + 1.175 * np.cos(4 * phi)
        east = 111412.84 * np.cos(phi) - 93.5 * np.cos(3 * phi) + 0.118 * np.cos(5 * phi)
        assert (now.latitude - 48.1) * north == pytest.approx(50.0, abs=1e-3)
        assert (now.longitude - 11.5) * east == pytest.approx(100 * np.cos(np.pi / 6), abs=1e-3)
        assert now.altitude == template.altitude


# --- fields of a vendor ----------------------------------------------------------------------------------------------
def planted(kind: str, field: str) -> tuple[Any, list[Any]]:
    """A type store whose type has one more field, and messages of it."""
    from rosbags.typesys import get_types_from_msg
    from rosbags.typesys.store import Typestore

    text, _ = STORE.generate_msgdef(kind)
    head, *rest = text.split("=" * 80)
    found = get_types_from_msg("".join([f"{head.rstrip()}\n{field}\n", *("=" * 80 + r for r in rest)]), kind)
    store = Typestore()
    store.register({n: f for n, f in STORE.fielddefs.items() if n not in found} | found)
    return store, series(kind, MOUNTED, types=store)


@pytest.mark.parametrize("kind", TYPES)
def test_a_field_that_a_vendor_added_is_kept_or_refused(kind: str) -> None:
    store, messages = planted(kind, "string serial_number")
    motion = fa.RotateScene(yaw_deg=5) if kind.endswith(("NavSatFix", "Range")) else MIRROR
    for before, now in after(messages, motion, MOUNTED):
        again = store.deserialize_cdr(bytes(store.serialize_cdr(now, kind)), kind)
        assert again.serial_number == before.serial_number == "a serial_number"
    _, unknown = planted(kind, "float64 drift")
    with pytest.raises(DataError, match="its field drift is not one"):
        stream_of(unknown)
