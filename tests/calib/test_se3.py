"""Rigid transforms against scipy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation, Slerp

from calib import CalibrationError, Trajectory
from calib.se3 import (
    check_se3,
    invert,
    quaternion_from_rotation,
    rotation_about,
    rotation_angle,
    rotation_from_quaternion,
    rotation_from_rotvec,
    se3,
    slerp,
    transform_points,
    upright,
)

pytestmark = pytest.mark.quick

RANDOM = Rotation.random(200, random_state=np.random.default_rng(1))


@pytest.mark.parametrize(
    "axis", [[1.0, 0, 0], [0, 1, 0], [0, 0, -1], [-0.6, 0.8, 0], [0, -0.6, 0.8], [0.48, -0.6, 0.64]]
)
def test_half_a_turn_has_one_quaternion(axis: list[float]) -> None:
    """Where w is 0, it is so up to the last bits, and their sign decides nothing."""
    quaternions = []
    for w in (0.0, 1e-16, -1e-16):
        q = quaternion_from_rotation(rotation_from_quaternion([w, *axis]))
        quaternions.append(quaternion_from_rotation(rotation_from_quaternion(-q)))
    assert all(torch.allclose(q, quaternions[0], atol=1e-12) for q in quaternions)
    assert float(quaternions[0][1:][torch.tensor(axis) != 0][0]) > 0


def test_quaternions_agree_with_scipy() -> None:
    wxyz = torch.from_numpy(RANDOM.as_quat()[:, [3, 0, 1, 2]])
    assert np.allclose(rotation_from_quaternion(wxyz).numpy(), RANDOM.as_matrix(), atol=1e-12)
    back = quaternion_from_rotation(torch.from_numpy(RANDOM.as_matrix()))
    assert (back[:, 0] >= 0).all()
    assert torch.allclose((back * wxyz).sum(1).abs(), torch.ones(200, dtype=torch.float64), atol=1e-12)


def test_half_turns_have_quaternions() -> None:
    for axis in "xyz":
        R = rotation_about(axis, np.pi)
        assert torch.allclose(rotation_from_quaternion(quaternion_from_rotation(R)), R, atol=1e-12)


def test_rotation_vectors_agree_with_scipy() -> None:
    rotvec = torch.from_numpy(RANDOM.as_rotvec())
    assert np.allclose(rotation_from_rotvec(rotvec).numpy(), RANDOM.as_matrix(), atol=1e-10)
    assert np.allclose(rotation_angle(torch.from_numpy(RANDOM.as_matrix())).numpy(), RANDOM.magnitude(), atol=1e-7)


def test_axes_turn_the_right_way() -> None:
    """Right-handed: a quarter turn about z takes x (forward) to y (left)."""
    assert torch.allclose(rotation_about("z", np.pi / 2)[:, 0], torch.tensor([0.0, 1, 0], dtype=torch.float64))
    assert torch.allclose(rotation_about("x", np.pi / 2)[:, 1], torch.tensor([0.0, 0, 1], dtype=torch.float64))
    assert torch.allclose(rotation_about("y", np.pi / 2)[:, 2], torch.tensor([1.0, 0, 0], dtype=torch.float64))


def test_inverse_and_points() -> None:
    T = se3(torch.from_numpy(RANDOM.as_matrix()), torch.randn(200, 3, dtype=torch.float64))
    assert torch.allclose(invert(T) @ T, torch.eye(4, dtype=torch.float64).expand(200, 4, 4), atol=1e-12)
    p = torch.randn(200, 7, 3, dtype=torch.float64)
    assert torch.allclose(transform_points(invert(T), transform_points(T, p)), p, atol=1e-12)


def test_slerp_agrees_with_scipy() -> None:
    pair = RANDOM[:2]
    theirs = Slerp([0.0, 1.0], pair)(np.linspace(0, 1, 11)).as_matrix()
    a, b = (torch.from_numpy(m) for m in pair.as_matrix())
    mine = slerp(a.expand(11, 3, 3), b.expand(11, 3, 3), torch.linspace(0, 1, 11, dtype=torch.float64))
    assert np.allclose(mine.numpy(), theirs, atol=1e-12)


def test_upright_keeps_heading_and_origin() -> None:
    T = se3(rotation_about("z", 0.7) @ rotation_about("y", 0.1) @ rotation_about("x", -0.2), [1.0, 2.0, 3.0])
    U = upright(T)
    assert torch.allclose(U, se3(rotation_about("z", 0.7), [1.0, 2.0, 3.0]), atol=1e-12)


@pytest.mark.parametrize(
    ("matrix", "what"),
    [
        (torch.full((4, 4), float("nan"), dtype=torch.float64), "NaN"),
        (torch.diag(torch.tensor([1.0, -1, 1, 1], dtype=torch.float64)), "mirror"),
        (torch.diag(torch.tensor([1.1, 1.1, 1.1, 1], dtype=torch.float64)), "not orthonormal"),
        (torch.eye(3, dtype=torch.float64), "4x4"),
    ],
)
def test_what_is_not_rigid_is_refused(matrix: torch.Tensor, what: str) -> None:
    with pytest.raises(CalibrationError, match=f"file.yaml: field.*{what}"):
        check_se3(matrix, "file.yaml: field")


def test_trajectory_is_exact_at_stamps_and_never_extrapolates() -> None:
    times = torch.tensor([10, 20, 40])
    poses = se3(
        rotation_about("z", torch.tensor([0.0, 0.2, 0.6], dtype=torch.float64)), torch.eye(3, dtype=torch.float64)
    )
    track = Trajectory(times, poses)
    assert torch.equal(track.at(20), poses[1])
    between = track.at(30)
    assert torch.allclose(between[:3, 3], (poses[1, :3, 3] + poses[2, :3, 3]) / 2)
    assert abs(float(torch.atan2(between[1, 0], between[0, 0])) - 0.4) < 1e-12
    for time in (9, 41):
        with pytest.raises(CalibrationError, match="outside"):
            track.at(time)


def test_stamps_keep_every_nanosecond() -> None:
    """2^53 ns is passed in 1970: differences are taken in int64 before any float."""
    t0 = 1_700_000_000_123_456_789
    poses = se3(translation=torch.tensor([[0.0, 0, 0], [4.0, 0, 0]], dtype=torch.float64))
    track = Trajectory(torch.tensor([t0, t0 + 4]), poses)
    assert float(track.at(t0 + 1)[0, 3]) == 1.0
