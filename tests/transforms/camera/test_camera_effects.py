"""Light, lens and coding against OpenCV, statistics and the geometry of the scene."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest
import torch
from places import DRIVE
from samples import make_sample

import fusion_aug as fa
from calib import Frame, Rig
from fusion_aug.ops import blur, color
from fusion_aug.ops.hashed import row_key
from fusion_aug.sample.depth import camera_range
from fusion_aug.sample.ego import picture_flow


@pytest.fixture(scope="module")
def sample() -> fa.Sample:
    return fa.open_log("nuscenes", DRIVE)[7]


@pytest.fixture(scope="module")
def front(sample: fa.Sample) -> torch.Tensor:
    return sample["CAM_FRONT"].image(0)


def grey(sample: fa.Sample, level: float = 0.5) -> fa.Sample:
    """Every picture of one level."""
    from dataclasses import replace

    streams = {
        n: replace(s, items=tuple(torch.full_like(s.image(i), round(level * 255)) for i in range(len(s))), pending=())
        for n, s in sample.of_type(fa.Camera).items()
    }
    return sample.with_streams({**sample.streams, **streams})


# --- light -----------------------------------------------------------------------------------------------------------
def test_linear_light_round_trips_and_matches_the_standard() -> None:
    level = torch.linspace(0, 1, 101, dtype=torch.float64)
    assert torch.allclose(color.to_srgb(color.to_linear(level)), level, atol=1e-12)
    assert float(color.to_linear(torch.tensor(0.5))) == pytest.approx(0.21404, abs=1e-5)


def test_white_balance_multiplies_light(front: torch.Tensor) -> None:
    out = fa.WhiteBalance.change(front, {"red": 1.3, "blue": 0.7}, None)  # type: ignore[arg-type]
    light = color.to_linear(front.double() / 255) * torch.tensor([1.3, 1.0, 0.7])
    assert float((out.double() - color.to_srgb(light.clamp(max=1)) * 255).abs().max()) <= 0.51
    assert torch.equal(out[..., 1], front[..., 1])


def test_daylight() -> None:
    """CIE: D65 is white in sRGB; warmer light is redder, cooler light is bluer, monotonously."""
    assert np.allclose(color.daylight_gains(6504.0), 1.0, atol=1e-9)
    assert np.allclose(np.divide(color._daylight_rgb(6504.0), color._daylight_rgb(6504.0)[1]), 1.0, atol=0.01)
    ratios = [color.daylight_gains(k)[0] / color.daylight_gains(k)[2] for k in (4000, 5000, 6504, 8000, 12000, 25000)]
    assert all(a > b for a, b in itertools.pairwise(ratios))


@pytest.mark.parametrize("full_well, read_noise", [(500.0, 0.0), (5000.0, 20.0), (100.0, 2.0)])
def test_exposure_counts_electrons(full_well: float, read_noise: float) -> None:
    """Mean light doubles per stop; the variance is that of counting and reading."""
    light = 0.2
    level = torch.full((300, 400, 3), float(color.to_srgb(torch.tensor(light))), dtype=torch.float32)
    for stops in (-1.0, 0.0, 1.0):
        out = color.shot_noise(level, stops, full_well, read_noise, row_key("grain")).double()
        exposed = color.to_linear(out)
        electrons = light * full_well * 2**stops
        assert float(exposed.mean()) == pytest.approx(electrons / full_well, rel=0.02)
        assert float(exposed.var()) == pytest.approx((electrons + read_noise**2) / full_well**2, rel=0.06)


def test_vignetting_stays_with_the_lens(sample: fa.Sample) -> None:
    """A crop darkens where the whole picture did."""
    whole = fa.Vignetting(loss=0.5)(grey(sample))
    cropped = fa.Vignetting(loss=0.5)(fa.Crop(size=(200, 300), x=0.0, y=0.0)(grey(sample)))
    a, b = whole["CAM_FRONT"].image(0), cropped["CAM_FRONT"].image(0)
    assert torch.equal(a[:200, :300], b)
    corner, middle = color.to_linear(a[0, 0].double() / 255), color.to_linear(a[198, 352].double() / 255)
    assert float((corner / middle).mean()) == pytest.approx(0.5, abs=0.03)


def test_a_shadow_lies_on_the_ground_for_every_camera(sample: fa.Sample) -> None:
    """Ground points inside the band are dark in whichever camera sees them, those outside are not."""
    out = fa.Shadow(darkness=0.5, distance=9.0, bearing_deg=35.0, width=5.0)(grey(sample), seed=1)
    rng = np.random.default_rng(0)
    ground = torch.from_numpy(np.c_[rng.uniform(-20, 20, (4000, 2)), np.zeros(4000)])
    bearing = np.radians(35.0)
    off = (ground[:, :2] @ torch.tensor([np.cos(bearing), np.sin(bearing)]) - 9.0).abs() / 2.5
    seen_in = 0
    for camera in out.of_type(fa.Camera):
        pixels, seen = out.project_ref(ground, camera)
        picture = out[camera].image(0)
        u, v = pixels.round().long().unbind(1)
        inside, outside = seen & (off < 0.75), seen & (off > 1.35)
        levels = picture[v.clamp(0, picture.shape[0] - 1), u.clamp(0, picture.shape[1] - 1), 0].double()
        if int(inside.sum()) > 10:
            seen_in += 1
            assert float(levels[inside].median()) == pytest.approx(128 * 0.5 ** (1 / 2.2), abs=2), camera
        assert float((levels[outside] - 128).abs().median()) <= 1, camera
    assert seen_in >= 2


# --- lens and motion -------------------------------------------------------------------------------------------------
def test_gaussian_blur_is_opencvs(front: torch.Tensor) -> None:
    out = blur.gaussian(front, 2.0)
    expected = cv2.GaussianBlur(front.numpy(), (17, 17), 2.0, borderType=cv2.BORDER_REPLICATE)
    assert np.abs(out.numpy().astype(int) - expected).max() <= 1


def test_kernels_have_the_size_they_are_asked_for() -> None:
    disc = blur.disc(3.5)
    assert disc.sum() == pytest.approx(1.0) and disc[4, 4] == pytest.approx(1 / (np.pi * 3.5**2), rel=0.02)
    y, x = np.mgrid[-4:5, -4:5]
    assert (disc * (x**2 + y**2)).sum() == pytest.approx(3.5**2 / 2, rel=0.03), "second moment of a disc"
    for angle in (0.0, 0.5, np.pi / 2):
        line = blur.line(9.0, angle)
        half = len(line) // 2
        y, x = np.mgrid[-half : half + 1, -half : half + 1]
        along = x * np.cos(angle) + y * np.sin(angle)
        assert (line * along).sum() == pytest.approx(0.0, abs=1e-9)
        assert (line * along**2).sum() == pytest.approx(81 / 12, rel=0.08), "second moment of a line"


def test_blur_on_the_torch_path_is_that_of_opencv(front: torch.Tensor) -> None:
    picture = front.float() / 255
    gradient = picture.clone().requires_grad_()
    for kernel in (blur.disc(2.2), blur.line(6.0, 0.7)):
        assert torch.allclose(blur.convolve(gradient, kernel).detach(), blur.convolve(picture, kernel), atol=2e-3)


@pytest.mark.parametrize("camera", ["CAM_FRONT", "CAM_BACK_LEFT", "FISHEYE_FRONT"])
def test_the_flow_is_how_static_points_move(camera: str) -> None:
    """Against projecting ground points from the poses half an exposure before and after."""
    sample = fa.open_log("nuscenes", DRIVE)[14]  # it has depth
    seconds, stream = 0.05, sample[camera]
    size = sample.rig.camera(camera).size
    flow = picture_flow(sample, camera, 0, seconds)
    ego, time = sample["ego"], int(stream.capture_times[0])
    k = int((ego.capture_times - time).abs().argmin())
    v, w = ego["velocity"][k], ego["angular_velocity"][k]
    rng = np.random.default_rng(0)
    ground = torch.from_numpy(np.c_[rng.uniform(-15, 15, (3000, 2)), np.zeros(3000)])
    T = sample.rig.T(camera, "ego", sample.ref.time, time)
    mount = sample.rig.T("ego", camera)
    to_ego = torch.linalg.inv(mount)
    ends = []
    for s in (-0.5, 0.5):
        local = (ground @ T[:3, :3].T + T[:3, 3]) @ mount[:3, :3].T + mount[:3, 3]
        moved = local - s * seconds * (v + torch.linalg.cross(w.expand_as(local), local))
        ends.append(sample.rig.camera(camera).project(moved @ to_ego[:3, :3].T + to_ego[:3, 3]))
    pixels, seen = sample.project_ref(ground, camera)
    (a, in_a), (b, in_b) = ends
    u, t = (x.clamp(0, n - 1) for x, n in zip(pixels.round().long().unbind(1), size[::-1], strict=True))
    distance = camera_range(sample, camera, 0)[t, u]
    expected = (ground @ T[:3, :3].T + T[:3, 3]).norm(dim=1)
    inside = seen & in_a & in_b & ((distance - expected).abs() < 0.05 * expected)  # nothing hides it
    u, t = pixels[inside].round().long().T
    found = flow[t.clamp(0, size[0] - 1), u.clamp(0, size[1] - 1)]
    error = (found - (b - a)[inside]).norm(dim=1)
    length = (b - a)[inside].norm(dim=1)
    assert int(inside.sum()) > 50 and float(length.median()) > 2.0
    assert float((error / length.clamp(min=1)).median()) < 0.08, (error.median(), length.median())


def test_without_motion_nothing_is_blurred() -> None:
    sample = fa.open_log("nuscenes", DRIVE)[8]  # at the crossing
    out = fa.EgoMotionBlur(exposure=0.02)(sample)
    assert torch.equal(out["CAM_FRONT"].image(0), sample["CAM_FRONT"].image(0))
    moving = fa.open_log("nuscenes", DRIVE)[14]
    blurred = fa.EgoMotionBlur(exposure=0.02)(moving)["CAM_BACK_LEFT"].image(0)
    sharp = moving["CAM_BACK_LEFT"].image(0)
    energy = [float(cv2.Laplacian(p.numpy(), cv2.CV_64F).var()) for p in (sharp, blurred)]
    assert energy[1] < 0.7 * energy[0]


def test_without_an_ego_pose_the_blur_names_what_is_missing() -> None:
    """Without one the motion of the rig is taken; a vehicle without a world frame has none."""
    sample = make_sample(gels=False)
    bare = sample.with_streams({n: s for n, s in sample.streams.items() if n != "ego"})
    blurred = fa.EgoMotionBlur(exposure=0.01)(bare)["CAM_LEFT"].image(0)
    by_ego_pose = fa.EgoMotionBlur(exposure=0.01)(sample)["CAM_LEFT"].image(0)
    assert float((blurred.float() - by_ego_pose.float()).abs().mean()) < 0.5, "the rig moves as the ego pose does"
    frames = {n: Frame() if n == "ego" else f for n, f in sample.rig.frames.items() if n != "world"}
    rig = Rig(frames, sample.rig.sensors)
    with pytest.raises(fa.DataError, match="ego pose with a twist"):
        fa.EgoMotionBlur(exposure=0.01, cameras=["CAM_*"])(bare.with_meta(0, rig=rig, true_rig=rig))


def test_chromatic_aberration_magnifies_about_the_principal_point(sample: fa.Sample) -> None:
    out = fa.ChromaticAberration(red=0.01, blue=-0.01)(sample)["CAM_FRONT"].image(0)
    front = sample["CAM_FRONT"].image(0)
    assert torch.equal(out[..., 1], front[..., 1])
    cx, cy = sample.rig.camera("CAM_FRONT").model.K[:2, 2].tolist()
    M = np.array([[1.01, 0, -0.01 * cx], [0, 1.01, -0.01 * cy]])
    red = cv2.warpAffine(front[..., 0].numpy(), M, (704, 396), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    assert np.abs(out[..., 0].numpy().astype(int) - red)[5:-5, 5:-5].max() <= 2


def test_sharpness(front: torch.Tensor) -> None:
    out = fa.Sharpness.change(front, {"amount": 0.8, "sigma": 1.5}, None)  # type: ignore[arg-type]
    soft = blur.gaussian(front, 1.5).double()
    expected = (front.double() + 0.8 * (front.double() - soft)).clamp(0, 255)
    assert float((out.double() - expected).abs().max()) <= 1.0


def test_jpeg_is_opencvs(front: torch.Tensor) -> None:
    out = fa.JpegCompression.change(front, {"quality": 40.0}, None)  # type: ignore[arg-type]
    _, data = cv2.imencode(".jpg", front.numpy()[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 40])
    assert np.array_equal(out.numpy(), cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1])


# --- histogram -------------------------------------------------------------------------------------------------------
def test_histogram_operations(front: torch.Tensor) -> None:
    flat = fa.Equalize.change(front, {"strength": 1.0}, None).numpy()  # type: ignore[arg-type]
    assert np.array_equal(flat[..., 1], cv2.equalizeHist(np.ascontiguousarray(front[..., 1].numpy())))
    assert torch.equal(fa.Equalize.change(front, {"strength": 0.0}, None), front)  # type: ignore[arg-type]
    dull = (front.double() * 0.4 + 60).round().to(torch.uint8)
    wide = fa.AutoContrast.change(dull, {"cut": 0.0}, None)  # type: ignore[arg-type]
    assert [int(wide[..., c].min()) for c in range(3)] == [0] * 3 and int(wide.amax((0, 1)).min()) == 255
    even = torch.full((8, 8, 3), 90, dtype=torch.uint8)
    assert torch.equal(fa.AutoContrast.change(even, {"cut": 0.0}, None), even)  # type: ignore[arg-type]


def test_solarize_and_posterize() -> None:
    ramp = torch.arange(256, dtype=torch.uint8)[None, :, None].expand(1, 256, 3).contiguous()
    sun = fa.Solarize.change(ramp, {"threshold": 0.5}, None)[0, :, 0]  # type: ignore[arg-type]
    assert torch.equal(sun, torch.where(ramp[0, :, 0] >= 128, 255 - ramp[0, :, 0], ramp[0, :, 0]))
    few = fa.Posterize.change(ramp, {"bits": 3.0}, None)[0, :, 0]  # type: ignore[arg-type]
    assert torch.equal(few, ramp[0, :, 0] & 0b11100000)
    assert torch.equal(fa.Posterize.change(ramp, {"bits": 8.0}, None), ramp)  # type: ignore[arg-type]


def test_float_and_uint8_pictures_agree(front: torch.Tensor) -> None:
    small = front[:60, :80].contiguous()
    whole = small.float() / 255
    operations = [
        (fa.WhiteBalance, {"red": 1.2, "blue": 0.9}), (fa.GaussianBlur, {"sigma": 1.3}),
        (fa.DefocusBlur, {"radius": 2.0}),
        (fa.MotionBlur, {"length": 5.0, "angle_deg": 30.0}), (fa.Sharpness, {"amount": 0.5, "sigma": 1.0}),
        (fa.Solarize, {"threshold": 0.6}), (fa.Equalize, {"strength": 0.7}), (fa.ColorTemperature, {"kelvin": 5000.0}),
    ]  # fmt: skip
    for cls, params in operations:
        a, b = cls.change(small, params, None), cls.change(whole, params, None)  # type: ignore[arg-type]
        assert a.dtype == torch.uint8 and b.dtype == torch.float32, cls
        assert float((a.float() - b * 255).abs().max()) <= 1.6, cls


def test_blurred_floats_stay_numbers() -> None:
    """Large kernels go through a Fourier transform, whose tiny negatives a power would turn into NaN."""
    picture = torch.zeros(120, 160, 3)
    picture[60::7, ::9] = 1.0
    for cls, params in ((fa.DefocusBlur, {"radius": 8.0}), (fa.MotionBlur, {"length": 30.0, "angle_deg": 20.0})):
        soft = cls.change(picture, params, None)  # type: ignore[arg-type]
        bright = fa.Gamma.change(soft, {"gamma": 0.8}, None)  # type: ignore[arg-type]
        assert float(soft.min()) >= 0 and bool(torch.isfinite(bright).all())


@pytest.mark.parametrize("tiles", [0, -3, 2.5, "8"])
def test_tiles_are_checked(tiles: object) -> None:
    with pytest.raises(fa.ConfigError, match=r"Clahe\.tiles"):
        fa.Clahe(tiles=tiles)  # type: ignore[arg-type]


def test_one_word_is_a_list_of_one() -> None:
    """A pattern given as a plain string is one pattern, not its letters."""
    sample = make_sample(boxes=4)
    assert fa.BoxPointDropout(share=1.0, categories="nothing*")(sample)["lidar"].rows == sample["lidar"].rows
    assert fa.BoxPointDropout(share=1.0, categories="car")(sample)["lidar"].rows < sample["lidar"].rows
    assert fa.Viewpoint(sensors="CAM_FRONT", y_deg=1.0).sensors == ("CAM_FRONT",)
    with pytest.raises(fa.ConfigError, match="expected a list of words"):
        fa.BoxPointDropout(share=1.0, categories=3)  # type: ignore[arg-type]
    with pytest.raises(fa.DataError, match="names no sensor"):
        fa.Viewpoint(sensors="NOPE", y_deg=1.0)(sample)
