"""Wrong input: one sentence with file and field, exit code 2, nothing half-written."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from refusals import fails

from fusion_aug.cli import main


def test_wrong_words(street: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = ["run", "log=nuscenes", f"log.root={street}", f"out={tmp_path / 'out'}"]
    cases = [
        (["fly"], ["unknown command", "fly"]),
        ([*base[:3], "out="], ["out", "empty"]),
        (["run", "log=nuscenes", "log.root=", "out=y"], ["log.root", "empty"]),
        ([*base, "log=kiti"], ["log", "kiti", "did you mean kitti?"]),
        ([*base, "pipeline=nope"], ["nope", "geometry"]),
        ([*base, "log.select=[scene-x,made-0001]"], ["log.select", "scene-x"]),
        ([*base, "plugins=nope"], ["plugins", "'nope'"]),
        (["check", str(street), "--cfg", "job"], ["--cfg"]),
        (["run", "out=x"], ["log"]),
        (["run", "log=nuscenes", "out=x"], ["log.root"]),
        ([*base[:3]], ["out"]),
        (["run", "log=tape", "log.root=x", "out=y"], ["tape"]),
        ([*base, "pipeline=magic"], ["magic"]),
        ([*base, "sead=3"], ["sead"]),
        ([*base, "pipeline.transforms.yaw.yaw=3"], ["yaw"]),
        ([*base, "+pipeline.transforms.yaw.yaw=3"], ["RotateScene", "yaw"]),
        ([*base, "pipeline.yaw_deg=[5,1]"], ["RotateScene.yaw_deg", "lower end"]),
        ([*base, "pipeline.yaw_deg=wide"], ["RotateScene.yaw_deg", "wide"]),
        ([*base, "pipeline.mirror=1.5"], ["MirrorScene.p"]),
        ([*base, "pipeline.transforms.mirror.axis=z"], ["MirrorScene.axis", "gravity"]),
        ([*base, "pipeline.transforms.yaw._target_=os.system"], ["os.system", "not a registered transform"]),
        ([*base, "pipeline.transforms.yaw._target_=fusion_aug.Nothing"], ["fusion_aug.Nothing"]),
        ([*base, "plugins=[no_such_module]"], ["no_such_module"]),
        ([*base, "seed=x"], ["seed"]),
        ([*base, "workers=-1"], ["workers"]),
        ([*base, "engine.name=slurm"], ["engine: expected local", "or ray"]),
        ([*base, "+engine.retries=2"], ["engine: expected local", "or ray"]),
        ([*base, "copies=0"], ["copies"]),
        ([*base, "limit=0"], ["limit"]),
        ([*base, "on_error=retry"], ["on_error"]),
        ([*base, "log.select=nothing"], ["log.select", "nothing"]),
        ([*base, "log.urdf=x.urdf"], ["log.urdf"]),
        ([*base, "log.rig=none.yaml"], ["none.yaml"]),
        (["run", "log=nuscenes", "log.root=/nowhere", "out=y"], ["/nowhere", "not a folder"]),
        (["run", "log=kitti", f"log.root={street}", "out=y"], [str(street), "no frames"]),
        ([*base, "--fast"], ["--fast"]),
        (["check", str(tmp_path)], ["manifest.jsonl"]),
        (["replay", "x"], ["replay"]),
        (["show", "log=nuscenes", f"log.root={street}", "out=x.gif"], ["x.gif"]),
        (["show", "log=nuscenes", f"log.root={street}", "index=99"], ["index"]),
    ]
    for words, parts in cases:
        fails(capsys, words, *parts)
    assert not (tmp_path / "out").exists()


def test_what_a_format_cannot_hold_is_refused_before_the_first_byte(
    street: Path, real_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kitti = ["run", "log=kitti", f"log.root={real_data / 'kitti'}", f"out={tmp_path / 'k'}", "pipeline=geometry"]
    tilted = "+pipeline.transforms.yaw.roll_deg=[-3,3]"
    fails(capsys, [*kitti, tilted], "RotateScene.roll_deg", "yaw only", "yaw_deg alone", "lossy=true")
    nuscenes = ["run", "log=nuscenes", f"log.root={street}", f"out={tmp_path / 'n'}", "pipeline=geometry"]
    perspective = "+pipeline.transforms.p={_target_:fusion_aug.PerspectiveImage,strength:0.05}"
    fails(capsys, [*nuscenes, perspective], "PerspectiveImage.strength", "camera_intrinsic", "lossy=true")
    assert not (tmp_path / "k").exists() and not (tmp_path / "n").exists()
    # opted in, and where the format can: KITTI holds a perspective in P, nuScenes boxes hold a tilt
    assert main([*kitti, tilted, "lossy=true"]) == 0
    assert main([*nuscenes, "+pipeline.transforms.yaw.roll_deg=[-3,3]"]) == 0
    assert main(["check", str(tmp_path / "n")]) == 0
    assert main([*kitti[:3], f"out={tmp_path / 'k2'}", "pipeline=geometry", perspective]) == 0
    assert main(["check", str(tmp_path / "k2")]) == 0
    capsys.readouterr()


def test_output_folders_are_protected(street: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(street.rglob("*"))
    base = ["run", "log=nuscenes", f"log.root={street}", "pipeline=identity"]
    fails(capsys, [*base, f"out={street}"], "lie in one another")
    fails(capsys, [*base, f"out={street / 'inside'}"], "lie in one another")
    fails(capsys, [*base, f"out={street.parent}"], "lie in one another")
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.tex").write_text("years of work")
    fails(capsys, [*base, f"out={foreign}"], "not empty")
    assert [p.name for p in foreign.iterdir()] == ["thesis.tex"] and sorted(street.rglob("*")) == before


def test_no_space_left(street: Path, tmp_path: Path, capsys, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    import errno

    from fusion_aug.logs.nuscenes import writer as nuscenes_writer

    def full(*args: object) -> bytes:
        raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "out/file"))

    monkeypatch.setattr(nuscenes_writer, "encode_lidar", full)
    fails(capsys, ["run", "log=nuscenes", f"log.root={street}", f"out={tmp_path / 'out'}"], "No space left", "out/file")
    assert not (tmp_path / "out/manifest.jsonl").exists()


def test_hostile_manifest(street: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Names from a manifest do not leave the folder; records of unknown transforms are refused."""
    out = tmp_path / "out"
    assert main(["run", "log=nuscenes", f"log.root={street}", f"out={out}", "limit=1", "pipeline=identity"]) == 0
    capsys.readouterr()
    lines = (out / "manifest.jsonl").read_text().splitlines()
    row = json.loads(lines[1])
    for change, part in (
        ({"id": "../../../x"}, "'../../../x'"),
        (
            {
                "history": [
                    {"path": "a", "name": "os.system", "version": 1, "params": {}, "applied": True, "before": {}}
                ]
            },
            "os.system",
        ),
        ({"history": [{"path": "a"}]}, "record"),
        ({"history": "x"}, "list of records"),
        ({"source": "nobody"}, "nobody"),
    ):
        (out / "manifest.jsonl").write_text("\n".join([lines[0], json.dumps({**row, **change})]))
        fails(capsys, ["check", str(out)], part)
    (out / "manifest.jsonl").write_text("{}\n")
    fails(capsys, ["check", str(out)], "line 1")
    (out / "manifest.jsonl").write_text("not json\n")
    fails(capsys, ["check", str(out)], "line 1")


def test_texts_that_are_none(real_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = Path(shutil.copytree(real_data / "kitti", tmp_path / "kitti"))
    for path in root.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    words = ["run", "log=kitti", f"log.root={root}", "pipeline=geometry", f"out={tmp_path / 'out'}"]
    (root / "ImageSets").mkdir()
    (root / "ImageSets/train.txt").write_bytes(b"\xff\xfe\x00")
    fails(capsys, words, "train.txt", "not a text file")
    assert not (tmp_path / "out").exists()
    (root / "ImageSets/train.txt").unlink()
    labels = root / "training/label_2/000008.txt"
    for text, part in (
        (b"\xff\xfe\x00", "not a text file"),
        (b"Car 1 2 3\n", "15 to 17 fields"),
        (b"Car" + b" x" * 14, "not a number"),
    ):
        labels.write_bytes(text)
        fails(capsys, words, "000008.txt", part)


def test_broken_files_beside_the_log(street: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "conf/pipeline").mkdir(parents=True)
    (tmp_path / "conf/pipeline/mine.yaml").write_text("transforms: [a: b")
    base = ["run", "log=nuscenes", f"log.root={street}", f"out={tmp_path / 'out'}"]
    fails(capsys, [*base, f"--config-dir={tmp_path / 'conf'}", "pipeline=mine"], "not valid YAML")
    assert main([*base, "pipeline=identity", "limit=1"]) == 0
    capsys.readouterr()
    (tmp_path / "out/run.json").write_text("{")
    fails(capsys, ["check", str(tmp_path / "out")], "run.json", "not valid JSON")
    (tmp_path / "out/run.json").write_text(json.dumps({"source_root": "/gone"}))
    fails(capsys, ["check", str(tmp_path / "out")], "/gone", "log.root=DIR")


def test_foreign_code_that_fails_is_named(street: Path, tmp_path: Path, capsys, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "bad_plugin.py").write_text("1 / 0\n")
    (tmp_path / "weak_plugin.py").write_text(
        "from dataclasses import dataclass\n"
        "from fusion_aug.transforms.camera.photometric import PhotometricTransform\n\n\n"
        "@dataclass(frozen=True, kw_only=True)\n"
        "class Weak(PhotometricTransform):\n"
        "    @classmethod\n"
        "    def change(cls, picture, params, context):\n"
        "        raise ValueError('too weak')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    base = ["run", "log=nuscenes", f"log.root={street}", f"out={tmp_path / 'out'}", "pipeline=identity", "limit=1"]
    fails(capsys, [*base, "plugins=[bad_plugin]"], "bad_plugin", "ZeroDivisionError")
    weak = "+pipeline.transforms.it={_target_:weak_plugin.Weak}"
    try:
        fails(capsys, [*base, "plugins=[weak_plugin]", weak], "Weak (it)", "too weak")
    finally:
        from fusion_aug.core.registry import TRANSFORMS

        TRANSFORMS.pop("weak_plugin.Weak", None)
