"""nuScenes trees as people keep them: several versions, other discs, parts that were not downloaded, Lyft."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from nuscenes_files import channel, tables
from written import run

import fusion_aug as fa
from fusion_aug.cli import main
from fusion_aug.logs.core.account import account_of
from fusion_aug.logs.nuscenes.splits import OFFICIAL, official_splits

YAW = "+pipeline.transforms.turn={_target_: fusion_aug.RotateScene, yaw_deg: 30}"


@pytest.fixture
def root(street: Path, tmp_path: Path) -> Path:
    """A copy of a made log."""
    return Path(shutil.copytree(street, tmp_path / "log"))


def edit(root: Path, table: str, change: Callable[[list[dict[str, Any]]], Any]) -> None:
    """Change the rows of a table."""
    path = next(root.glob("*/sample.json")).with_name(f"{table}.json")
    rows = json.loads(path.read_text())
    change(rows)
    path.write_text(json.dumps(rows))


# --- versions --------------------------------------------------------------------------------------------------------
def test_one_of_several_versions(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / "v1.0-mini", root / "v1.0-trainval")
    with pytest.raises(fa.ConfigError, match=r"v1\.0-mini, v1\.0-trainval; choose one, log\.version=v1\.0-mini"):
        fa.open_log("nuscenes", root)
    with pytest.raises(fa.ConfigError, match=r"no tables 'v1\.0-test', it has v1\.0-mini, v1\.0-trainval"):
        fa.open_log("nuscenes", root, version="v1.0-test")
    with pytest.raises(fa.DataError, match=f"log.root={root} log.version=v1.0-mini"):
        fa.open_log("nuscenes", root / "v1.0-mini")
    with pytest.raises(fa.DataError, match=f"give log.root={root}"):
        fa.open_log("nuscenes", root.parent)
    log = fa.open_log("nuscenes", root, version="v1.0-trainval")
    groups = {g.name: g for g in account_of(log).files}
    assert groups["tables of another version"].count == 15
    words = ("log=nuscenes", f"log.root={root}", "log.version=v1.0-trainval", "pipeline=identity", "limit=1")
    out = run(tmp_path / "out", *words)
    assert [p.name for p in out.glob("v*")] == ["v1.0-trainval"]
    assert main(["check", str(out)]) == 0


def test_records_that_only_another_version_has_are_left_out_by_name(root: Path) -> None:
    shutil.copy(next((root / "samples/CAM_FRONT").iterdir()), root / "samples/CAM_FRONT/other.jpg")
    log = fa.open_log("nuscenes", root)
    groups = {g.name: g for g in account_of(log).files}
    assert groups["files without a record"].count == 1 and groups["samples/*/*.jpg"].count == 30


def test_samples_of_no_scene_are_left_out_by_name(root: Path, tmp_path: Path) -> None:
    """A table of scenes that was cut."""
    for table in ("scene", "sample", "sample_data"):
        rows = json.loads((root / f"v1.0-mini/{table}.json").read_text())
        more = [_of_another_scene(row) for row in rows if table != "sample_data" or "/CAM_FRONT/" in row["filename"]]
        (root / f"v1.0-mini/{table}.json").write_text(json.dumps([*rows, *(more if table != "scene" else [])]))
    for path in list((root / "samples/CAM_FRONT").iterdir()):
        shutil.copy(path, root / "samples/CAM_FRONT" / f"other_{path.name}")
    log = fa.open_log("nuscenes", root)
    groups = {g.name: g for g in account_of(log).files}
    assert len(log) == 5 and groups["files without a record"].count == 5 and groups["samples/*/*.jpg"].count == 30
    with pytest.raises(fa.DataError, match=r"scene\.json: no row leads to the samples of the scene"):
        log.read(next(r["token"] for r in log.tables.rows("sample") if r["token"].endswith("-other")))
    run(tmp_path / "out", "log=nuscenes", f"log.root={root}", "pipeline=identity")
    assert main(["check", str(tmp_path / "out")]) == 0


def _of_another_scene(row: dict[str, Any]) -> dict[str, Any]:
    chained = {k: f"{row[k]}-other" if row.get(k) else "" for k in ("token", "prev", "next")}
    other = {k: f"{row[k]}-other" for k in ("scene_token", "sample_token") if k in row}
    file = row.get("filename", "").replace("CAM_FRONT/", "CAM_FRONT/other_")
    return {**row, **chained, **other, **({"filename": file} if file else {})}


# --- splits ----------------------------------------------------------------------------------------------------------
def test_official_splits() -> None:
    """Counts and some scenes as nuScenes publishes them; train, val and test share no scene."""
    scenes = {f"scene-{n:04d}": official_splits(f"scene-{n:04d}") for n in range(1, 1112)}
    counts = {s: sum(s in own for own in scenes.values()) for s in OFFICIAL}
    assert counts == {"train": 700, "val": 150, "test": 150, "mini_train": 8, "mini_val": 2}
    assert all(len({"train", "val", "test"} & set(own)) < 2 for own in scenes.values())
    assert scenes["scene-0061"] == ["train", "mini_train"] and scenes["scene-0103"] == ["val", "mini_val"]
    assert official_splits("scene-0061__2") == ["train", "mini_train"] and official_splits("drive-0061") == []


def test_splits_select_scenes(root: Path, tmp_path: Path) -> None:
    edit(root, "scene", lambda rows: rows[0].update(name="scene-0103"))
    with pytest.raises(fa.ConfigError, match="'train' matches nothing"):
        fa.open_log("nuscenes", root, select="train").ids  # noqa: B018
    assert len(fa.open_log("nuscenes", root, select="mini_val")) == 5
    (root / "v1.0-mini/splits.json").write_text(json.dumps({"rainy": ["scene-0103"], "dry": ["scene-0001"]}))
    assert len(fa.open_log("nuscenes", root, select=["rainy"])) == 5
    words = ("log=nuscenes", f"log.root={root}", "log.select=rainy", "pipeline=identity", "copies=2")
    out = run(tmp_path / "out", *words)
    found = json.loads((out / "v1.0-mini/splits.json").read_text())
    assert found == {"rainy": ["scene-0103", "scene-0103__1"], "dry": []}
    assert len(fa.open_log("nuscenes", out, select="rainy")) == len(fa.open_log("nuscenes", out, select="val")) == 10
    (root / "v1.0-mini/splits.json").write_text("[1]")
    with pytest.raises(fa.DataError, match=r"splits\.json: expected a mapping"):
        fa.open_log("nuscenes", root, select="rainy").ids  # noqa: B018


# --- links, and what is not there ------------------------------------------------------------------------------------
def test_own_nuscenes_with_links_and_two_versions(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Samples and sweeps on two discs, as the refusals say: a right result, without reading source."""
    shutil.copytree(root / "v1.0-mini", root / "v1.0-trainval")
    for name in ("maps", "samples", "sweeps"):
        shutil.move(root / name, tmp_path / f"disk-{name}")
        (root / name).symlink_to(tmp_path / f"disk-{name}")
    words = ["run", "log=nuscenes", f"log.root={root}", "pipeline=identity", YAW, f"out={tmp_path / 'out'}"]
    told: list[str] = []
    for _ in range(4):  # every refusal names what to add; with it there is more to read, which is another input
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        assert main(words) == 2
        said = " ".join(capsys.readouterr().err.split())
        if "log.version" in said:
            words.append("log.version=v1.0-mini")
            continue
        told.append(said.split("log.follow_links=[")[1].split("]")[0])
        words = [w for w in words if not w.startswith("log.follow_links")] + [f"log.follow_links=[{','.join(told)}]"]
    assert sorted(told) == [str(tmp_path / f"disk-{name}") for name in ("maps", "samples", "sweeps")]
    shutil.rmtree(tmp_path / "out", ignore_errors=True)
    assert main(words) == 0
    out = tmp_path / "out"
    assert not any(p.is_symlink() for p in out.rglob("*"))
    line = json.loads((out / "manifest.jsonl").read_text().splitlines()[0])
    assert "follow_links" not in line["log"] and str(tmp_path) not in (out / "manifest.jsonl").read_text()
    assert main(["check", str(out)]) == 0, "the check finds the links in run.json"


def test_channels_that_were_not_downloaded(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(root / "samples/RADAR_FRONT")
    shutil.rmtree(root / "sweeps")
    shutil.rmtree(root / "fusion_aug")  # columns of the sweeps
    words = ["run", "log=nuscenes", f"log.root={root}", "pipeline=identity", YAW, f"out={tmp_path / 'out'}"]
    assert main(words) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "is missing" in said and "log.exclude=[" in said and not (tmp_path / "out").exists()
    assert main([*words, "log.exclude=[RADAR_FRONT,sweeps/*]"]) == 0
    t, before = tables(tmp_path / "out"), tables(root)
    channels = [{channel(x, r) for r in x["sample_data"].values()} for x in (before, t)]
    assert channels[0] - channels[1] == {"RADAR_FRONT"} and len(channels[1]) == 9
    assert all(r["is_key_frame"] and (tmp_path / "out" / r["filename"]).is_file() for r in t["sample_data"].values())
    assert {r["ego_pose_token"] for r in t["sample_data"].values()} == set(t["ego_pose"])
    assert main(["check", str(tmp_path / "out")]) == 0


def test_an_exclusion_that_excludes_nothing_is_refused(root: Path, tmp_path: Path) -> None:
    for words in (["CAM_FORNT"], ["RADAR_*", "sweep/*"]):
        with pytest.raises(
            fa.ConfigError, match=r"log\.exclude: '(CAM_FORNT|sweep/\*)' matches no channel and no file"
        ):
            fa.open_log("nuscenes", root, exclude=words)
    words = ("log=nuscenes", f"log.root={root}", "pipeline=identity", "limit=1", "log.exclude=[sweeps/*,CAM_BACK*]")
    out = run(tmp_path / "out", *words)
    assert main(["check", str(out)]) == 0, "an output has nothing left to exclude"


def test_empty_clouds_come_back(root: Path, tmp_path: Path) -> None:
    """What a drop of all points writes is read, and so are empty files of the source."""
    lidar = sorted((root / "samples/LIDAR_TOP").iterdir())[0]
    lidar.write_bytes(b"")
    for name in ("fusion_aug", "lidarseg", "panoptic"):  # columns of the cloud, which is empty now
        shutil.rmtree(root / name)
    for table in ("lidarseg", "panoptic"):
        (root / f"v1.0-mini/{table}.json").unlink()
    drop = "+pipeline.transforms.drop={_target_: fusion_aug.PointDropout, share: 1.0}"
    out = run(tmp_path / "out", "log=nuscenes", f"log.root={root}", "pipeline=identity", drop, "limit=2")
    sample = fa.open_log("nuscenes", out)[0]
    assert [s.rows for n, s in sample.of_type(fa.Points).items() if n != "ego"] == [0] * len(sample.of_type(fa.Points))
    assert all(p.stat().st_size == 0 for p in (out / "samples/LIDAR_TOP").iterdir())
    assert all(r["num_lidar_pts"] >= 0 for r in tables(out)["sample_annotation"].values())
    again = run(tmp_path / "again", "log=nuscenes", f"log.root={out}", "pipeline=identity", YAW)
    assert main(["check", str(again)]) == 0


def test_labels_without_a_row_and_driving_data_are_left_out_with_a_word(root: Path, tmp_path: Path) -> None:
    left_out = (
        "lidarseg/v1.0-mini/a_lidarseg.bin", "panoptic/v1.0-mini/a_panoptic.npz", "can_bus/drive-0000_imu.json",
        "nuscenes_infos_train.pkl", "nuscenes_gt_database/a.bin",
    )  # fmt: skip
    empty = ("v1.0-mini/lidarseg.json", "v1.0-mini/panoptic.json")
    for name in (*left_out, *empty, "maps/expansion/synth-town.json", "notes.xyz"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("[]")
    edit(root, "sample_annotation", lambda rows: [r.update(truck_load=1) for r in rows])
    log = fa.open_log("nuscenes", root)
    account = account_of(log)
    fates = {g.example: (g.fate, g.understood) for g in account.files}
    for name in left_out:
        assert fates.get(name) == ("left out", True) or log.part_of(name).fate == "left out", name
    assert fates["notes.xyz"] == ("left out", False) and log.part_of("maps/expansion/synth-town.json").fate == "kept"
    unknown = [g for g in account.fields if not g.understood]
    assert [g.example for g in unknown] == ["v1.0-mini/sample_annotation.json:truck_load"]
    out = run(tmp_path / "out", "log=nuscenes", f"log.root={root}", "pipeline=identity", "limit=1")
    assert not any((out / name).exists() for name in (*left_out, "notes.xyz"))
    assert (out / "maps/expansion/synth-town.json").is_file()
    assert all(r["truck_load"] == 1 for r in tables(out)["sample_annotation"].values()), "unknown fields stay"
