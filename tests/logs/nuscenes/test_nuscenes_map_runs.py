"""Runs over a street with its map expansion, and places whose map is not there."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from places import DRIVE
from written import drawn_motion, is_mirrored, manifest, run

import fusion_aug as fa
from fusion_aug.cli import main
from fusion_aug.errors import DataError

WORDS = {
    "yaw": "{_target_:fusion_aug.RotateScene,yaw_deg:[-180,180]}",
    "mirror": "{_target_:fusion_aug.MirrorScene,axis:y}",
    "scale": "{_target_:fusion_aug.ScaleScene,scale:[0.9,1.1]}",
}
PLANS = {"yaw": ["yaw"], "mirror": ["yaw", "mirror"], "scale": ["scale"]}


@pytest.mark.parametrize("plan", PLANS)
def test_what_is_read_back_is_what_was_made(street: Path, tmp_path: Path, plan: str) -> None:
    """A turned street lies where its map is; a mirrored or scaled one has its own map in the sidecar."""
    out = tmp_path / "out"
    words = [f"+pipeline.transforms.{n}={WORDS[n]}" for n in PLANS[plan]]
    run(out, "log=nuscenes", f"log.root={street}", "log.map_range=40", "pipeline=identity", *words, "limit=2", "seed=4")
    before = fa.open_log("nuscenes", street, map_range=40)[1]
    line = next(m for m in manifest(out) if m["source"] == before.id)
    after, H = fa.open_log("nuscenes", out, map_range=40).read(line["id"]), drawn_motion(line)
    expected = before["map"]["xyz"].numpy() @ H[:3, :3].T + H[:3, 3]
    assert before["map"].rows > 500 and np.abs(after["map"]["xyz"].numpy() - expected).max() < 1e-6
    stored = list((out / "fusion_aug/samples").rglob("streams/map/stream.json"))
    assert len(stored) == (0 if plan == "yaw" else 2)
    assert (out / "maps/expansion/synth-town.json").read_bytes() == (
        street / "maps/expansion/synth-town.json"
    ).read_bytes()
    location = json.loads((out / "v1.0-mini/log.json").read_text())[-1]["location"]
    assert (location == "synth-town") == (plan == "yaw") and ("mirrored" in location) == is_mirrored(line)
    assert line["account"]["map"]["rows"] == [before["map"].rows] * 2
    assert main(["check", str(out)]) == 0


@pytest.mark.quick
def test_a_place_without_a_map_is_told(tmp_path: Path) -> None:
    assert "map" not in fa.open_log("nuscenes", DRIVE)[0].streams
    bare = tmp_path / "bare"
    bare.mkdir()
    for path in DRIVE.iterdir():
        if path.name != "maps":
            (bare / path.name).symlink_to(path)
    log = fa.open_log("nuscenes", bare, map_range=40, follow_links=[str(DRIVE)])
    with pytest.raises(DataError, match=r"map_range: .* has no map: expected .*maps/expansion/synth-town\.json"):
        log[0]
    (bare / "maps").mkdir()  # where it was before version 1.3
    shutil.copy(DRIVE / "maps/expansion/synth-town.json", bare / "maps")
    log = fa.open_log("nuscenes", bare, map_range=40, follow_links=[str(DRIVE)])
    assert log[0]["map"].rows > 500


@pytest.mark.quick
def test_a_place_leads_nowhere_else(tmp_path: Path) -> None:
    log = tmp_path / "log"
    shutil.copytree(DRIVE / "v1.0-mini", log / "v1.0-mini")
    for name in ("samples", "sweeps", "fusion_aug"):
        (log / name).symlink_to(DRIVE / name)
    path = log / "v1.0-mini/log.json"
    path.write_text(json.dumps([r | {"location": "../../../somewhere"} for r in json.loads(path.read_text())]))
    with pytest.raises(DataError, match=r"log\.json.*\.\./"):
        fa.open_log("nuscenes", log, map_range=40, follow_links=[str(DRIVE)])[0]
