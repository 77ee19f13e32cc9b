"""Velocities and accelerations of tracked frames, against a circle's own."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from calib import Frame, Rig, Trajectory
from calib.rates import expected_imu_reading, point_motion, rotation_rates
from calib.se3 import rotation_about, se3

SPEED, SPIN, STEP = 0.8, 0.6, 20_000_000  # m/s, rad/s, ns
CENTRE = torch.tensor([100.0, -50.0, 0.0], dtype=torch.float64)


def circle(times: torch.Tensor, heading: float = 3.0) -> torch.Tensor:
    """Poses (n, 4, 4) of a base that drives on a circle; its heading passes half a turn."""
    angle = heading + SPIN * times.double() * 1e-9
    place = torch.stack([angle.sin(), -angle.cos(), torch.zeros_like(angle)], 1) * SPEED / SPIN
    return se3(rotation_about("z", angle), CENTRE + place)


def driving(pose: Trajectory) -> Rig:
    return Rig({"odom": Frame(axis_convention="world"), "base": Frame(parent="odom", pose=pose)})


def track(count: int = 100) -> Trajectory:
    times = STEP * torch.arange(count)
    return Trajectory(times, circle(times))


def check(rig: Rig, at: torch.Tensor, speed: float = 1.0) -> None:
    """Velocity along the heading, acceleration to the centre, at times that lie anywhere between the poses."""
    T, velocity, acceleration = point_motion(rig, "odom", "base", at)
    _, spin, angular = rotation_rates(rig, "odom", "base", at)
    ahead, left = T[:, :3, 0], T[:, :3, 1]
    assert torch.allclose(velocity, speed * SPEED * ahead, atol=1e-3)
    assert torch.allclose(acceleration, speed**2 * SPEED * SPIN * left, atol=2e-3)
    assert torch.allclose(spin, torch.tensor([0.0, 0, speed * SPIN]).double().expand_as(spin), atol=1e-5)
    assert float(angular.abs().max()) < 1e-3


def test_a_base_on_a_circle_accelerates_evenly() -> None:
    rig, at = driving(track()), torch.arange(0, 99 * STEP, 1_700_000)
    check(rig, at)
    assert not torch.equal(rig.T_at_times("odom", "base", at), rig.frames["base"].pose.smooth_T_at_times(at))
    _, accel = expected_imu_reading(rig, "base", at)
    assert torch.allclose(accel, torch.tensor([0.0, SPEED * SPIN, 9.81]).double().expand_as(accel), atol=2e-3)


def test_look_ups_stay_on_straight_lines() -> None:
    pose = track()
    middle = pose.T_at_times(torch.tensor([STEP // 2]))[0, :3, 3]
    assert torch.allclose(middle, pose.poses[:2, :3, 3].mean(0), atol=1e-14)
    assert torch.allclose(pose.smooth_T_at_times(pose.times), pose.poses, atol=1e-13)


def test_poses_that_were_filled_in_bend_nothing() -> None:
    pose = track().refined(torch.arange(99) % 3 + 1)
    assert pose.measured is not None and int(pose.measured.sum()) == 100
    check(driving(pose), torch.arange(0, 99 * STEP, 1_700_000))
    part = pose.refined(torch.full((len(pose.times) - 1,), 2)).around(10 * STEP + 1, 60 * STEP - 1)
    assert int(part.measured.sum()) == 51  # type: ignore[union-attr]
    check(driving(part), torch.arange(13 * STEP, 57 * STEP, 1_700_000))
    fast = driving(pose.retimed(pose.times // 2))
    check(fast, torch.arange(2_000_000, 99 * STEP // 2 - 2_000_000, 1_700_000), speed=2.0)


def test_a_base_rests_before_its_first_pose_and_after_its_last() -> None:
    known = track()
    times = torch.cat([known.times[:1] - 10**9, known.times, known.times[-1:] + torch.tensor([18_000_000, 10**9])])
    poses = torch.cat([known.poses[:1], known.poses, known.poses[[-1, -1]]])
    measured = (times >= known.times[0]) & (times <= known.times[-1])
    rig = driving(Trajectory(times, poses, measured=measured))
    check(rig, torch.arange(0, 99 * STEP + 18_000_000, 1_700_000))
    for at in (torch.tensor([-800_000_000]), known.times[-1:] + 500_000_000):
        _, velocity, acceleration = point_motion(rig, "odom", "base", at)
        assert float(velocity.abs().max()) < 1e-9 and float(acceleration.abs().max()) < 1e-6


def test_a_base_of_one_known_pose_stands() -> None:
    pose, measured = track(1), torch.tensor([True, False])
    rig = driving(Trajectory(torch.tensor([0, 10**9]), pose.poses[[0, 0]], measured=measured))
    _, velocity, acceleration = point_motion(rig, "odom", "base", torch.tensor([0, 1, 10**8, 10**9]))
    assert not velocity.any() and not acceleration.any()


@pytest.mark.parametrize("gap", [1, 1000])
def test_poses_at_almost_one_time_tell_no_rates(gap: int) -> None:
    """The rounding of a pose over a nanosecond would be a velocity."""
    known = track()
    times = torch.cat([known.times, known.times[50:51] + gap])
    noise = torch.from_numpy(np.random.default_rng(0).normal(size=3) * 1e-7)
    double = known.poses[50:51].clone()
    double[:, :3, 3] += noise
    check(driving(Trajectory.from_unsorted(times, torch.cat([known.poses, double]))), torch.arange(0, 99 * STEP, 10**6))
