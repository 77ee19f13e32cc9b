"""Written KITTI logs, read with NumPy alone: the drawn motion is in the LiDAR frame, projection is unchanged."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from written import drawn_motion, is_mirrored, manifest, run

import fusion_aug as fa

Array = np.ndarray


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


@pytest.mark.parametrize("seed", [pytest.param(0, marks=pytest.mark.quick), 1, 2])
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
        assert np.abs(moved - new[:, :3]).max() < 1e-4, "points in the LiDAR frame are not rotated by the drawn motion"
        assert np.array_equal(old[:, 3], new[:, 3]), "intensity must stay"
    a = kitti_boxes(root / "training/label_2/000008.txt", before)
    b = kitti_boxes(out / "training/label_2/000008.txt", after)
    scale = abs(np.linalg.det(H[:3, :3])) ** (1 / 3)
    centres = a[0] @ H[:3, :3].T + H[:3, 3]
    headings = a[1] @ H[:3, :3].T / scale
    for c, f, s in zip(*b, strict=True):
        i = int(np.argmin(np.linalg.norm(centres - c, axis=1)))
        assert np.linalg.norm(centres[i] - c) < 1e-3
        # a label has no tilt: boxes lean by twice the angle between LiDAR and camera (0.85 degrees) at most
        turned = np.arctan2(headings[i][1], headings[i][0]) - np.arctan2(f[1], f[0])
        assert abs((turned + np.pi) % (2 * np.pi) - np.pi) < np.radians(0.05)
        assert np.linalg.norm(headings[i] - f) < np.radians(0.85)
        assert np.allclose(a[2][i] * scale, s, atol=1e-4)
    if pipeline == "geometry":
        _kitti_projection(root, out, line, before, after, old, new)
    picture = cv2.imread(str(out / f"{name.format('image_2')}.png"))
    assert picture is not None and picture.shape[:2] == (375, 1242)


def _kitti_projection(root, out, line, before, after, old, new) -> None:  # type: ignore[no-untyped-def]
    """P R0 Tr X of the file, for all four cameras, against the source's pixel mapped by the drawn flip and zoom."""

    def project(m: dict[str, Array], X: Array, i: int) -> tuple[Array, Array]:
        p = np.c_[X, np.ones(len(X))] @ (m[f"P{i}"] @ m["R0_rect"] @ m["Tr_velo_to_cam"]).T
        return p[:, :2] / p[:, 2:], p[:, 2]

    zoom = next(r for r in line["history"] if r["name"] == "fusion_aug.ResizeCrop")["params"][""]
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
    assert {r[3] for r in rows} <= {r[3] for r in old}, "a crop changes no angle"
