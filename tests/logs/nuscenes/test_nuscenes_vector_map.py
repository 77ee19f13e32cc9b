"""The map expansion of nuScenes as a stream: a file made by the published layout, and the street's own map."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from oracle import followed, seen
from places import DRIVE

import fusion_aug as fa
from fusion_aug.errors import DataError
from fusion_aug.logs.nuscenes.vector_map import read_expansion
from fusion_aug.synth.paint import LANE, ground
from fusion_aug.synth.road import Road

NODES = {
    "a": (0.0, 0.0),
    "b": (8.0, 0.0),
    "c": (8.0, 6.0),
    "d": (0.0, 6.0),
    "e": (2.0, 2.0),
    "f": (4.0, 2.0),
    "g": (4.0, 4.0),
}


def expansion() -> dict[str, Any]:
    """A file of the map expansion: two dividers, areas with and without a hole, and the path of a lane."""
    return {
        "version": "1.3", "canvas_edge": [100.0, 100.0],
        "node": [{"token": t, "x": x, "y": y} for t, (x, y) in NODES.items()],
        "line": [{"token": "l0", "node_tokens": ["a", "b", "c"]}, {"token": "l1", "node_tokens": ["d"]},
                 {"token": "l2", "node_tokens": ["d", "c"]}],
        "polygon": [{"token": "p0", "exterior_node_tokens": list("abcd"), "holes": [{"node_tokens": list("efg")}]},
                    {"token": "p1", "exterior_node_tokens": list("efg"), "holes": []},
                    {"token": "p2", "exterior_node_tokens": [], "holes": []}],
        "road_divider": [{"token": "rd", "line_token": "l2", "road_segment_token": None},
                         {"token": "rd1", "line_token": "l1", "road_segment_token": ""}],
        "lane_divider": [{"token": "ld", "line_token": "l0", "lane_divider_segments": [
            {"node_token": "a", "segment_type": "NIL"}, {"node_token": "b", "segment_type": "SINGLE_SOLID_WHITE"}]}],
        "drivable_area": [{"token": "da", "polygon_tokens": ["p0", "p1", "p2"]}],
        "ped_crossing": [{"token": "pc", "polygon_token": "p1", "road_segment_token": ""}],
        "road_segment": [], "road_block": [], "lane": [], "walkway": [], "stop_line": [], "carpark_area": [],
        "traffic_light": [{"token": "tl", "line_token": "l0"}],
        "lane_connector": [{"token": "lc", "polygon_token": "p1"}],
        "arcline_path_3": {"lane": [
            {"start_pose": [1.0, 2.0, 0.5], "end_pose": [], "shape": "LSR", "radius": 8.0,
             "segment_length": [6.0, 2.5, 4.0]}]},
        "connectivity": {},
    }  # fmt: skip


def written(folder: Path, data: Any) -> Path:
    path = folder / "somewhere.json"
    path.write_text(json.dumps(data))
    return path


@pytest.mark.quick
def test_layers_are_lines_and_areas(tmp_path: Path) -> None:
    found = {(e.category, e.record, len(e.parts)): e for r in read_expansion(written(tmp_path, expansion())).records
             for e in r}  # fmt: skip
    assert list(found) == [
        ("road_divider", "rd", 1), ("lane_divider", "ld", 1), ("drivable_area", "da", 2), ("drivable_area", "da", 1),
        ("ped_crossing", "pc", 1), ("centerline", "lane", 1),
    ]  # fmt: skip
    assert [e.mark for e in found.values()] == ["", "SINGLE_SOLID_WHITE", "", "", "", ""]
    assert [e.closed for e in found.values()] == [False, False, True, True, True, False]
    for key, tokens in {("road_divider", "rd", 1): "dc", ("lane_divider", "ld", 1): "abc"}.items():
        assert np.array_equal(found[key].parts[0], [[*NODES[t], 0.0] for t in tokens])
    area = found["drivable_area", "da", 2]
    assert [len(p) for p in area.parts] == [4, 3] and np.array_equal(area.parts[1][:, :2], [NODES[t] for t in "efg"])


@pytest.mark.quick
def test_centre_lines_are_their_arcs(tmp_path: Path) -> None:
    """Against small steps in the direction of travel."""
    line = read_expansion(written(tmp_path, expansion())).records[-1][0].parts[0]
    x, y, heading, fine = 1.0, 2.0, 0.5, []
    for length, bend in ((6.0, 1 / 8), (2.5, 0.0), (4.0, -1 / 8)):
        for _ in range(round(length / 1e-4)):
            heading += bend * 0.5e-4
            x, y = x + 1e-4 * np.cos(heading), y + 1e-4 * np.sin(heading)
            heading += bend * 0.5e-4
            fine.append((x, y))
    fine = np.array([(1.0, 2.0), *fine])
    assert np.abs(line[[0, -1], :2] - fine[[0, -1]]).max() < 1e-6 and (line[:, 2] == 0).all()
    assert max(np.linalg.norm(fine - p[:2], axis=1).min() for p in line) < 1e-4
    assert 0.5 < np.linalg.norm(np.diff(line, axis=0), axis=1).max() <= 1.0


DAMAGE: dict[str, tuple[Any, str]] = {
    "no mapping": (lambda d: [], "expected a mapping of layers"),
    "another file": (lambda d: {"version": "1.3", "node": d["node"]}, "holds none of the layers that are read"),
    "layer": (lambda d: d | {"walkway": {}}, "walkway: expected a list of rows, each with a token"),
    "no token": (lambda d: d | {"node": [{"x": 1}]}, "node: expected a list of rows, each with a token"),
    "nan": (lambda d: d | {"node": [{"token": "a", "x": float("nan"), "y": 0}]}, "node 'a': x, y: expected metres"),
    "text": (lambda d: d | {"node": [{"token": "a", "x": "1", "y": 0}]}, "node 'a': x, y: expected metres"),
    "lost node": (lambda d: d | {"node": d["node"][1:]}, "line 'l0': node_tokens: there is no node 'a'"),
    "lost line": (lambda d: d | {"line": []}, "road_divider 'rd': line_token: there is no line 'l2'"),
    "lost area": (lambda d: d | {"polygon": d["polygon"][:1]}, "drivable_area 'da': polygon_token: .* 'p1'"),
    "tokens": (lambda d: d | {"drivable_area": [{"token": "x", "polygon_tokens": 3}]}, "tokens: expected a list"),
    "holes": (lambda d: d | {"polygon": [{**d["polygon"][0], "holes": [3]}]}, "holes: expected a list of mappings"),
    "paths": (lambda d: d | {"arcline_path_3": []}, "arcline_path_3: expected a mapping of lanes"),
    "path": (lambda d: d | {"arcline_path_3": {"q": [{"shape": "LSR"}]}}, r"'q'\.0: expected start_pose, shape"),
    "long": (lambda d: change(d, segment_length=[1, 1e12, 1]), "below 10000 m in all"),
    "negative": (lambda d: change(d, segment_length=[1, -1, 1]), "below 10000 m in all"),
    "far": (lambda d: change(d, start_pose=[1e300, 0.0, 0.0]), "expected a finite start_pose"),
    "letters": (lambda d: change(d, shape="LXR"), "expected start_pose, shape"),
    "radius": (lambda d: change(d, radius=0.0), "radius: expected metres above 0"),
}  # fmt: skip


@pytest.mark.quick
def test_rows_that_name_a_polygon_again_and_again_are_no_map(tmp_path: Path) -> None:
    """Few bytes that stand for a billion vertices."""
    data = expansion()
    data["polygon"][0]["exterior_node_tokens"] = list("abcd") * 10_000
    data["drivable_area"][0]["polygon_tokens"] = ["p0"] * 30_000
    with pytest.raises(DataError, match="more than 5,000,000 vertices"):
        read_expansion(written(tmp_path, data))


def change(data: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return data | {"arcline_path_3": {"lane": [data["arcline_path_3"]["lane"][0] | fields]}}


@pytest.mark.quick
@pytest.mark.parametrize("name", DAMAGE)
def test_damaged_files_are_told(tmp_path: Path, name: str) -> None:
    make, message = DAMAGE[name]
    path = written(tmp_path, make(expansion()))
    with pytest.raises(DataError, match=message) as caught:
        read_expansion(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


# --- the street -------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def sample() -> fa.Sample:
    return fa.open_log("nuscenes", DRIVE, map_range=50)[7]


def in_world(sample: fa.Sample, xyz: np.ndarray) -> np.ndarray:
    """Places of the reference frame in the world, by the tables alone."""
    rows = {n: json.loads((DRIVE / "v1.0-mini" / f"{n}.json").read_text()) for n in ("sample_data", "ego_pose")}
    token = next(r["ego_pose_token"] for r in rows["sample_data"]
                 if r["sample_token"] == sample.id and r["is_key_frame"] and "LIDAR" in r["filename"])  # fmt: skip
    row = next(r for r in rows["ego_pose"] if r["token"] == token)
    w, x, y, z = row["rotation"]
    R = np.array([[1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
                  [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
                  [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)]])  # fmt: skip
    return xyz @ R.T + row["translation"]


@pytest.mark.quick
def test_lines_lie_on_what_is_painted(sample: fa.Sample) -> None:
    """In the world by the tables: dividers on the paint of the road's surface, on the flat ground."""
    road, painted = Road(), []
    for element in sample["map"].elements():
        line = in_world(sample, fine(element.parts[0]))
        assert np.abs(line[:, 2]).max() < 1e-6
        s, d = road.locate(line[:, :2])
        if element.category in ("lane_divider", "road_divider"):
            assert np.abs(np.abs(d) - (LANE if element.category == "lane_divider" else 0)).max() < 5e-3
            painted.append(ground(line[:, :2], road).colour.mean(1) > 130)
        if element.category == "centerline":
            assert np.abs(np.abs(d) - LANE / 2).max() < 5e-3
            assert (np.diff(s) >= 0).all() == (np.median(d) < 0)  # traffic keeps to the right
    share = np.concatenate(painted).mean()
    assert 0.4 < share < 0.6, "dashes are as long as their gaps"


def fine(line: np.ndarray) -> np.ndarray:
    """Places along a line, 2 cm apart or less."""
    pieces = [
        a + np.linspace(0, 1, 2 + int(np.linalg.norm(b - a) / 0.02))[:, None] * (b - a) for a, b in pairwise(line)
    ]
    return np.concatenate(pieces)


def at_shares(line: np.ndarray) -> np.ndarray:
    """Places along a line, as many between any two vertices."""
    shares = np.linspace(0, 1, 60)[:, None]
    return np.concatenate([a + shares * (b - a) for a, b in pairwise(line)])


@pytest.mark.quick
def test_lines_are_seen_where_the_paint_is(sample: fa.Sample) -> None:
    """The rendered picture is brighter on the lines than half a metre beside them."""
    for camera in ("CAM_FRONT", "CAM_BACK", "FISHEYE_FRONT"):
        levels = sample[camera].image(0).double().mean(2).numpy().astype(np.float32)
        line = np.concatenate([fine(e.parts[0]) for e in sample["map"].elements() if e.category == "road_divider"])
        line = line[(np.linalg.norm(line, axis=1) < 14) & (np.linalg.norm(line, axis=1) > 3)]
        values = []
        for shift in (0.0, 0.5):
            uv, visible = sample.project_ref(torch.from_numpy(line + np.array([0, shift, 0])), camera)
            u, v = uv[visible].numpy().T.astype(np.float32)
            values.append(np.sort(cv2.remap(levels, u[None], v[None], cv2.INTER_LINEAR)[0]))
        if len(values[0]) > 100:
            assert np.quantile(values[0], 0.8) > np.quantile(values[1], 0.8) + 40, camera


STEPS = {
    "turn": fa.RotateScene(yaw_deg=[-60, 60], pitch_deg=1.0, roll_deg=-1.0),
    "mirror": fa.MirrorScene(axis="y"),
    "scale": fa.ScaleScene(scale=[0.8, 1.2]),
    "crop": fa.ResizeCrop(size=(256, 512), scale=[0.6, 0.9], x=[0, 1], y=[0, 1]),
    "all": fa.Compose([
        fa.ResizeCrop(size=(256, 512), scale=0.8), fa.RotateScene(yaw_deg=30), fa.ScaleScene(scale=1.1),
        fa.MirrorScene(), fa.RotateImage(angle_deg=3.0),
    ]),
}  # fmt: skip


@pytest.mark.quick
@pytest.mark.parametrize("name", STEPS)
def test_lines_stay_on_the_pixels_that_they_were_on(sample: fa.Sample, name: str) -> None:
    """What a camera saw of a line, carried by the drawn numbers, is where the moved line is seen; 0.1 px."""
    out = STEPS[name](sample, seed=11)
    parts = [[p for e in s["map"].elements() for p in e.parts] for s in (sample, out)]
    before, after = (np.concatenate([at_shares(p) for p in of_sample]) for of_sample in parts)
    near = np.linalg.norm(before, axis=1) < 30
    before, after = before[near], after[near]
    errors, cameras = [], 0
    for camera in sample.of_type(fa.Camera):
        expected, new = followed(sample, out.history, camera, before)
        found = seen(out, new, after)
        ok = np.isfinite(expected).all(1) & np.isfinite(found).all(1)
        assert ok.sum() >= 0.99 * np.isfinite(expected).all(1).sum()
        errors.append(np.linalg.norm(found - expected, axis=1)[ok])
        cameras += len(errors[-1]) > 20
    assert cameras >= 6 and np.concatenate(errors).max() < 1e-3
