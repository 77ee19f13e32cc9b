"""Velocities and accelerations of frames of a rig, from differences on smooth curves through their poses."""

from __future__ import annotations

import torch
from torch import Tensor

from calib import Rig
from calib.kinematics import GRAVITY
from calib.se3_arrays import rotvec_from_rotation
from calib.sensors import ImuSensor
from calib.trajectory import MovingPose

DIFFERENCE_STEP_NS = 2_000_000  # between the poses that are subtracted
MAX_HOLD_NS = 100_000_000  # for which the first and the last known pose may hold beyond the known times


def point_motion(
    rig: Rig, root: str, frame: str, at: Tensor, point: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """``T_root_frame`` (n, 4, 4), and velocity and acceleration (n, 3) in the root of a point fixed on the frame.

    By differences, which are taken inside the known span at its ends. Up to a tenth of a second before the first
    known pose, or after the last, that pose is taken.

    Args:
        rig, root, frame: the rig, a frame, and one of its ancestors. at: (n,) int64 ns.
        point: (3,) in the frame, metres; its origin by default.

    Raises:
        CalibrationError: the pose is unknown at a time.
    """
    at, neighbours = known_times(rig, root, frame, at)
    own = rig.T_at_times(root, frame, at)
    place = torch.zeros(3, dtype=torch.float64) if point is None else point
    p = []
    for times in neighbours:
        T = _on_smooth_curve(rig, root, frame, times)
        p.append(T[:, :3, :3] @ place + T[:, :3, 3])
    seconds = DIFFERENCE_STEP_NS * 1e-9
    return own, (p[2] - p[0]) / (2 * seconds), (p[2] - 2 * p[1] + p[0]) / seconds**2


def _on_smooth_curve(rig: Rig, root: str, frame: str, times: Tensor) -> Tensor:
    """``T_root_frame`` (n, 4, 4), every moving pose between them on its smooth curve."""
    T = torch.eye(4, dtype=torch.float64).expand(len(times), 4, 4)
    for name in _below(rig, root, frame):
        pose = rig.frames[name].pose
        T = (pose if isinstance(pose, Tensor) else pose.smooth_T_at_times(times)) @ T
    return T


def known_times(rig: Rig, root: str, frame: str, at: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Times (n,) at which the pose is known, and three about each for differences: none across an end of a motion."""
    first, last = known_span(rig, root, frame)
    at = torch.where((at > first - MAX_HOLD_NS) & (at < last + MAX_HOLD_NS), at.clamp(first, last), at)
    middle = at
    for begin, end in ((first, last), *(p.measured_span for p in _moving_poses(rig, root, frame))):
        if end - begin > 2 * DIFFERENCE_STEP_NS:
            near = (at > begin - MAX_HOLD_NS) & (at < end + MAX_HOLD_NS)
            inside = middle.clamp(begin + DIFFERENCE_STEP_NS, end - DIFFERENCE_STEP_NS)
            middle = torch.where(near, inside, middle)
    return at, [middle + k * DIFFERENCE_STEP_NS for k in (-1, 0, 1)]


def known_span(rig: Rig, root: str, frame: str) -> tuple[int, int]:
    """First and last time (ns) at which every moving pose between two frames is known."""
    spans = [(int(p.times[0]), int(p.times[-1])) for p in _moving_poses(rig, root, frame)]
    return max((first for first, _ in spans), default=-(2**62)), min((last for _, last in spans), default=2**62)


def _moving_poses(rig: Rig, root: str, frame: str) -> list[MovingPose]:
    """The moving poses between a frame and its ancestor ``root``; all above it where that is none."""
    poses = [rig.frames[n].pose for n in _below(rig, root, frame)]
    return [p for p in poses if not isinstance(p, Tensor)]


def _below(rig: Rig, root: str, frame: str) -> list[str]:
    """A frame and its ancestors up to below the root."""
    chain = rig.ancestors(frame)
    return chain[: chain.index(root)] if root in chain else chain


def rotation_rates(rig: Rig, root: str, frame: str, at: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """``T_root_frame``, angular velocity and angular acceleration (n, 3) in the frame's own axes."""
    at, neighbours = known_times(rig, root, frame, at)
    own = rig.T_at_times(root, frame, at)
    R = [_on_smooth_curve(rig, root, frame, times)[:, :3, :3] for times in neighbours]
    turns = ((R[1].transpose(1, 2) @ R[2]).numpy(), (R[0].transpose(1, 2) @ R[1]).numpy())
    ahead, behind = (torch.from_numpy(rotvec_from_rotation(turn)) for turn in turns)
    seconds = DIFFERENCE_STEP_NS * 1e-9
    return own, (ahead + behind) / (2 * seconds), (ahead - behind) / seconds**2


def expected_imu_reading(rig: Rig, frame: str, at: Tensor) -> tuple[Tensor, Tensor]:
    """What an IMU at a frame measures by the poses of the rig: angular velocity and specific force R^T (a - g).

    Args:
        rig: with the frame; gravity is that of the frame's root, whose z is up. frame: of the IMU. at: (n,) ns.

    Returns:
        (n, 3) rad/s and (n, 3) m/s^2, both in the frame's own axes, float64.
    """
    root = rig.root_of(frame)
    _, spin, _ = rotation_rates(rig, root, frame, at)
    T, _, acceleration = point_motion(rig, root, frame, at)
    return spin, (T[:, :3, :3].transpose(1, 2) @ (acceleration - GRAVITY)[..., None])[..., 0]


def gravity_of(rig: Rig, name: str) -> Tensor:
    """Gravity (3,) m/s^2 in a world whose z is up, as large as an IMU reads it, by the name of that."""
    sensor = rig.sensors.get(name)
    told = sensor.gravity if isinstance(sensor, ImuSensor) else None
    return GRAVITY if told is None else GRAVITY.new_tensor([0.0, 0.0, -told])
