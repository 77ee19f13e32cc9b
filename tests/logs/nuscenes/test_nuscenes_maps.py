"""Maps of nuScenes: mirrored and scaled scenes get a location that no map has, and all others keep theirs.

The rules of the devkit (``NuScenes.__make_reverse_index__``, ``MapMask`` and ``NuScenesMap``) are written out here.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import pytest
from written import manifest, run

from fusion_aug.cli import main

LOCATIONS = ("singapore-onenorth", "singapore-hollandvillage", "singapore-queenstown", "boston-seaport")
MAYBE = "+pipeline.transforms.mirror={_target_: fusion_aug.MirrorScene, axis: y, p: 0.5}"
MIRROR = MAYBE.replace(", p: 0.5", "")
AGAIN, ACROSS = MIRROR.replace("mirror=", "again="), MIRROR.replace("mirror=", "across=").replace("axis: y", "axis: x")
SCALE = "+pipeline.transforms.grow={_target_: fusion_aug.ScaleScene, scale: 1.05}"
YAW = "+pipeline.transforms.turn={_target_: fusion_aug.RotateScene, yaw_deg: [-45, 45]}"


@pytest.fixture
def root(street: Path, tmp_path: Path) -> Path:
    """A made log of a place that has a map expansion."""
    copy = Path(shutil.copytree(street, tmp_path / "log"))
    path = copy / "v1.0-mini/log.json"
    path.write_text(json.dumps([row | {"location": "boston-seaport"} for row in json.loads(path.read_text())]))
    (copy / "maps/expansion").mkdir(parents=True, exist_ok=True)
    (copy / "maps/expansion/boston-seaport.json").write_text(json.dumps({"version": "1.3", "node": []}))
    return copy


def rows(out: Path, table: str) -> list[dict[str, Any]]:
    return list(json.loads((out / f"v1.0-mini/{table}.json").read_text()))


def locations(out: Path) -> dict[str, str]:
    """Scene -> location of its log, with what the devkit asserts when it loads the tables."""
    maps, logs = rows(out, "map"), rows(out, "log")
    for row in maps:  # MapMask
        assert (out / row["filename"]).is_file(), f"map mask {row['filename']} does not exist"
        assert cv2.imread(str(out / row["filename"]), cv2.IMREAD_UNCHANGED) is not None
    map_of = {log: row["token"] for row in maps for log in row["log_tokens"]}
    by_token = {row["token"]: row | {"map_token": map_of[row["token"]]} for row in logs}
    assert len(by_token) == len(logs) and len({m["token"] for m in maps}) == len(maps)
    return {row["name"]: by_token[row["log_token"]]["location"] for row in rows(out, "scene")}


def open_map(out: Path, name: str) -> Any:
    """``NuScenesMap(out, name)``."""
    assert name in LOCATIONS, f"Error: Unknown map name {name}!"
    return json.loads((out / f"maps/expansion/{name}.json").read_text())


def test_a_mirrored_scene_beside_others(root: Path, tmp_path: Path) -> None:
    """Six copies of one scene, of which some are drawn mirrored: split by what was drawn."""
    words = ("log=nuscenes", f"log.root={root}", "pipeline=identity", YAW, MAYBE, "copies=6", "limit=2")
    out = run(tmp_path / "out", *words)
    drawn = {}
    for line in manifest(out):
        mirrored = any(r["name"] == "fusion_aug.MirrorScene" and r["applied"] for r in line["history"])
        drawn[f"drive-0000__{line['copy']}" if line["copy"] else "drive-0000"] = mirrored
    assert len(drawn) == 6 and len(set(drawn.values())) == 2, "a seed with both"
    found = locations(out)
    assert found == {n: "boston-seaport-mirrored" if m else "boston-seaport" for n, m in drawn.items()}
    for scene, mirrored in drawn.items():
        if mirrored:
            with pytest.raises(AssertionError, match="boston-seaport-mirrored"):
                open_map(out, found[scene])
        else:
            assert open_map(out, found[scene])["version"] == "1.3"
    new = [m for m in rows(out, "map") if m not in rows(root, "map")]
    assert len(new) == 1 and len(rows(out, "log")) == 2, "one log for all mirrored copies of one"
    mask = cv2.imread(str(out / new[0]["filename"]), cv2.IMREAD_UNCHANGED)
    assert mask.shape == (1, 1) and mask.max() == 0
    assert (out / "maps/expansion/boston-seaport.json").read_bytes() == (
        root / "maps/expansion/boston-seaport.json"
    ).read_bytes()
    assert main(["check", str(out)]) == 0


@pytest.mark.parametrize(
    "words, change",
    [
        ([YAW], ""),
        ([SCALE], "-scaled-1.05"),
        ([MIRROR, SCALE], "-mirrored-scaled-1.05"),
        ([MIRROR, AGAIN], ""),
        ([MIRROR, ACROSS], "-moved"),
    ],
    ids=["yaw", "scale", "mirror and scale", "mirrored back", "mirrored twice"],
)
def test_what_moves_the_world_moves_the_location(root: Path, tmp_path: Path, words: list[str], change: str) -> None:
    out = run(tmp_path / "out", "log=nuscenes", f"log.root={root}", "pipeline=identity", *words, "limit=1")
    assert locations(out) == {"drive-0000": f"boston-seaport{change}"}
    if not change:
        assert rows(out, "log") == rows(root, "log") and rows(out, "map") == rows(root, "map")
    again = run(tmp_path / "again", "log=nuscenes", f"log.root={out}", "pipeline=identity", SCALE)
    assert locations(again) == {"drive-0000": f"boston-seaport{change}-scaled-1.05"}, "an output is a source"


def test_a_log_that_names_its_map_names_the_empty_one(root: Path, tmp_path: Path) -> None:
    """Lyft's rows of ``log`` hold the token of their map."""
    path, town = root / "v1.0-mini/log.json", rows(root, "map")[0]["token"]
    path.write_text(json.dumps([row | {"map_token": town} for row in rows(root, "log")]))
    out = run(tmp_path / "out", "log=nuscenes", f"log.root={root}", "pipeline=identity", MIRROR, "limit=1")
    map_of = {log: row["token"] for row in rows(out, "map") for log in row["log_tokens"]}
    found = {row["location"]: row["map_token"] for row in rows(out, "log")}
    assert found == {row["location"]: map_of[row["token"]] for row in rows(out, "log")}
    assert found["boston-seaport"] == town != found["boston-seaport-mirrored"]
