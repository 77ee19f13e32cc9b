"""Running over a log: workers, interruption, refusal, copies."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from kill_moments import children, gone

from fusion_aug.cli import main
from fusion_aug.sample.manifest import read_manifest


def tree(out: Path) -> dict[str, str]:
    """Digest of every file of the same-bytes promise."""
    files = sorted(p for p in out.rglob("*") if p.is_file() and p.stem != "run")
    return {str(p.relative_to(out)): hashlib.blake2b(p.read_bytes()).hexdigest() for p in files}


def words(root: Path, out: Path, *more: str, log: str = "nuscenes") -> list[str]:
    return ["run", f"log={log}", f"log.root={root}", "pipeline=driving", "seed=3", f"out={out}", *more]


SIX = ("copies=2", "limit=3")  # samples


@pytest.fixture(scope="module")
def reference(street: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run by one process, which is only read."""
    out = tmp_path_factory.mktemp("reference") / "out"
    assert main(words(street, out, *SIX)) == 0
    return out


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_same_bytes_for_any_number_of_workers(street: Path, tmp_path: Path, reference: Path, workers: int) -> None:
    out = tmp_path / "out"
    assert main(words(street, out, *SIX, f"workers={workers}")) == 0
    assert tree(out) == tree(reference)
    assert len(read_manifest(out).entries) == 6


@pytest.mark.slow
def test_same_bytes_after_a_kill(street: Path, tmp_path: Path, reference: Path) -> None:
    """SIGKILL of the parent alone, at the first finished sample, and of its whole group later; then to the end."""
    out = tmp_path / "out"
    command = [sys.executable, "-m", "fusion_aug", *words(street, out, *SIX, "workers=2")]
    rng = random.Random(0)
    killed = 0
    for most, alone in ((0.0, True), (0.6, False)):
        process = subprocess.Popen(
            command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 300
        # from the first finished sample on, the time is random
        while time.monotonic() < deadline and process.poll() is None and not list(out.glob(".work/done/*.json")):
            time.sleep(0.02)
        time.sleep(rng.uniform(0.0, most))
        workers = children(process.pid)
        if process.poll() is None:
            (os.kill if alone else os.killpg)(process.pid, signal.SIGKILL)
            killed += 1
        process.wait()
        assert gone(workers) is None
    assert killed >= 1
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0
    assert tree(out) == tree(reference)
    assert not (out / ".work").exists()


def test_the_manifest_names_no_machine(street: Path, reference: Path) -> None:
    text = (reference / "manifest.jsonl").read_text()
    assert str(street) not in text and str(reference.parent) not in text
    assert not {"workers", "seconds", "host", "finished"} & set(re.findall(r'"(\w+)": ', text))
    facts = json.loads((reference / "run.json").read_text())
    assert facts["source_root"] == str(street.resolve())


def test_replay_from_the_manifest(
    street: Path, reference: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = Path(shutil.copytree(reference, tmp_path / "out"))
    entry = read_manifest(out).entries[3]
    assert entry.id.endswith("__1") and entry.epoch == 1
    assert (
        main(["replay", str(out / "manifest.jsonl"), entry.id, f"log.root={street}", f"out={tmp_path / 'again'}"]) == 0
    )
    assert "agrees" in capsys.readouterr().out
    again = [p for folder in ("samples", "sweeps") for p in (tmp_path / "again" / folder).rglob("*.*")]
    assert len(again) > 5
    for path in again:
        assert path.read_bytes() == (out / path.relative_to(tmp_path / "again")).read_bytes()
    # a record that was tampered with gives another digest
    lines = (out / "manifest.jsonl").read_text().splitlines()
    row = json.loads(lines[4])
    next(r for r in row["history"] if r["name"] == "fusion_aug.RotateScene")["params"][""]["yaw_deg"] += 1.0
    (out / "manifest.jsonl").write_text("\n".join([*lines[:4], json.dumps(row)]))
    assert main(["replay", str(out / "manifest.jsonl"), entry.id, f"log.root={street}"]) == 1
    assert main(["replay", str(out / "manifest.jsonl"), "nobody", f"log.root={street}"]) == 2


def test_epochs_and_samples_differ_but_scenes_share_geometry(reference: Path) -> None:
    entries = read_manifest(reference).entries

    def drawn(entry, name: str):  # type: ignore[no-untyped-def]
        return next(r.params.get("") for r in entry.history if r.name == f"fusion_aug.{name}")

    assert len({drawn(e, "RotateScene")["yaw_deg"] for e in entries if e.copy == 0}) == 1
    assert drawn(entries[0], "RotateScene") != drawn(entries[3], "RotateScene")
    assert len({drawn(e, "Brightness")["factor"] for e in entries}) == 6


def test_keep_original_and_limit(street: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main(words(street, out, "copies=1", "keep_original=true", "limit=2")) == 0
    entries = read_manifest(out).entries
    assert [e.copy for e in entries] == [0, 0, 1, 1]
    assert [len(e.history) for e in entries[:2]] == [0, 0] and entries[2].id == entries[0].id + "__1"


def test_an_interrupted_run_of_another_job_is_left_alone(street: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / ".work").mkdir(parents=True)
    (out / ".work/plan.json").write_text('{"fingerprint": "other"}')
    assert main(words(street, out)) == 2
    assert (out / ".work/plan.json").read_text() == '{"fingerprint": "other"}'


def test_a_finished_run_is_not_done_twice(street: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert main(words(street, out, "limit=1")) == 0
    stamp = (out / "manifest.jsonl").stat().st_mtime_ns
    assert main(words(street, out, "limit=1")) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert (out / "manifest.jsonl").stat().st_mtime_ns == stamp
    assert main(words(street, out, "limit=2")) == 2


def test_dry_run_writes_nothing(street: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words(street, tmp_path / "out", "dry_run=true")) == 0
    text = capsys.readouterr().out
    assert "LIDAR_TOP" in text and "RotateScene" in text and "MiB" in text
    assert not (tmp_path / "out").exists()


def test_multirun_names_its_folders(street: Path, tmp_path: Path) -> None:
    command = words(street, tmp_path / "out", "limit=1", "-m")
    command = [w for w in command if not w.startswith(("seed", "pipeline"))] + [
        "seed=1,2",
        "pipeline=geometry,photometric",
    ]
    assert main(command) == 0
    names = sorted(p.name for p in (tmp_path / "out").iterdir())
    assert len(names) == 4 and all((tmp_path / "out" / n / "manifest.jsonl").is_file() for n in names)
    for name in names:
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-")
        assert "pipeline-" in name and "seed-" in name and "root" not in name


def test_presets_combine(street: Path, tmp_path: Path) -> None:
    command = [w for w in words(street, tmp_path / "out", "limit=1") if not w.startswith("pipeline")]
    assert main([*command, "pipeline=[geometry,photometric]", "pipeline.yaw_deg=5", "~pipeline.transforms.mirror"]) == 0
    entry = read_manifest(tmp_path / "out").entries[0]
    paths = [r.path for r in entry.history]
    assert "yaw" in paths and "brightness" in paths and "mirror" not in paths and "dropout" not in paths
    assert next(r.params[""]["yaw_deg"] for r in entry.history if r.path == "yaw") == 5.0


@pytest.mark.slow
def test_a_pipeline_of_ones_own_and_a_plugin(street: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A transform outside the package, configured by a file outside it, in a worker process."""
    (tmp_path / "my_plugin.py").write_text(
        "from dataclasses import dataclass\n"
        "import fusion_aug as fa\n"
        "from fusion_aug.transforms.camera.photometric import PhotometricTransform\n\n\n"
        "@dataclass(frozen=True, kw_only=True)\n"
        "class Negative(PhotometricTransform):\n"
        '    """Invert the picture."""\n\n'
        "    @classmethod\n"
        "    def change(cls, picture, params, context):\n"
        "        return 255 - picture\n"
    )
    (tmp_path / "conf/pipeline").mkdir(parents=True)
    (tmp_path / "conf/pipeline/negative.yaml").write_text(
        "_target_: fusion_aug.pipeline\ntransforms:\n  it: {_target_: my_plugin.Negative}\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    command = ["run", "log=nuscenes", f"log.root={street}", f"out={tmp_path / 'out'}", "pipeline=negative", "limit=2"]
    assert main([*command, "--config-dir", str(tmp_path / "conf")]) == 2, "not registered without plugins="
    assert main([*command, "--config-dir", str(tmp_path / "conf"), "plugins=[my_plugin]", "workers=1"]) == 0
    assert [r.name for r in read_manifest(tmp_path / "out").entries[0].history] == ["my_plugin.Negative"]


def test_no_stray_files(street: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "fusion_aug", *words(street, tmp_path / "out", "limit=1")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
