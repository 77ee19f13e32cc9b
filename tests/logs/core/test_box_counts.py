"""Official point counts of boxes after a change."""

from __future__ import annotations

import numpy as np
import pytest
from samples import make_sample

import fusion_aug as fa
from fusion_aug.logs.core.box_counts import counts_after, points_of_boxes

pytestmark = pytest.mark.quick


def counted(sample: fa.Sample) -> dict[str, int]:
    """Points of the key cloud in every box, by NumPy alone, in the reference frame."""
    cloud = sample.points("lidar")
    xyz = cloud["xyz"][cloud.item_slice(len(cloud) - 1)].numpy().astype(np.float64)  # the sweep comes first
    boxes = sample.boxes()
    out = {}
    for record, T, size in zip(boxes["record"], boxes["pose"].numpy(), boxes["size"].numpy(), strict=True):
        local = (xyz - T[:3, 3]) @ T[:3, :3]
        out[str(record)] = int((np.abs(local) <= size / 2 + 1e-6).all(1).sum())
    return out


@pytest.fixture
def sample() -> fa.Sample:
    """A sample whose boxes have records, and several points each."""
    made = make_sample("s0", boxes=6)
    boxes = made.boxes()
    records = np.array([f"r{i}" for i in range(boxes.rows)])
    return made.with_streams({**made.streams, "boxes": boxes.with_values(record=records)})


def test_our_count_is_that_of_numpy(sample: fa.Sample) -> None:
    found = points_of_boxes(sample, ["lidar"])
    assert found == counted(sample) and max(found.values()) > 3


@pytest.mark.parametrize(
    "motion",
    [
        fa.RotateScene(yaw_deg=33.0),
        fa.MirrorScene(axis="y"),
        fa.ScaleScene(scale=1.1),
        fa.TranslateScene(x=0.3, y=-0.2, z=0.1),
        fa.Compose([fa.RotateScene(yaw_deg=170.0), fa.MirrorScene(axis="x"), fa.ScaleScene(scale=0.93)]),
    ],
    ids=lambda m: type(m).__name__,
)
def test_motions_leave_official_counts(sample: fa.Sample, motion: fa.Transform) -> None:
    official = {f"r{i}": 7 * i for i in range(6)}
    for seed in range(3):
        assert counts_after(fa.Compose([motion])(sample, seed=seed), sample, ["lidar"], official) == official


def test_a_drop_takes_from_the_official_count_what_it_took_from_ours(sample: fa.Sample) -> None:
    thin = fa.Compose([fa.RotateScene(yaw_deg=20.0), fa.PointDropout(share=0.5)])(sample, seed=1)
    before, after = counted(sample), counted(thin)
    official = {"r0": before["r0"] + 100, "r1": before["r1"], "r2": 0, "r3": 1}
    found = counts_after(thin, sample, ["lidar"], official)
    assert found == {r: max(0, n - (before[r] - after[r])) for r, n in official.items()}
    assert found["r0"] < official["r0"] and found["r2"] == 0, "never below 0"
    assert "r4" not in found, "a box without an official figure gets none"


def test_a_new_box_gets_our_count(sample: fa.Sample) -> None:
    boxes = sample.boxes()
    new = boxes.with_values(record=np.array([*boxes["record"][:-1], "new"]))
    more = sample.with_streams({**sample.streams, "boxes": new})
    official = {str(r): 5 for r in boxes["record"]}
    assert counts_after(more, sample, ["lidar"], official)["new"] == counted(sample)[str(boxes["record"][-1])]


def test_clouds_that_are_gone_hold_no_points(sample: fa.Sample) -> None:
    dark = sample.with_streams({n: s for n, s in sample.streams.items() if n != "lidar"})
    found = counts_after(dark, sample, ["lidar"], {"r0": 1000})
    assert found == {"r0": 1000 - counted(sample)["r0"]}
