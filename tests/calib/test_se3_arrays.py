"""Rigid transforms of many rows: against SciPy and NumPy's linear algebra, and each row as if it were alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from calib.se3 import check_se3, invert, rotation_from_quaternion
from calib.se3_arrays import determinants, poses_of_rows, product, rotvec_from_rotation

pytestmark = pytest.mark.quick


def test_poses_of_a_table_are_those_of_scipy() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(50, 7))
    T = poses_of_rows(rows).numpy()
    assert np.abs(T[:, :3, :3] - Rotation.from_quat(rows[:, [1, 2, 3, 0]]).as_matrix()).max() < 1e-15
    assert np.array_equal(T[:, :3, 3], rows[:, 4:]) and np.array_equal(T[:, 3], np.tile([0.0, 0, 0, 1], (50, 1)))
    assert all(np.array_equal(poses_of_rows(rows[i : i + 1]).numpy()[0], T[i]) for i in range(50))
    assert poses_of_rows(rows[:0]).shape == (0, 4, 4)


def test_quaternions_with_a_gradient_give_the_same_rotations() -> None:
    q = torch.randn(2, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    R = rotation_from_quaternion(q.clone().requires_grad_())
    assert torch.equal(R.detach(), rotation_from_quaternion(q)) and R.shape == (2, 3, 3, 3)
    assert torch.autograd.gradcheck(rotation_from_quaternion, q.clone().requires_grad_())


@pytest.mark.parametrize("size", [0.0, 1e-9, 1e-4, 1e-3, 0.1, 1.5, 3.0])
def test_rotation_vectors_come_back(size: float) -> None:
    given = np.random.default_rng(1).normal(size=(200, 3))
    given *= size / np.linalg.norm(given, axis=1, keepdims=True)
    R = Rotation.from_rotvec(given).as_matrix()
    found = rotvec_from_rotation(R)
    assert np.abs(found - given).max() <= 1e-14 + 1e-12 * size
    rounded = R + 1e-7 * np.random.default_rng(2).normal(size=R.shape)  # as files of few digits hold them
    assert np.abs(rotvec_from_rotation(rounded) - Rotation.from_matrix(rounded).as_rotvec()).max() == 0
    assert rotvec_from_rotation(R[:0]).shape == (0, 3)


def test_products_and_determinants_are_those_of_numpy() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(40, 3, 3)), rng.normal(size=(40, 3, 2))
    assert np.abs(product(a, b) - a @ b).max() < 1e-14
    assert np.abs(determinants(a) - np.linalg.det(a)).max() < 1e-14
    zeros = product(-np.eye(3), np.zeros((3, 1)))
    assert not np.signbit(zeros).any()


def test_an_inverse_undoes_a_pose_also_with_a_gradient() -> None:
    T = poses_of_rows(np.random.default_rng(4).normal(size=(9, 7)))
    assert float((invert(T) @ T - torch.eye(4, dtype=torch.float64)).abs().max()) < 1e-14
    assert float((invert(T.clone().requires_grad_()).detach() - invert(T)).abs().max()) < 1e-14
    check_se3(invert(T), "inverse")
