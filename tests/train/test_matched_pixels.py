"""Pixels of two views: where points that are projected into both say, through every lens."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from generic import Case, build, of_family
from samples import make_batch, make_sample

import fusion_aug as fa
from fusion_aug.streams.families import ImagePlane, Mount, Scene, Temporal

CAMERAS = ("CAM_FRONT", "CAM_LEFT", "CAM_RIGHT", "FISHEYE")


def seen(sample: fa.Sample) -> fa.Sample:
    """What cameras and the LiDAR see, and the vehicle's motion."""
    return sample.with_streams({n: sample[n] for n in (*CAMERAS, "lidar", "ego", "joints", "imu")})


def projected(view: fa.Sample, cloud: str, camera: str, index: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Pixels and visibility of all points of the key sweep."""
    item = view.key_item(cloud, index)
    return view.project(cloud, camera, item=item, camera_item=view.key_item(camera, index), true_rig=True)


def pixel_errors(a: fa.Sample, b: fa.Sample, camera: str, index: int = 0) -> torch.Tensor:
    """How far matched pixels lie from where the points that they show are projected, pixels."""
    pair = fa.matches(a, b, index)
    pixels, seen = projected(a, "lidar", camera, index)
    found = pair.pixels(camera, pixels, item=a.key_item(camera, index))
    if not found.camera or found.why:
        return torch.zeros(0)
    wanted, also = projected(b, "lidar", found.camera, index)
    return (found.pixels - wanted).norm(dim=1)[seen & also & found.valid]


@of_family(Scene, ImagePlane, Mount, Temporal)
def test_pixels_are_where_the_points_are(case: Case) -> None:
    sample = seen(make_sample(points=200, dtype=torch.float64, gels=False))
    a, b = fa.views(sample, build(case, p=1.0), seed=3)
    errors = [pixel_errors(a, b, n) for n in CAMERAS if n in a.streams]
    if case[0] not in ("RollingShutter", "DropFrames", "TemporalMask", "RateChange"):
        assert sum(map(len, errors)) > 15, [len(e) for e in errors]
    for name, error in zip(CAMERAS, errors, strict=False):
        assert float(error.max() if len(error) else 0.0) < 0.1, name


@pytest.mark.quick
def test_pixels_through_everything_that_moves_them() -> None:
    steps = [
        fa.RotateScene(yaw_deg=[-90, 90], pitch_deg=[-5, 5]),
        fa.MirrorScene(axis="y", p=0.5),
        fa.ScaleScene(scale=[0.8, 1.2]),
        fa.Viewpoint(y_deg=[-4, 4], z_deg=[-3, 3], p=0.7),
        fa.ResizeCrop(size=(40, 56), scale=[0.8, 1.1], x=[0, 1], y=[0, 1], scope="sensor"),
        fa.RotateImage(angle_deg=[-10, 10]),
        fa.PerspectiveImage(strength=0.05),
        fa.FlipImage(p=0.5),
        fa.SpeedWarp(speed=[0.7, 1.4]),
    ]
    batch = seen(make_batch(3, gels=False))
    batch = batch.with_streams({**batch.streams, "lidar": in_float64(batch["lidar"])})
    a, b = fa.views(batch, fa.Compose(steps), seed=1)
    count = 0
    for index in range(3):
        for name in CAMERAS:
            errors = pixel_errors(a, b, name, index)
            count += len(errors)
            assert float(errors.max() if len(errors) else 0.0) < 1e-3, name
    assert count > 60


def in_float64(cloud: fa.Stream) -> fa.Stream:
    return cloud.with_values(xyz=cloud["xyz"].double())


def test_a_match_of_the_wrong_picture_is_caught() -> None:
    """Pixels that are matched by another crop than the recorded one lie apart by what was planted."""
    a, b = fa.views(make_sample(), fa.Crop(size=(40, 50), x=[0, 1], y=[0, 1]), seed=1)
    sensor = b.rig.camera("CAM_FRONT")
    moved = torch.tensor([[1.0, 0, 0.5], [0, 1, 0], [0, 0, 1]], dtype=torch.float64)
    wrong = b.with_meta(0, true_rig=b.rig.with_sensor("CAM_FRONT", sensor.with_pixel_map(moved, sensor.size)))
    pixels = torch.tensor([[20.0, 20.0]])
    shift = (
        fa.matches(a, wrong).pixels("CAM_FRONT", pixels).pixels - fa.matches(a, b).pixels("CAM_FRONT", pixels).pixels
    )
    assert torch.allclose(shift, torch.tensor([[0.5, 0.0]]).double(), atol=1e-9)


def test_pixels_of_an_unknown_lens_follow_the_pixel_maps() -> None:
    """Against OpenCV's own matrices of a crop, a flip and a resize."""
    sample = make_sample(size=(48, 64))
    crop = fa.Crop.apply_params(sample, {"size": [40, 50], "x": 1.0, "y": 0.0})
    flip = fa.FlipImage.apply_params(fa.Resize.apply_params(sample, {"size": [24, 32]}), {"axis": "x"})
    pixels = torch.tensor([[3.0, 5.0], [30.0, 20.0]])
    found = fa.matches(crop, flip).pixels("CAM_LEFT", pixels)
    corners = np.float32([[-0.5, -0.5], [63.5, -0.5], [-0.5, 47.5]])  # of the source, and where they go
    to_flip = cv2.getAffineTransform(corners, np.float32([[31.5, -0.5], [-0.5, -0.5], [31.5, 23.5]]))
    source = pixels.numpy() + np.float32([14, 0])
    wanted = source @ to_flip[:, :2].T + to_flip[:, 2]
    assert np.allclose(found.pixels.numpy(), wanted, atol=1e-6) and bool(found.valid.all())


def test_pixels_without_a_source_are_not_valid() -> None:
    sample = make_sample(size=(48, 64))
    padded = fa.Pad.apply_params(sample, {"left": 10, "top": 0, "right": 0, "bottom": 0, "size": None})
    pixels = torch.tensor([[4.0, 10.0], [20.0, 10.0], [200.0, 10.0], [float("nan"), 3.0]])
    found = fa.matches(padded, sample).pixels("CAM_FRONT", pixels)
    assert found.valid.tolist() == [False, True, False, False]
    assert found.pixels[1].tolist() == [10.0, 10.0]
    turned = fa.Viewpoint(y_deg=10.0, sensors=["CAM_FRONT"])(sample)
    rim = torch.tensor([[62.0, 24.0], [20.0, 24.0]])  # what comes into view has no source: the validity mask says so
    assert fa.matches(turned, sample).pixels("CAM_FRONT", rim).valid.tolist() == [False, True]


def test_pictures_that_show_something_else_have_no_pixel_in_common() -> None:
    sample = make_sample(gels=False)
    black = fa.BlackCamera(cameras=["CAM_LEFT"])(sample)
    pair = fa.matches(sample, fa.MirrorScene(axis="y")(black))
    found = pair.pixels("CAM_LEFT", torch.zeros(2, 2))
    assert not bool(found.valid.any()) and "BlackCamera" in found.why and found.camera == "CAM_RIGHT"
    assert bool(pair.pixels("CAM_FRONT", torch.full((1, 2), 5.0)).valid.all())
    dropped = fa.ModalityDropout(share=1.0, sensors=["CAM_FRONT"])(sample)
    assert "dropped" in fa.matches(dropped, sample).pixels("CAM_FRONT", torch.zeros(1, 2)).why
    assert len(fa.matches(sample, dropped).point_pixels("lidar", "CAM_FRONT")) == 0
    silent = fa.ModalityDropout(share=1.0, sensors=["lidar"])(sample)
    found = fa.matches(silent, sample).point_pixels("lidar", "CAM_FRONT")
    assert len(found) == 0 and found.why == "the sweep of 'lidar' was dropped"


@pytest.mark.quick
def test_distances_and_times_of_another_kind_are_refused() -> None:
    sample = make_sample(gels=False)
    pair = fa.matches(sample, fa.Viewpoint(x=0.3, sensors=["CAM_FRONT"])(sample))
    with pytest.raises(fa.DataError, match=r"distance: expected \(3,\) metres, got \(2,\)"):
        pair.pixels("CAM_FRONT", torch.zeros(3, 2), distance=torch.ones(2))
    for times in ([1, 2], torch.zeros(2)):
        with pytest.raises(fa.DataError, match=r"matches\.times: expected a tensor of int64 ns, got"):
            pair.times(times)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "step",
    [
        fa.BlackCamera(cameras=["CAM_FRONT"], name="step"),
        fa.FrozenCamera(age=0.05, cameras=["CAM_FRONT"], name="step"),
        fa.RollingShutter(readout=0.02, cameras=["CAM_FRONT"], name="step"),
    ],
    ids=lambda step: type(step).__name__,
)
def test_which_view_lost_its_pixels_and_by_what_is_said(step: fa.Transform) -> None:
    """Of pixels and of points seen at pixels, whichever view it was, in one sentence that names the transform."""
    sample = make_sample(gels=False)
    lost = fa.Compose([step, fa.MirrorScene(axis="y")])(sample)
    said = f"fusion_aug.{type(step).__name__} (step) leaves no pixel of 'CAM_FRONT' where the calibration says"
    for pair in (fa.matches(sample, lost), fa.matches(lost, sample)):
        pixels = pair.pixels("CAM_FRONT", torch.full((3, 2), 9.0))
        assert pixels.why == said and not bool(pixels.valid.any()) and bool(torch.isnan(pixels.pixels).all())
        points = pair.point_pixels("lidar", "CAM_FRONT")
        assert points.why == said and len(points) == 0
        assert pair.pixels("CAM_LEFT", torch.full((1, 2), 9.0)).why == ""
        features = torch.rand(2, 6, 8, requires_grad=True)
        loss = fa.losses.mask_consistency(features, features.detach(), torch.full((3, 2), 9.0), pixels.pixels)
        loss.backward()
        assert float(loss.detach()) == 0 and float(features.grad.abs().sum()) == 0


def test_a_shifted_camera_needs_distances() -> None:
    sample = make_sample(points=300, dtype=torch.float64)
    moved = fa.Viewpoint(x=0.3, y_deg=2.0, sensors=["CAM_FRONT"])(sample)
    pair = fa.matches(sample, moved)
    pixels, seen = projected(sample, "lidar", "CAM_FRONT")
    with pytest.raises(fa.DataError, match=r"'CAM_FRONT' was shifted by 0\.3 m between the views"):
        pair.pixels("CAM_FRONT", pixels)
    T = sample.true_rig.T("CAM_FRONT", "ego", sample.ref.time, int(sample["CAM_FRONT"].capture_times[0]))
    item = sample.key_item("lidar")
    cloud = sample.points("lidar")
    there = cloud["xyz"][cloud.item_slice(item)].double() @ T[:3, :3].T + T[:3, 3]
    found = pair.pixels("CAM_FRONT", pixels, distance=there.norm(dim=1))
    wanted, also = projected(moved, "lidar", "CAM_FRONT")
    assert int((seen & also).sum()) > 5
    assert float((found.pixels - wanted).norm(dim=1)[seen & also].max()) < 1e-6


def test_points_and_pixels_are_paired_across_views() -> None:
    sample = make_sample(points=400, dtype=torch.float64)
    steps = fa.Compose([fa.RotateScene(yaw_deg=[-45, 45]), fa.PointDropout(share=0.3), fa.Resize(size=(36, 70))])
    a, b = fa.views(sample, steps, seed=2)
    pairs = fa.matches(a, b).point_pixels("lidar", "CAM_FRONT")
    numbers = a["lidar"].realized().row_numbers[pairs.rows]  # type: ignore[attr-defined]
    all_of, seen = projected(fa.Resize(size=(36, 70))(sample), "lidar", "CAM_FRONT")
    assert 10 < len(pairs) < int(seen.sum())
    assert torch.allclose(pairs.pixels, all_of[numbers], atol=1e-6) and bool(seen[numbers].all())
    assert bool((a["lidar"].row_item[pairs.rows] == a.key_item("lidar")).all())
