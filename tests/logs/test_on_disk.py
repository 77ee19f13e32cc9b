"""Written logs, read with NumPy and JSON alone: the drawn motion is in the LiDAR frame, projection is unchanged."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

import fusion_aug as fa
from fusion_aug.run.config import compose_config
from fusion_aug.run.execute import execute
from fusion_aug.run.job import Job

Array = np.ndarray


def run(out: Path, *overrides: str, **options) -> Path:
    config = compose_config("run", [*overrides, f"out={out}"])
    execute(Job({**config, **options}))
    return out


def manifest(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()][1:]


def drawn_motion(line: dict) -> Array:
    """H of the reference frame from the drawn numbers alone."""
    H = np.eye(4)
    for record in line["history"]:
        p = record["params"].get("", {})
        step = np.eye(4)
        if not record["applied"]:
            continue
        if record["name"] == "RotateScene":
            a = np.radians(p["yaw_deg"])
            step[:2, :2] = [[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]
        elif record["name"] == "MirrorScene":
            step["xyz".index(p["axis"]), "xyz".index(p["axis"])] = -1
        elif record["name"] == "ScaleScene":
            step[:3, :3] *= p["scale"]
        elif record["name"] == "TranslateScene":
            step[:3, 3] = [p["x"], p["y"], p["z"]]
        H = step @ H
    return H


def is_mirrored(line: dict) -> bool:
    return any(r["name"] == "MirrorScene" and r["applied"] for r in line["history"])


# --- KITTI ----------------------------------------------------------------------------------------------------------
def kitti_calib(path: Path) -> dict[str, Array]:
    rows = dict(line.split(":") for line in path.read_text().splitlines() if line)
    m = {k: np.array([float(x) for x in v.split()]) for k, v in rows.items()}
    m = {k: v.reshape(3, -1) for k, v in m.items()}
    for name in ("R0_rect", "Tr_velo_to_cam"):
        full = np.eye(4)
        full[:3, : m[name].shape[1]] = m[name]
        m[name] = full
    return m


def kitti_boxes(path: Path, m: dict[str, Array]) -> tuple[Array, Array, Array]:
    """Centres and headings in the LiDAR frame, and sizes (l, w, h), of labelled objects."""
    rows = [line.split() for line in path.read_text().splitlines() if not line.startswith("DontCare")]
    v = np.array([[float(x) for x in r[8:15]] for r in rows])
    to_velo = np.linalg.inv(m["R0_rect"] @ m["Tr_velo_to_cam"])
    centre = v[:, 3:6] - np.array([0, 1, 0]) * v[:, :1] / 2
    forward = np.stack([np.cos(v[:, 6]), 0 * v[:, 6], -np.sin(v[:, 6])], 1)
    return centre @ to_velo[:3, :3].T + to_velo[:3, 3], forward @ to_velo[:3, :3].T, v[:, [2, 1, 0]]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("pipeline", ["geometry", "driving"])
def test_kitti_in_the_lidar_frame(real_data: Path, tmp_path: Path, pipeline: str, seed: int) -> None:
    root = real_data / "kitti"
    out = run(tmp_path / "out", "log=kitti", f"log.root={root}", f"pipeline={pipeline}", f"seed={seed}")
    line = manifest(out)[0]
    H = drawn_motion(line)
    name = "training/{}/000008"
    before, after = (kitti_calib(Path(r) / "training/calib/000008.txt") for r in (root, out))
    old, new = (np.fromfile(Path(r) / "training/velodyne/000008.bin", "<f4").reshape(-1, 4) for r in (root, out))
    if pipeline == "geometry":
        moved = old[:, :3].astype(float) @ H[:3, :3].T + H[:3, 3]
        assert np.abs(moved - new[:, :3]).max() < 1e-4, "points in the LiDAR frame are not turned by the drawn motion"
        assert np.array_equal(old[:, 3], new[:, 3]), "intensity must stay"
    a = kitti_boxes(root / "training/label_2/000008.txt", before)
    b = kitti_boxes(out / "training/label_2/000008.txt", after)
    scale = abs(np.linalg.det(H[:3, :3])) ** (1 / 3)
    centres = a[0] @ H[:3, :3].T + H[:3, 3]
    headings = a[1] @ H[:3, :3].T / scale
    for c, f, s in zip(*b, strict=True):
        i = int(np.argmin(np.linalg.norm(centres - c, axis=1)))
        assert np.linalg.norm(centres[i] - c) < 1e-3
        assert np.linalg.norm(headings[i] - f) < 1e-3
        assert np.allclose(a[2][i] * scale, s, atol=1e-4)
    if pipeline == "geometry":
        _kitti_projection(root, out, line, before, after, old, new)
    picture = cv2.imread(str(out / f"{name.format('image_2')}.png"))
    assert picture is not None and picture.shape[:2] == (375, 1242)


def _kitti_projection(root, out, line, before, after, old, new) -> None:  # type: ignore[no-untyped-def]
    """P R0 Tr X of the file, for all four cameras, against the source's pixel carried by the drawn flip and zoom."""

    def project(m: dict[str, Array], X: Array, i: int) -> tuple[Array, Array]:
        p = np.c_[X, np.ones(len(X))] @ (m[f"P{i}"] @ m["R0_rect"] @ m["Tr_velo_to_cam"]).T
        return p[:, :2] / p[:, 2:], p[:, 2]

    zoom = next(r for r in line["history"] if r["name"] == "ResizeCrop")["params"][""]
    s = zoom["scale"]
    left, top = round((s * 1242 - 1242) * zoom["x"]), round((s * 375 - 375) * zoom["y"])
    for i in range(4):
        u, z = project(before, old[:, :3].astype(float), i)
        seen = (z > 1) & (u[:, 0] > 0) & (u[:, 0] < 1241) & (u[:, 1] > 0) & (u[:, 1] < 374)
        expected = u[seen].copy()
        if is_mirrored(line):
            expected[:, 0] = 1241 - expected[:, 0]
        expected = s * (expected + 0.5) - 0.5 - [left, top]
        found = project(after, new[:, :3].astype(float), i)[0][seen]
        # R0 and Tr of the source are printed with few digits; making them orthonormal moves up to 0.01 px
        assert np.abs(found - expected).max() < 0.02, (i, np.abs(found - expected).max())


def test_kitti_labels_follow_the_stated_rule(real_data: Path, tmp_path: Path) -> None:
    """A zoom into the right part: the left cars leave, the cut one is truncated, DontCare that is gone is dropped."""
    root = real_data / "kitti"
    source = fa.open_log("kitti", root)
    zoomed = fa.Crop(size=(375, 500), x=1.0)(source[0])
    writer = source.writer(tmp_path)
    writer.stage(zoomed, source[0], source[0].id, tmp_path)
    rows = [line.split() for line in (tmp_path / "training/label_2/000008.txt").read_text().splitlines()]
    old = [line.split() for line in (root / "training/label_2/000008.txt").read_text().splitlines()]
    shift = 1242 - 500
    expected = []
    for r in old:
        left, right = max(0, float(r[4]) - shift), min(499, float(r[6]) - shift)
        whole = float(r[6]) - float(r[4])
        share = max(0, right - left) / whole
        if share <= 0 or (r[0] != "DontCare" and (share < 0.05 or right - left < 2)):
            continue
        truncated = -1 if r[0] == "DontCare" else 1 - (1 - float(r[1])) * share
        expected.append((r[0], truncated, left, right))
    assert len(rows) == len(expected) < len(old)
    for r, (kind, truncated, left, right) in zip(rows, expected, strict=True):
        assert r[0] == kind
        assert abs(float(r[1]) - truncated) < 1e-5
        assert abs(float(r[4]) - left) < 1e-5 and abs(float(r[6]) - right) < 1e-5
        if kind != "DontCare":
            alpha = float(r[14]) - np.arctan2(float(r[11]), float(r[13]))
            assert abs((alpha - float(r[3]) + np.pi) % (2 * np.pi) - np.pi) < 1e-5


# --- nuScenes -------------------------------------------------------------------------------------------------------
def tables(root: Path) -> dict[str, dict[str, dict]]:
    folder = next(root.glob("v1.0-*"))
    return {p.stem: {r["token"]: r for r in json.loads(p.read_text())} for p in folder.glob("*.json")}


def matrix(record: dict) -> Array:
    w, x, y, z = record["rotation"]
    T = np.eye(4)
    T[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    T[:3, 3] = record["translation"]
    return T


def channel(t: dict, row: dict) -> str:
    return t["sensor"][t["calibrated_sensor"][row["calibrated_sensor_token"]]["sensor_token"]]["channel"]


def lidar_view(root: Path, t: dict, sample: str) -> dict[str, Array]:
    """Key cloud, boxes and camera matrices in the LiDAR frame, from the tables alone."""
    rows = [r for r in t["sample_data"].values() if r["sample_token"] == sample and r["is_key_frame"]]
    lidar = next(r for r in rows if channel(t, r) == "LIDAR_TOP")
    world_lidar = matrix(t["ego_pose"][lidar["ego_pose_token"]]) @ matrix(
        t["calibrated_sensor"][lidar["calibrated_sensor_token"]]
    )
    out = {"xyz": np.fromfile(root / lidar["filename"], "<f4").reshape(-1, 5)[:, :3].astype(float)}
    annotations = [a for a in t["sample_annotation"].values() if a["sample_token"] == sample]
    out["boxes"] = np.stack([np.linalg.inv(world_lidar) @ matrix(a) for a in annotations])
    out["nominal"] = matrix(t["calibrated_sensor"][lidar["calibrated_sensor_token"]])
    for r in rows:
        name = channel(t, r)
        if name.startswith("CAM"):
            mounted = t["calibrated_sensor"][r["calibrated_sensor_token"]]
            world_cam = matrix(t["ego_pose"][r["ego_pose_token"]]) @ matrix(mounted)
            K = np.array(mounted["camera_intrinsic"])
            out[name] = np.c_[K, np.zeros(3)] @ np.linalg.inv(world_cam) @ world_lidar
            out[f"{name}/size"] = np.array([r["height"], r["width"]])
    return out


SWAP = {"CAM_FRONT_LEFT": "CAM_FRONT_RIGHT", "CAM_BACK_LEFT": "CAM_BACK_RIGHT"}
SWAP |= {b: a for a, b in SWAP.items()}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("which", ["real", "made"])
def test_nuscenes_in_the_lidar_frame(request, street: Path, tmp_path: Path, which: str, seed: int) -> None:
    root = request.getfixturevalue("real_data") / "nuscenes" if which == "real" else street
    out = run(tmp_path / "out", "log=nuscenes", f"log.root={root}", "pipeline=geometry", f"seed={seed}", "limit=2")
    before, after = tables(root), tables(out)
    for line in manifest(out):
        a, b = lidar_view(root, before, line["source"]), lidar_view(out, after, line["id"])
        assert np.array_equal(a["nominal"], b["nominal"]), "the LiDAR keeps its nominal mounting"
        # H acts in the vehicle frame; carried into the LiDAR's
        H = np.linalg.inv(a["nominal"]) @ drawn_motion(line) @ a["nominal"]
        scale = abs(np.linalg.det(H[:3, :3])) ** (1 / 3)
        assert np.abs(a["xyz"] @ H[:3, :3].T + H[:3, 3] - b["xyz"]).max() < 1e-4
        moved = H @ a["boxes"]
        assert np.abs(moved[:, :3, 3] - b["boxes"][:, :3, 3]).max() < 1e-6
        assert np.abs(moved[:, :3, 0] / scale - b["boxes"][:, :3, 0]).max() < 1e-6, "headings"
        zoom = next(r for r in line["history"] if r["name"] == "ResizeCrop")["params"][""]
        for name in [k for k in a if k.startswith("CAM") and "/" not in k]:
            new = SWAP.get(name, name) if is_mirrored(line) and SWAP.get(name, name) in a else name
            _nuscenes_projection(a, b, name, new, zoom, is_mirrored(line))


def _nuscenes_projection(a, b, name: str, new: str, zoom: dict, mirrored: bool) -> None:  # type: ignore[no-untyped-def]
    h, w = a[f"{name}/size"]

    def project(P: Array, X: Array) -> tuple[Array, Array]:
        p = np.c_[X, np.ones(len(X))] @ P.T
        return p[:, :2] / p[:, 2:], p[:, 2]

    u, z = project(a[name], a["xyz"])
    seen = (z > 1) & (u > 0).all(1) & (u[:, 0] < w - 1) & (u[:, 1] < h - 1)
    expected = u[seen].copy()
    if mirrored:
        expected[:, 0] = w - 1 - expected[:, 0]
    s = zoom["scale"]
    expected = s * (expected + 0.5) - 0.5 - [round((s * w - w) * zoom["x"]), round((s * h - h) * zoom["y"])]
    found = project(b[new], b["xyz"])[0][seen]
    assert np.abs(found - expected).max() < 2e-3, (name, np.abs(found - expected).max())


def test_tables_stay_consistent(street: Path, tmp_path: Path) -> None:
    """Three copies beside the original: every token that is named exists, chains are closed, files are there."""
    out = run(
        tmp_path / "out", "log=nuscenes", f"log.root={street}", "pipeline=driving", "copies=2", "keep_original=true"
    )
    t = tables(out)
    assert len(t["sample"]) == 15 and len(t["scene"]) == 3
    for table in ("sample", "sample_data", "sample_annotation"):
        for row in t[table].values():
            for key in ("prev", "next"):
                if row[key]:
                    other = t[table][row[key]]
                    assert other["next" if key == "prev" else "prev"] == row["token"]
    for row in t["sample_data"].values():
        assert row["sample_token"] in t["sample"] and row["ego_pose_token"] in t["ego_pose"]
        assert row["calibrated_sensor_token"] in t["calibrated_sensor"]
        assert (out / row["filename"]).is_file()
        if row["fileformat"] == "jpg":
            picture = cv2.imread(str(out / row["filename"]))
            assert picture.shape[:2] == (row["height"], row["width"])
    for row in t["sample_annotation"].values():
        assert row["sample_token"] in t["sample"] and t["instance"][row["instance_token"]]
    for row in t["instance"].values():
        mine = [a for a in t["sample_annotation"].values() if a["instance_token"] == row["token"]]
        assert row["nbr_annotations"] == len(mine)
        assert row["first_annotation_token"] in t["sample_annotation"]
    # the original is untouched
    source = tables(street)
    for token, row in source["sample_annotation"].items():
        assert t["sample_annotation"][token]["translation"] == pytest.approx(row["translation"], abs=1e-9)
    for row in source["sample_data"].values():
        assert (out / row["filename"]).read_bytes() == (street / row["filename"]).read_bytes()


def test_point_counts_are_recounted(street: Path, tmp_path: Path) -> None:
    root, out = street, tmp_path / "out"
    run(out, "log=nuscenes", f"log.root={root}", "pipeline=geometry", "~pipeline.transforms.zoom", "seed=3")
    a, b = tables(root)["sample_annotation"], tables(out)["sample_annotation"]
    assert all(a[k]["num_lidar_pts"] == b[k]["num_lidar_pts"] for k in a), "a scene motion keeps counts"
    thin = tmp_path / "thin"
    run(
        thin, "log=nuscenes", f"log.root={root}", "pipeline=driving", "pipeline.dropout=0.6", "pipeline.range_noise=0.0"
    )
    c = tables(thin)["sample_annotation"]
    before, after = (sum(x["num_lidar_pts"] for x in t.values()) for t in (a, c))
    assert 0.3 * before < after < 0.5 * before


def test_box_velocity_of_the_devkits_rule(street: Path, tmp_path: Path) -> None:
    """Parked objects stand still, moving ones move as the scaled truth, by differences of annotations alone."""
    out = run(tmp_path / "out", "log=nuscenes", f"log.root={street}", "pipeline=driving", "seed=11")
    a, b = tables(street), tables(out)
    scale = abs(np.linalg.det(drawn_motion(manifest(out)[0])[:3, :3])) ** (1 / 3)

    def speed(t: dict, row: dict) -> float:
        first, last = t["sample_annotation"][row["prev"]], t["sample_annotation"][row["next"]]
        times = [t["sample"][r["sample_token"]]["timestamp"] * 1e-6 for r in (first, last)]
        return float(np.linalg.norm(np.subtract(last["translation"], first["translation"])) / (times[1] - times[0]))

    moving = 0
    for token, row in a["sample_annotation"].items():
        if row["prev"] and row["next"]:
            was, now = speed(a, row), speed(b, b["sample_annotation"][token])
            if was < 0.01:
                assert now <= 0.05
            else:
                moving += 1
                assert abs(now - was * scale) <= 0.02 * was * scale
    assert moving >= 9


def test_identity_copies_every_file(street: Path, real_data: Path, tmp_path: Path) -> None:
    for name, root, pattern in (("nuscenes", street, "s*/*/*"), ("kitti", real_data / "kitti", "training/[vi]*/*")):
        out = run(tmp_path / name, f"log={name}", f"log.root={root}", "pipeline=identity")
        files = [p for p in root.glob(pattern) if p.is_file()]
        assert len(files) > 1
        for path in files:
            assert (out / path.relative_to(root)).read_bytes() == path.read_bytes()
    linked = run(tmp_path / "linked", "log=nuscenes", f"log.root={street}", "pipeline=identity", "link=hard")
    some = next((linked / "samples/LIDAR_TOP").iterdir())
    assert some.stat().st_ino == (street / "samples/LIDAR_TOP" / some.name).stat().st_ino
