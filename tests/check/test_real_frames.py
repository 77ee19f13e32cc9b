"""The main job on the real frames: every preset, five seeds each, written, read back and checked."""

from __future__ import annotations

from pathlib import Path

import pytest

from fusion_aug.cli import main


@pytest.mark.parametrize("preset", ["geometry", "photometric", "driving"])
@pytest.mark.parametrize("log", ["kitti", "nuscenes"])
def test_presets_on_real_frames(
    real_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], log: str, preset: str
) -> None:
    for seed in range(5):
        out = tmp_path / str(seed)
        words = [f"log={log}", f"log.root={real_data / log}", f"pipeline={preset}", f"seed={seed}"]
        assert main(["run", *words, f"out={out}"]) == 0
        assert main(["check", str(out)]) == 0, capsys.readouterr().out
        assert main(["check", *words, "n=1"]) == 0, capsys.readouterr().out
    capsys.readouterr()
