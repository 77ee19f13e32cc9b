"""Rates, delays and gaps together."""

from __future__ import annotations

import torch
from samples import make_sample

import fusion_aug as fa


def test_a_delay_outlives_a_change_of_rate() -> None:
    sample = make_sample()
    late = fa.Latency(delay=0.1, sensors=["lidar"], scope="rig")
    out = fa.Compose([late, fa.RateChange(rate=100.0, sensors=["lidar"], scope="rig")])(sample)["lidar"]
    assert int(out.handed_over.diff().unique()) == 10_000_000
    assert int((out.handed_over - out.times).min()) == 100_000_000


def test_a_gap_leaves_the_other_pictures_in_their_files() -> None:
    from fusion_aug.transforms.faults.dropout import silenced

    pictures = make_sample()["CAM_FRONT"]
    quiet = torch.zeros(len(pictures), dtype=torch.bool)
    quiet[0] = True
    out = silenced(pictures, quiet)
    assert not bool(out.present[0]) and not bool(out.image(0).any())  # type: ignore[attr-defined]
    assert all(a is b for a, b in zip(out.items[1:], pictures.items[1:], strict=True))  # type: ignore[attr-defined]
