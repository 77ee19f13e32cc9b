"""Info files of mmdetection3d made from a nuScenes log, field by field, with NumPy and JSON alone."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation


def matrix(record: dict[str, Any]) -> np.ndarray:
    T = np.eye(4)
    T[:3, :3] = Rotation.from_quat(np.roll(record["rotation"], -1)).as_matrix()
    T[:3, 3] = record["translation"]
    return T


def write_infos(root: Path, v2: bool, name: str) -> Path:
    """Write ``root/<name>.pkl`` of the log in ``root``; paths as each layout gives them."""
    tables = {
        t: {r["token"]: r for r in json.loads((root / f"v1.0-mini/{t}.json").read_text())}
        for t in ("sample", "sample_data", "calibrated_sensor", "sensor", "ego_pose", "sample_annotation", "instance")
    }
    names = {r["token"]: r["name"] for r in json.loads((root / "v1.0-mini/category.json").read_text())}
    classes = sorted(set(names.values()))
    rows = []
    for index, (token, sample) in enumerate(tables["sample"].items()):
        data = [d for d in tables["sample_data"].values() if d["sample_token"] == token]

        def channel(d: dict) -> str:
            return tables["sensor"][tables["calibrated_sensor"][d["calibrated_sensor_token"]]["sensor_token"]][
                "channel"
            ]

        def poses(d: dict) -> tuple[np.ndarray, np.ndarray]:
            return matrix(tables["calibrated_sensor"][d["calibrated_sensor_token"]]), matrix(
                tables["ego_pose"][d["ego_pose_token"]]
            )

        lidar = next(d for d in data if channel(d) == "LIDAR_TOP" and d["is_key_frame"])
        l2e, e2g = poses(lidar)
        lidar_world = e2g @ l2e
        cams, sweeps, boxes, labels, velocity = {}, [], [], [], []
        for d in data:
            c2e, there = poses(d)
            to_lidar = np.linalg.inv(lidar_world) @ there @ c2e
            if channel(d).startswith("CAM"):
                K = np.array(tables["calibrated_sensor"][d["calibrated_sensor_token"]]["camera_intrinsic"])
                cams[channel(d)] = (d, K, c2e, there, to_lidar)
            elif channel(d) == "LIDAR_TOP" and not d["is_key_frame"]:
                sweeps.append((d, c2e, there, to_lidar))
        for a in (a for a in tables["sample_annotation"].values() if a["sample_token"] == token):
            T = np.linalg.inv(lidar_world) @ matrix(a)
            w, length, h = a["size"]
            boxes.append([*T[:3, 3], length, w, h, np.arctan2(T[1, 0], T[0, 0])])
            labels.append(names[tables["instance"][a["instance_token"]]["category_token"]])
            velocity.append([0.5 * len(boxes), -0.25])
        rows.append(
            (v2_row if v2 else old_row)(
                index, token, sample, lidar, l2e, e2g, cams, sweeps, boxes, labels, velocity, classes
            )
        )
    meta = {"categories": {c: i for i, c in enumerate(classes)}, "dataset": "nuscenes", "info_version": "1.1"}
    content = {"metainfo": meta, "data_list": rows} if v2 else {"infos": rows, "metadata": {"version": "v1.0-mini"}}
    path = root / f"{name}.pkl"
    path.write_bytes(pickle.dumps(content))
    return path


def v2_row(index, token, sample, lidar, l2e, e2g, cams, sweeps, boxes, labels, velocity, classes):  # type: ignore[no-untyped-def]
    images = {
        c: {
            "img_path": Path(d["filename"]).name, "cam2img": K.tolist(), "cam2ego": c2e.tolist(),
            "lidar2cam": np.linalg.inv(to_lidar).tolist(), "timestamp": d["timestamp"] / 1e6,
            "sample_data_token": d["token"],
        }
        for c, (d, K, c2e, _, to_lidar) in cams.items()
    }  # fmt: skip
    return {
        "sample_idx": index, "token": token, "timestamp": lidar["timestamp"] / 1e6, "ego2global": e2g.tolist(),
        "images": images,
        "lidar_points": {"num_pts_feats": 5, "lidar_path": Path(lidar["filename"]).name, "lidar2ego": l2e.tolist()},
        "lidar_sweeps": [
            {"timestamp": d["timestamp"] / 1e6, "ego2global": there.tolist(),
             "lidar_points": {"lidar_path": d["filename"], "lidar2ego": c2e.tolist(),
                              "lidar2sensor": np.linalg.inv(to).tolist()}}
            for d, c2e, there, to in sweeps
        ],
        "instances": [
            {"bbox_3d": b, "bbox_label_3d": classes.index(n), "bbox_label": classes.index(n), "velocity": v,
             "num_lidar_pts": 0}
            for b, n, v in zip(boxes, labels, velocity, strict=True)
        ],
        "cam_instances": {c: [] for c in cams},
    }  # fmt: skip


def old_row(index, token, sample, lidar, l2e, e2g, cams, sweeps, boxes, labels, velocity, classes):  # type: ignore[no-untyped-def]
    def quaternion(T: np.ndarray) -> list[float]:
        return np.roll(Rotation.from_matrix(T[:3, :3]).as_quat(), 1).tolist()

    def pose_fields(T: np.ndarray, name: str) -> dict[str, Any]:
        return {f"{name}_rotation": quaternion(T), f"{name}_translation": T[:3, 3].tolist()}

    def to(T: np.ndarray) -> dict[str, Any]:
        return {"sensor2lidar_rotation": T[:3, :3], "sensor2lidar_translation": T[:3, 3]}

    prefix = "./data/nuscenes/"
    return {
        "lidar_path": prefix + lidar["filename"], "token": token, "timestamp": lidar["timestamp"],
        **pose_fields(l2e, "lidar2ego"), **pose_fields(e2g, "ego2global"),
        "cams": {
            c: {"data_path": prefix + d["filename"], "type": c, "timestamp": d["timestamp"], "cam_intrinsic": K,
                **pose_fields(c2e, "sensor2ego"), **pose_fields(there, "ego2global"), **to(to_lidar)}
            for c, (d, K, c2e, there, to_lidar) in cams.items()
        },
        "sweeps": [
            {"data_path": prefix + d["filename"], "type": "lidar", "timestamp": d["timestamp"],
             **pose_fields(c2e, "sensor2ego"), **pose_fields(there, "ego2global"), **to(T)}
            for d, c2e, there, T in sweeps
        ],
        "gt_boxes": np.array(boxes).reshape(-1, 7), "gt_names": np.array(labels),
        "gt_velocity": np.array(velocity).reshape(-1, 2),
        "num_lidar_pts": np.zeros(len(boxes), int), "valid_flag": np.ones(len(boxes), bool),
    }  # fmt: skip
