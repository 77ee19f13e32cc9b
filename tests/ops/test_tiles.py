"""Tiles: the same as the whole picture where they meet."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import correlate

from fusion_aug.ops.tiles import in_tiles

pytestmark = pytest.mark.quick

RNG = np.random.default_rng(0)
KERNEL = RNG.normal(size=(7, 7))


def filtered(planes: np.ndarray) -> np.ndarray:
    """Looks 3 pixels to every side."""
    return np.stack([correlate(p, KERNEL, mode="constant") for p in planes]).astype(np.float32)


@pytest.mark.parametrize("size", [(41, 67), (32, 32), (33, 200), (20, 90), (7, 5)])
@pytest.mark.parametrize(("tile", "stride"), [((32, 32), 1), ((32, 40), 8), ((32, 64), 4)])
def test_no_seam_and_no_other_picture(size: tuple[int, int], tile: tuple[int, int], stride: int) -> None:
    picture = RNG.random((3, *size), np.float32)
    tiled, whole = (in_tiles(picture, filtered, t, stride, 3) for t in (tile, None))
    assert tiled.shape == whole.shape == picture.shape and tiled.dtype == np.float32
    inside = np.s_[:, : max(0, size[0] - 3), : max(0, size[1] - 3)]  # the mirrored border differs with its width
    assert np.abs(tiled - whole)[inside].max(initial=0) < 1e-4
    assert np.abs(whole - filtered(picture))[inside].max(initial=0) < 1e-4


def test_too_small_a_margin_shows() -> None:
    picture = RNG.random((3, 60, 100), np.float32)
    assert np.abs(in_tiles(picture, filtered, (32, 32), 1, 1) - in_tiles(picture, filtered, None, 1, 3)).max() > 0.1


def test_places_keep_the_phase_of_a_network_that_halves_its_picture() -> None:
    def of_fours(planes: np.ndarray) -> np.ndarray:
        c, h, w = planes.shape
        return planes.reshape(c, h // 4, 4, w // 4, 4).mean((2, 4)).repeat(4, 1).repeat(4, 2)

    picture = RNG.random((2, 61, 90), np.float32)
    tiled, whole = (in_tiles(picture, of_fours, t, 4, 4) for t in ((24, 32), None))
    assert np.abs(tiled - whole)[:, :60, :88].max() < 1e-6


@pytest.mark.parametrize(("tile", "stride", "text"), [
    ((30, 32), 4, "a side of 30 pixels is no multiple of the stride, 4"),
    ((16, 64), 4, "a side of 16 pixels is too short for margins of 8; 28 do"),
])  # fmt: skip
def test_tiles_that_cannot_be_are_refused(tile: tuple[int, int], stride: int, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        in_tiles(np.zeros((3, 50, 100), np.float32), filtered, tile, stride, 8)
