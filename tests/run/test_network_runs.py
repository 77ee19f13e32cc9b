"""Runs with the user's own networks: words, manifests without paths, replays, changed files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from networks import write_network
from places import DRIVE

from fusion_aug.cli import main
from fusion_aug.sample import networks

WORDS = ["log=nuscenes", f"log.root={DRIVE}", "limit=1", "pipeline=fog"]
ODD = "my model, v=2 (1).onnx"  # Hydra's grammar gives a meaning to most of it


def sky_network(path: Path) -> Path:
    """One that calls bright blue sky, whatever the rest is."""
    return write_network(path, (0, 0, 1.0), 0.0, (1, 3, 90, 160))


def manifest(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]


def test_a_run_and_its_replay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    model, out = sky_network(tmp_path / ODD), tmp_path / "out"
    assert main(["run", *WORDS, f"pipeline.sky={ODD}", "pipeline.refine=false", f"out={out}"]) == 0
    header, line = manifest(out)
    params = line["history"][0]["params"][""]
    assert params["sky"]["file"] == ODD and params["refine"] is False and params["depth"] is None
    assert str(tmp_path) not in json.dumps([header, line])
    sha256 = params["sky"]["sha256"]
    assert header["pipeline"]["sky"] == f"{ODD} sha256:{sha256}"
    assert json.loads((out / "run.json").read_text())["networks"] == {sha256: str(model)}
    assert main(["run", *WORDS, f"pipeline.sky={ODD}", "pipeline.refine=false", f"out={out}"]) == 0  # done before
    forget(monkeypatch)
    assert main(["replay", str(out), line["id"]]) == 0 and "digest agrees" in capsys.readouterr().out
    # the file lies elsewhere now
    moved = Path(shutil.move(model, tmp_path / "moved.onnx"))
    forget(monkeypatch)
    assert main(["replay", str(out), line["id"]]) == 2
    assert "cannot be read" in capsys.readouterr().err
    forget(monkeypatch)
    assert main(["replay", str(out), line["id"], f"networks=[{moved.name}]", f"out={tmp_path / 'again'}"]) == 0
    assert json.loads((tmp_path / "again" / "run.json").read_text())["networks"][sha256] == str(moved)
    # another network in its place
    forget(monkeypatch)
    write_network(model, (0, 1.0, 0), 0.0, (1, 3, 90, 160))
    capsys.readouterr()
    assert main(["replay", str(out), line["id"]]) == 2
    assert "is another network than was used" in capsys.readouterr().err
    assert main(["run", *WORDS, f"pipeline.sky={ODD}", "pipeline.refine=false", f"out={out}"]) == 2
    assert "another job" in capsys.readouterr().err


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """As another process knows nothing of networks."""
    monkeypatch.setattr(networks, "_PATHS", {})
    networks._opened.cache_clear()


def test_workers_write_the_same(tmp_path: Path) -> None:
    model = sky_network(tmp_path / "sky.onnx")
    words = ["log=nuscenes", f"log.root={DRIVE}", "limit=2", "pipeline=fog", f"pipeline.sky={model}"]
    digests = []
    for workers in (0, 2):
        out = tmp_path / f"out{workers}"
        assert main(["run", *words, f"workers={workers}", f"out={out}"]) == 0
        digests.append([line["digest"] for line in manifest(out)[1:]])
    assert digests[0] == digests[1] and len(digests[0]) == 2


def test_a_network_that_is_none_stops_before_the_first_byte(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "sky.onnx").write_bytes(b"no network")
    for word, text in (
        (f"pipeline.sky={tmp_path / 'sky.onnx'}", "Weather.sky: "),
        (f"pipeline.depth={tmp_path / 'no.onnx'}", "no.onnx: cannot be read"),
        ("pipeline.depth={file: 7}", "Weather.depth: expected a file"),
    ):
        assert main(["run", *WORDS, word, f"out={tmp_path / 'out'}"]) == 2
        assert text in capsys.readouterr().err and not (tmp_path / "out").exists()
