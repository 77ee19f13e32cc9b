"""Fast ways over the pixels give what the plain ones give, to the bit."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import cv2
import numpy as np
import pytest
import torch

from fusion_aug.ops import color, reduce
from fusion_aug.ops.fours import sample_in_fours
from fusion_aug.ops.image_map import ImageMap
from fusion_aug.ops.scratch import MOST_BYTES, scratch
from fusion_aug.ops.warp import warp

pytestmark = pytest.mark.quick
SIZES = [(1, 1), (3, 5), (40, 50), (37, 129)]


def levels(shape: tuple[int, ...], dtype: type = np.uint8, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max + 1, shape).astype(dtype)


def by_table(picture: torch.Tensor, function: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    table = (function(torch.arange(256, dtype=torch.float64) / 255).clamp(0, 1) * 255).round().to(torch.uint8)
    return table[picture.long()]


@pytest.mark.parametrize("shape", [*SIZES, *((*s, 3) for s in SIZES), (213, 209, 3), (213, 1009)])
def test_curves_are_their_table_of_levels(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(1)
    on_lines = 0
    for k in range(60):
        a, b = rng.uniform(0, 3), rng.uniform(-0.5, 0.5)
        line = partial(lambda x, a, b: a * x + b, a=a, b=b)
        picture = torch.from_numpy(levels(shape, seed=k))
        expected = by_table(picture, line)
        assert torch.equal(color.curve(picture, line), expected)
        without_table = color._on_a_line(picture.numpy(), *values_and_table(line))
        assert without_table is None or np.array_equal(without_table, expected.numpy())
        on_lines += without_table is not None
    assert on_lines >= 50, "most lines go without a table"


def values_and_table(function: Callable[[torch.Tensor], torch.Tensor]) -> tuple[np.ndarray, np.ndarray]:
    values = function(torch.arange(256, dtype=torch.float64) / 255)
    return values.numpy() * 255, (values.clamp(0, 1) * 255).round().to(torch.uint8).numpy()


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x**0.7, lambda x: 1 - x, lambda x: x * 0.9, lambda x: (x - 0.5) * 1.5 + 0.5, lambda x: x * 0 + 0.5,
        lambda x: torch.where(x >= 0.5, 1 - x, x), lambda x: torch.where(x == 200 / 255, 0, x),
    ],
)  # fmt: skip
def test_curves_with_ties_or_bends_are_their_table_too(function: Callable[[torch.Tensor], torch.Tensor]) -> None:
    picture = torch.arange(256, dtype=torch.uint8).repeat(3).reshape(-1, 2, 3)
    assert torch.equal(color.curve(picture, function), by_table(picture, function))


@pytest.mark.parametrize("border", [cv2.BORDER_CONSTANT, cv2.BORDER_REPLICATE])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("size", SIZES)
def test_three_channels_sampled_as_four_are_the_same(size: tuple[int, int], dtype: type, border: int) -> None:
    image, (height, width) = levels((*size, 3), dtype), (30, 41)
    turn = cv2.getRotationMatrix2D((size[1] / 2, size[0] / 2), 7, 1.2)
    tilted = np.vstack([turn, [1e-4, -2e-4, 1]])
    grid = np.random.default_rng(2).uniform(-3, max(size) + 3, (2, height, width)).astype(np.float32)
    how = {"borderMode": border, "borderValue": (7,) * 4}
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    for sampling in (
        partial(cv2.warpAffine, M=turn, dsize=(width, height), flags=flags, **how),
        partial(cv2.warpPerspective, M=tilted, dsize=(width, height), flags=flags, **how),
        partial(cv2.remap, map1=grid[0], map2=grid[1], interpolation=cv2.INTER_LINEAR, **how),
    ):
        assert np.array_equal(sample_in_fours(sampling, image, (height, width)), sampling(image))


def test_memory_is_used_again_by_its_thread_alone() -> None:
    first = scratch("of a test", (10, 4), np.dtype(np.uint16))
    again = scratch("of a test", (5, 8), np.dtype(np.uint8))
    assert np.shares_memory(first, again) and again.shape == (5, 8) and again.dtype == np.uint8
    assert not np.shares_memory(first, scratch("of a test, another", (10, 4), np.dtype(np.uint16)))
    with ThreadPoolExecutor(1) as other:
        assert not np.shares_memory(first, other.submit(scratch, "of a test", (10, 4), np.dtype(np.uint16)).result())
    large = [scratch("of a test", (MOST_BYTES + 1,), np.dtype(np.uint8)) for _ in range(2)]
    assert not np.shares_memory(*large), "what is larger is not kept"


def test_a_picture_does_not_lie_in_memory_that_is_used_again() -> None:
    turn = torch.tensor([[0.9, -0.1, 3.0], [0.1, 0.9, 1.0], [0, 0, 1]], dtype=torch.float64)
    onto = ImageMap.homography(turn, (40, 50))
    first = warp(torch.from_numpy(levels((40, 50, 3), seed=1)), onto)
    kept = first.clone()
    second = warp(torch.from_numpy(levels((40, 50, 3), seed=2)), onto)
    assert torch.equal(first, kept) and not torch.equal(first, second)


@pytest.mark.parametrize("shape", [*SIZES, (40, 50, 3), (1000, 1001, 3)])
def test_means_of_levels_are_exact(shape: tuple[int, ...]) -> None:
    picture = levels(shape)
    assert reduce.mean(torch.from_numpy(picture)) == int(picture.sum(dtype=np.int64)) / picture.size
    assert (
        reduce.mean(torch.from_numpy(picture)[:, ::2])
        == int(picture[:, ::2].sum(dtype=np.int64)) / picture[:, ::2].size
    )
