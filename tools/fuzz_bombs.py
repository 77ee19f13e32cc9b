"""Texts of ``fuzz.py`` that stand for far more than they are: YAML, XML, JSON, heads of clouds."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from fuzz_hand import Hand, first

CASES: dict[str, Hand] = {}


def case(name: str, base: str, **more: Any) -> Callable[[Callable[[Path, Path], None]], None]:
    """Note a function that changes a log as a case."""

    def note(change: Callable[[Path, Path], None]) -> None:
        CASES[name] = Hand(base, change, **more)

    return note


def _text(root: Path, outside: Path, pattern: str, text: str) -> None:
    first(root, pattern).write_text(text.replace("{outside}", str(outside)))


# --- YAML and URDF ----------------------------------------------------------------------------------------------------
POSE = "translation: [0, 0, 0.1], rotation: [1, 0, 0, 0]"
RIGS = {
    "aliases": "a: &a [1, 2]\n"
    + "".join(f"{new}: &{new} [{', '.join(9 * [f'*{old}'])}]\n" for old, new in pairwise("abcdefghijklm")),
    "merged aliases": "a: &a {x: 1}\n"
    + "".join(f"{new}: &{new} {{<<: [{', '.join(9 * [f'*{old}'])}]}}\n" for old, new in pairwise("abcdefghijklm")),
    "600 brackets": "[" * 600,
    "600 braces": "{a: " * 600,
    "100,000 lists": "- " * 100_000 + "1",
    "a chain of 10,000 frames": "frames:\n  f0: {}\n"
    + "".join(f"  f{i}: {{parent: f{i - 1}, {POSE}}}\n" for i in range(1, 10_000)),
    "a frame above itself": f"frames:\n  a: {{parent: b, {POSE}}}\n  b: {{parent: a, {POSE}}}\n",
    "an object": "frames: !!python/object/apply:os.system ['touch it_ran']\n",
    "a module": "frames: !!python/name:evil.x\n",
    "a number of 10^6 digits": f"frames: {'9' * 10**6}\n",
    "a text of 32 MiB": f"frames: {'x' * 2**25}\n",
    "a number in base 60": f"frames: {':'.join(['59'] * 10_000)}\n",
    "a file outside as robot": "urdf: {outside}/secret.json\n",
}
for _name, _content in RIGS.items():
    CASES[f"rig: {_name}"] = Hand("rig", partial(_text, pattern="rig.yaml", text=_content))
_many = "frames:\n  f0: {}\n" + "".join(f"  f{i}: {{parent: f0, {POSE}}}\n" for i in range(1, 10_000))
CASES["rig: 10,000 frames"] = Hand("rig", partial(_text, pattern="rig.yaml", text=_many), may_be_read=True)


def _robot(joints: int) -> str:
    links = "".join(f'<link name="l{i}"/>' for i in range(joints + 1))
    return f'<robot name="r">{links}' + "".join(
        f'<joint name="j{i}" type="revolute"><parent link="l{i}"/><child link="l{i + 1}"/><axis xyz="0 0 1"/></joint>'
        for i in range(joints)
    )


ENTITIES = "".join(f'<!ENTITY {new} "{10 * f"&{old};"}">' for old, new in pairwise("abcdefghij"))
ROBOTS = {
    "5,000 joints": f"{_robot(5000)}</robot>",
    "100,000 elements in one another": "<robot>" * 100_000,
    "entities": f'<!DOCTYPE r [<!ENTITY a "aaaaaaaaaa">{ENTITIES}]><robot name="&j;"/>',
    "a file as entity": '<!DOCTYPE r [<!ENTITY x SYSTEM "file://{outside}/secret.json">]><robot name="r">&x;</robot>',
    "a file as type": '<!DOCTYPE r SYSTEM "file://{outside}/secret.json"><robot name="r"/>',
    "a text of 32 MiB": f'<robot name="{"x" * 2**25}"/>',
}
for _base in ("mcap", "lerobot"):
    for _name, _content in ROBOTS.items():
        CASES[f"robot of {_base}: {_name}"] = Hand(_base, partial(_text, pattern="arm.urdf", text=_content))

# --- JSON -------------------------------------------------------------------------------------------------------------
JSONS = {
    "100,000 lists in one another": "[" * 100_000,
    "100,000 objects in one another": '{"a":' * 100_000,
    "a list of 3 million lists": f"[{'[],' * 3_000_000}[]]",
    "a number of 10^6 digits": f"[{'9' * 10**6}]",
    "a text of 32 MiB": f'["{"x" * 2**25}"]',
    "the same key 10^6 times": '{"a": [1]' + ', "a": [1]' * 10**6 + "}",
}
JSON_FILES = {"nuscenes": "sample.json", "lerobot": "info.json", "folder": "stream.json"}
for _base, _pattern in JSON_FILES.items():
    for _name, _content in JSONS.items():
        CASES[f"{_base}/{_pattern}: {_name}"] = Hand(_base, partial(_text, pattern=_pattern, text=_content))


def edit_json(path: Path, change: Callable[[Any], None]) -> None:
    """Change the content of a JSON file."""
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@case("lerobot: a path outside", "lerobot")
def _path_outside(root: Path, outside: Path) -> None:
    edit_json(first(root, "info.json"), lambda c: c.update(data_path="../../outside/secret.json"))


@case("lerobot: a path that formats without end", "lerobot")
def _wide_path(root: Path, outside: Path) -> None:
    edit_json(first(root, "info.json"), lambda c: c.update(data_path="{chunk_index:0999999999d}"))


@case("lerobot: a path with attributes", "lerobot")
def _path_of_attributes(root: Path, outside: Path) -> None:
    edit_json(first(root, "info.json"), lambda c: c.update(data_path="{chunk_index.__class__.__init__.__globals__}"))


@case("lerobot: pictures of 10^6 x 10^6 pixels", "lerobot", may_be_read=True)
def _wide_feature(root: Path, outside: Path) -> None:
    def widen(content: Any) -> None:
        for feature in content["features"].values():
            if len(feature["shape"]) == 3:
                feature["shape"] = [10**6, 10**6, 3]

    edit_json(first(root, "info.json"), widen)


@case("folder: 10^5 pictures of one file", "folder")
def _many_pictures(root: Path, outside: Path) -> None:
    path = next(p for p in sorted(root.rglob("stream.json")) if json.loads(p.read_text())["pictures"])
    edit_json(path, lambda c: c.update(pictures=c["pictures"][:1] * 10**5))


@case("folder: a class of another module", "folder")
def _class_of_a_module(root: Path, outside: Path) -> None:
    edit_json(first(root, "stream.json"), lambda c: c.update({"class": "evil.Stream"}))


# --- clouds and calibration -------------------------------------------------------------------------------------------
@case("nuscenes: PCD of 10^12 points", "nuscenes")
def _many_points(root: Path, outside: Path) -> None:
    for path in root.rglob("*.pcd"):
        raw = path.read_bytes()
        start = raw.index(b"POINTS ")
        path.write_bytes(raw[:start] + b"POINTS 1000000000000" + raw[raw.index(b"\n", start) :])


@case("nuscenes: PCD of fields of 10^9 bytes", "nuscenes")
def _wide_points(root: Path, outside: Path) -> None:
    for path in root.rglob("*.pcd"):
        path.write_bytes(path.read_bytes().replace(b"SIZE 4", b"SIZE 1000000000"))


@case("kitti: a PLY head of 10^12 points", "kitti")
def _ply(root: Path, outside: Path) -> None:
    head = "ply\nformat binary_little_endian 1.0\nelement vertex 1000000000000\nproperty float x\nend_header\n"
    first(root, "000000.bin").write_bytes(head.encode())


@case("kitti: 10^7 labels", "kitti", may_be_read=True)
def _many_labels(root: Path, outside: Path) -> None:
    path = root / "training" / "label_2" / "000000.txt"
    path.write_text(path.read_text() * 1000)


@case("kitti: a calibration of 10^6 numbers", "kitti")
def _long_calibration(root: Path, outside: Path) -> None:
    (root / "training" / "calib" / "000000.txt").write_text("P0: " + "1 " * 10**6)


@case("mmdet3d: a cloud of 10^9 columns", "mmdet3d")
def _wide_cloud(root: Path, outside: Path) -> None:
    import pickle

    path = first(root, "*.pkl")
    content = pickle.loads(path.read_bytes())
    content["data_list"][0]["lidar_points"]["num_pts_feats"] = 10**9
    path.write_bytes(pickle.dumps(content))


@case("kitti: points that are not numbers", "kitti", may_be_read=True)
def _nan_points(root: Path, outside: Path) -> None:
    (root / "training" / "velodyne" / "000000.bin").write_bytes(struct.pack("<4f", *[float("nan")] * 4) * 1000)
