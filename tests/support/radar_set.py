"""A small data set in a layout that no reader knows: radar pictures, a camera, LiDAR tables, boxes as text, GPS/IMU."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

FRAMES, STEP, T0 = 4, 250_000_000, 1_600_000_000_000_000_000  # ns
SPEED, TURN = 8.0, 0.3  # m/s, rad/s
K, SIZE = [[60.0, 0.0, 31.5], [0.0, 60.0, 23.5], [0.0, 0.0, 1.0]], (48, 64)
MOUNTS = {
    "zed": ("camera", [[0, 0, 1, 1.6], [-1, 0, 0, 0.2], [0, -1, 0, 1.4], [0, 0, 0, 1]]),
    "velo": ("body", [[0, -1, 0, 0.3], [1, 0, 0, 0], [0, 0, 1, 1.9], [0, 0, 0, 1]]),
    "navtech": ("body", [[1, 0, 0, 0.0], [0, 1, 0, 0], [0, 0, 1, 2.2], [0, 0, 0, 1]]),
    "imu": ("body", [[1, 0, 0, -0.4], [0, 1, 0, 0], [0, 0, 1, 0.3], [0, 0, 0, 1]]),
}
CAR, WALKER = (15.0, 4.0, 0.8), (9.0, -3.0, 0.9)  # centres in the world: both stand still


def ego(time: int) -> np.ndarray:
    """``T_world_vehicle`` (4, 4) of a steady curve."""
    t = (time - T0) * 1e-9
    yaw, radius = TURN * t, SPEED / TURN
    T = np.eye(4)
    T[:2, :2] = [[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]]
    T[:2, 3] = radius * np.sin(yaw), radius * (1 - np.cos(yaw))
    return T


def stamps(frame: int) -> tuple[int, int, int]:
    """Times of radar, camera and LiDAR of a frame, ns."""
    time = T0 + frame * STEP
    return time - 20_000_000, time + 7_000_500, time


def box_rows(frame: int) -> list[list[float]]:
    """x y z, length, width, height, yaw of car and walker in the vehicle's frame at the LiDAR's time."""
    time = stamps(frame)[2]
    back, yaw = np.linalg.inv(ego(time)), TURN * (time - T0) * 1e-9
    rows = []
    for centre, size, turn in ((CAR, (4.5, 1.9, 1.6), 0.5), (WALKER, (0.6, 0.7, 1.8), -1.0)):
        place = back @ [*centre, 1.0]
        rows.append([*place[:3], *size, turn - yaw])
    return rows


def cloud(frame: int) -> np.ndarray:
    """(n, 4) float32 x y z intensity of a LiDAR scan, in the LiDAR's frame; every fifth point lies in the car."""
    rng = np.random.default_rng(frame)
    points = rng.uniform([-20, -20, -1.8], [30, 20, 3], (200, 3))
    x, y, z, *size, yaw = box_rows(frame)[0]
    turn = np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
    points[::5] = rng.uniform(-0.45, 0.45, (40, 3)) * size @ turn.T + [x, y, z]
    T = np.linalg.inv(np.array(MOUNTS["velo"][1], float))
    own = points @ T[:3, :3].T + T[:3, 3]
    return np.concatenate([own, rng.integers(0, 256, (200, 1))], 1).astype(np.float32)


def make_radar_set(root: Path) -> Path:
    """Write it."""
    for name in ("zed_left", "velo_lidar", "Navtech_Cartesian", "boxes"):
        (root / name).mkdir(parents=True)
    mounts = [[n, axes, T] for n, (axes, T) in MOUNTS.items()]
    (root / "calib.json").write_text(json.dumps({"K": K, "size": SIZE, "mounts": mounts}))
    lines = []
    for i in range(FRAMES):
        rng, name = np.random.default_rng(100 + i), f"{i + 1:06d}"
        lines.append(" ".join(map(str, (name, *stamps(i)))))
        cv2.imwrite(str(root / f"zed_left/{name}.png"), rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8))
        power = rng.integers(0, 50, (64, 64), dtype=np.uint8)
        power[rng.integers(0, 64, 12), rng.integers(0, 64, 12)] = rng.integers(100, 200, 12)
        cv2.imwrite(str(root / f"Navtech_Cartesian/{name}.png"), power)
        np.savetxt(root / f"velo_lidar/{name}.csv", cloud(i), delimiter=",", fmt="%.9g")
        rows = zip(("7 car", "9 pedestrian"), box_rows(i), strict=True)
        text = "".join(f"{head} {' '.join(map(repr, map(float, row)))}\n" for head, row in rows)
        (root / f"boxes/{name}.txt").write_text(text)
    (root / "stamps.txt").write_text("\n".join(lines) + "\n")
    times = range(T0 - 40_000_000, T0 + (FRAMES - 1) * STEP + 60_000_000, 10_000_000)
    rows = []
    for time in times:
        T, half = ego(time), TURN * (time - T0) * 1e-9 / 2
        numbers = [*T[:3, 3], np.cos(half), 0, 0, np.sin(half), 0, 0, TURN, 0, SPEED * TURN, 9.81]
        rows.append(",".join([str(time), *map(repr, map(float, numbers))]))
    (root / "gps_imu.csv").write_text("\n".join(rows) + "\n")
    return root
