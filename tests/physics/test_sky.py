"""Sky: the whole of it, nothing that a beam hit, and nothing that hangs from no edge."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from fusion_aug.physics.cells import CellDirections
from fusion_aug.physics.completion import SKY_DISTANCE, complete_distances

SIZE = (300, 600)  # cells of 2 pixels
HORIZON, TOP_OF_VIEW = 160, 60  # rows


def street(sky: tuple[int, int, int], wall: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """A picture, and its true sky: a wall left that reaches above the picture, a house, a thin lamp, ground."""
    v, u = np.mgrid[0 : SIZE[0], 0 : SIZE[1]]
    picture = np.full((*SIZE, 3), sky, np.uint8)
    solid = (v > HORIZON) | (u < 150) | ((u > 400) & (v > 90)) | ((u > 280) & (u < 284) & (v > 40))
    picture[solid] = (70, 60, 50)
    picture[v > HORIZON] = (90, 90, 95)
    picture[(u < 150) & (v <= HORIZON)] = wall
    noise = np.random.default_rng(0).normal(0, 1.5, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8), ~solid


def scanned(true_sky: np.ndarray) -> dict[str, object]:
    """What the completion is told: rings 10 rows apart up to the top of the view, and directions of the cells."""
    rows, columns = np.mgrid[TOP_OF_VIEW : SIZE[0] : 10, 0 : SIZE[1] : 4]
    hit = ~true_sky[rows, columns]
    pixels = np.stack([columns[hit], rows[hit]], 1).astype(float)
    row = np.arange(SIZE[0] // 2)[:, None] * 2 + 0.5
    rise = np.broadcast_to((HORIZON - row) / 600, (SIZE[0] // 2, SIZE[1] // 2))
    return {
        "pixels": pixels, "distance": np.full(len(pixels), 20.0), "size": SIZE,
        "directions": CellDirections(None, rise, np.broadcast_to(row >= TOP_OF_VIEW, rise.shape)),
    }  # fmt: skip


def sky_of(picture: np.ndarray | None, given: dict[str, object]) -> np.ndarray:
    return complete_distances(picture=picture, **given).distance >= 0.5 * SKY_DISTANCE  # type: ignore[arg-type]


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


@pytest.mark.quick
@pytest.mark.parametrize("sky", [(110, 160, 230), (255, 255, 255), (200, 205, 210), (8, 9, 14)])
def test_the_sky_of_every_light_to_the_pixel(sky: tuple[int, int, int]) -> None:
    """Blue, blown out, overcast and night; the wall goes on above the scanner's view."""
    picture, true = street(sky, (150, 120, 90))
    found = sky_of(picture, scanned(true))
    assert overlap(found, true) > 0.97
    lamp = ~true[45:HORIZON, 278:286]
    assert (found[45:HORIZON, 278:286] & lamp).sum() < 0.1 * lamp.sum()


def test_a_white_wall_that_beams_hit_is_a_wall_up_to_the_top() -> None:
    picture, true = street((120, 170, 235), (250, 248, 244))
    found = sky_of(picture, scanned(true))
    assert not found[:, :145].any() and overlap(found, true) > 0.97


def test_no_pixel_that_a_beam_hit_is_sky() -> None:
    picture, true = street((255, 255, 255), (255, 255, 255))
    given = scanned(true)
    u, v = given["pixels"].astype(int).T  # type: ignore[attr-defined]
    assert not sky_of(picture, given)[v, u].any()


def test_a_bright_patch_under_a_roof_is_no_sky() -> None:
    """It has no way to the top edge; gaps between leaves may stay."""
    picture, true = street((110, 160, 230), (150, 120, 90))
    picture[20:100, 30:120] = (240, 245, 250)
    found = sky_of(picture, scanned(true))
    assert not found[:, :145].any()
    count, label, stats, _ = cv2.connectedComponentsWithStats(found.astype(np.uint8))
    hung = set(np.unique(label[0]))
    assert all(stats[i, cv2.CC_STAT_AREA] <= 0.002 * found.sum() for i in range(1, count) if i not in hung)


def test_levels_of_float_and_a_mirrored_canvas_give_the_same_sky() -> None:
    picture, true = street((110, 160, 230), (150, 120, 90))
    given = scanned(true)
    found = sky_of(picture, given)
    assert overlap(sky_of((picture / 255).astype(np.float32), given), found) > 0.999
    mirrored = {**given, "pixels": given["pixels"] * [-1, 1] + [SIZE[1] - 1, 0]}  # type: ignore[operator]
    again = sky_of(np.ascontiguousarray(picture[:, ::-1]), mirrored)[:, ::-1]
    assert overlap(again, found) > 0.99


def test_without_a_picture_beams_alone_tell() -> None:
    _, true = street((0, 0, 0), (0, 0, 0))
    found = sky_of(None, scanned(true))
    assert found[:80, 300:390].mean() > 0.9 and not found[:, :140].any() and not found[HORIZON + 20 :].any()


def test_what_the_lens_does_not_show_is_no_sky_but_sky_may_hang_from_it() -> None:
    """A round picture whose upper edge lies below the canvas's."""
    picture, true = street((110, 160, 230), (150, 120, 90))
    given = scanned(true)
    looks: CellDirections = given["directions"]  # type: ignore[assignment]
    rise = np.array(looks.rise)
    rise[:15] = np.nan
    picture[:30] = 0
    found = sky_of(picture, {**given, "directions": looks._replace(rise=rise)})
    assert not found[:26].any() and overlap(found[34:], true[34:]) > 0.95


def test_sky_hangs_from_the_picture_in_a_canvas_that_it_does_not_fill() -> None:
    """Padded by black above and at the left."""
    picture, true = street((110, 160, 230), (150, 120, 90))
    given, (down, right) = scanned(true), (40, 20)
    padded = np.pad(picture, ((down, 0), (right, 0), (0, 0)))
    row = np.arange(padded.shape[0] // 2)[:, None] * 2 + 0.5 - down
    rise = np.broadcast_to((HORIZON - row) / 600, (padded.shape[0] // 2, padded.shape[1] // 2))
    moved = {"pixels": given["pixels"] + np.array([right, down]), "size": padded.shape[:2]}  # type: ignore[operator]
    looks = CellDirections(None, rise, np.broadcast_to(row >= TOP_OF_VIEW, rise.shape))
    found = sky_of(padded, {**given, **moved, "directions": looks})
    assert overlap(found[down:, right:], true) > 0.95 and found[: down - 4].mean() < 0.01
