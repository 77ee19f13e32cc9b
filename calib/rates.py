"""How frames of a rig move: velocities and accelerations from differences of their poses."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from calib import Rig
from calib.kinematics import GRAVITY

STEP = 2_000_000  # ns, of differences of poses
HELD = 100_000_000  # ns for which the first and the last known pose may stand


def motion(rig: Rig, root: str, frame: str, at: Tensor, point: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """``T_root_frame`` (n, 4, 4), and velocity and acceleration (n, 3) in the root of a point fixed on the frame.

    By differences, which lie inside at the ends of what is known. A sensor that begins up to a tenth of a second before
    the joints' first reading, or goes on after the last, keeps that pose.

    Args:
        rig, root, frame: which. at: (n,) ns. point: (3,) in the frame; its origin by default.
    """
    at, moments = known_moments(rig, root, frame, at)
    place = torch.zeros(3, dtype=torch.float64) if point is None else point
    p = []
    for moment in moments:
        T = rig.along(root, frame, moment)
        p.append(T[:, :3, :3] @ place + T[:, :3, 3])
    seconds = STEP * 1e-9
    return rig.along(root, frame, at), (p[2] - p[0]) / (2 * seconds), (p[2] - 2 * p[1] + p[0]) / seconds**2


def known_moments(rig: Rig, root: str, frame: str, at: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Moments (n,) at which the pose is known, and three about each for differences."""
    first, last = known_span(rig, root, frame)
    at = torch.where((at > first - HELD) & (at < last + HELD), at.clamp(first, last), at)
    middle = at.clamp(first + STEP, last - STEP) if last - first > 2 * STEP else at
    return at, [middle + k * STEP for k in (-1, 0, 1)]


def known_span(rig: Rig, root: str, frame: str) -> tuple[int, int]:
    """First and last time (ns) at which every moving pose between two frames is known."""
    first, last = -(2**62), 2**62
    name: str | None = frame
    while name is not None and name != root:
        pose = rig.frames[name].pose
        if not isinstance(pose, Tensor):
            first, last = max(first, int(pose.times[0])), min(last, int(pose.times[-1]))
        name = rig.frames[name].parent
    return first, last


def rotation_rates(rig: Rig, root: str, frame: str, at: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """``T_root_frame``, angular velocity and angular acceleration (n, 3) in the frame's own axes."""
    at, moments = known_moments(rig, root, frame, at)
    R = [rig.along(root, frame, moment)[:, :3, :3] for moment in moments]
    ahead, behind = _small_turn(R[1].transpose(1, 2) @ R[2]), _small_turn(R[0].transpose(1, 2) @ R[1])
    seconds = STEP * 1e-9
    return rig.along(root, frame, at), (ahead + behind) / (2 * seconds), (ahead - behind) / seconds**2


def felt(rig: Rig, frame: str, at: Tensor) -> tuple[Tensor, Tensor]:
    """What an inertial unit at a frame feels by the poses of the rig: angular velocity and specific force (n, 3).

    Gravity is that of the frame's root, whose z is up.
    """
    root = rig.root_of(frame)
    _, spin, _ = rotation_rates(rig, root, frame, at)
    T, _, acceleration = motion(rig, root, frame, at)
    return spin, (T[:, :3, :3].transpose(1, 2) @ (acceleration - GRAVITY)[..., None])[..., 0]


def _small_turn(R: Tensor) -> Tensor:
    from scipy.spatial.transform import Rotation

    return torch.from_numpy(np.asarray(Rotation.from_matrix(R.numpy()).as_rotvec()))
