"""Small info files of either layout of mmdetection3d, with clouds and pictures of their own."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

T0 = 1_700_000_000.0  # s
HEIGHT, WIDTH = 60, 80
K = [[50.0, 0.0, 39.5], [0.0, 50.0, 29.5], [0.0, 0.0, 1.0]]
TO_CAMERA = np.array([[0.0, -1, 0, 0], [0, 0, -1, -0.2], [1, 0, 0, -0.4], [0, 0, 0, 1]])
BOXES = np.array([[12.0, 1.0, -0.2, 4.2, 1.8, 1.6, 0.3], [-9.0, 4.0, -0.2, 4.0, 1.8, 1.5, -1.2]])

TURN = "+pipeline.transforms.t={_target_:fusion_aug.RotateScene,yaw_deg:90}"
MIRROR = "+pipeline.transforms.t={_target_:fusion_aug.MirrorScene,axis:y,p:1.0}"
CROP = "+pipeline.transforms.t={_target_:fusion_aug.ResizeCrop,scale:2.0,x:0.0,y:0.0}"
GREY = "+pipeline.transforms.t={_target_:fusion_aug.Brightness,factor:0.5}"


def cloud(points: int = 900, width: int = 5) -> np.ndarray:
    """Points about the boxes: x y z, whole intensities up to 255, zeros."""
    rng = np.random.default_rng(0)
    table = np.zeros((points, width), "<f4")
    table[:, :3] = rng.uniform([-15, -10, -1.5], [18, 10, 2], (points, 3))
    table[:, 3] = rng.integers(0, 256, points)
    for k, box in enumerate(BOXES[: points // 40]):  # some in every box
        table[20 * k : 20 * k + 20, :3] = box[:3] + rng.uniform(-0.5, 0.5, (20, 3))
    return table


def write_small(
    root: Path,
    *,
    v2: bool = True,
    name: str = "small_infos",
    cameras: Sequence[str] = ("CAM_FRONT",),
    folders: Mapping[str, str] | None = None,
    points: np.ndarray | None = None,
    samples: int = 1,
    change: Any = None,
) -> Path:
    """Write ``root/<name>.pkl``, its clouds and its pictures.

    Args:
        folders: camera, or "lidar" -> folder of its files; ``samples/...`` by default.
        change: function of the content of the file, called before it is written.
    """
    where = {"lidar": "samples/LIDAR_TOP", **{c: f"samples/{c}" for c in cameras}, **(folders or {})}
    for folder in where.values():
        (root / folder).mkdir(parents=True, exist_ok=True)
    rows = []
    for i in range(samples):
        (root / where["lidar"] / f"{i:04d}.bin").write_bytes((cloud() if points is None else points).tobytes())
        for k, camera in enumerate(cameras):
            picture = np.random.default_rng(k).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
            cv2.imwrite(str(root / where[camera] / f"{i:04d}.png"), picture)
        rows.append((_v2 if v2 else _old)(i, list(cameras), where))
    meta = {"categories": {"car": 0, "bus": 1}, "dataset": "made", "info_version": "1.1"}
    content = {"metainfo": meta, "data_list": rows} if v2 else {"infos": rows, "metadata": {"version": "made"}}
    if change is not None:
        change(content)
    path = root / f"{name}.pkl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(content))
    return root


def rows(change: Callable[[dict], Any]) -> Callable[[dict], None]:
    """A change of every sample, as a change of the file."""

    def every(content: dict) -> None:
        for row in content.get("data_list", content.get("infos")):
            change(row)

    return every


def words(root: Path, *more: str) -> list[str]:
    """Overrides of a run over such a log; the transforms follow."""
    return ["log=mmdet3d", f"log.root={root}", "pipeline=identity", *more]


def _v2(i: int, cameras: list[str], where: Mapping[str, str]) -> dict[str, Any]:
    image = {"img_path": f"{i:04d}.png", "cam2img": K, "cam2ego": np.linalg.inv(TO_CAMERA).tolist(),
             "lidar2cam": TO_CAMERA.tolist(), "timestamp": T0 + i, "height": HEIGHT, "width": WIDTH}  # fmt: skip
    instances = [
        {
            "bbox_3d": box.tolist(),
            "bbox_label_3d": k,
            "bbox_label": k,
            "velocity": [1.0, 0.5 * k],
            "num_lidar_pts": 70 + k,
        }
        for k, box in enumerate(BOXES)
    ]
    return {
        "sample_idx": i, "token": f"t{i}", "timestamp": T0 + i, "ego2global": np.eye(4).tolist(),
        "images": {c: dict(image) for c in cameras}, "lidar_sweeps": [], "instances": instances,
        "lidar_points": {"num_pts_feats": 5, "lidar_path": f"{i:04d}.bin", "lidar2ego": np.eye(4).tolist()},
    }  # fmt: skip


def _old(i: int, cameras: list[str], where: Mapping[str, str]) -> dict[str, Any]:
    def pose(name: str, T: np.ndarray) -> dict[str, Any]:
        return {f"{name}_rotation": T[:3, :3], f"{name}_translation": T[:3, 3]}

    to_lidar = np.linalg.inv(TO_CAMERA)
    return {
        "lidar_path": f"./data/made/{where['lidar']}/{i:04d}.bin", "token": f"t{i}", "timestamp": int((T0 + i) * 1e6),
        **pose("lidar2ego", np.eye(4)), **pose("ego2global", np.eye(4)), "sweeps": [],
        "cams": {
            c: {"data_path": f"./data/made/{where[c]}/{i:04d}.png", "type": c, "timestamp": int((T0 + i) * 1e6),
                "cam_intrinsic": np.array(K), **pose("sensor2ego", to_lidar), **pose("ego2global", np.eye(4)),
                **pose("sensor2lidar", to_lidar)}
            for c in cameras
        },
        "gt_boxes": BOXES.copy(), "gt_names": np.array(["car", "bus"]),
        "gt_velocity": np.array([[1.0, 0.0], [1.0, 0.5]]), "num_lidar_pts": np.array([70, 71]),
        "valid_flag": np.array([True, True]),
    }  # fmt: skip


def read_content(root: Path, name: str = "small_infos") -> dict[str, Any]:
    """Content of an info file."""
    content: dict[str, Any] = pickle.loads((root / f"{name}.pkl").read_bytes())
    return content


def read_row(root: Path, name: str = "small_infos", number: int = 0) -> dict[str, Any]:
    """One sample of an info file."""
    content = read_content(root, name)
    row: dict[str, Any] = content.get("data_list", content.get("infos"))[number]
    return row
