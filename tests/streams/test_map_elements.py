"""Lines and areas of a map as a stream: packing, geometry, left and right."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from samples import T0, make_sample

import fusion_aug as fa
from calib.se3 import transform_points
from fusion_aug.errors import DataError
from fusion_aug.transforms.scene.scene import scene_motion

SQUARE = np.array([[0.0, 0, 0], [4, 0, 0], [4, 4, 0], [0, 4, 0]])
ELEMENTS = [
    fa.MapElement("lane_divider", [np.array([[0.0, 1, 0], [9, 1, 0.5]])], mark="SOLID_WHITE", side="left", record="7"),
    fa.MapElement("drivable_area", [SQUARE, SQUARE[::-1] / 4 + 1], closed=True, record="8"),
    fa.MapElement("centerline", [np.array([[0.0, -1, 0], [5, -1, 0], [9, -2, 0]])], record="7"),
]


def road(elements: list[fa.MapElement] = ELEMENTS) -> fa.MapElements:
    return fa.MapElements.of(elements, frame="ref", time=T0)


@pytest.mark.quick
def test_elements_come_back_as_they_were_packed() -> None:
    stream = road()
    assert stream.rows == 13 and stream["element"].tolist() == [0] * 2 + [1] * 8 + [2] * 3
    assert stream["part"].tolist() == [0] * 6 + [1] * 4 + [0] * 3
    for before, after in zip(ELEMENTS, stream.elements(), strict=True):
        assert before == fa.MapElement(**{**vars(after), "parts": before.parts})
        assert all(np.array_equal(a, b) for a, b in zip(before.parts, after.parts, strict=True))
    assert road([]).elements() == [] and road([]).rows == 0


@pytest.mark.quick
def test_columns_that_are_missing_say_nothing() -> None:
    values = {"xyz": torch.zeros(5, 3), "element": torch.tensor([0, 0, 4, 4, 4]), "category": fa.strings("aabbb")}
    found = fa.MapElements(frame="ref", capture_times=torch.tensor([T0]), values=values).elements()
    assert [(e.category, len(e.parts[0]), e.closed, e.side) for e in found] == [
        ("a", 2, False, ""),
        ("b", 3, False, ""),
    ]
    with pytest.raises(DataError, match="has no column element"):
        sample = make_sample()
        bare = fa.MapElements(frame="ref", capture_times=torch.tensor([T0]), values={"xyz": torch.zeros(1, 3)})
        fa.make_sample("a", ("ego", T0), sample.rig, {"map": bare})


@pytest.mark.quick
@pytest.mark.parametrize("axis", ["x", "y"])
def test_a_mirror_keeps_the_order_and_swaps_the_sides_of_lanes(axis: str) -> None:
    sample = make_sample()
    out = fa.Compose([fa.RotateScene(yaw_deg=[20, 40]), fa.ScaleScene(scale=1.1), fa.MirrorScene(axis=axis)])(
        sample, seed=3
    )
    H = scene_motion(out.history)
    before, after = sample["map"], out["map"]
    assert (after["xyz"] - transform_points(H, before["xyz"])).abs().max() < 1e-9
    sides = {"left": "right", "right": "left", "": ""}
    assert [sides[s] for s in before["side"]] == list(after["side"]) and set(before["side"]) == set(sides)
    for name in ("element", "part", "closed"):
        assert torch.equal(before[name], after[name])
    for name in ("mark", "category", "record"):
        assert list(before[name]) == list(after[name])
    # what is left of the lane by its side lies left of its direction of travel
    for moved in (before, after):
        edges = {e.side: e.parts[0] for e in moved.elements() if not e.closed}
        way, offset = edges[""][-1] - edges[""][0], edges["left"][0] - edges[""][0]
        assert way[0] * offset[1] - way[1] * offset[0] > 0
    twice = fa.MirrorScene(axis=axis)(fa.MirrorScene(axis=axis)(sample))
    assert list(twice["map"]["side"]) == list(before["side"])


@pytest.mark.quick
def test_of_a_batch_only_mirrored_samples_change() -> None:
    batch = fa.collate([make_sample(f"s{i}", seed=i) for i in range(8)])
    out = fa.MirrorScene(axis="y", p=0.5)(batch, seed=2)
    mirrored = [bool(r.applied) for m in out.metas for r in m.history]
    assert 0 < sum(mirrored) < 8
    for i, is_mirrored in enumerate(mirrored):
        rows = out["map"].item_slice(i)
        same = list(out["map"]["side"][rows]) == list(batch["map"]["side"][rows])
        assert same != is_mirrored
        assert len(out["map"].elements(i)) == 4
    back = [fa.invert(out.take([i])["map"], out.metas[i].history, name="map") for i in range(8)]
    for i, stream in enumerate(back):
        rows = batch["map"].item_slice(i)
        assert (stream["xyz"] - batch["map"]["xyz"][rows]).abs().max() < 1e-9
        assert list(stream["side"]) == list(batch["map"]["side"][rows])


@pytest.mark.quick
@pytest.mark.parametrize("step", [fa.Fog(mor=60), fa.FlipImage(), fa.Viewpoint(sensors=["*"], x_deg=2), fa.Latency()])
def test_what_is_no_motion_leaves_it(step: fa.Transform) -> None:
    sample = make_sample(gels=False)
    out = step(sample, seed=1)
    assert out["map"] is sample["map"]
