"""Rows and items of two views: numbers that were planted in the clouds before say which are one."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
import torch
from generic import Case, build, only
from samples import make_batch, make_sample

import fusion_aug as fa
from fusion_aug.core.registry import is_invariant, own_transforms, resolve

NUMBER = "instance"  # of the planted column: what is no object's has none, so ghosts and clutter lose it
CLOUDS = ("lidar", "radar")


def planted(sample: fa.Sample) -> fa.Sample:
    """The sample whose points have numbers of their own, from 1 on, item by item and sample by sample."""
    streams = dict(sample.streams)
    for name in CLOUDS:
        cloud = sample[name].realized()
        streams[name] = cloud.with_values(**{NUMBER: torch.arange(cloud.rows) + 1})
    return sample.with_streams(streams)


def numbers(cloud: fa.Points, index: int) -> torch.Tensor:
    own = cloud.realized()
    return own.values[NUMBER][own.sample_index[own.row_item] == index]


def assert_right(a: fa.Sample, b: fa.Sample, index: int, made: bool) -> None:
    """Matched points have equal numbers, and all that both views still have are matched.

    Args:
        made: whether a view's points were all made anew, though they carry the numbers of those around.
    """
    for name in CLOUDS:
        found = fa.matches(a, b, index).points(name)
        in_a, in_b = (v[n].realized().values[NUMBER] if n else torch.zeros(0) for v, n in
                      ((a, found.name_a), (b, found.name_b)))  # fmt: skip
        assert torch.equal(in_a[found.rows_a], in_b[found.rows_b]), name
        assert bool((found.rows_a.diff() > 0).all()), name
        there = [Counter(numbers(v[n], index).tolist() if n else []) for v, n in
                 ((a, found.name_a), (b, found.name_b))]  # fmt: skip
        wanted = set() if made and name == "lidar" else {k for k in there[0].keys() & there[1].keys() if k > 0}
        assert set(in_a[found.rows_a].tolist()) == wanted, name


def touches_clouds(case: Case) -> bool:
    cls = own_transforms()[case[0]]
    met = [kind for kind in (fa.Lidar, fa.Radar) if resolve(cls, kind) and not is_invariant(cls, kind)]
    return bool(met) and case[0] != "ModalityDropout"


@only(touches_clouds)
def test_points_of_two_views_are_those_of_one_number(case: Case) -> None:
    whole = planted(make_sample(points=200))
    sample = whole.with_streams({n: whole[n] for n in (*CLOUDS, "boxes", "ego", "joints")})
    a, b = fa.views(sample, build(case, p=1.0), seed=3)
    assert_right(a, b, 0, made=case[0] == "RingResample")


@pytest.mark.quick
def test_points_of_a_batch_after_many_changes() -> None:
    steps = [
        fa.MirrorScene(axis="y", p=0.5),
        fa.PointDropout(share=0.3),
        fa.ShufflePoints(),
        fa.LidarCrosstalk(share=0.1),
        fa.RadarGhosts(share=0.5),
        fa.RadarClutter(rate=5),
        fa.DropFrames(share=0.5, sensors=["lidar"]),
        fa.Fog(mor=40.0, p=0.5),
        fa.VoxelSubsample(size=0.4),
        fa.Viewpoint(sensors=["lidar"], z_deg=3.0, x=0.3, p=0.5),
    ]
    batch = planted(make_batch(3))
    a, b = fa.views(batch, fa.Compose(steps), seed=2)
    for index in range(3):
        assert_right(a, b, index, made=False)
        assert len(fa.matches(a, b, index).points("lidar")) > 20


def test_what_no_source_holds_matches_nothing() -> None:
    sample = planted(make_sample())
    foreign = fa.LidarCrosstalk(share=0.4)
    a, b = fa.views(sample, foreign, seed=1)
    same = sample["lidar"].realized()["xyz"]
    found = fa.matches(a, b).points("lidar")
    moved = [(v["lidar"].realized()["xyz"] != same).any(1) for v in (a, b)]
    assert 0.2 < float(moved[0].float().mean()) < 0.6
    assert not bool(moved[0][found.rows_a].any() | moved[1][found.rows_b].any())
    assert len(found) == int((~moved[0] & ~moved[1]).sum())
    again = fa.matches(*fa.views(sample, fa.Compose([foreign, fa.PointDropout(share=0.2)]), seed=1)).points("lidar")
    assert 0 < len(again) < len(found)


def test_boxes_are_rows_and_tracks() -> None:
    sample = make_sample(boxes=5)
    a, b = fa.views(sample, fa.Compose([fa.RotateScene(yaw_deg=[-90, 90]), fa.MirrorScene(axis="y", p=0.5)]), seed=4)
    found = fa.matches(a, b).boxes()
    assert found.rows_a.tolist() == found.rows_b.tolist() == [0, 1, 2, 3, 4]
    fewer = b["boxes"].select(torch.tensor([True, False, True, True, False]))  # type: ignore[attr-defined]
    part = fa.matches(a, b.with_streams({**b.streams, "boxes": fewer}))
    assert part.boxes().rows_a.tolist() == [0, 2, 3] and part.boxes().rows_b.tolist() == [0, 1, 2]
    twice = fewer.concat([fewer, fewer], [torch.tensor([0]), torch.tensor([0])])
    twice = replace(twice, capture_times=twice.capture_times + torch.tensor([0, 1]))
    tracks = fa.matches(a, b.with_streams({**b.streams, "boxes": twice})).tracks()
    assert sorted(zip(tracks.rows_a.tolist(), tracks.rows_b.tolist(), strict=True)) == [
        (0, 0), (0, 3), (2, 1), (2, 4), (3, 2), (3, 5),
    ]  # fmt: skip


def test_left_becomes_right_and_gone_is_empty() -> None:
    sample = make_sample()
    mirrored = fa.MirrorScene(axis="y")(sample)
    pair = fa.matches(sample, mirrored)
    assert pair.name("CAM_LEFT") == ("CAM_LEFT", "CAM_RIGHT")
    assert pair.name("CAM_LEFT/mask") == ("CAM_LEFT/mask", "CAM_RIGHT/mask")
    assert pair.items("CAM_LEFT").rows_b.tolist() == [0]
    gone = fa.ModalityDropout(share=1.0, mode="remove", sensors=["lidar"])(sample)
    assert "lidar" not in gone.streams
    for found in (fa.matches(sample, gone).points("lidar"), fa.matches(gone, sample).points("lidar")):
        assert len(found) == 0 and "" in (found.name_a, found.name_b)


def test_pictures_of_other_rates_are_the_same_pictures() -> None:
    sample = make_sample()
    rate = fa.RateChange(rate=100.0, sensors=["lidar", "joints"], scope="sample")
    found = fa.matches(sample, rate(sample)).items("lidar")
    other = rate(sample)["lidar"].capture_times
    assert found.rows_a.tolist() == [0, 1]
    assert torch.equal(other[found.rows_b], sample["lidar"].capture_times)
    joints = fa.matches(sample, rate(sample)).items("joints")
    times = rate(sample)["joints"].capture_times
    assert torch.equal(sample["joints"].capture_times[joints.rows_a], times[joints.rows_b])
    assert 0 < len(joints) < len(times)  # what was read between two readings is none


@pytest.mark.quick
def test_views_of_different_samples_are_refused() -> None:
    first, second = make_sample("street"), make_sample("alley", seed=1)
    with pytest.raises(fa.DataError, match="sample 'street' and sample 'alley' are not one"):
        fa.matches(first, second)
    with pytest.raises(fa.DataError, match=r"'street/scene' and sample 'street/other'"):
        fa.matches(first, make_sample("street", scene="other"))
    with pytest.raises(fa.DataError, match="no sample 1 among 1"):
        fa.matches(first, first, 1)
    with pytest.raises(fa.DataError, match="neither view has a stream 'lidra'"):
        fa.matches(first, first).points("lidra")
    with pytest.raises(fa.DataError, match="'boxes' holds Boxes3D, not Points"):
        fa.matches(first, first).points("boxes")


def test_a_planted_wrong_match_is_caught() -> None:
    """The check of these tests is one: rows that are exchanged have other numbers."""
    a, b = fa.views(planted(make_sample()), fa.PointDropout(share=0.3), seed=3)
    found = fa.matches(a, b).points("lidar")
    in_a, in_b = (v["lidar"].realized().values[NUMBER] for v in (a, b))
    wrong = found.rows_b.clone()
    wrong[[4, 7]] = wrong[[7, 4]]
    assert int((in_a[found.rows_a] != in_b[wrong]).sum()) == 2
