"""Maps as vectors and as masks from above, against NumPy and OpenCV."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest
import torch
from oracle import motion
from places import DRIVE

import fusion_aug as fa
from fusion_aug.errors import ConfigError, DataError

X, Y, CELL = (-40.0, 40.0), (-20.0, 20.0), 0.5
FINE = 8
AREAS = ["drivable_area", "walkway", "ped_crossing"]
LINES = ["lane_divider", "road_divider", "centerline"]


@pytest.fixture(scope="module")
def street() -> fa.Sample:
    return fa.open_log("nuscenes", DRIVE, map_range=60)[12]


@pytest.fixture(scope="module")
def turned(street: fa.Sample) -> tuple[fa.Sample, list[tuple[fa.MapElement, list[np.ndarray]]]]:
    """A turned, scaled and mirrored street, and its map moved by NumPy alone."""
    steps = [fa.RotateScene(yaw_deg=[10, 60]), fa.ScaleScene(scale=[0.9, 1.1]), fa.MirrorScene(axis="y")]
    out = fa.Compose(steps)(street, seed=5)
    H = motion(out.history)
    moved = [(e, [p @ H[:3, :3].T + H[:3, 3] for p in e.parts]) for e in street["map"].elements()]
    return out, moved


def centres() -> np.ndarray:
    """Centres (rows, columns, 2) of the cells, m."""
    i, j = np.mgrid[0 : round((X[1] - X[0]) / CELL), 0 : round((Y[1] - Y[0]) / CELL)]
    return np.stack([X[0] + (i + 0.5) * CELL, Y[0] + (j + 0.5) * CELL], -1)


def distance_to(parts: list[np.ndarray], closed: bool) -> np.ndarray:
    """Metres from the centres to the nearest line."""
    xy, nearest = centres(), np.full(centres().shape[:2], np.inf)
    for part in parts:
        for a, b in pairwise(np.concatenate([part, part[:1]]) if closed else part):
            t = np.clip(((xy - a[:2]) @ (b - a)[:2]) / max((b - a)[:2] @ (b - a)[:2], 1e-12), 0, 1)
            nearest = np.minimum(nearest, np.linalg.norm(xy - a[:2] - t[..., None] * (b - a)[:2], axis=-1))
    return nearest


def fine_pixels(part: np.ndarray) -> np.ndarray:
    """Vertices on the fine raster, whose columns are x, in 1/256 of its cells, for OpenCV."""
    uv = (part[:, :2] - [X[0], Y[0]]) / CELL * FINE - 0.5
    return np.round(uv * 256).astype(np.int32)


def at_centres(fine: np.ndarray) -> np.ndarray:
    """The cell of the fine raster beside every centre."""
    return fine[FINE // 2 :: FINE, FINE // 2 :: FINE].T > 0


@pytest.mark.quick
@pytest.mark.parametrize("category", AREAS)
def test_areas_of_a_turned_map_are_those_that_opencv_fills(turned, category: str) -> None:
    out, moved = turned
    mask = fa.rasterize_map(out, x=X, y=Y, cell=CELL, categories=[category])
    assert mask.dtype == torch.uint8 and tuple(mask.shape) == (1, 160, 80)
    expected, outline = np.zeros((80, 160), bool).T, np.full((160, 80), np.inf)
    for element, parts in moved:
        if element.category == category:
            fine = np.zeros((80 * FINE, 160 * FINE), np.uint8)
            cv2.fillPoly(fine, [fine_pixels(p) for p in parts], 1, shift=8)
            expected = expected | at_centres(fine)
            outline = np.minimum(outline, distance_to(parts, True))
    differ = mask[0].numpy().astype(bool) != expected
    assert 100 < expected.sum() < 160 * 80 - 100
    assert not (differ & (outline > CELL / 2)).any()
    assert differ.sum() < 0.2 * (outline <= CELL / 2).sum()  # and hardly any beside an outline


@pytest.mark.quick
@pytest.mark.parametrize("width", [0.3, 1.5])
def test_lines_of_a_turned_map_are_as_wide_as_asked(turned, width: float) -> None:
    out, moved = turned
    mask = fa.rasterize_map(out, x=X, y=Y, cell=CELL, width=width, categories={"line": LINES})[0].numpy() > 0
    lines = [parts for e, parts in moved if e.category in LINES]
    distance = np.min([distance_to(parts, False) for parts in lines], axis=0)
    assert np.array_equal(mask, distance <= width / 2) and mask.sum() > 200
    fine = np.zeros((80 * FINE, 160 * FINE), np.uint8)
    pixels = [fine_pixels(p) for parts in lines for p in parts]
    cv2.polylines(fine, pixels, False, 1, max(1, round(width / CELL * FINE)), shift=8)
    assert not ((mask != at_centres(fine)) & (np.abs(distance - width / 2) > CELL / 2)).any()


@pytest.mark.quick
def test_cells_lie_where_the_document_says() -> None:
    square = np.array([[10.0, 2, 0], [11, 2, 0], [11, 4, 0], [10, 4, 0]])
    road = fa.MapElements.of([fa.MapElement("walkway", [square], closed=True)], frame="ref", time=0)
    masks = fa.rasterize_map(road, x=(0, 20), y=(-5, 5), cell=0.5)
    assert tuple(masks.shape) == (6, 40, 20)
    assert torch.nonzero(masks).tolist() == [[2, i, j] for i in (20, 21) for j in (14, 15, 16, 17)]


@pytest.mark.quick
def test_vectors_are_the_lines_within_the_range_in_even_steps(turned) -> None:
    out, moved = turned
    categories = {"divider": ["lane_divider", "road_divider"], "crossing": ["ped_crossing"], "centre": ["centerline"]}
    found = fa.map_vectors(out, points=30, x=X, y=Y, categories=categories)
    points, n = found["points"].numpy(), len(found["labels"])
    assert points.dtype == np.float32 and points.shape == (n, 30, 3) and n >= 7
    assert (np.abs(points[..., 0]) <= 40.001).all() and (np.abs(points[..., 1]) <= 20.001).all()
    names = list(categories)
    labels, closes, elements = (found[k].tolist() for k in ("labels", "closed", "elements"))
    for line, label, closed, number in zip(points, labels, closes, elements, strict=True):
        element, parts = moved[number]
        assert element.category in categories[names[label]]
        assert closed == (element.category == "ped_crossing") and closed == bool((line[0] == line[-1]).all())
        # all points lie on the element, one step apart along it, in its direction
        (part,) = parts
        whole = np.concatenate([part, part[:1]]) if closed else part
        along = np.array([nearest_along(whole, p) for p in line.astype(float)])
        steps = np.diff(along[:-1]) if closed else np.diff(along)
        assert steps.min() > 0 and np.ptp(steps) < 2e-3 * steps.mean() + 1e-4
    # nothing is left out: the length of all dividers within the range
    length = np.linalg.norm(np.diff(points[found["labels"].numpy() == 0], axis=1), axis=-1).sum()
    dense = np.concatenate([inner(p) for e, parts in moved if e.category in categories["divider"] for p in parts])
    inside = (np.abs(dense[:, 0]) <= 40) & (np.abs(dense[:, 1]) <= 20)
    assert length == pytest.approx(inside.sum() * 0.01, rel=0.02)


def inner(part: np.ndarray) -> np.ndarray:
    """Places along a line, 1 cm apart."""
    pieces = []
    for a, b in pairwise(part):
        n = round(np.linalg.norm(b - a) / 0.01)
        pieces.append(a + (b - a) * (np.arange(n) / max(n, 1))[:, None])
    return np.concatenate(pieces)


def nearest_along(line: np.ndarray, p: np.ndarray) -> float:
    """Metres along a line of its place next to a point, which lies on it."""
    best, gone = (np.inf, 0.0), 0.0
    for a, b in pairwise(line):
        t = np.clip((p - a) @ (b - a) / max((b - a) @ (b - a), 1e-12), 0, 1)
        best = min(best, (float(np.linalg.norm(p - a - t * (b - a))), gone + t * np.linalg.norm(b - a)))
        gone += np.linalg.norm(b - a)
    assert best[0] < 1e-3
    return best[1]


@pytest.mark.quick
def test_a_line_of_two_lanes_is_handed_over_once() -> None:
    line = np.array([[0.0, 1, 0], [5, 1.5, 0], [10, 1, 0]])
    same = [line, line[::-1], line + np.array([0, 0.005, 0]), line + np.array([0, 0.05, 0])]
    road = [
        fa.MapElement("lane_divider", [p], side=s) for p, s in zip(same, ("left", "right", "left", ""), strict=True)
    ]
    road.append(fa.MapElement("centerline", [line]))
    found = fa.map_vectors(
        fa.MapElements.of(road, frame="ref", time=0), categories=["lane_divider", "centerline"], points=4
    )
    assert found["elements"].tolist() == [0, 3, 4] and found["labels"].tolist() == [0, 0, 1]


@pytest.mark.quick
def test_an_area_that_leaves_the_range_is_open() -> None:
    square = np.array([[-5.0, -5, 0], [5, -5, 0], [5, 50, 0], [-5, 50, 0]])
    road = fa.MapElements.of([fa.MapElement("drivable_area", [square], closed=True)], frame="ref", time=0)
    found = fa.map_vectors(road, points=3, x=(-10, 10), y=(-10, 10))
    assert found["closed"].tolist() == [False] and found["labels"].tolist() == [2]
    assert found["points"][0].tolist() == [[-5, 10, 0], [0, -5, 0], [5, 10, 0]]
    empty = fa.map_vectors(road, x=(90, 91), y=(-1, 1))
    assert tuple(empty["points"].shape) == (0, 20, 3) and empty["labels"].dtype == torch.int64


@pytest.mark.quick
def test_wrong_settings_are_told(street: fa.Sample) -> None:
    for wrong in (
        {"cell": 0},
        {"cell": 0.3},
        {"x": (5, 5)},
        {"cell": 1e-4},
        {"width": float("nan")},
        {"categories": ()},
    ):
        with pytest.raises(ConfigError):
            fa.rasterize_map(street, **wrong)
    for wrong in ({"points": 1}, {"points": 10**9}, {"y": 3}, {"categories": "lane_divider"}):
        with pytest.raises(ConfigError):
            fa.map_vectors(street, **wrong)
    with pytest.raises(DataError, match=r"log\.map_range"):
        fa.map_vectors(fa.open_log("nuscenes", DRIVE)[0])
    with pytest.raises(DataError, match="one sample"):
        fa.rasterize_map(fa.collate([street, street]))


@pytest.mark.quick
def test_a_vertex_that_is_not_finite_is_told() -> None:
    """It would make vectors of NaN, and a loss of them."""
    line = fa.MapElement("lane_divider", [np.array([[0.0, 0, 0], [3, 0, 0]])])
    torn = fa.MapElement("lane_divider", [np.array([[0.0, 0, 0], [np.nan, 1, 0]])])
    stream = fa.MapElements.of([line, torn], frame="ref", time=0)
    for hand_over in (fa.map_vectors, fa.rasterize_map):
        with pytest.raises(DataError, match=r"vertex 3 \(of element 1\) is not finite"):
            hand_over(stream)


@pytest.mark.quick
def test_lines_that_two_lanes_share_come_once() -> None:
    """Against every pair: in either direction, a centimetre apart at most, and of one class."""
    rng = np.random.default_rng(5)
    lines = rng.uniform(-9, 9, (60, 4, 3))
    lines[30:] = lines[:30] + rng.uniform(-0.015, 0.015, (30, 1, 3))
    lines[45:] = lines[45:, ::-1]
    order, kinds = rng.permutation(60), ["lane_divider", "road_divider"]
    listed = [fa.MapElement(kinds[k % 2], [lines[i]]) for k, i in enumerate(order)]
    found = fa.map_vectors(
        fa.MapElements.of(listed, frame="ref", time=0), points=7, x=(-20, 20), y=(-20, 20), categories=kinds
    )
    alone = fa.map_vectors
    even = [
        alone(fa.MapElements.of([e], frame="ref", time=0), points=7, x=(-20, 20), y=(-20, 20), categories=kinds)[
            "points"
        ][0].numpy()
        for e in listed
    ]
    expected = [
        i
        for i, line in enumerate(even)
        if not any(
            k % 2 == i % 2 and min(np.abs(line - other).max(), np.abs(line - other[::-1]).max()) < 0.01
            for k, other in enumerate(even[:i])
        )
    ]
    assert found["elements"].tolist() == expected and 45 < len(expected) < 60
