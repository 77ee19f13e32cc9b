"""Rates, delays and gaps together."""

from __future__ import annotations

import torch
from samples import make_sample

import fusion_aug as fa


def test_a_delay_outlives_a_change_of_rate() -> None:
    sample = make_sample()
    late = fa.Latency(delay=0.1, sensors=["lidar"], scope="sample")
    out = fa.Compose([late, fa.RateChange(rate=100.0, sensors=["lidar"], scope="sample")])(sample)["lidar"]
    assert int(out.arrival_times.diff().unique()) == 10_000_000
    assert int((out.arrival_times - out.capture_times).min()) == 100_000_000


def test_a_gap_leaves_the_other_pictures_in_their_files() -> None:
    from fusion_aug.transforms.modality.dropout import with_dropped

    pictures = make_sample()["CAM_FRONT"]
    quiet = torch.zeros(len(pictures), dtype=torch.bool)
    quiet[0] = True
    out = with_dropped(pictures, quiet)
    assert not bool(out.present[0]) and not bool(out.image(0).any())  # type: ignore[attr-defined]
    assert all(a is b for a, b in zip(out.items[1:], pictures.items[1:], strict=True))  # type: ignore[attr-defined]


def test_another_rate_resamples_signals_and_takes_the_latest_picture() -> None:
    sample = make_sample()
    joints = fa.RateChange(rate=100.0, sensors=["joints", "lidar"], scope="sample")(sample)
    assert int(joints["joints"].capture_times.diff().unique()) == 10_000_000
    assert set(joints["lidar"].capture_times.tolist()) <= set(sample["lidar"].capture_times.tolist())
    assert int(joints["lidar"].arrival_times.diff().unique()) == 10_000_000
    assert joints["wrench"] is sample["wrench"]


def test_dropped_frames_and_gaps() -> None:
    sample = make_sample()
    sizes = [len(fa.DropFrames(share=0.5, sensors=["lidar"])(sample, seed=s)["lidar"]) for s in range(30)]
    assert set(sizes) == {1, 2}
    gap = fa.TemporalMask(seconds=0.03, sensors=["joints"], scope="sample")(sample, seed=2)["joints"]
    quiet = (~gap.present).nonzero()[:, 0]
    assert 7 <= len(quiet) <= 8 and int(quiet[-1] - quiet[0]) == len(quiet) - 1
    assert not bool(gap["position"][quiet].any())
