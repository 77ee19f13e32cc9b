"""What transforms do to messages of inertial units and bodies, against scipy and NumPy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from ros_messages import BASE, MOUNTED, STORE, T0, after, sample_of, series
from ros_numbers import MIRROR, S, quaternion, rotation, square, xyz, xyzw
from scipy.spatial.transform import Rotation, Slerp

import fusion_aug as fa
from calib import LidarSensor
from fusion_aug.errors import DataError
from fusion_aug.logs.mcap.writing import to_message

IMU, ODOMETRY, SCAN = "sensor_msgs/msg/Imu", "nav_msgs/msg/Odometry", "sensor_msgs/msg/LaserScan"


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
