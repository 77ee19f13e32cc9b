"""One resampling: exactness, anti-aliasing, borders, torch against OpenCV."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from benchmarks.zone_plate import measured
from fusion_aug.ops.image_map import ImageMap
from fusion_aug.ops.warp import warp
from fusion_aug.transforms.image.image_plane import resize_map, shift_map

pytestmark = pytest.mark.quick


@pytest.mark.parametrize(("scale", "limit"), [(0.3, 0.1), (0.35, 0.1), (0.44, 0.1), (0.5, 0.15), (0.6, 0.2)])
def test_a_zone_plate_does_not_alias(scale: float, limit: float) -> None:
    """What is left above the new Nyquist frequency, against the plain warp; 0.44 is the size most models train at."""
    assert measured(scale)[0] <= limit


def test_detail_below_nyquist_survives() -> None:
    """A wave at half the new Nyquist frequency keeps most of its contrast."""
    wave = np.round(127.5 + 127 * np.cos(2 * np.pi * 0.11 * np.arange(800)))[None].repeat(300, 0).astype(np.uint8)
    P = resize_map(0.44, 0.44)
    out = warp(torch.from_numpy(wave), ImageMap.homography(P, (132, 352))).numpy().astype(float)
    assert np.std(out[10:-10, 10:-10]) > 0.55 * np.std(wave)


def smooth_picture(height: int, width: int) -> torch.Tensor:
    y, x = np.mgrid[:height, :width].astype(float)
    rgb = [np.sin(x / 29) * np.cos(y / 31), np.cos(x / 33 + y / 37), np.sin(x / 27)]
    return torch.from_numpy(np.round(127.5 + 100 * np.stack(rgb, -1)).astype(np.uint8))


@pytest.mark.parametrize("scale", [0.3, 0.44, 0.7, 0.95, 1.3])
def test_the_half_pixel_shift_of_halving_is_part_of_the_map(scale: float) -> None:
    """A smooth picture resampled with and without the reduction agrees; a shift by half a pixel would not."""
    picture = smooth_picture(241, 323)
    P = shift_map(-3.3, 2.1) @ resize_map(scale, scale)
    out = warp(picture, ImageMap.homography(P, (100, 120))).double()
    plain = torch.from_numpy(
        cv2.warpAffine(picture.numpy(), P.numpy()[:2], (120, 100), flags=cv2.INTER_LINEAR)
    ).double()
    inner = (slice(6, 60), slice(6, 80))
    off = (out - plain)[inner].abs().mean()
    moved = warp(picture, ImageMap.homography(shift_map(0.5, 0.0) @ P, (100, 120))).double()
    assert off < 0.35 * (moved - plain)[inner].abs().mean()


def test_whole_pixel_maps_are_exact() -> None:
    picture = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8))
    flipped = warp(picture, ImageMap.flip((40, 50)))
    assert torch.equal(flipped, picture.flip(1)) and flipped.is_contiguous()
    cropped = warp(picture, ImageMap.homography(shift_map(-7, -5), (20, 30)))
    assert torch.equal(cropped, picture[5:25, 7:37])
    padded = warp(picture, ImageMap.homography(shift_map(4, 3), (50, 60)), fill=9)
    assert torch.equal(padded[3:43, 4:54], picture) and bool((padded[:3] == 9).all())
    away = warp(picture, ImageMap.homography(shift_map(400, 3), (50, 60)))
    assert int(away.sum()) == 0
    twice = ImageMap.flip((40, 50)).then(ImageMap.flip((40, 50)))
    assert twice.is_identity()


ROUNDINGS = [torch.tensor(x).double() for x in (0.0, 1e-13, -1e-13)]  # by which computed maps may be off, as shares


def noise(size: tuple[int, int]) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(3).integers(0, 256, (*size, 3), dtype=np.uint8))


@pytest.mark.parametrize("interpolation", ["linear", "nearest"])
@pytest.mark.parametrize(
    "P",
    [
        resize_map(0.5, 0.5),  # of four pixels each is as near
        resize_map(1.3, 1.3),
        resize_map(0.95, 0.95),  # the limits of the low-pass
        resize_map(0.56, 0.56),
        shift_map(-30.25, -20.25) @ resize_map(0.5, 0.5),  # the part that is needed begins at a whole pixel
        shift_map(0.5, -0.5),
        shift_map(7.0, -5.0),
        resize_map(1 / 0.7, 1 / 0.7) @ resize_map(0.7, 0.7),
    ],
)
def test_the_last_bits_of_a_map_decide_nothing(P: torch.Tensor, interpolation: str) -> None:
    picture = noise((130, 170))
    maps = [P @ torch.diag(torch.stack([1 + off, 1 - off, 1 + off])) for off in ROUNDINGS]
    one, *others = (warp(picture, ImageMap.homography(Q, (60, 80)), interpolation).int() for Q in maps)
    assert all(int((one - other).abs().max()) <= (interpolation == "linear") for other in others)


def test_maps_that_cancel_move_nothing() -> None:
    size, there = (48, 64), shift_map(3.2, -1.1) @ resize_map(0.7, 1.3)
    assert ImageMap.homography(torch.linalg.inv(there) @ there, size).is_identity()
    assert ImageMap.homography(3 * torch.eye(3, dtype=torch.float64), size).is_identity(), "homogeneous"
    for off in (shift_map(1e-5, 0.0), resize_map(1 + 1e-5, 1.0), resize_map(1.0, -1.0), shift_map(0.0, 1.0)):
        assert not ImageMap.homography(off, size).is_identity()
    bent = torch.eye(3, dtype=torch.float64)
    bent[2, 0] = 1e-7
    assert ImageMap.homography(bent, size).in_whole_pixels() is None
    assert ImageMap.flip(size).in_whole_pixels() == (-1, 1, 63, 0)
    assert ImageMap.homography(there * float("nan"), size).in_whole_pixels() is None


def test_an_affine_map_may_come_out_of_homographies() -> None:
    """A last row that is 0 0 1 up to the last bits is taken for what it is."""
    picture, affine = noise((60, 80)), shift_map(3.3, 1.7) @ resize_map(1.1, 1.2)
    almost = affine.clone()
    almost[2, :2] = torch.tensor([3e-17, -2e-17])
    one, other = (warp(picture, ImageMap.homography(P, (60, 80))).int() for P in (affine, almost))
    assert torch.equal(one, other)


def test_an_enlarged_picture_has_no_dark_rim() -> None:
    white = torch.full((20, 20, 3), 200, dtype=torch.uint8)
    out = warp(white, ImageMap.homography(resize_map(2.0, 2.0), (40, 40)))
    assert int(out.min()) == 200
    turned = warp(white, ImageMap.homography(shift_map(5.5, 0) @ resize_map(1.0, 1.0), (20, 20)))
    assert int(turned[:, 0].max()) == 0, "beyond the picture there is nothing"


def test_labels_are_never_mixed() -> None:
    labels = torch.from_numpy(np.random.default_rng(1).choice([3, 60, 200], (48, 64)).astype(np.uint8))
    P = shift_map(2.2, -1.7) @ resize_map(0.6, 1.4)
    out = warp(labels, ImageMap.homography(P, (60, 50)), "nearest", 255)
    assert set(out.unique().tolist()) <= {3, 60, 200, 255}
    wide = warp(labels.to(torch.int64) * 1000, ImageMap.homography(P, (60, 50)), "nearest", 255)
    assert wide.dtype == torch.int64 and set(wide.unique().tolist()) <= {3000, 60000, 200000, 255}


@pytest.mark.parametrize("scale", [0.44, 0.8, 1.2])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_torch_agrees_with_opencv(scale: float, dtype: torch.dtype) -> None:
    """The path of GPUs and gradients gives what OpenCV gives."""
    picture = smooth_picture(120, 160)
    picture = picture if dtype == torch.uint8 else picture.float() / 255
    P = shift_map(1.3, -2.4) @ resize_map(scale, scale)
    size = (50, 60)
    fast = warp(picture, ImageMap.homography(P, size))
    asked = P.clone().requires_grad_()
    slow = warp(picture, ImageMap.homography(asked, size))
    unit = 1.0 if dtype == torch.uint8 else 1 / 255
    # OpenCV places samples on a grid of 1/32 pixel
    assert float((fast.double() - slow.detach().double()).abs().max()) <= 2.01 * unit


def test_gradient_through_the_picture() -> None:
    angle = torch.tensor(0.1, dtype=torch.float64, requires_grad=True)
    R = torch.stack([torch.cos(angle), -torch.sin(angle), torch.sin(angle), torch.cos(angle)]).reshape(2, 2)
    P = torch.eye(3, dtype=torch.float64)
    P = torch.cat([torch.cat([R, torch.zeros(2, 1, dtype=torch.float64)], 1), P[2:]])
    picture = smooth_picture(40, 40).float() / 255
    warp(picture, ImageMap.homography(P, (40, 40))).sum().backward()
    assert angle.grad is not None and float(angle.grad.abs()) > 0


def test_a_general_map_goes_through_one_grid() -> None:
    """A step that is no homography (as a moved camera will be): evaluated backwards with the rest, resampled once."""

    class Swirl:
        def backward(self, pixels: torch.Tensor) -> torch.Tensor:
            offset = torch.stack([torch.sin(pixels[..., 1] / 10), torch.zeros_like(pixels[..., 0])], -1)
            return pixels + offset

    picture = smooth_picture(60, 80)
    chained = ImageMap((Swirl(),), (60, 80)).then(ImageMap.flip((60, 80)))
    out = warp(picture, chained)
    grid = chained.backward(torch.tensor([[10.0, 20.0]], dtype=torch.float64))[0]
    assert torch.allclose(grid, torch.tensor([69 + np.sin(2.0), 20.0], dtype=torch.float64))
    x = float(grid[0])
    left, weight = int(np.floor(x)), x - np.floor(x)
    expected = (1 - weight) * picture[20, left].double() + weight * picture[20, left + 1].double()
    assert float((out[20, 10].double() - expected).abs().max()) <= 2


@pytest.mark.parametrize("scale", [0.3, 0.8, 1.7])
def test_a_single_channel_keeps_its_axis(scale: float) -> None:
    picture = torch.rand(16, 20, 1)
    for through in (resize_map(scale, scale), resize_map(scale, scale).requires_grad_()):
        assert warp(picture, ImageMap.homography(through, (9, 11))).shape == (9, 11, 1)
    assert warp(picture[..., 0], ImageMap.homography(resize_map(scale, scale), (9, 11))).shape == (9, 11)
