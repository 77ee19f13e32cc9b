"""Velocities from poses: of a body whose motion is known, from all poses or only from those that are needed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from fusion_aug.logs.core.twist import MIN_GAP, neighbours, twist_at

pytestmark = pytest.mark.quick
SPIN = np.array([0.1, -0.2, 0.7])  # rad/s, in the body's own axes
SPEED = np.array([12.0, 1.0, -0.5])  # m/s, in those of the world


def moving(times: np.ndarray) -> torch.Tensor:
    T = np.tile(np.eye(4), (len(times), 1, 1))
    T[:, :3, :3] = Rotation.from_rotvec(times[:, None] * 1e-9 * SPIN).as_matrix()
    T[:, :3, 3] = times[:, None] * 1e-9 * SPEED
    return torch.from_numpy(T)


def test_a_steady_motion_has_its_velocities() -> None:
    times = np.cumsum(np.random.default_rng(0).integers(1_000_000, 60_000_000, 200))
    poses = moving(times)
    velocity, angular = twist_at(torch.from_numpy(times), torch.from_numpy(times), poses)
    in_body = np.einsum("nji,j->ni", poses[:, :3, :3].numpy(), SPEED)
    assert np.abs(velocity.numpy() - in_body).max() < 1e-9 and np.abs(angular.numpy() - SPIN).max() < 1e-9


def test_only_the_neighbours_are_needed() -> None:
    times = np.cumsum(np.random.default_rng(1).integers(1_000_000, 60_000_000, 300))
    at, poses = times[140:160], moving(times)
    before, after = neighbours(at, times)
    assert ((at - times[before] >= MIN_GAP) & (times[after] - at >= MIN_GAP)).all()
    few = np.unique(np.concatenate([np.arange(140, 160), before, after]))
    assert len(few) < 40
    known = [twist_at(torch.from_numpy(at), torch.from_numpy(times[i]), poses[i]) for i in (few, slice(None))]
    assert all(torch.equal(a, b) for a, b in zip(*known, strict=True))


def test_too_short_a_time_tells_nothing() -> None:
    times = torch.tensor([0, MIN_GAP // 4])
    velocity, angular = twist_at(times, times, moving(times.numpy()))
    assert bool(velocity.isnan().all()) and bool(angular.isnan().all())
