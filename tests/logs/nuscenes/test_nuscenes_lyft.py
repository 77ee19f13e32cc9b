"""Logs of Lyft Level 5: other folders, stamps with fractions, fewer fields, nothing of visibility."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from written import manifest, run

import fusion_aug as fa
from fusion_aug.cli import main
from fusion_aug.logs.core.account import account_of

MIRROR = "+pipeline.transforms.mirror={_target_: fusion_aug.MirrorScene, axis: y}"
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


@pytest.fixture(params=["v1.01-train", "train_data"])
def lyft(root: Path, request: pytest.FixtureRequest) -> Path:
    """The log as Lyft Level 5 is kept: other folders, stamps with fractions, fewer fields, nothing of visibility."""
    prefix = "train_" if request.param == "train_data" else ""
    (root / "v1.0-mini").rename(root / request.param)
    for folder in ("images", "lidar"):
        (root / f"{prefix}{folder}").mkdir()
    (root / "maps").rename(root / f"{prefix}maps")
    folder = root / request.param
    sensors = {r["token"]: r["modality"] for r in json.loads((folder / "sensor.json").read_text())}
    mounted = json.loads((folder / "calibrated_sensor.json").read_text())
    kinds = {r["token"]: sensors[r["sensor_token"]] for r in mounted}

    def data(rows: list[dict[str, Any]]) -> None:
        rows[:] = [r for r in rows if kinds[r["calibrated_sensor_token"]] != "radar" and r["is_key_frame"]]
        for row in rows:
            kind = kinds[row["calibrated_sensor_token"]]
            name = Path(row["filename"]).name.replace("__", "_").replace(".pcd", "").replace(".jpg", ".jpeg")
            target = f"{'images' if kind == 'camera' else 'lidar'}/{name}"
            shutil.move(root / row["filename"], root / f"{prefix}{target}")
            row.update(filename=target, timestamp=row["timestamp"] + 0.25, prev="", next="")
            if kind == "lidar":
                del row["height"], row["width"]

    edit(root, "sample_data", data)
    for table in ("sample", "ego_pose"):
        edit(root, table, lambda rows: [r.update(timestamp=r["timestamp"] + 0.25) for r in rows])
    edit(root, "visibility", lambda rows: rows.clear())
    edit(root, "sample_annotation", _as_lyft)
    for name in ("samples", "sweeps", "fusion_aug"):
        shutil.rmtree(root / name, ignore_errors=True)
    return root


def _as_lyft(rows: list[dict[str, Any]]) -> None:
    for i, row in enumerate(rows):
        row["visibility_token"] = None
        row["num_lidar_pts"] = -1
        if i % 2:
            del row["num_lidar_pts"], row["num_radar_pts"]


def test_lyft(lyft: Path, tmp_path: Path) -> None:
    log = fa.open_log("nuscenes", lyft)
    sample = log[0]
    assert len(log) == 5 and sample.meta.ref.time % 1000 == 250
    assert {type(s) for s in sample.streams.values()} == {fa.Camera, fa.Lidar, fa.Boxes3D, fa.EgoPose}
    version = next(lyft.glob("*/sample.json")).parent.name
    out = run(tmp_path / "out", "log=nuscenes", f"log.root={lyft}", "pipeline=identity", YAW)
    rows = {t: json.loads((out / version / f"{t}.json").read_text()) for t in ("sample_data", "sample_annotation")}
    before = json.loads((lyft / version / "sample_annotation.json").read_text())
    old = {r["token"]: r for r in before}
    for row in rows["sample_annotation"]:
        mine = old[row["token"]]
        assert {k: row.get(k) for k in ("num_lidar_pts", "visibility_token")} == {
            k: mine.get(k) for k in ("num_lidar_pts", "visibility_token")
        }, "what is not known stays so"
        assert set(row) == set(mine)
    for row in rows["sample_data"]:
        assert row["timestamp"] % 1 == 0.25 and (out / row["filename"]).is_file()
    assert (out / "maps").is_dir(), "under the name that the tables give"
    back = fa.open_log("nuscenes", out)[0]
    a, b = (s.points("LIDAR_TOP")["xyz"].double() for s in (sample, back))
    c, s = np.cos(np.pi / 6), np.sin(np.pi / 6)
    turn = torch.tensor([[c, -s, 0], [s, c, 0], [0, 0, 1]], dtype=torch.float64)
    assert float((a @ turn.T - b).abs().max()) < 1e-4
    assert main(["check", str(out)]) == 0
    assert len(manifest(out)) == 5


@pytest.mark.parametrize(
    "words", [["copies=2"], ["log.classes={moving: [vehicle.*]}", "log.unlabelled=0"]], ids=["copies", "classes"]
)
def test_what_lyft_stores_of_its_index_is_made_anew(lyft: Path, tmp_path: Path, words: list[str]) -> None:
    """Tables of Lyft hold what the devkit works out: records by channel, annotations, names of categories."""
    version = next(lyft.glob("*/sample.json")).parent.name
    edit(lyft, "sample", lambda rows: [r.update(data={"CAM_FRONT": "old"}, anns=["old"]) for r in rows])
    edit(lyft, "sample_annotation", lambda rows: [r.update(category_name="old") for r in rows])
    account = account_of(fa.open_log("nuscenes", lyft))
    assert not account.not_understood
    out = run(tmp_path / "out", "log=nuscenes", f"log.root={lyft}", "pipeline=identity", MIRROR, "limit=2", *words)
    t = {p.stem: json.loads(p.read_text()) for p in (out / version).glob("*.json")}
    by = {name: {r["token"]: r for r in rows} for name, rows in t.items()}
    assert len(t["sample"]) == (4 if words == ["copies=2"] else 2)
    for row in t["sample"]:
        data = [r for r in t["sample_data"] if r["sample_token"] == row["token"]]
        mounted = [by["calibrated_sensor"][r["calibrated_sensor_token"]] for r in data]
        channels = [by["sensor"][m["sensor_token"]]["channel"] for m in mounted]
        assert row["data"] == {c: r["token"] for c, r in zip(channels, data, strict=True)} and len(data) == 7
        assert row["anns"] == [r["token"] for r in t["sample_annotation"] if r["sample_token"] == row["token"]]
    for row in t["sample_annotation"]:
        instance = by["instance"][row["instance_token"]]
        assert row["category_name"] == by["category"][instance["category_token"]]["name"]
