"""Logs without a sample are refused in one sentence, by every command."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
import small_infos
import small_logs
from refusals import fails

from fusion_aug import cli


@pytest.fixture
def empty_folder(tmp_path: Path) -> Path:
    root, out = small_logs.kitti(tmp_path / "kitti", frames=1), tmp_path / "folder"
    assert cli.main(["run", "log=kitti", f"log.root={root}", "pipeline=identity", "output=folder", f"out={out}"]) == 0
    listed = json.loads((out / "log.json").read_text())
    (out / "log.json").write_text(json.dumps({**listed, "samples": []}))
    return out


@pytest.fixture
def empty_mmdet3d(tmp_path: Path) -> Path:
    small_infos.write_small(tmp_path / "infos", samples=1)
    (infos,) = (tmp_path / "infos").glob("*infos*.pkl")
    with infos.open("rb") as file:
        content = pickle.load(file)  # our own
    with infos.open("wb") as file:
        pickle.dump({**content, "data_list": []}, file)
    return tmp_path / "infos"


@pytest.mark.parametrize("format", ["folder", "mmdet3d"])
def test_a_log_without_samples(
    format: str, tmp_path: Path, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    root = request.getfixturevalue(f"empty_{format}")
    log = [f"log={format}", f"log.root={root}"]
    for words in (["inspect", *log], ["run", *log, "pipeline=identity", f"out={tmp_path / 'out'}"]):
        capsys.readouterr()
        fails(capsys, words, str(root), "no samples")
    assert not (tmp_path / "out").exists()
