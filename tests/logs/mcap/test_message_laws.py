"""What transforms do to messages of instruments and bodies, against scipy and NumPy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from ros_messages import BASE, MOUNTED, STEP, STORE, T0, after, sample_of, series, stamp, stream_of
from scipy.spatial.transform import Rotation, Slerp

import fusion_aug as fa
from calib import LidarSensor
from fusion_aug.errors import DataError, Obstacle
from fusion_aug.logs.mcap.typed import TYPES
from fusion_aug.logs.mcap.writing import to_message

S = np.diag([1.0, -1.0, 1.0])
MIRROR = fa.MirrorScene(axis="y")
IMU, ODOMETRY, SCAN = "sensor_msgs/msg/Imu", "nav_msgs/msg/Odometry", "sensor_msgs/msg/LaserScan"


def xyz(v: Any) -> np.ndarray:
    return np.array([v.x, v.y, v.z])


def xyzw(q: Any) -> np.ndarray:
    return np.array([q.x, q.y, q.z, q.w])


def rotation(q: Any) -> np.ndarray:
    return Rotation.from_quat(xyzw(q)).as_matrix()


def quaternion(q: np.ndarray) -> Any:
    x, y, z, w = (float(v) for v in q)
    return STORE.types["geometry_msgs/msg/Quaternion"](x=x, y=y, z=z, w=w)


def square(c: Any) -> np.ndarray:
    n = round(len(c) ** 0.5)
    return np.asarray(c).reshape(n, n)


# --- inertial units --------------------------------------------------------------------------------------------------
def test_a_mirror_turns_all_that_an_imu_says() -> None:
    for before, now in after(series(IMU, MOUNTED), MIRROR, MOUNTED):
        assert np.allclose(rotation(now.orientation), S @ rotation(before.orientation) @ S)
        assert np.allclose(xyz(now.angular_velocity), -S @ xyz(before.angular_velocity))
        assert np.allclose(xyz(now.linear_acceleration), S @ xyz(before.linear_acceleration))
        for name in ("orientation", "angular_velocity", "linear_acceleration"):
            old, new = (square(getattr(m, f"{name}_covariance")) for m in (before, now))
            assert np.allclose(new, S @ old @ S), name


def test_an_imu_turned_on_its_mounting_keeps_its_attitude_in_the_world() -> None:
    turned = fa.Viewpoint(sensors=["t"], z_deg=30, x_deg=-10)
    sensors = {"t": LidarSensor(frame=MOUNTED)}
    before = sample_of(series(IMU, MOUNTED), MOUNTED, sensors)
    out = turned(before, seed=0)
    E = (before.rig.T(BASE, MOUNTED).inverse() @ out.true_rig.T(BASE, MOUNTED))[:3, :3].numpy()  # T_old_new
    for old, new in after(series(IMU, MOUNTED), turned, MOUNTED, sensors):
        assert np.allclose(rotation(new.orientation), rotation(old.orientation) @ E)
        assert np.array_equal(new.orientation_covariance, old.orientation_covariance)
        assert np.allclose(square(new.angular_velocity_covariance), E.T @ square(old.angular_velocity_covariance) @ E)


def test_a_rigid_motion_of_the_scene_leaves_an_imu_alone() -> None:
    for before, now in after(series(IMU, MOUNTED), fa.RotateScene(yaw_deg=40, roll_deg=3), MOUNTED):
        assert now == before or repr(now) == repr(before)


@pytest.mark.parametrize("seen", ["negative", "zeros"])
def test_an_orientation_that_is_none_stays_as_it_is(seen: str) -> None:
    none = np.concatenate([[-1.0], np.zeros(8)])
    fields = {"orientation_covariance": none} if seen == "negative" else {"orientation": quaternion(np.zeros(4))}
    messages = [replace(m, **fields) for m in series(IMU, MOUNTED)]
    for transform in (MIRROR, fa.SpeedWarp(speed=1.3)):
        for before, now in after(messages, transform, MOUNTED):
            assert xyzw(now.orientation).tolist() == xyzw(before.orientation).tolist()
            if seen == "negative":
                assert now.orientation_covariance.tolist() == none.tolist()
            assert xyz(now.angular_velocity).tolist() != xyz(before.angular_velocity).tolist()


def test_noise_leaves_the_orientation_and_covariances() -> None:
    for before, now in after(series(IMU, MOUNTED), fa.SensorBias(gyro_noise=1e-3, accel_noise=0.0), MOUNTED):
        assert xyz(now.angular_velocity).tolist() != xyz(before.angular_velocity).tolist()
        for name in ("orientation", "orientation_covariance", "angular_velocity_covariance", "linear_acceleration"):
            assert repr(getattr(now, name)) == repr(getattr(before, name)), name


def test_unknown_covariances_stay_unknown() -> None:
    none, unknown = np.zeros(9), np.concatenate([[-1.0], np.full(8, 0.25)])
    fields = {"angular_velocity_covariance": none, "linear_acceleration_covariance": unknown}
    messages = [replace(m, **fields) for m in series(IMU, MOUNTED)]
    for transform in (MIRROR, fa.ScaleScene(scale=1.2), fa.SpeedWarp(speed=1.3)):
        for _, now in after(messages, transform, MOUNTED):
            assert np.array_equal(now.angular_velocity_covariance, none)
            assert np.array_equal(now.linear_acceleration_covariance, unknown)


def test_infinite_variances_do_not_spoil_the_others() -> None:
    wide = np.diag([np.inf, 4.0, 9.0]) + np.array([[0, 0, 0], [0, 0, 0.5], [0, 0.5, 0]])
    messages = [replace(m, angular_velocity_covariance=wide.reshape(-1)) for m in series(IMU, MOUNTED)]
    expected = np.diag([np.inf, 4.0, 9.0]) - np.array([[0, 0, 0], [0, 0, 0.5], [0, 0.5, 0]])
    for _, now in after(messages, MIRROR, MOUNTED):
        assert np.array_equal(square(now.angular_velocity_covariance), expected)


def test_attitudes_are_read_between_their_samples_by_scipy() -> None:
    messages = series(IMU, MOUNTED, count=12)
    sample = sample_of(messages, MOUNTED)
    speed = 1.3
    out = fa.SpeedWarp(speed=speed)(sample, seed=0)["t"]
    old = np.arange(12) * 0.1
    known = Slerp(old, Rotation.from_quat([xyzw(m.orientation) for m in messages]))
    at = (out.capture_times.numpy() - T0) * 1e-9 * speed
    found = [to_message(out, i, messages[int(r)]) for i, r in enumerate(out.records)]
    for t, message in zip(at.clip(0, 1.1), found, strict=True):
        assert (known(t).inv() * Rotation.from_quat(xyzw(message.orientation))).magnitude() < 1e-8
    for i, r in enumerate(out.records):
        ratio = square(found[i].angular_velocity_covariance) / square(messages[int(r)].angular_velocity_covariance)
        assert np.allclose(ratio, speed**2)
        ratio = square(found[i].linear_acceleration_covariance) / square(
            messages[int(r)].linear_acceleration_covariance
        )
        assert np.allclose(ratio, speed**4)


def test_a_magnetic_field_is_a_pseudo_vector() -> None:
    for before, now in after(series("sensor_msgs/msg/MagneticField", MOUNTED), MIRROR, MOUNTED):
        assert np.allclose(xyz(now.magnetic_field), -S @ xyz(before.magnetic_field))


# --- bodies ----------------------------------------------------------------------------------------------------------
def block(s: float = 1.0) -> np.ndarray:
    """A mirror of y and a scale of positions and of rotations about axes."""
    return np.block([[s * S, np.zeros((3, 3))], [np.zeros((3, 3)), -S]])


def test_an_odometry_is_mirrored_with_its_twist_and_covariances() -> None:
    both = fa.Compose([MIRROR, fa.ScaleScene(scale=1.5)])
    A = block(1.5)
    for before, now in after(series(ODOMETRY, "world"), both, "world"):
        assert np.allclose(rotation(now.pose.pose.orientation), S @ rotation(before.pose.pose.orientation) @ S)
        assert np.allclose(xyz(now.pose.pose.position), 1.5 * S @ xyz(before.pose.pose.position))
        assert np.allclose(xyz(now.twist.twist.linear), 1.5 * S @ xyz(before.twist.twist.linear))
        assert np.allclose(xyz(now.twist.twist.angular), -S @ xyz(before.twist.twist.angular))
        assert np.allclose(square(now.pose.covariance), A @ square(before.pose.covariance) @ A.T)
        assert np.allclose(square(now.twist.covariance), A @ square(before.twist.covariance) @ A.T)


def test_quaternions_stay_continuous_over_half_a_turn() -> None:
    yaws = np.linspace(-3.5, 3.5, 40)
    messages = series(ODOMETRY, "world", count=40)
    for k, yaw in enumerate(yaws):  # as an integrator has them: continuous, through both signs of w
        q = quaternion(np.array([0, 0, np.sin(yaw / 2), np.cos(yaw / 2)]))
        pose = replace(messages[k].pose, pose=replace(messages[k].pose.pose, orientation=q))
        messages[k] = replace(messages[k], pose=pose)
    found = np.array([xyzw(now.pose.pose.orientation) for _, now in after(messages, MIRROR, "world")])
    assert (found[1:] * found[:-1]).sum(1).min() > 0.9
    assert np.allclose(np.unwrap(2 * np.arctan2(found[:, 2], found[:, 3])) % (2 * np.pi), -yaws % (2 * np.pi))


def test_what_does_not_change_keeps_its_bytes() -> None:
    """A shift of the scene moves places and leaves rotations: a quaternion is not rounded through a matrix."""
    messages = series("geometry_msgs/msg/PoseStamped", BASE)
    long = [
        replace(m, pose=replace(m.pose, orientation=quaternion(-1.0000001 * xyzw(m.pose.orientation))))
        for m in messages
    ]
    for before, now in after(long, fa.TranslateScene(x=1.0), BASE):
        assert now.pose.orientation is before.pose.orientation
        assert now.pose.position.x == pytest.approx(before.pose.position.x + 1.0)


def test_an_odometry_whose_child_has_no_name_is_a_body() -> None:
    for before, now in after(series(ODOMETRY, "world", child=""), MIRROR, "world"):
        assert np.allclose(xyz(now.twist.twist.linear), S @ xyz(before.twist.twist.linear))
        assert np.allclose(rotation(now.pose.pose.orientation), S @ rotation(before.pose.pose.orientation) @ S)


@pytest.mark.parametrize(
    "motion",
    [fa.TranslateScene(x=0.4, y=-0.3), fa.RotateScene(yaw_deg=50), MIRROR, fa.ScaleScene(scale=1.4)],
    ids=lambda m: type(m).__name__,
)
def test_velocity_stays_the_derivative_of_the_position(motion: Any) -> None:
    messages = []
    times = [T0 + k * 1_000_000 for k in range(40)]
    template = series(ODOMETRY, "world", count=1, child=BASE)[0]
    w = np.array([0.2, -0.1, 0.7])
    for k in range(40):
        t = k * 1e-3
        R = Rotation.from_rotvec(w * t)
        place = np.array([3 * t, 0.5 * t * t, 0.0])
        v = R.inv().apply([3, t, 0.0])
        pose = replace(
            template.pose.pose, orientation=quaternion(R.as_quat()),
            position=STORE.types["geometry_msgs/msg/Point"](*map(float, place)),
        )  # fmt: skip
        vector = STORE.types["geometry_msgs/msg/Vector3"]
        twist = replace(template.twist.twist, linear=vector(*map(float, v)), angular=vector(*map(float, w)))
        messages.append(
            replace(template, pose=replace(template.pose, pose=pose), twist=replace(template.twist, twist=twist))
        )
    sample = sample_of(messages, "world")
    stream = replace(sample["t"], capture_times=torch.tensor(times))
    out = motion(sample.with_streams({"t": stream}), seed=0)["t"]
    places = out["pose"][:, :3, 3].numpy()
    slope = (places[2:] - places[:-2]) / 2e-3
    told = np.einsum("nij,nj->ni", out["pose"][1:-1, :3, :3].numpy(), out["velocity"][1:-1].numpy())
    assert np.abs(slope - told).max() < 1e-4


def test_the_covariance_of_a_twist_follows_its_origin() -> None:
    kind = "geometry_msgs/msg/TwistWithCovarianceStamped"
    t = np.array([0.4, -0.3, 0.0])
    skew = np.array([[0, -t[2], t[1]], [t[2], 0, -t[0]], [-t[1], t[0], 0]])
    A = np.block([[np.eye(3), skew], [np.zeros((3, 3)), np.eye(3)]])
    for before, now in after(series(kind, BASE), fa.TranslateScene(x=0.4, y=-0.3), BASE):
        old, new = before.twist, now.twist
        assert np.allclose(xyz(new.twist.linear), xyz(old.twist.linear) - np.cross(xyz(old.twist.angular), t))
        assert np.allclose(square(new.covariance), A @ square(old.covariance) @ A.T)


def test_a_command_is_as_fast_as_the_time() -> None:
    for _, now in after([series("geometry_msgs/msg/Twist")[0]] * 6, fa.SpeedWarp(speed=1.25)):
        first = series("geometry_msgs/msg/Twist")[0]
        assert np.allclose(xyz(now.linear), 1.25 * xyz(first.linear))
        assert np.allclose(xyz(now.angular), 1.25 * xyz(first.angular))


def test_an_acceleration_needs_the_velocity_where_the_speed_changes() -> None:
    messages = [series("geometry_msgs/msg/AccelStamped")[0]] * 6
    for before, now in after(messages, fa.SpeedWarp(speed=1.25)):
        assert np.allclose(xyz(now.accel.linear), 1.25**2 * xyz(before.accel.linear))
    with pytest.raises(DataError, match="acceleration needs velocity beside it"):
        after(messages, fa.TimeWarp(period=2.0))


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
