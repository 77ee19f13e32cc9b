"""Runs with a folder of the user's pictures: manifests without paths, replays, changed files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from places import DRIVE

from fusion_aug.cli import main
from fusion_aug.transforms.mix import pictures

SWAP = "{_target_: fusion_aug.SwapBackground, beyond: 25.0, cameras: [CAM_FRONT], pictures: behind}"
WORDS = [
    "run", "log=nuscenes", f"log.root={DRIVE}", "limit=1", "pipeline=identity", f"+pipeline.transforms.swap={SWAP}",
]  # fmt: skip


def test_a_run_and_its_replay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    folder, out = tmp_path / "behind", tmp_path / "out"
    folder.mkdir()
    cv2.imwrite(str(folder / "red.png"), np.full((20, 40, 3), (20, 20, 220), np.uint8))
    assert main([*WORDS, f"out={out}"]) == 0
    header, line = (json.loads(text) for text in (out / "manifest.jsonl").read_text().splitlines())
    assert str(tmp_path) not in json.dumps([header, line])
    assert header["pipeline"]["transforms"]["swap"]["pictures"].startswith("behind blake2b:")
    assert json.loads((out / "run.json").read_text())["pictures"] == [str(folder)]
    assert main([*WORDS, f"out={out}"]) == 0  # done before
    monkeypatch.setattr(pictures, "_FOLDERS", {})  # as another process knows nothing of it
    capsys.readouterr()
    assert main(["replay", str(out), line["id"]]) == 0 and "digest agrees" in capsys.readouterr().out
    monkeypatch.setattr(pictures, "_FOLDERS", {})
    shutil.move(folder, tmp_path / "moved")
    assert main(["replay", str(out), line["id"]]) == 2
    assert "no folder that is known here" in capsys.readouterr().err
    folder.mkdir()
    cv2.imwrite(str(folder / "red.png"), np.full((20, 40, 3), (20, 220, 20), np.uint8))
    assert main(["replay", str(out), line["id"]]) == 2
    assert "has changed since it was drawn" in capsys.readouterr().err
