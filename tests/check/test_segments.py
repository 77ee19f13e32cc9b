"""Runs that cut segments: what is written is the segment, and ``check`` says so; what cannot hold one refuses it."""

from __future__ import annotations

from pathlib import Path

import pytest
from lost import failed, run

import fusion_aug as fa

CROP = "+pipeline.transforms.cut={_target_:fusion_aug.TemporalCrop,seconds:0.5}"


@pytest.mark.parametrize("kind", ["lerobot", "mcap"])
def test_a_written_segment_is_the_segment(
    small: Path, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run(small, kind, out, "pipeline=identity", CROP, "seed=2") == 0
    assert failed(out, capsys) == []
    sample = fa.open_log(kind, out)[0]
    times = {n: s.capture_times for n, s in sample.streams.items() if not isinstance(s, fa.Text) and len(s) > 1}
    assert times and max(int(t[-1]) for t in times.values()) - min(int(t[0]) for t in times.values()) < 500_000_000
    assert len(sample["front"]) in (5, 10)


@pytest.mark.parametrize("kind", ["nuscenes", "kitti", "robomimic"])
def test_formats_of_fixed_samples_refuse_it(
    small: Path, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = [] if kind != "robomimic" else ["log.exclude=[obs/gripper]", "log.parts={actions:{other:[0,7]}}"]
    assert run(small, kind, tmp_path / "out", "pipeline=identity", CROP, *more) != 0
    told = capsys.readouterr().err
    assert "TemporalCrop.seconds" in told and "folder" in told
