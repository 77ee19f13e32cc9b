"""Forms of rotations against scipy, and that curves stay on their branch."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from calib.rotation_forms import WIDTHS, form_from_rotation, moved_form, rotation_from_form

RNG = np.random.default_rng(0)
SOME = Rotation.random(200, random_state=1)
D = np.diag([1.0, -1.0, 1.0])


def numbers(form: str, turns: Rotation) -> np.ndarray:
    """Numbers of rotations by scipy."""
    M = turns.as_matrix()
    q = turns.as_quat()
    return {
        "rpy": turns.as_euler("xyz"), "axis_angle": turns.as_rotvec(), "quaternion_xyzw": q,
        "quaternion_wxyz": q[:, [3, 0, 1, 2]], "rotation_6d": np.concatenate([M[..., 0], M[..., 1]], 1),
        "rotation_6d_rows": M[:, :2].reshape(-1, 6),
    }[form]  # fmt: skip


def tensor(a: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(a))


@pytest.mark.parametrize("form", WIDTHS)
def test_matrices_are_those_of_scipy_and_come_back(form: str) -> None:
    v = numbers(form, SOME)
    R = rotation_from_form(form, tensor(v))
    assert np.abs(R.numpy() - SOME.as_matrix()).max() < 1e-12
    for like in (v, v + RNG.normal(scale=0.01, size=v.shape)):
        assert np.abs(form_from_rotation(form, R, tensor(like)).numpy() - v).max() < 1e-9


@pytest.mark.parametrize("form", WIDTHS)
@pytest.mark.parametrize("mirrored", [False, True])
def test_moved_rotations_are_products_of_matrices(form: str, mirrored: bool) -> None:
    a, b = Rotation.random(200, random_state=2), Rotation.random(200, random_state=3)
    out = moved_form(form, tensor(numbers(form, SOME)), tensor(a.as_matrix()), tensor(b.as_matrix()),
                     torch.full((200,), mirrored))  # fmt: skip
    M = D @ SOME.as_matrix() @ D if mirrored else SOME.as_matrix()
    expected = a.as_matrix() @ M @ b.inv().as_matrix()
    assert np.abs(rotation_from_form(form, out).numpy() - expected).max() < 1e-9


@pytest.mark.parametrize("form", WIDTHS)
def test_a_mirror_changes_signs_and_no_bit_besides(form: str) -> None:
    v = tensor(numbers(form, SOME).astype(np.float32))
    eye = torch.eye(3, dtype=torch.float64).expand(200, 3, 3)
    out = moved_form(form, v, eye, eye, torch.ones(200, dtype=torch.bool)).to(v)
    assert torch.equal(out.abs(), v.abs())
    assert torch.equal(moved_form(form, out, eye, eye, torch.ones(200, dtype=torch.bool)).to(v), v)


def curve(form: str) -> np.ndarray:
    """A smooth curve that goes through half a turn, whole turns of yaw, and both signs of a quaternion."""
    t = np.linspace(0, 1, 400)
    if form == "rpy":
        return np.stack([3 + 0.4 * t, 0.3 * np.sin(6 * t), 9 * t], 1)
    if form == "axis_angle":  # robosuite: half of it beyond pi
        return (2.6 + 1.5 * t)[:, None] * np.array([0.8, 0.6, 0]) + np.stack([0 * t, 0.1 * np.sin(9 * t), 0.2 * t], 1)
    half = 0.5 * (2.6 + 4 * t)
    axis = np.stack([0.8 + 0 * t, 0.6 * np.cos(t), 0.6 * np.sin(t)], 1)
    xyzw = np.concatenate([np.sin(half)[:, None] * axis, np.cos(half)[:, None]], 1)
    if form.startswith("quaternion"):
        return xyzw if form == "quaternion_xyzw" else xyzw[:, [3, 0, 1, 2]]
    return numbers(form, Rotation.from_quat(xyzw))


@pytest.mark.parametrize("form", WIDTHS)
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("sides", ["before", "both"])
def test_a_smooth_curve_stays_smooth(form: str, mirrored: bool, sides: str) -> None:
    v = curve(form)
    a = tensor(Rotation.from_euler("z", 50, degrees=True).as_matrix()).expand(400, 3, 3)
    b = a if sides == "both" else torch.eye(3, dtype=torch.float64).expand(400, 3, 3)
    if form == "rpy" and sides == "both":
        a = b = tensor(Rotation.from_euler("xyz", [0.2, 0.1, 0.5]).as_matrix()).expand(400, 3, 3)
    out = moved_form(form, tensor(v), a, b, torch.full((400,), mirrored)).numpy()
    before, after = (np.abs(np.diff(c, axis=0)).max() for c in (v, out))
    assert after < 3 * before + 1e-3
    again = form_from_rotation(form, rotation_from_form(form, tensor(out)), tensor(out))
    assert np.abs(out - again.numpy()).max() < 1e-7


def test_upright_pitch_keeps_the_roll() -> None:
    v = torch.tensor([[0.7, np.pi / 2, 0.2], [0.7, -np.pi / 2, 0.2]])
    again = form_from_rotation("rpy", rotation_from_form("rpy", v), v)
    assert (again - v).abs().max() < 1e-7
