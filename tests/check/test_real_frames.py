"""The main job on the real frames: every preset, two seeds each, written, read back and checked."""

from __future__ import annotations

from pathlib import Path

import pytest

from fusion_aug.cli import main


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["geometry", "photometric", "driving"])
@pytest.mark.parametrize("log", ["kitti", "nuscenes"])
def test_presets_on_real_frames(
    real_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], log: str, preset: str
) -> None:
    for seed in range(2):
        out = tmp_path / str(seed)
        words = [f"log={log}", f"log.root={real_data / log}", f"pipeline={preset}", f"seed={seed}"]
        assert main(["run", *words, f"out={out}"]) == 0
        assert main(["check", str(out)]) == 0, capsys.readouterr().out
        assert main(["check", *words, "n=1"]) == 0, capsys.readouterr().out
    capsys.readouterr()


@pytest.mark.parametrize(
    "step",
    [
        "{_target_:fusion_aug.Resize,size:[224,224]}",
        "{_target_:fusion_aug.ResizeCrop,scale:0.1}",
        "{_target_:fusion_aug.Resize,size:[64,208]}",
        "{_target_:fusion_aug.FlipImage,axis:y}",
        "{_target_:fusion_aug.MirrorScene,axis:x}",
        "{_target_:fusion_aug.PerspectiveImage,strength:0.1,scope:sensor}",
        "{_target_:fusion_aug.Miscalibrate,sensors:['*'],z_deg:[-2,2],x:[-0.2,0.2]}",
    ],
)
@pytest.mark.parametrize("log", ["kitti", "nuscenes"])
def test_sound_pipelines_raise_no_alarm(
    real_data: Path, capsys: pytest.CaptureFixture[str], log: str, step: str
) -> None:
    words = [
        "check",
        f"log={log}",
        f"log.root={real_data / log}",
        "pipeline=identity",
        f"+pipeline.transforms.it={step}",
    ]
    code = main(words)
    text = capsys.readouterr().out
    assert code == 0, text
    dots = [line for line in text.splitlines() if line.startswith("content dots")]
    assert any("PASS" in line for line in dots), text
