"""Segments of recordings: all sensors, labels, poses, actions and texts."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from generic import assert_same_streams
from places import ARM
from samples import T0, make_batch, make_sample

import fusion_aug as fa
from fusion_aug.transforms.temporal.crop import segment_now

STEP = 4_000_000  # ns between joint readings of the sample


def crop(sample: fa.Sample, seconds: float, begin: float, align: str = "joints") -> fa.Sample:
    return fa.TemporalCrop.apply_params(sample, {"seconds": seconds, "begin": begin, "align": align})


@pytest.fixture(scope="module")
def episode() -> fa.Sample:
    return fa.open_log("lerobot", ARM / "lerobot", urdf=ARM / "arm.urdf", rig=ARM / "lerobot_rig.yaml")[0]


@pytest.mark.quick
def test_everything_in_the_segment_stays_and_nothing_else() -> None:
    sample = make_sample(gels=False)
    out = crop(sample, 0.06, 0.5)
    begin = int(out["joints"].capture_times[0])
    assert out.history[0].before == {"begin": begin, "end": begin + 60_000_000}
    for name, stream in sample.streams.items():
        times = stream.capture_times
        inside = (times >= begin) & (times < begin + 60_000_000)
        if name in ("caption", "map"):
            continue
        left = out.streams.get(name)
        assert (left is None) == (not bool(inside.any())), name
        if left is not None:
            assert torch.equal(left.capture_times, times[inside]), name
            assert torch.equal(left.item_numbers, inside.nonzero()[:, 0]), name
    assert len(out["joints"]) == 15 and out.ref == sample.ref and out.rig is sample.rig


def test_a_sentence_holds_until_the_next() -> None:
    sample = make_sample(gels=False)
    times = T0 + torch.tensor([-60, -20, 0, 30]) * 1_000_000
    said = fa.Text(frame="ref", capture_times=times, values={"text": fa.strings(["a", "b", "c", "d"])})
    sample = sample.with_streams({**sample.streams, "caption": said})
    out = crop(sample, 0.02, 0.5)  # from -10 ms on
    begin = int(out["joints"].capture_times[0])
    assert -20 < (begin - T0) / 1e6 < 0
    assert list(out["caption"]["text"]) == ["b", "c"] and torch.equal(out["caption"].capture_times, times[1:3])
    late = crop(sample, 0.02, 0.999)
    assert int(late["joints"].capture_times[0]) > T0 + 30_000_000
    assert list(late["caption"]["text"]) == ["d"] and late["map"].capture_times.tolist() == [T0]
    assert "CAM_FRONT" not in late.streams and "boxes" not in late.streams


@pytest.mark.quick
def test_where_a_segment_may_begin() -> None:
    sample = make_sample(gels=False)
    stamps = set(sample["joints"].capture_times.tolist())
    aligned, free = [], []
    for seed in range(12):
        out = fa.TemporalCrop(seconds=0.05, align="joints")(sample, seed=seed)
        aligned.append(int(out.history[0].before["begin"]))
        out = fa.TemporalCrop(seconds=0.05, align="anywhere")(sample.with_meta(0, clock="joints"), seed=seed)
        free.append(int(out.history[0].before["begin"]))
    assert set(aligned) <= stamps and len(set(aligned)) > 5
    assert not set(free) & stamps and all(T0 - 18 * STEP <= t <= T0 + 19 * STEP - 50_000_000 for t in free)
    last = crop(sample, 0.05, 0.99999)
    assert int(last["joints"].capture_times[-1]) in (T0 + 18 * STEP, T0 + 17 * STEP)
    with pytest.raises(fa.DataError, match=r"TemporalCrop\.align: there is no item of 'wheel'"):
        crop(sample, 0.05, 0.5, "wheel")
    with pytest.raises(fa.ConfigError, match=r"TemporalCrop\.align: expected 'clock', 'anywhere' or the name"):
        fa.TemporalCrop(seconds=1.0, align="")


def test_a_sample_that_is_no_longer_stays_whole() -> None:
    sample = make_sample(gels=False)
    for out in (crop(sample, 0.2, 0.5), crop(sample, 0.01, 0.5, "boxes")):  # one item has no length
        assert_same_streams(out, sample)
        assert out.history[0].before == {} and segment_now(out.history) is None


def test_every_sample_of_a_batch_has_its_own_segment() -> None:
    batch = make_batch(3, gels=False)
    out = fa.TemporalCrop(seconds=0.07, align="joints")(batch, seed=1)
    for index in range(3):
        alone = fa.TemporalCrop(seconds=0.07, align="joints")(batch.take([index]), seed=1)
        assert_same_streams(out.take([index]), alone)
        assert out.metas[index].history[0].before == alone.history[0].before
    shared = fa.TemporalCrop(seconds=0.07, align="joints", scope="scene")(batch, seed=1)
    spans = [m.history[0].before for m in shared.metas]
    assert spans[0] == spans[2] != spans[1]


def test_a_segment_of_an_episode_is_one(episode: fa.Sample) -> None:
    """Pictures, readings, commands and the sentence of a robot's episode; the others stay in their files."""
    out = fa.TemporalCrop(seconds=2.0)(episode, seed=3)
    begin, end = segment_now(out.history) or (0, 0)
    assert end - begin == 2_000_000_000 and begin > 0
    for name in ("front", "wrist", "state", "action", "wrench", "taxel_left"):
        assert len(out[name]) == 20 and int(out[name].capture_times[0]) == begin, name
        assert torch.equal(out[name].item_numbers, torch.arange(begin // 100_000_000, begin // 100_000_000 + 20)), name
    assert list(out["task"]["text"]) == list(episode["task"]["text"])
    assert all(a is b for a, b in zip(out["front"].items, episode["front"].items[out["front"].item_numbers[0] :],
                                      strict=False))  # fmt: skip
    windows = fa.AugmentedDataset([episode], fa.TemporalCrop(seconds=2.0), observe=[0.0], chunk=0.5)
    assert len(windows) > 0


def test_a_segment_then_another_speed(episode: fa.Sample) -> None:
    both = fa.Compose([fa.TemporalCrop(seconds=2.0), fa.SpeedWarp(speed=2.0)])(episode, seed=3)
    begin, end = segment_now(both.history) or (0, 0)
    assert abs(end - begin - 1_000_000_000) <= 1
    times = both["front"].capture_times
    assert len(times) == 20 and begin <= int(times[0]) and int(times[-1]) < end


def test_segments_keep_numbers_through_selections() -> None:
    """Two crops, a drop and a batch: numbers are those of the source."""
    sample = make_sample(gels=False)
    once = crop(sample, 0.1, 0.3)
    first = int((sample["joints"].capture_times == once["joints"].capture_times[0]).nonzero()[0])
    twice = crop(once, 0.05, 0.5)
    second = int((sample["joints"].capture_times == twice["joints"].capture_times[0]).nonzero()[0])
    assert twice["joints"].item_numbers.tolist() == list(range(second, second + len(twice["joints"]))) and first
    batch = fa.merge([sample, replace_id(twice)])
    assert batch.take([1])["joints"].item_numbers.tolist() == twice["joints"].item_numbers.tolist()
    assert batch.take([0])["joints"].source_items is None
    assert segment_now(twice.history) == (twice.history[1].before["begin"], twice.history[1].before["end"])


def replace_id(sample: fa.Sample) -> fa.Sample:
    return replace(sample, metas=(replace(sample.meta, id="other"),))
