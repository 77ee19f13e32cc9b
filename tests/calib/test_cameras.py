"""Camera models against OpenCV."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from calib import BrownConrady, CalibrationError, CameraModel, CameraSensor, KannalaBrandt, Pinhole
from calib.cameras import camera_from_dict

pytestmark = pytest.mark.quick

SIZE = (480, 640)
MODELS: list[CameraModel] = [
    Pinhole.from_focal(500, 510, 321, 238, SIZE),
    BrownConrady.from_focal(500, 510, 321, 238, SIZE, [-0.3, 0.1, 0.001, -0.002]),
    BrownConrady.from_focal(500, 510, 321, 238, SIZE, [-0.3, 0.1, 0.001, -0.002, -0.02]),
    BrownConrady.from_focal(500, 510, 321, 238, SIZE, [0.4, 0.1, 0.001, -0.002, 0.02, 0.6, 0.2, 0.03]),
    BrownConrady.from_focal(
        500, 510, 321, 238, SIZE, [0.4, 0.1, 0.001, -0.002, 0.02, 0.6, 0.2, 0.03, 0.002, -0.001, 0.003, 0.001]
    ),
    KannalaBrandt.from_focal(220, 221, 321, 238, SIZE, [0.05, -0.01, 0.003, -0.0005]),
]
IDS = [f"{type(m).__name__}{len(m.distortion)}" for m in MODELS]
every_model = pytest.mark.parametrize("model", MODELS, ids=IDS)


def points_in_view(model: CameraModel, n: int = 500) -> torch.Tensor:
    rng = np.random.default_rng(0)
    xyz = np.stack([rng.uniform(-0.6, 0.6, n), rng.uniform(-0.45, 0.45, n), np.ones(n)], 1) * rng.uniform(1, 80, (n, 1))
    return torch.from_numpy(xyz)


def opencv(model: CameraModel, xyz: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Pixels and Jacobian by translation of OpenCV's own projection."""
    zero = np.zeros(3)
    K, d, points = model.K.numpy(), model.distortion.numpy(), xyz.numpy()[:, None]
    if isinstance(model, KannalaBrandt):
        pixels, jacobian = cv2.fisheye.projectPoints(points, zero, zero, K, d)
        return pixels[:, 0], jacobian[:, 11:14].reshape(-1, 2, 3)  # f, c, k, rotation, translation, skew
    pixels, jacobian = cv2.projectPoints(points, zero, zero, K, d if len(d) else None)[:2]
    return pixels[:, 0], jacobian[:, 3:6].reshape(-1, 2, 3)


@every_model
def test_projection_and_jacobian_agree_with_opencv(model: CameraModel) -> None:
    xyz = points_in_view(model)
    pixels, jacobian = opencv(model, xyz)
    mine, valid = model.project(xyz)
    assert valid.all()
    assert np.abs(mine.numpy() - pixels).max() <= 1e-9
    assert np.abs(model.jacobian(xyz).numpy() - jacobian).max() <= 1e-9


@every_model
def test_jacobian_is_the_derivative(model: CameraModel) -> None:
    xyz = points_in_view(model, 5).requires_grad_()
    rows = torch.autograd.functional.jacobian(lambda p: model.project(p)[0], xyz)
    own = torch.stack([rows[i, :, i] for i in range(5)])
    assert torch.allclose(own, model.jacobian(xyz.detach()), atol=1e-9)


@every_model
def test_unproject_inverts_project(model: CameraModel) -> None:
    xyz = points_in_view(model)
    ray = model.unproject(model.project(xyz)[0])
    assert torch.allclose(ray, xyz / xyz.norm(dim=1, keepdim=True), atol=1e-9)


@every_model
@settings(max_examples=30, deadline=None)
@given(u=st.floats(0, 639), v=st.floats(0, 479))
def test_every_pixel_that_has_a_ray_comes_back(model: CameraModel, u: float, v: float) -> None:
    pixel = torch.tensor([[u, v]], dtype=torch.float64)
    ray = model.unproject(pixel)
    if bool(torch.isfinite(ray).all()):
        back, valid = model.project(ray * 7.0)
        assert bool(valid.all())
        assert torch.allclose(back, pixel, atol=1e-6)


def test_behind_and_beyond_is_invalid() -> None:
    behind = torch.tensor([[0.1, 0.1, -1.0], [0.1, 0.1, 0.0]], dtype=torch.float64)
    for model in MODELS[:5]:
        assert not model.project(behind)[1].any()
    fisheye = MODELS[5]
    assert isinstance(fisheye, KannalaBrandt)
    assert fisheye.project(torch.tensor([[1.0, 0.0, -0.2]], dtype=torch.float64))[1].all(), "past 90 degrees is in view"
    assert not fisheye.project(torch.tensor([[0.0, 0.0, -1.0]], dtype=torch.float64))[1].any()


def test_distortion_folds_back_outside_its_radius() -> None:
    """A strong barrel lens: the polynomial would put a point at 70 degrees near the image centre."""
    model = BrownConrady.from_focal(500, 500, 320, 240, SIZE, [-0.4, 0.05, 0, 0])
    r = np.linspace(0, 3, 3001)
    grows = np.diff(r * (1 - 0.4 * r**2 + 0.05 * r**4)) > 0
    assert abs(model.max_radius - r[int(np.argmin(grows))]) < 2e-3
    inside, outside = model.max_radius - 0.01, model.max_radius + 0.01
    points = torch.tensor([[inside, 0, 1.0], [outside, 0, 1.0]], dtype=torch.float64)
    assert model.project(points)[1].tolist() == [True, False]


def test_fisheye_limit_is_where_the_polynomial_stops_growing() -> None:
    model = KannalaBrandt.from_focal(200, 200, 320, 240, SIZE, [-0.2, 0, 0, 0])
    assert abs(model.limit_angle - np.sqrt(1 / 0.6)) < 1e-9


@every_model
def test_mirrored_camera_sees_the_mirrored_scene_flipped(model: CameraModel) -> None:
    xyz = points_in_view(model)
    mirrored = xyz * torch.tensor([-1.0, 1.0, 1.0])
    expected = model.project(xyz)[0]
    found = model.mirrored().project(mirrored)[0]
    assert torch.allclose(found[:, 0], SIZE[1] - 1 - expected[:, 0], atol=1e-9)
    assert torch.allclose(found[:, 1], expected[:, 1], atol=1e-9)


@every_model
def test_dictionary_round_trip_is_exact(model: CameraModel) -> None:
    back = camera_from_dict(model.to_dict())
    assert type(back) is type(model) and back.size == model.size
    assert torch.equal(back.K, model.K) and torch.equal(back.distortion, model.distortion)


def test_pixel_map_apart_from_the_lens() -> None:
    """A resize by s maps u to s (u + 1/2) - 1/2 and changes nothing of the physical camera."""
    camera = CameraSensor(frame="c", model=MODELS[1])
    s = 0.5
    P = torch.tensor([[s, 0, (s - 1) / 2], [0, s, (s - 1) / 2], [0, 0, 1]], dtype=torch.float64)
    small = camera.with_pixel_map(P, (240, 320))
    xyz = points_in_view(MODELS[1])
    assert torch.allclose(small.project(xyz)[0], s * (camera.project(xyz)[0] + 0.5) - 0.5, atol=1e-9)
    assert small.model is camera.model
    assert torch.allclose(small.unproject(small.project(xyz)[0]), camera.unproject(camera.project(xyz)[0]), atol=1e-9)


def test_visible_only_inside_the_canvas() -> None:
    camera = CameraSensor(frame="c", model=MODELS[0])
    edge = torch.tensor(
        [[-0.5, 100.0], [-0.51, 100.0], [639.5, 0.0], [639.51, 0.0], [10.0, 479.6]], dtype=torch.float64
    )
    visible = camera.project(MODELS[0].unproject(edge) * 5)[1]
    assert visible.tolist() == [True, False, True, False, False]


def test_wrong_number_of_coefficients() -> None:
    with pytest.raises(CalibrationError, match="coefficients"):
        BrownConrady.from_focal(500, 500, 320, 240, SIZE, [0.1, 0.2, 0.3])
    with pytest.raises(CalibrationError, match="unknown camera model"):
        camera_from_dict({"model": "magic", "K": np.eye(3).tolist(), "size": [4, 4]})


@every_model
@pytest.mark.parametrize(
    "A", [np.eye(3), [[2.0, 0.1, -300], [0.2, -1.5, 500], [0, 0, 1]], [[1.0, 0.1, 3], [0.2, 1.5, 4], [1e-4, 2e-4, 1]]]
)
def test_cosines_are_those_of_the_rays(model: CameraModel, A: object) -> None:
    camera = CameraSensor(frame="camera", model=model, A=torch.tensor(np.array(A)), size=(200, 310))
    v, u = np.mgrid[:200, :310]
    ray = camera.unproject(torch.from_numpy(np.stack([u, v], -1).astype(float)))
    found = camera.cosines()
    assert found.shape == (200, 310) and int(torch.isfinite(found).sum()) > 20000
    assert torch.allclose(found, ray[..., 2], rtol=0, atol=1e-12, equal_nan=True)
