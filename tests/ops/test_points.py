"""Kernels on clouds."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from roundings import ORDERS, rounding

from calib.se3 import rotation_about, rotation_from_rotvec, se3, transform_points
from calib.ties import TIE
from fusion_aug.ops import reduce
from fusion_aug.ops.points import points_in_boxes, transform_packed

pytestmark = pytest.mark.quick


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(0, 300), m=st.integers(0, 12))
def test_points_in_boxes_is_exact(seed: int, n: int, m: int) -> None:
    rng = np.random.default_rng(seed)
    xyz = torch.from_numpy(rng.normal(size=(n, 3)).astype(np.float32) * [20, 10, 2]).float()
    poses = se3(
        rotation_from_rotvec(torch.from_numpy(rng.normal(size=(m, 3)))), torch.from_numpy(rng.normal(size=(m, 3)) * 10)
    )
    sizes = torch.from_numpy(rng.uniform(0.1, 15, (m, 3)))
    found = points_in_boxes(xyz, poses, sizes)
    for i in range(m):
        local = (xyz.double() - poses[i, :3, 3]) @ poses[i, :3, :3]
        expected = (local.abs() <= sizes[i] / 2 + TIE).all(1).nonzero()[:, 0]
        assert torch.equal(found[i], expected)


def test_points_on_a_face_and_nan_points() -> None:
    xyz = torch.tensor([[1.0, 0, 0], [1.0001, 0, 0], [float("nan"), 0, 0], [0, float("inf"), 0]])
    found = points_in_boxes(
        xyz, torch.eye(4, dtype=torch.float64)[None], torch.tensor([[2.0, 2, 2]], dtype=torch.float64)
    )
    assert found[0].tolist() == [0]


@pytest.mark.parametrize("order", ORDERS)
def test_a_point_on_the_face_of_a_turned_box_is_inside(order: str) -> None:
    """A label drawn tightly around its points has points on its faces, by any rounding."""
    angles = torch.linspace(0, 3, 60, dtype=torch.float64)
    poses = se3(rotation_about("z", angles), torch.tensor([12.0, -7.0, 0.4]).double().expand(60, 3))
    sizes = torch.tensor([4.2, 1.8, 1.5], dtype=torch.float64)
    with rounding(order):
        corners = transform_points(poses, torch.stack([sizes / 2, -sizes / 2]).expand(60, 2, 3))
        for pose, points in zip(poses, corners, strict=True):
            assert points_in_boxes(points, pose[None], sizes[None])[0].tolist() == [0, 1]


def test_packed_points_move_with_their_own_item() -> None:
    rng = np.random.default_rng(0)
    xyz = torch.from_numpy(rng.normal(size=(30, 3)).astype(np.float32))
    offsets = torch.tensor([0, 10, 10, 30])
    maps = se3(
        rotation_from_rotvec(torch.from_numpy(rng.normal(size=(3, 3)))), torch.from_numpy(rng.normal(size=(3, 3)))
    )
    out = transform_packed(xyz, offsets, maps)
    for i in range(3):
        rows = slice(int(offsets[i]), int(offsets[i + 1]))
        expected = xyz[rows].double() @ maps[i, :3, :3].T + maps[i, :3, 3]
        assert torch.allclose(out[rows].double(), expected, atol=1e-5)
    slow = transform_packed(xyz.double(), offsets, maps)
    assert torch.allclose(out.double(), slow, atol=1e-5)


def test_an_item_gives_the_same_bytes_in_any_batch() -> None:
    rng = np.random.default_rng(0)
    parts = [torch.from_numpy(rng.normal(size=(n, 3)).astype(np.float32) * 50) for n in (1, 7, 1000, 33)]
    maps = se3(
        rotation_from_rotvec(torch.from_numpy(rng.normal(size=(4, 3)))), torch.from_numpy(rng.normal(size=(4, 3)))
    )
    offsets = torch.tensor([0, 1, 8, 1008, 1041])
    together = transform_packed(torch.cat(parts), offsets, maps)
    for i, part in enumerate(parts):
        alone = transform_packed(part, torch.tensor([0, len(part)]), maps[i : i + 1])
        assert torch.equal(alone, together[offsets[i] : offsets[i + 1]])


def test_means_do_not_depend_on_threads() -> None:
    values = torch.from_numpy(np.random.default_rng(0).normal(size=3_000_001).astype(np.float32))
    means = set()
    for threads in (1, 2):
        torch.set_num_threads(threads)
        means.add(reduce.mean(values))
    torch.set_num_threads(1)
    assert len(means) == 1
    assert reduce.mean(torch.tensor([250, 251], dtype=torch.uint8).repeat(100000)) == 250.5
