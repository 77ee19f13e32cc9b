"""Tables of nuScenes, read by JSON and NumPy alone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np


def tables(root: Path) -> dict[str, dict[str, dict]]:
    """Table -> token -> row."""
    folder = next(root.glob("v1.0-*"))
    return {p.stem: {r["token"]: r for r in json.loads(p.read_text())} for p in folder.glob("*.json")}


def matrix(record: dict) -> np.ndarray:
    """Pose (4, 4) of a row with a translation and a rotation (w x y z)."""
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
    """Name of the sensor of a row of sample_data."""
    return t["sensor"][t["calibrated_sensor"][row["calibrated_sensor_token"]]["sensor_token"]]["channel"]
