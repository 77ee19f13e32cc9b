"""The dictionaries of mmdetection3d, BEVFusion and OpenPCDet against our own projection."""

from __future__ import annotations

import numpy as np
import pytest
import torch
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


def project(P: np.ndarray, xyz: np.ndarray) -> np.ndarray:
    uvw = np.c_[xyz, np.ones(len(xyz))] @ P.T
    return uvw[:, :2] / uvw[:, 2:3]


@pytest.mark.parametrize("chain", CHAIN)
def test_matrices_project_exactly(chain: str) -> None:
    sample = make_sample(points=2000)
    out = fa.Compose(CHAIN[chain])(sample, seed=1)
    told = fa.to_mmdet3d(out, cameras=["CAM_FRONT"])
    key = out.key_item("lidar")
    cloud = out.points("lidar")
    xyz = cloud["xyz"][cloud.item_slice(key)].double()
    pixels, seen = out.project_ref(xyz, "CAM_FRONT")
    assert int(seen.sum()) > 30
    whole = (
        told["img_aug_matrix"][0] @ told["cam2img"][0] @ told["lidar2cam"][0] @ np.linalg.inv(told["lidar_aug_matrix"])
    )
    for P in (told["lidar2img"][0], whole):
        assert np.abs(project(P, xyz.numpy()) - pixels.numpy())[seen.numpy()].max() < 1e-6
    rotation = told["lidar2cam"][0][:3, :3]
    assert np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-9) and np.linalg.det(rotation) > 0, "a rigid camera"
    if chain not in ("nothing", "moved camera"):
        source = fa.to_mmdet3d(sample, cameras=["CAM_FRONT"])
        assert np.allclose(told["lidar2cam"], source["lidar2cam"], atol=1e-9), "the camera before any augmentation"
        assert np.allclose(told["cam2img"], source["cam2img"], atol=1e-9)


def test_points_boxes_and_labels() -> None:
    sample = fa.RotateScene(yaw_deg=25.0)(make_sample(boxes=4))
    told = fa.to_mmdet3d(sample, cameras=["CAM_FRONT"], classes=["truck", "car"])
    cloud = sample.points("lidar")
    assert told["points"].shape == (cloud.rows, 5) and np.allclose(told["points"][:, :3], cloud["xyz"].numpy())
    assert set(np.round(told["points"][:, 4], 3)) == {0.0, np.float32(0.05)}
    boxes = sample.boxes()
    up = boxes["pose"][:, :3, 3].numpy() - told["gt_bboxes_3d"][:, :3]
    assert np.allclose(np.linalg.norm(up, axis=1), boxes["size"][:, 2] / 2, atol=1e-5)
    assert "gt_labels_3d" not in fa.to_mmdet3d(sample, cameras=["CAM_FRONT"]), "no classes, no labels"
    with pytest.warns(UserWarning, match="none of vehicle is a name"):
        fa.to_mmdet3d(sample, cameras=["CAM_FRONT"], classes=["vehicle"])
    assert told["gt_labels_3d"].tolist() == [1] * 4 and told["gt_names"].tolist() == ["car"] * 4
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
