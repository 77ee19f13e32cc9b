"""The dictionaries of mmdetection3d, BEVFusion and OpenPCDet, against the files and the drawn numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from nuscenes_files import channel, matrix, tables
from oracle import Route, cloud, followed, mapped, motion, moved, route
from samples import make_sample

import fusion_aug as fa
from fusion_aug.train.interop import camera_matrices

CHAIN = {
    "nothing": [],
    "scene": [fa.RotateScene(yaw_deg=33.0, pitch_deg=4.0), fa.ScaleScene(scale=1.1), fa.TranslateScene(x=1.0, z=-0.3)],
    "mirrors": [fa.MirrorScene(axis="y"), fa.RotateScene(yaw_deg=-20.0), fa.MirrorScene(axis="x")],
    "one mirror and pixels": [
        fa.RotateScene(yaw_deg=-50.0), fa.ResizeCrop(size=(40, 60), scale=0.9, x=0.3, y=0.7), fa.MirrorScene(axis="y"),
        fa.RotateImage(angle_deg=12.0), fa.FlipImage(axis="x"), fa.ScaleScene(scale=0.9),
    ],
    "moved camera": [fa.RotateScene(yaw_deg=10.0), fa.Viewpoint(y_deg=3.0, z_deg=1.0), fa.MirrorScene(axis="y")],
}  # fmt: skip


SIDES: dict[str, str | None] = {"CAM_FRONT": None, "CAM_BACK": None}
SIDES |= {f"CAM_{a}_{b}": f"CAM_{a}_{c}" for a in ("FRONT", "BACK") for b, c in (("LEFT", "RIGHT"), ("RIGHT", "LEFT"))}


def projected(P: np.ndarray, xyz: np.ndarray) -> np.ndarray:
    """Pixels (n, 2) of points (n, 3) by a (4, 4) as the training code applies it."""
    uvw = moved(P, xyz)
    return uvw[:, :2] / uvw[:, 2:]


class Keyframe:
    """A keyframe of a nuScenes log as its files have it: points of the reference frame, matrices of its cameras."""

    def __init__(self, root: Path, token: str):
        t = tables(root)
        rows = {channel(t, r): r for r in t["sample_data"].values() if r["sample_token"] == token and r["is_key_frame"]}

        def poses(row: dict) -> tuple[np.ndarray, dict]:
            return matrix(t["ego_pose"][row["ego_pose_token"]]), t["calibrated_sensor"][row["calibrated_sensor_token"]]

        world_ref, mounted = poses(rows["LIDAR_TOP"])
        raw = np.fromfile(root / rows["LIDAR_TOP"]["filename"], "<f4").reshape(-1, 5)[:, :3].astype(float)
        self.points = moved(matrix(mounted), raw)
        self.K, self.T_cam_ref, self.size = {}, {}, {}
        for name in (n for n in rows if n.startswith("CAM")):
            world_ego, mounted = poses(rows[name])
            self.K[name] = np.array(mounted["camera_intrinsic"])
            self.T_cam_ref[name] = np.linalg.inv(world_ego @ matrix(mounted)) @ world_ref
            self.size[name] = (rows[name]["height"], rows[name]["width"])


def full(K: np.ndarray) -> np.ndarray:
    """(4, 4) with a (3, 3) in its corner."""
    out = np.eye(4)
    out[:3, :3] = K
    return out


@pytest.mark.parametrize("chain", CHAIN)
def test_matrices_against_the_files(chain: str, street: Path) -> None:
    """Source matrices from JSON, points from the .bin, and the numbers that were drawn."""
    sample = fa.open_log("nuscenes", street)[2]
    out, file = fa.Compose(CHAIN[chain])(sample, seed=1), Keyframe(street, sample.id)
    H = motion(out.history)
    points, mmdet3d = moved(H, file.points), fa.to_mmdet3d(out, cameras=sorted(file.K))
    assert np.allclose(mmdet3d["lidar_aug_matrix"], H, atol=1e-12)
    now = mmdet3d["points"][mmdet3d["points"][:, 4] == 0, :3]
    assert now.shape == points.shape and np.abs(now - points).max() < 1e-4, "float32 points as far as 100 m"
    assert len(file.K) == 6
    for name, K in file.K.items():
        way = route(out.history, name, file.size[name], SIDES)
        seen = {
            k: mmdet3d[k][sorted(file.K).index(way.name)]
            for k in ("lidar2img", "lidar2cam", "cam2img", "img_aug_matrix")
        }
        _hold(seen, way, K, file.T_cam_ref[name], H)
        local = moved(way.T @ file.T_cam_ref[name], file.points)
        front = local[:, 2] > 0.5 * np.abs(local[:, :2]).max(1).clip(min=1)  # pixels near the picture
        assert front.sum() > 100
        expected = mapped(way.P, projected(full(K), local[front]))
        assert np.abs(projected(seen["lidar2img"], points[front]) - expected).max() < 1e-6
    other = fa.to_openpcdet(out, cameras=sorted(file.K))
    for theirs, ours in {
        "lidar2image": "lidar2img",
        "lidar2camera": "lidar2cam",
        "camera_intrinsics": "cam2img",
    }.items():
        assert np.array_equal(other[theirs], mmdet3d[ours])


def _hold(seen: Mapping[str, np.ndarray], way: Route, K: np.ndarray, T_cam_ref: np.ndarray, H: np.ndarray) -> None:
    """The four matrices of a camera are the file's, parted into camera, pixel map and motion of the scene."""
    before = way.T @ T_cam_ref
    before[:3] /= np.cbrt(np.linalg.det(before[:3, :3]))  # a camera has no scale
    assert np.allclose(seen["lidar2cam"], before, atol=1e-9), "the camera before any motion of the scene"
    assert np.allclose(seen["cam2img"], full(K), atol=1e-9)
    assert np.allclose(seen["img_aug_matrix"], full(way.P), atol=1e-9)
    whole = full(way.P) @ full(K) @ before @ np.linalg.inv(H)
    ours, theirs = (P[:3] / P[2, 3] for P in (seen["lidar2img"], whole))  # a scale of all rows changes no pixel
    assert np.allclose(ours, theirs, rtol=1e-9, atol=1e-9)


@pytest.mark.quick
@pytest.mark.parametrize("chain", CHAIN)
@pytest.mark.parametrize("camera", ["CAM_FRONT", "WRIST"])
def test_matrices_of_a_lens_with_skew_and_of_a_camera_on_an_arm(chain: str, camera: str) -> None:
    sample = make_sample(points=2000)
    out = fa.Compose(CHAIN[chain])(sample, seed=1)
    matrices = camera_matrices(out, camera)
    points = cloud(sample, "lidar")
    expected, name = followed(sample, out.history, camera, points)
    assert name == camera
    seen = np.isfinite(expected).all(1)
    assert seen.sum() > 30
    before = np.linalg.inv(motion(out.history))
    whole = matrices["img_aug_matrix"] @ matrices["cam2img"] @ matrices["lidar2cam"] @ before
    for P in (matrices["lidar2img"], whole):
        assert np.abs(projected(P, moved(motion(out.history), points[seen])) - expected[seen]).max() < 1e-6


def test_points_boxes_and_labels() -> None:
    sample = fa.RotateScene(yaw_deg=25.0)(make_sample(boxes=4))
    mmdet3d = fa.to_mmdet3d(sample, cameras=["CAM_FRONT"], classes=["truck", "car"])
    cloud = sample.points("lidar")
    assert mmdet3d["points"].shape == (cloud.rows, 5) and np.allclose(mmdet3d["points"][:, :3], cloud["xyz"].numpy())
    assert set(np.round(mmdet3d["points"][:, 4], 3)) == {0.0, np.float32(0.05)}
    boxes = sample.boxes()
    up = boxes["pose"][:, :3, 3].numpy() - mmdet3d["gt_bboxes_3d"][:, :3]
    assert np.allclose(np.linalg.norm(up, axis=1), boxes["size"][:, 2] / 2, atol=1e-5)
    assert "gt_labels_3d" not in fa.to_mmdet3d(sample, cameras=["CAM_FRONT"]), "no classes, no labels"
    with pytest.warns(UserWarning, match="none of vehicle is a name"):
        fa.to_mmdet3d(sample, cameras=["CAM_FRONT"], classes=["vehicle"])
    assert mmdet3d["gt_labels_3d"].tolist() == [1] * 4 and mmdet3d["gt_names"].tolist() == ["car"] * 4
    other = fa.to_openpcdet(sample, cameras=["CAM_FRONT"])
    assert np.allclose(other["gt_boxes"][:, :3], boxes["pose"][:, :3, 3], atol=1e-5)
    assert np.allclose(other["camera2lidar"] @ other["lidar2camera"], np.eye(4), atol=1e-12)


def test_a_distorted_lens_is_refused_and_left_out_by_default() -> None:
    sample = make_sample()
    assert fa.to_mmdet3d(sample)["cam_names"] == ["CAM_FRONT", "WRIST"]
    with pytest.raises(fa.DataError, match="brown_conrady"):
        fa.to_mmdet3d(sample, cameras=["CAM_LEFT"])
    with pytest.raises(fa.DataError, match="no camera 'CAM_TOP'"):
        fa.to_mmdet3d(sample, cameras=["CAM_TOP"])


def test_in_a_data_loader() -> None:
    from torch.utils.data import DataLoader

    log = [make_sample(f"s{i}", seed=i) for i in range(3)]
    data = fa.AugmentedDataset(log, fa.RotateScene(yaw_deg=[-45, 45]), convert=fa.to_mmdet3d)
    loaded = list(DataLoader(data, batch_size=1, collate_fn=lambda b: b[0]))
    assert [d["sample_idx"] for d in loaded] == ["s0", "s1", "s2"]
    assert torch.equal(torch.from_numpy(loaded[1]["lidar2img"]), torch.from_numpy(data[1]["lidar2img"]))
    assert camera_matrices(log[0], "CAM_FRONT")["img_aug_matrix"].shape == (4, 4)


@pytest.mark.quick
def test_a_velocity_that_nobody_knows_is_zero_with_a_flag() -> None:
    """As the loaders of both libraries have it; NaN would make every loss NaN."""
    sample = make_sample(boxes=4)
    velocity = sample.boxes()["velocity"].clone()
    velocity[1] = float("nan")
    velocity[2, 2] = float("nan")  # the vertical part is in no table
    some = sample.with_streams({**sample.streams, "boxes": sample.boxes().with_values(velocity=velocity)})
    none = {k: v for k, v in sample.boxes().values.items() if k != "velocity"}
    bare = sample.with_streams({**sample.streams, "boxes": replace(sample.boxes(), values=none)})
    for case, known in ((some, [True, False, True, True]), (bare, [False] * 4)):
        for convert, key in ((fa.to_mmdet3d, "gt_bboxes_3d"), (fa.to_openpcdet, "gt_boxes")):
            out = convert(case, cameras=["CAM_FRONT"])
            assert np.isfinite(out[key]).all() and out["gt_velocity_known"].tolist() == known
            assert not out[key][~out["gt_velocity_known"], 7:].any()
            expected = sample.boxes()["velocity"][out["gt_velocity_known"]][:, :2]
            assert np.allclose(out[key][out["gt_velocity_known"], 7:], expected, atol=1e-6)


@pytest.mark.parametrize("convert", [fa.to_mmdet3d, fa.to_openpcdet])
def test_classes_mean_the_same_as_in_dense_tensors(convert: Any) -> None:
    names, label = ["car", "bus", "walker", "truck", "car"], "gt_labels_3d" if convert is fa.to_mmdet3d else "gt_labels"
    sample = make_sample()
    sample = sample.with_streams({**sample.streams, "boxes": sample.boxes().with_values(category=np.array(names))})
    asked = {"big": ["truck", "b*"], "small": "car"}
    expected = [1, 0, -1, 0, 1]
    assert convert(sample, cameras=["CAM_FRONT"], classes=asked)[label].tolist() == expected
    assert fa.to_dense(fa.collate([sample]), cameras=["CAM_FRONT"], classes=asked)["labels"][0].tolist() == expected
    with pytest.raises(fa.ConfigError, match=r"classes: expected a list of names, got the text 'car'; give \['car'\]"):
        convert(sample, cameras=["CAM_FRONT"], classes="car")
