"""Written nuScenes logs, read with NumPy and JSON alone: the drawn motion is in the LiDAR frame."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from nuscenes_files import channel, matrix, tables
from written import drawn_motion, is_mirrored, manifest, run

Array = np.ndarray


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


@pytest.mark.parametrize(
    ("which", "seed"),
    [
        pytest.param("real", 0, marks=[pytest.mark.real, pytest.mark.quick]),
        *(pytest.param("real", seed, marks=pytest.mark.real) for seed in (1, 3)),  # of which one mirrors
        *(("made", seed) for seed in range(3)),
    ],
)
def test_nuscenes_in_the_lidar_frame(request: pytest.FixtureRequest, tmp_path: Path, which: str, seed: int) -> None:
    """Of the real frame and of the made log, which takes seconds to make and is no part of the quick tests."""
    real = which == "real"
    root = request.getfixturevalue("real_data") / "nuscenes" if real else request.getfixturevalue("street")
    out = run(tmp_path / "out", "log=nuscenes", f"log.root={root}", "pipeline=geometry", f"seed={seed}", "limit=2")
    before, after = tables(root), tables(out)
    for line in manifest(out):
        a, b = lidar_view(root, before, line["source"]), lidar_view(out, after, line["id"])
        assert np.array_equal(a["nominal"], b["nominal"]), "the LiDAR keeps its nominal mounting"
        # H acts in the vehicle frame; expressed in the LiDAR's
        H = np.linalg.inv(a["nominal"]) @ drawn_motion(line) @ a["nominal"]
        scale = abs(np.linalg.det(H[:3, :3])) ** (1 / 3)
        assert np.abs(a["xyz"] @ H[:3, :3].T + H[:3, 3] - b["xyz"]).max() < 1e-4
        moved = H @ a["boxes"]
        assert np.abs(moved[:, :3, 3] - b["boxes"][:, :3, 3]).max() < 1e-6
        assert np.abs(moved[:, :3, 0] / scale - b["boxes"][:, :3, 0]).max() < 1e-6, "headings"
        zoom = next(r for r in line["history"] if r["name"] == "fusion_aug.ResizeCrop")["params"][""]
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


def counted(root: Path, t: dict) -> dict[str, int]:
    """Annotation -> LiDAR points of its keyframe in it, from the tables alone."""
    out = {}
    for sample in t["sample"]:
        view = lidar_view(root, t, sample)
        annotations = [a for a in t["sample_annotation"].values() if a["sample_token"] == sample]
        for row, pose in zip(annotations, view["boxes"], strict=True):
            local = (view["xyz"] - pose[:3, 3]) @ pose[:3, :3]
            width, length, height = row["size"]
            out[row["token"]] = int((np.abs(local) <= np.array([length, width, height]) / 2 + 1e-6).all(1).sum())
    return out


def test_point_counts_are_the_sources_less_what_left(street: Path, tmp_path: Path) -> None:
    """Figures of a rule of their own stay under motions, and shrink by what a drop takes from our count."""
    root = Path(shutil.copytree(street, tmp_path / "log"))
    path = root / "v1.0-mini/sample_annotation.json"
    rows = json.loads(path.read_text())
    for i, row in enumerate(rows):
        row |= {"num_lidar_pts": row["num_lidar_pts"] + 2, "num_radar_pts": row["num_radar_pts"] + i % 3}
    path.write_text(json.dumps(rows))
    words = ("log=nuscenes", f"log.root={root}")
    out = run(tmp_path / "out", *words, "pipeline=geometry", "~pipeline.transforms.zoom", "seed=3")
    a, b = tables(root)["sample_annotation"], tables(out)["sample_annotation"]
    for field in ("num_lidar_pts", "num_radar_pts", "visibility_token", "attribute_tokens"):
        assert all(a[k][field] == b[k][field] for k in a), field
    drop = "+pipeline.transforms.drop={_target_: fusion_aug.PointDropout, share: 0.6}"
    thin = run(tmp_path / "thin", *words, "pipeline=geometry", drop)
    c, before, after = tables(thin)["sample_annotation"], counted(root, tables(root)), counted(thin, tables(thin))
    assert sum(before.values()) > 2 * sum(after.values()) > 0
    for token, row in c.items():
        assert row["num_lidar_pts"] == max(0, a[token]["num_lidar_pts"] - (before[token] - after[token]))


def test_box_velocity_of_the_devkits_rule(street: Path, tmp_path: Path) -> None:
    """Parked objects are static, moving ones move as the scaled ground truth, by differences of annotations alone."""
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
