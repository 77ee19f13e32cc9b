"""Times and joints of two views, against the closed forms of the maps that were drawn."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from samples import T0, make_batch, make_sample

import fusion_aug as fa
from fusion_aug.transforms.temporal.speed import warps_of

STEP = 4_000_000  # ns between joint readings of the sample
NAMES = ("lidar", "radar", "CAM_FRONT", "CAM_LEFT", "boxes", "CAM_RIGHT/flat")
TIME_WARP, SPEED_WARP = fa.TimeWarp(slowest=0.7, fastest=1.4, period=0.2), fa.SpeedWarp(speed=[0.7, 1.4])


@pytest.mark.parametrize(("steps", "limit"), [([TIME_WARP], 1), ([SPEED_WARP], 1), ([TIME_WARP, SPEED_WARP], 2)])
def test_stamps_of_one_picture_are_one_time(steps: list[fa.Transform], limit: int) -> None:
    """Of every item that both views kept; to the 1 ns that each warp rounds stamps to."""
    batch = make_batch(2, gels=False)
    batch = batch.with_streams({n: batch[n] for n in NAMES})
    a, b = fa.views(batch, fa.Compose(steps), seed=4)
    worst, count = 0, 0
    for index in range(2):
        pair = fa.matches(a, b, index)
        for name in NAMES:
            found = pair.items(name)
            stamps = a[name].capture_times[found.rows_a], b[name].capture_times[found.rows_b]
            there, inside = pair.times(stamps[0])
            worst, count = max(worst, int((there - stamps[1]).abs().max())), count + len(found)
            assert len(found) and bool(inside.all())
            source = batch[name].capture_times[found.rows_a]  # a change of speed keeps pictures and their order
            assert int((pair.source_times(stamps[0]) - source).abs().max()) <= limit
            assert int((pair.source_times(stamps[1], "b") - source).abs().max()) <= limit
    assert count > 10 and worst <= limit


@pytest.mark.quick
def test_a_speed_is_a_straight_line() -> None:
    sample = make_sample(gels=False)
    slow = fa.SpeedWarp.apply_params(sample, {"speed": 0.5})
    fast = fa.SpeedWarp.apply_params(sample, {"speed": 2.0})
    times = T0 + torch.tensor([0, 10_000_000, 40_000_000])
    there, _ = fa.matches(slow, fast).times(times)
    assert there.tolist() == (T0 + (times - T0) // 4).tolist()
    assert fa.matches(sample, sample).times(times)[0].tolist() == times.tolist()


def segment(sample: fa.Sample, seconds: float, begin: float) -> fa.Sample:
    return fa.TemporalCrop.apply_params(sample, {"seconds": seconds, "begin": begin, "align": "joints"})


@pytest.mark.quick
def test_segments_overlap_or_do_not() -> None:
    sample = make_sample(gels=False)
    first, last = T0 - 18 * STEP, T0 + 18 * STEP
    early, late = segment(sample, 0.06, 0.0), segment(sample, 0.06, 0.999)
    pair = fa.matches(early, late)
    assert pair.overlap is None and len(pair.items("joints")) == 0
    middle = segment(sample, 0.1, 0.5)
    found = fa.matches(early, middle)
    begin = int(middle["joints"].capture_times[0])
    assert found.overlap == (begin, first + 60_000_000)
    shared = found.items("joints")
    assert torch.equal(early["joints"].capture_times[shared.rows_a], middle["joints"].capture_times[shared.rows_b])
    assert len(shared) == -(-(first + 60_000_000 - begin) // STEP) and last not in early["joints"].capture_times
    inside = found.times(torch.tensor([begin - 1, begin, first + 60_000_000 - 1, first + 60_000_000]))[1]
    assert inside.tolist() == [False, True, True, False]


def test_overlap_is_in_the_time_of_the_source() -> None:
    """A view that was slowed down and then cut covers less of the recording than it lasts."""
    sample = make_sample(gels=False)
    slow = fa.SpeedWarp.apply_params(sample, {"speed": 0.5})
    cut = segment(slow, 0.1, 0.0)
    begin = int(slow["joints"].capture_times[0])
    assert int(cut["joints"].capture_times[-1]) < begin + 100_000_000
    source_begin = T0 + (begin - T0) // 2
    found = fa.matches(cut, sample).overlap
    assert found is not None and abs(found[0] - source_begin) <= 1 and abs(found[1] - source_begin - 50_000_000) <= 1
    then = fa.SpeedWarp.apply_params(cut, {"speed": 0.8})
    assert fa.matches(then, sample).overlap == found
    assert len(warps_of(then.history)) == 2


def test_joints_follow_mirrors_and_offsets() -> None:
    """Positions of both views agree to 1e-9 once sign and offset are applied."""
    sample = make_sample(gels=False)
    offsets = fa.KinematicNoise(joint_deg=[-1, 1])
    steps = fa.Compose([fa.MirrorRobot(p=0.5), offsets])
    seen = set()
    for seed in range(8):
        a, b = fa.views(sample, steps, seed=seed)
        found = fa.matches(a, b).joints("joints")
        position = [v[n]["position"] for v, n in ((a, found.name_a), (b, found.name_b))]
        there = position[0][found.items_a][:, found.joints_a] * found.sign + found.offset
        wanted = position[1][found.items_b][:, found.joints_b]
        assert float((there - wanted).abs().max()) < 1e-9
        rate = [v[n]["velocity"] for v, n in ((a, found.name_a), (b, found.name_b))]
        moved = rate[0][found.items_a][:, found.joints_a] * found.sign
        assert float((moved - rate[1][found.items_b][:, found.joints_b]).abs().max()) < 1e-9
        assert float((position[0] - position[1]).abs().max()) > 1e-4
        seen.add(tuple(r.applied for v in (a, b) for r in v.history if r.name.endswith("MirrorRobot")))
        assert found.joints_a.tolist() == list(range(len(sample["joints"].names)))  # type: ignore[attr-defined]
    assert {(True, False), (False, True)} & seen


def test_a_wrong_sign_of_a_joint_is_caught() -> None:
    sample = make_sample(gels=False)
    a, b = sample, fa.MirrorRobot()(sample)
    found = fa.matches(a, b).joints("joints")
    wrong = replace(found, sign=found.sign * torch.tensor([-1.0] + [1.0] * (len(found.sign) - 1)))
    position = a["joints"]["position"][:, wrong.joints_a] * wrong.sign + wrong.offset
    off = (position - b["joints"]["position"][:, wrong.joints_b]).abs().amax(0)
    assert float(off[0]) > 0.1 and float(off[1:].max()) < 1e-9
