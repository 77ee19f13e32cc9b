"""``replay MANIFEST ID out=DIR`` writes a whole log of one sample, in every format."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import small_logs
from places import ARM
from written import manifest

import fusion_aug as fa
from fusion_aug.cli import main

DRIVING, ROBOTS = ("kitti", "semantickitti", "nuscenes", "argoverse2", "mmdet3d"), ("mcap", "lerobot", "robomimic")


def words_of(kind: str, root: Path, street: Path) -> list[str]:
    """The words of a run over a small log of a format."""
    if kind in ("mcap", "lerobot"):
        return [f"log={kind}", f"log.root={ARM / kind}", f"log.rig={ARM / f'{kind}_rig.yaml'}"]
    if kind == "nuscenes":
        return [f"log={kind}", f"log.root={street}", "limit=2"]
    make = getattr(small_logs, kind)
    return [f"log={kind}", f"log.root={make(root, street) if kind == 'mmdet3d' else make(root)}"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*DRIVING, *ROBOTS, "folder", "to nuscenes"])
def test_one_sample_is_a_log_that_check_show_and_open_log_take(
    kind: str, street: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = {"folder": "folder", "to nuscenes": "nuscenes"}.get(kind)
    source = "kitti" if output else kind
    words = [*words_of(source, tmp_path / "log", street), *([f"output={output}"] if output else [])]
    geometry = "identity" if kind == "robomimic" else "geometry" if source in DRIVING else "photometric"
    copies = 1 if source in ROBOTS else 2
    assert main(["run", *words, f"out={tmp_path / 'out'}", f"pipeline={geometry}", f"copies={copies}"]) == 0
    chosen = manifest(tmp_path / "out")[-1]["id"]
    capsys.readouterr()
    assert main(["replay", str(tmp_path / "out"), chosen, f"out={tmp_path / 'one'}"]) == 0
    assert "digest agrees" in capsys.readouterr().out
    lines = manifest(tmp_path / "one")
    assert [line["id"] for line in lines] == [chosen]
    assert main(["check", str(tmp_path / "one")]) == 0, capsys.readouterr().out
    assert main(["show", str(tmp_path / "one"), f"out={tmp_path / 'a.png'}"]) == 0 and (tmp_path / "a.png").is_file()
    rig = [w.partition("=")[2] for w in words if w.startswith("log.rig=")]
    log = fa.open_log(output or kind, tmp_path / "one", rig=rig[0] if rig else None)
    assert len(log) == 1 and len(log[0].streams) > 1


def test_nothing_is_half_written_and_nothing_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = small_logs.kitti(tmp_path / "log")
    assert main(["run", "log=kitti", f"log.root={root}", "pipeline=identity", f"out={tmp_path / 'out'}"]) == 0
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    assert main(["replay", str(tmp_path / "out"), "training/000001", f"out={tmp_path / 'mine'}"]) == 2
    assert "is not empty" in capsys.readouterr().err
    (root / "training/velodyne/000001.bin").unlink()
    (root / "training/image_2/000001.png").unlink()
    (root / "training/image_3/000001.png").unlink()
    assert main(["replay", str(tmp_path / "out"), "training/000001", f"out={tmp_path / 'one'}"]) == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == ["log", "mine", "out"]


def test_a_changed_source_is_written_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = small_logs.kitti(tmp_path / "log")
    assert main(["run", "log=kitti", f"log.root={root}", "pipeline=identity", f"out={tmp_path / 'out'}"]) == 0
    small_logs.cloud(9).tofile(root / "training/velodyne/000000.bin")
    assert main(["replay", str(tmp_path / "out/manifest.jsonl"), "training/000000", f"out={tmp_path / 'one'}"]) == 1
    assert "digest DIFFERS" in capsys.readouterr().out
    header = json.loads((tmp_path / "one/manifest.jsonl").read_text().splitlines()[0])
    assert header["replayed"] == "training/000000" and header["account"]["samples"]["written"] == 1
