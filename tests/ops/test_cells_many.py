"""Kernels of many maps at once against OpenCV and against what the CPU does with a picture at a time."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from calib import Pinhole
from calib.sensors import CameraSensor
from fusion_aug.ops import cells_many, potential, potential_many
from fusion_aug.ops.distance_many import inverse_distances, numbers_of_rays
from fusion_aug.ops.facing import normals
from fusion_aug.ops.surfaces_many import normals_inwards
from fusion_aug.physics.spread import fill_gaps

SIZES = [((64, 96), (32, 48)), ((65, 97), (33, 49)), ((60, 99), (20, 33))]


def many(*maps: np.ndarray) -> Tensor:
    """Maps (H, W) or pictures (H, W, C) as (N, C, H, W) float32."""
    stacked = np.stack([m if m.ndim == 3 else m[..., None] for m in maps])
    return torch.from_numpy(np.ascontiguousarray(stacked.transpose(0, 3, 1, 2))).to(torch.float32)


@pytest.mark.quick
@pytest.mark.parametrize(("size", "grid"), SIZES)
def test_cells_are_those_of_opencv(size: tuple[int, int], grid: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    pictures = rng.integers(0, 256, (2, *size, 3), dtype=np.uint8)
    maps = rng.random((2, *size), dtype=np.float32)
    small = [cv2.resize(p, grid[::-1], interpolation=cv2.INTER_AREA) for p in pictures]
    off = (cells_many.levels_in_cells(many(*pictures), grid) - many(*small)).abs()
    assert off.max() <= 1 and (off > 0).float().mean() < 0.01
    means = [cv2.resize(m, grid[::-1], interpolation=cv2.INTER_AREA) for m in maps]
    assert torch.allclose(cells_many.cells_of(many(*maps), grid), many(*means), atol=1e-6)
    large = [cv2.resize(m, size[::-1]) for m in means]
    assert torch.allclose(cells_many.enlarged(many(*means), size), many(*large), atol=1e-5)


@pytest.mark.quick
def test_medians_and_blurs_are_those_of_opencv() -> None:
    rng = np.random.default_rng(2)
    pictures = rng.integers(0, 256, (2, 20, 30, 3), dtype=np.uint8)
    maps = rng.random((2, 20, 30), dtype=np.float32)
    expected = many(*(cv2.medianBlur(p, 3) for p in pictures))
    assert torch.equal(cells_many.medians(many(*pictures), 3, torch.uint8).float(), expected)
    assert torch.equal(cells_many.medians(many(*maps), 5), many(*(cv2.medianBlur(m, 5) for m in maps)))
    assert torch.allclose(cells_many.blurred(many(*maps), 5), many(*(cv2.blur(m, (5, 5)) for m in maps)), atol=1e-6)


@pytest.mark.quick
@pytest.mark.parametrize("size", [(48, 64), (37, 51)])
def test_gaps_are_filled_as_on_the_cpu(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(3)
    maps, known = rng.random((2, *size), dtype=np.float32), np.ones((2, *size), np.float32)
    known[0, :, : size[1] // 3], known[1, size[0] // 2 :], known[1, :, -2:] = 0, 0, 0
    got = cells_many.without_gaps(many(*(maps * known)), many(*known) > 0)
    assert torch.allclose(got, many(*(fill_gaps(m, k) for m, k in zip(maps, known, strict=True))), atol=2e-5)


@pytest.mark.quick
def test_maps_from_their_steps_are_those_of_the_rounds_on_the_cpu() -> None:
    rng, (h, w) = np.random.default_rng(4), (40, 60)

    def steps(*shape: int) -> tuple[np.ndarray, np.ndarray]:
        return rng.normal(0, 0.3, shape).astype(np.float32), rng.choice([1, 0.02], shape).astype(np.float32)

    across, down = steps(2, h, w - 1), steps(2, h - 1, w)
    expected = rng.normal(0, 0.5, (2, h, w)).astype(np.float32)
    weight = (0.1 * rng.random((2, h, w))).astype(np.float32)
    waves = {name: torch.from_numpy(table) for name, table in potential_many.cosines((h, w)).items()}
    steps, held = (np.full((2, 2, h, w), 7.0, np.float32) for _ in range(2))  # the last ones count nowhere
    for out, x, y in zip((steps, held), across, down, strict=True):
        out[:, 0, :, :-1], out[:, 1, :-1] = x, y
    given = [torch.from_numpy(x) for x in (steps, held, expected / 3)]
    given[1] = -given[1]
    got = potential_many.integrated(*given, 3.0, torch.from_numpy(weight), waves)
    for k in range(2):
        one = [(s[0][k], s[1][k]) for s in (across, down)]
        assert np.allclose(got[k], potential.integrated(one, expected[k], weight[k]), atol=1e-4)


@pytest.mark.quick
def test_a_coarse_map_follows_a_fine_one_as_on_the_cpu() -> None:
    rng = np.random.default_rng(5)
    coarse, fine = rng.random((2, 20, 30), dtype=np.float32), rng.random((2, 40, 60), dtype=np.float32)
    guides = [cv2.resize(f, (30, 20), interpolation=cv2.INTER_AREA) for f in fine]
    expected = [potential.guided(c, g, f) for c, g, f in zip(coarse, guides, fine, strict=True)]
    assert torch.allclose(potential_many.guided(many(*coarse), many(*fine)), many(*expected), atol=1e-5)


@pytest.mark.quick
def test_normals_point_away_from_the_camera() -> None:
    rng, (h, w) = np.random.default_rng(6), (24, 40)
    v, u = np.mgrid[:h, :w].astype(np.float32)
    rays = np.stack([(u - w / 2) / 30, (v - h / 2) / 30, np.ones((h, w), np.float32)], -1)
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    far = np.where(u < w / 3, 5 / np.abs(rays[..., 2]), 9 + 0.05 * v + 0.1 * rng.random((h, w))).astype(np.float32)
    ways = torch.cat([many(rays), torch.ones((1, 1, h, w))], 1)
    got = normals_inwards(many(far), ways, 2)
    assert torch.allclose(got, -many(normals(far, rays, 2)), atol=1e-4)


@pytest.mark.quick
@pytest.mark.parametrize("tilt", [0.0, 1e-3])
def test_depth_along_the_axis_becomes_distance_along_rays(tilt: float) -> None:
    size, rng = (30, 50), np.random.default_rng(7)
    K = torch.tensor([[40.0, 0, 24], [0, 42, 15], [0, 0, 1]], dtype=torch.float64)
    A = torch.tensor([[0.9, 0.05, 2], [0, 1.1, -1], [tilt, -tilt / 2, 1]], dtype=torch.float64)
    camera = CameraSensor(frame="camera", model=Pinhole(K=K, size=size), A=A, size=size)
    depth = torch.from_numpy(rng.uniform(2, 60, (1, *size)).astype(np.float32))
    depth[0, :5] = torch.inf
    told = numbers_of_rays(np.linalg.inv((A @ K).numpy()), size)
    numbers = {n: torch.from_numpy(x if n.startswith("=") else x[None]) for n, x in told.items()}
    far = inverse_distances(depth, numbers, gaps=False, even=tilt == 0, sky=1e4).reciprocal()
    expected = (depth[0].double() / camera.cosines()).nan_to_num(posinf=1e4)
    assert torch.allclose(far[0, 0].double(), expected, rtol=1e-5)
