"""Running over a log: workers, interruption, refusal, copies."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fusion_aug.cli import main
from fusion_aug.run.manifest import read_manifest


def tree(out: Path) -> dict[str, str]:
    """Digest of every file of the same-bytes promise."""
    files = sorted(p for p in out.rglob("*") if p.is_file() and p.name != "run.json")
    return {str(p.relative_to(out)): hashlib.blake2b(p.read_bytes()).hexdigest() for p in files}


def words(root: Path, out: Path, *more: str, log: str = "nuscenes") -> list[str]:
    return ["run", f"log={log}", f"log.root={root}", "pipeline=driving", "seed=3", f"out={out}", *more]


@pytest.fixture(scope="module")
def reference(street: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    out = tmp_path_factory.mktemp("reference") / "out"
    assert main(words(street, out, "copies=4")) == 0
    return tree(out)


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_same_bytes_for_any_number_of_workers(street: Path, tmp_path: Path, reference, workers: int) -> None:
    out = tmp_path / "out"
    assert main(words(street, out, "copies=4", f"workers={workers}")) == 0
    assert tree(out) == reference
    assert len(read_manifest(out).entries) == 20


@pytest.mark.parametrize("trial", range(3))
def test_same_bytes_after_a_kill(street: Path, tmp_path: Path, reference, trial: int) -> None:
    """SIGKILL of the whole process group at a random moment, three times in a row, then to the end."""
    out = tmp_path / "out"
    command = [sys.executable, "-m", "fusion_aug", *words(street, out, "copies=4", "workers=2")]
    rng = random.Random(trial)
    killed = 0
    for _ in range(3):
        process = subprocess.Popen(
            command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 60
        # from the first finished sample on, the moment is random
        while time.monotonic() < deadline and process.poll() is None and not list(out.glob(".work/done/*.json")):
            time.sleep(0.02)
        time.sleep(rng.uniform(0.0, 0.6))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            killed += 1
        process.wait()
    assert killed >= 1
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0
    assert tree(out) == reference
    assert not (out / ".work").exists()


def test_the_manifest_names_no_machine(street: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main(words(street, out, "limit=2")) == 0
    text = (out / "manifest.jsonl").read_text()
    assert str(street) not in text and str(tmp_path) not in text
    for word in ("workers", "seconds", "host", "finished"):
        assert word not in text
    facts = json.loads((out / "run.json").read_text())
    assert facts["source_root"] == str(street.resolve())


def test_replay_from_the_manifest(street: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert main(words(street, out, "copies=2", "limit=2")) == 0
    entry = read_manifest(out).entries[3]
    assert entry.id.endswith("__1") and entry.epoch == 1
    assert (
        main(["replay", str(out / "manifest.jsonl"), entry.id, f"log.root={street}", f"out={tmp_path / 'again'}"]) == 0
    )
    assert "agrees" in capsys.readouterr().out
    for path in (tmp_path / "again").rglob("*"):
        if path.is_file():
            assert path.read_bytes() == (out / path.relative_to(tmp_path / "again")).read_bytes()
    # a record that was tampered with gives another digest
    lines = (out / "manifest.jsonl").read_text().splitlines()
    row = json.loads(lines[4])
    next(r for r in row["history"] if r["name"] == "RotateScene")["params"][""]["yaw_deg"] += 1.0
    (out / "manifest.jsonl").write_text("\n".join([*lines[:4], json.dumps(row)]))
    assert main(["replay", str(out / "manifest.jsonl"), entry.id, f"log.root={street}"]) == 1
    assert main(["replay", str(out / "manifest.jsonl"), "nobody", f"log.root={street}"]) == 2


def test_epochs_and_samples_differ_but_scenes_share_geometry(street: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main(words(street, out, "copies=2")) == 0
    entries = read_manifest(out).entries

    def drawn(entry, name: str):  # type: ignore[no-untyped-def]
        return next(r.params.get("") for r in entry.history if r.name == name)

    assert len({drawn(e, "RotateScene")["yaw_deg"] for e in entries if e.copy == 0}) == 1
    assert drawn(entries[0], "RotateScene") != drawn(entries[5], "RotateScene")
    assert len({drawn(e, "Brightness")["factor"] for e in entries}) == 10


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


def test_every_pair_of_presets_composes() -> None:
    from fusion_aug.run.config import build_pipeline, compose_config, config_dir

    presets = sorted(p.stem for p in (config_dir() / "pipeline").glob("*.yaml"))
    assert {"identity", "geometry", "photometric", "driving"} <= set(presets)
    for a in presets:
        for b in presets:
            if a != b and not {a, b} & {"driving"}:
                config = compose_config("run", ["log=kitti", "log.root=x", "out=y", f"pipeline=[{a},{b}]"])
                build_pipeline(config["pipeline"])


def test_a_pipeline_of_ones_own_and_a_plugin(street: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A transform outside the package, configured by a file outside it, in two worker processes."""
    (tmp_path / "my_plugin.py").write_text(
        "from dataclasses import dataclass\n"
        "import fusion_aug as fa\n"
        "from fusion_aug.transforms.photometric import PhotometricTransform\n\n\n"
        "@dataclass(frozen=True, kw_only=True)\n"
        "class Negative(PhotometricTransform):\n"
        '    """Invert the picture."""\n\n'
        "    @classmethod\n"
        "    def change(cls, picture, params, rng):\n"
        "        return 255 - picture\n"
    )
    (tmp_path / "conf/pipeline").mkdir(parents=True)
    (tmp_path / "conf/pipeline/negative.yaml").write_text(
        "_target_: fusion_aug.pipeline\ntransforms:\n  it: {_target_: my_plugin.Negative}\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    command = ["run", "log=nuscenes", f"log.root={street}", f"out={tmp_path / 'out'}", "pipeline=negative", "limit=2"]
    assert main([*command, "--config-dir", str(tmp_path / "conf")]) == 2, "not registered without plugins="
    assert main([*command, "--config-dir", str(tmp_path / "conf"), "plugins=[my_plugin]", "workers=2"]) == 0
    assert [r.name for r in read_manifest(tmp_path / "out").entries[0].history] == ["Negative"]


def test_no_stray_files(street: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "fusion_aug", *words(street, tmp_path / "out", "limit=1")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_copies_that_would_collide_are_refused(
    real_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Copies of copies: an id may not be given twice."""
    root = real_data / "kitti"
    first = ["run", "log=kitti", f"log.root={root}", "pipeline=identity", "copies=2", f"out={tmp_path / 'a'}"]
    assert main(first) == 0
    again = ["run", "log=kitti", f"log.root={tmp_path / 'a'}", "pipeline=identity", "copies=2", f"out={tmp_path / 'b'}"]
    assert main(again) == 2
    assert "training/000008__1" in capsys.readouterr().err and not (tmp_path / "b").exists()
    assert main([*again, "log.select=training/000008"]) == 0


def test_another_input_is_another_job(street: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import shutil

    out, other = tmp_path / "out", tmp_path / "other"
    assert main(words(street, out, "limit=1")) == 0
    shutil.copytree(street, other)
    assert main(words(other, out, "limit=1")) == 2
    assert "another job" in capsys.readouterr().err
    mine = tmp_path / "mine"
    assert main(words(other, mine, "limit=1")) == 0
    table = other / "v1.0-mini/sample_annotation.json"
    table.write_text(table.read_text() + "\n")
    assert main(words(other, mine, "limit=1")) == 2


def test_chains_lead_past_what_was_not_written(street: Path, tmp_path: Path) -> None:
    import fusion_aug as fa

    ids = fa.open_log("nuscenes", street).ids
    out = tmp_path / "out"
    assert main([*words(street, out), f"log.select=[{ids[0]},{ids[2]},{ids[4]}]"]) == 0
    assert list(fa.open_log("nuscenes", out).ids) == [ids[0], ids[2], ids[4]]
    assert main(["check", str(out)]) == 0


def test_splits_follow_the_source(real_data: Path, tmp_path: Path) -> None:
    """Frames whose own names look like copies stay in their split; copies join their source's."""
    import shutil

    root = tmp_path / "kitti"
    for name in ("drive__1", "drive"):
        for folder, suffix in (("calib", ".txt"), ("velodyne", ".bin"), ("image_2", ".png"), ("label_2", ".txt")):
            target = root / "training" / folder / f"{name}{suffix}"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(real_data / f"kitti/training/{folder}/000008{suffix}", target)
    (root / "ImageSets").mkdir()
    (root / "ImageSets/train.txt").write_text("drive\n")
    (root / "ImageSets/val.txt").write_text("drive__1\n")
    base = ["run", "log=kitti", f"log.root={root}", "pipeline=identity"]
    assert main([*base, f"out={tmp_path / 'a'}"]) == 0
    assert (tmp_path / "a/ImageSets/train.txt").read_text() == "drive\n"
    assert (tmp_path / "a/ImageSets/val.txt").read_text() == "drive__1\n"
    assert main([*base, f"out={tmp_path / 'b'}", "log.select=val", "copies=2"]) == 0
    assert (tmp_path / "b/ImageSets/val.txt").read_text() == "drive__1\ndrive__1__1\n"
    for kind in ("calib", "label_2"):
        source = root / f"training/{kind}/drive.txt"
        assert (tmp_path / f"a/training/{kind}/drive.txt").read_bytes() == source.read_bytes(), "nothing changed"


def test_output_in_our_own_format(street: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    perspective = "+pipeline.transforms.p={_target_:fusion_aug.PerspectiveImage,strength:0.05}"
    assert main(words(street, out, "output=folder", "limit=2", perspective)) == 0, "our format holds a perspective"
    assert main(["check", str(out)]) == 0
    entry = read_manifest(out).entries[1]
    assert main(["replay", str(out), entry.id]) == 0
    assert "agrees" in capsys.readouterr().out
    assert main(["run", "log=folder", f"log.root={out}", "pipeline=geometry", f"out={tmp_path / 'more'}"]) == 0
    assert main(["check", str(tmp_path / "more")]) == 0
    assert main(["show", str(out), f"out={tmp_path / 'a.png'}"]) == 0


def test_a_lossy_output_records_the_residual(real_data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = ["run", "log=kitti", f"log.root={real_data / 'kitti'}", "pipeline=geometry", f"out={out}", "lossy=true"]
    assert main([*command, "+pipeline.transforms.yaw.roll_deg=5"]) == 0
    line = json.loads((out / "manifest.jsonl").read_text().splitlines()[1])
    # the camera of the source is itself tilted by about a degree against the velodyne
    assert 4.0 < line["residual"]["box_tilt_deg"] < 6.5
    assert line["residual"]["distortion_px"] < 1e-6


def test_a_lost_label_is_found(real_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert main(["run", "log=kitti", f"log.root={real_data / 'kitti'}", "pipeline=geometry", f"out={out}"]) == 0
    labels = out / "training/label_2/000008.txt"
    labels.write_text("\n".join(labels.read_text().splitlines()[1:]) + "\n")
    assert main(["check", str(out)]) == 1
    assert any(x.startswith("files changed") and "FAIL" in x for x in capsys.readouterr().out.splitlines())
    (out / "training/calib/000008.txt").unlink()
    assert main(["check", str(out)]) == 1
    assert "000008.txt" in capsys.readouterr().out
    assert main(["check", str(out), "log.select=nobody"]) == 2


def test_skipping_can_be_decided_later(street: Path, tmp_path: Path) -> None:
    import shutil

    log = Path(shutil.copytree(street, tmp_path / "log"))
    bad = sorted((log / "samples/LIDAR_TOP").iterdir())[2]
    bad.write_bytes(bad.read_bytes()[:77])
    out = tmp_path / "out"
    assert main(words(log, out)) == 2
    assert main(words(log, out, "on_error=skip")) == 0
    assert len(read_manifest(out).entries) == 4
    assert main(["check", str(out)]) == 0


def test_draws_per_sensor_stay_per_sensor_in_a_scene(street: Path, tmp_path: Path) -> None:
    """nuScenes keeps calibration per scene: one draw per scene and camera, for mountings too."""
    out = tmp_path / "out"
    zoom = "+pipeline.transforms.z={_target_:fusion_aug.ResizeCrop,scale:[1.0,1.5],scope:sensor}"
    wrong = "+pipeline.transforms.m={_target_:fusion_aug.Miscalibrate,sensors:['CAM*'],z_deg:[-2,2]}"
    command = [w for w in words(street, out) if not w.startswith("pipeline")]
    assert main([*command, "pipeline=identity", zoom, wrong]) == 0
    mounted = json.loads((out / "v1.0-mini/calibrated_sensor.json").read_text())
    assert len(mounted) == 5, "one record per sensor of the scene"
    focal = {m["camera_intrinsic"][0][0] for m in mounted if m["camera_intrinsic"]}
    assert len(focal) == 3
    entries = read_manifest(out).entries
    for path in ("z", "m"):
        drawn = [next(r.params for r in e.history if r.path == path) for e in entries]
        assert all(d == drawn[0] for d in drawn) and len({str(p) for p in drawn[0].values()}) > 2
