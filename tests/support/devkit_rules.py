"""A nuScenes log by the rules of its devkit, in NumPy and JSON alone: links, boxes in a sensor's frame, sweeps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from nuscenes_files import channel, matrix, tables


class DevkitLog:
    """Tables, with what the devkit checks when it loads them."""

    def __init__(self, root: Path):
        self.root, self.t = root, tables(root)
        assert len(self.t) == 13
        maps = {log for row in self.t["map"].values() for log in row["log_tokens"]}
        assert set(self.t["log"]) <= maps, "the devkit asks for a map of every log"
        assert all((root / row["filename"]).is_file() for row in self.t["map"].values())
        for table in ("sample", "sample_data", "sample_annotation"):
            for token, row in self.t[table].items():
                assert row["next"] == "" or self.t[table][row["next"]]["prev"] == token
                assert row["prev"] == "" or self.t[table][row["prev"]]["next"] == token
        for row in self.t["instance"].values():
            chain = self.chain("sample_annotation", row["first_annotation_token"])
            assert len(chain) == row["nbr_annotations"] and chain[-1]["token"] == row["last_annotation_token"]
        for row in self.t["scene"].values():
            chain = self.chain("sample", row["first_sample_token"])
            assert len(chain) == row["nbr_samples"] and chain[-1]["token"] == row["last_sample_token"]
            assert [s["timestamp"] for s in chain] == sorted(s["timestamp"] for s in chain)

    def chain(self, table: str, token: str) -> list[dict]:
        """Rows from one on, in time order."""
        out = []
        while token:
            out.append(self.t[table][token])
            token = out[-1]["next"]
        return out

    def samples(self) -> list[dict]:
        """Scene by scene, in time order."""
        return [s for scene in self.t["scene"].values() for s in self.chain("sample", scene["first_sample_token"])]

    def keyframes(self, sample: dict) -> dict[str, dict]:
        """Channel -> keyframe of a sample."""
        rows = [r for r in self.t["sample_data"].values() if r["sample_token"] == sample["token"] and r["is_key_frame"]]
        out = {channel(self.t, r): r for r in rows}
        assert len(out) == len(rows), "one keyframe of each channel"
        return out

    def poses(self, row: dict) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """``T_world_ego``, ``T_ego_sensor`` and the camera matrix of a file."""
        mounted = self.t["calibrated_sensor"][row["calibrated_sensor_token"]]
        K = np.array(mounted["camera_intrinsic"]) if mounted["camera_intrinsic"] else None
        return matrix(self.t["ego_pose"][row["ego_pose_token"]]), matrix(mounted), K

    def boxes(self, sample: dict, row: dict) -> list[tuple[np.ndarray, list[float], str]]:
        """Pose in a file's sensor frame, size (length, width, height) and name of every box, as ``get_sample_data``."""
        world_ego, ego_sensor, _ = self.poses(row)
        out = []
        for a in self.t["sample_annotation"].values():
            if a["sample_token"] == sample["token"]:
                category = self.t["instance"][a["instance_token"]]["category_token"]
                w, length, h = a["size"]
                place = np.linalg.inv(world_ego @ ego_sensor) @ matrix(a)
                out.append((place, [length, w, h], self.t["category"][category]["name"]))
        return out

    def cloud(self, row: dict) -> np.ndarray:
        """(n, 5) of a LiDAR file, as it is stored."""
        return np.fromfile(self.root / row["filename"], "<f4").reshape(-1, 5)

    def sweeps(self, row: dict, n: int) -> list[tuple[np.ndarray, float]]:
        """Points (m, 3) of a file and those before it in its frame, and the age (s) of each, as ``multisweep``."""
        here = np.linalg.inv(self.poses(row)[0] @ self.poses(row)[1])
        out, now = [], row["timestamp"]
        while row and len(out) < n:
            world_ego, ego_sensor, _ = self.poses(row)
            T = here @ world_ego @ ego_sensor
            out.append((self.cloud(row)[:, :3] @ T[:3, :3].T + T[:3, 3], (now - row["timestamp"]) * 1e-6))
            row = self.t["sample_data"].get(row["prev"], {})
        return out
