"""What of a map comes within a range, and what a sidecar has to hold, by brute force; counted anew by `check`."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

import fusion_aug as fa
from calib.se3 import rotation_about, se3
from fusion_aug.check.counts.roads import is_near
from fusion_aug.logs.core.vector_maps import VectorMap, holds

SQUARE = np.array([[-1.0, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]])


def street(seed: int, count: int = 40) -> list[list[fa.MapElement]]:
    """Lines, and areas with holes, all over 200 m."""
    rng = np.random.default_rng(seed)
    out = []
    for i in range(count):
        at = np.append(rng.uniform(-100, 100, 2), 3.0)
        if i % 2:
            out.append([fa.MapElement("lane_divider", [at + rng.normal(0, 9, (5, 3)).cumsum(0)], side="left")])
        else:
            size = rng.uniform(10, 40)
            parts = [at + size * SQUARE, at + size / 3 * SQUARE[::-1]]
            out.append([fa.MapElement("drivable_area", parts, closed=True, record=str(i))])
    return out


def really_near(record: list[fa.MapElement], xy: np.ndarray, metres: float) -> bool:
    nearest, rings = np.inf, 0
    for e in record:
        for part in e.parts:
            line = np.concatenate([part, part[:1]]) if e.closed else part
            dense = np.concatenate([a + np.linspace(0, 1, 3000)[:, None] * (b - a) for a, b in pairwise(line)])[:, :2]
            nearest = min(nearest, np.linalg.norm(dense - xy, axis=1).min())
            low, high = part[:, :2].min(0), part[:, :2].max(0)
            rings += bool(e.closed and (low < xy).all() and (xy < high).all())
    return rings % 2 == 1 or nearest <= metres


@pytest.mark.quick
@pytest.mark.parametrize("seed", range(5))
def test_records_within_a_range(seed: int) -> None:
    records, rng = street(seed), np.random.default_rng(100 + seed)
    road, found = VectorMap(records), 0
    for metres in (2.0, 17.0, 60.0):
        xy = rng.uniform(-90, 90, 2)
        near = {i for i, r in enumerate(records) if really_near(r, xy, metres)}
        assert set(road.near(xy, metres)) == near
        shapes = [[(p[:, :2] @ [1, 1j], e.closed) for e in r for p in e.parts] for r in records]
        assert {i for i, r in enumerate(shapes) if is_near(r, complex(*xy), metres)} == near  # as `check` counts
        found += len(near)
    assert 5 < found < 100


@pytest.mark.quick
def test_a_vehicle_in_an_area_is_near_it_and_one_in_its_hole_is_not() -> None:
    hole = [fa.MapElement("drivable_area", [40 * SQUARE, 20 * SQUARE], closed=True)]
    road = VectorMap([hole])
    assert road.near(np.array([30.0, 0]), 1.0) == [0] and road.near(np.array([0.0, 0]), 1.0) == []
    assert VectorMap([]).near(np.zeros(2), 1e9) == []


@pytest.mark.quick
def test_the_stream_is_in_the_reference_frame() -> None:
    T = se3(rotation_about("z", 0.7) @ rotation_about("x", 0.1), [50.0, -20, 1])
    stream = VectorMap(street(1)).stream(T, 5, 30.0)
    back = stream["xyz"].numpy() @ T[:3, :3].numpy().T + T[:3, 3].numpy()
    expected = np.concatenate([p for i in VectorMap(street(1)).near(np.array([50.0, -20]), 30.0)
                               for e in street(1)[i] for p in e.parts])  # fmt: skip
    assert np.abs(back - expected).max() < 1e-12 and stream.capture_times.tolist() == [5]


@pytest.mark.quick
def test_files_hold_what_is_the_same_and_nothing_else() -> None:
    stream = VectorMap(street(2)).stream(torch.eye(4, dtype=torch.float64), 5, 50.0)
    assert holds(stream, stream) and holds(stream, stream.with_values(xyz=stream["xyz"] + 1e-8))
    side = np.array(stream["side"])
    side[0] = "right"
    others = [
        stream.with_values(xyz=stream["xyz"] + 1e-5),
        stream.with_values(side=side),
        stream.select(torch.arange(stream.rows) > 0),
        stream.with_values(height=torch.zeros(stream.rows)),
        VectorMap(street(2)).stream(torch.eye(4, dtype=torch.float64), 6, 50.0),
    ]
    assert not any(holds(stream, o) for o in others) and not holds(None, stream)


@pytest.mark.quick
def test_a_mirrored_map_has_its_sides_exchanged() -> None:
    W = np.diag([1.0, -1.1, 1.1, 1.0]) @ np.diag([1.1, 1, 1, 1])
    moved = VectorMap(street(3)).moved(W)
    for before, after in zip(street(3), moved.records, strict=True):
        for a, b in zip(before, after, strict=True):
            assert (a.side, b.side) in (("left", "right"), ("", ""))
            assert all(np.allclose(p @ W[:3, :3].T, q) for p, q in zip(a.parts, b.parts, strict=True))
