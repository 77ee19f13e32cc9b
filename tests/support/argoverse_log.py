"""Small Argoverse 2 logs made on the spot, and readers of them by NumPy, SciPy and pyarrow alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
from pyarrow import feather
from scipy.spatial.transform import Rotation

T0 = 315966265_000000000
SWEEP, STEP = 100_000_000, 10_000_000  # ns between sweeps, and between poses
CAMERAS = ("ring_front_center", "ring_front_left", "ring_front_right")
SLOPE = (0.08, -0.05)  # the ground rises by so much per metre along the city's x and y
CELL = 0.3  # m, of the ground raster
PLACE, YAW = (120.0, 250.0), 0.7  # of the vehicle in the city at first
CAR = {"length_m": 4.0, "width_m": 2.0, "height_m": 3.0}


def write(path: Path, columns: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    feather.write_feather(pa.table(dict(columns)), str(path), compression="uncompressed")


def read(path: Path) -> dict[str, np.ndarray]:
    table = feather.read_table(str(path))
    return {name: table[name].to_numpy(zero_copy_only=False) for name in table.column_names}


def ground(xy: np.ndarray) -> np.ndarray:
    """Height of the made street at (n, 2) m in the city."""
    return 20.0 + (xy - PLACE) @ np.array(SLOPE)


def pose_columns(turns: Rotation, places: np.ndarray) -> dict[str, np.ndarray]:
    q = np.atleast_2d(turns.as_quat())
    names = ("qx", "qy", "qz", "qw")
    return {n: q[:, i] for i, n in enumerate(names)} | {f"t{c}_m": places[:, i] for i, c in enumerate("xyz")}


def poses_of(table: Mapping[str, np.ndarray], rows: Any = slice(None)) -> tuple[Rotation, np.ndarray]:
    turns = Rotation.from_quat(np.stack([table[c][rows] for c in ("qx", "qy", "qz", "qw")], -1))
    return turns, np.stack([table[f"t{c}_m"][rows] for c in "xyz"], -1)


def make_log(
    folder: Path, sweeps: int = 2, *, close_stamps: bool = False, pictures: bool = False, seed: int = 0,
    own: Mapping[str, Any] | None = None,
) -> Path:  # fmt: skip
    """A log of a tilted vehicle on a sloping street, its points on the ground but for those of one car.

    Args:
        close_stamps: write every pose a second and a third time, 1 and 2 ns later.
        pictures: at the stamps of the sweeps, of three cameras.
        own: further columns of the clouds, each a function of the number of points.
    """
    rng = np.random.default_rng(seed)
    stamps = T0 + np.arange(-20 * STEP, sweeps * SWEEP + 20 * STEP, STEP)
    stamps = np.sort(np.concatenate([stamps + k for k in range(3)])) if close_stamps else stamps
    seconds = (stamps - T0) * 1e-9
    turns = Rotation.from_euler(
        "ZYX", np.stack([YAW + 0.1 * seconds, *[np.full(len(seconds), v) for v in (0.03, -0.02)]], 1)
    )
    xy = np.array(PLACE) + 5 * seconds[:, None] * [np.cos(YAW), np.sin(YAW)]
    places = np.column_stack([xy, ground(xy) + 0.3])
    write(folder / "city_SE3_egovehicle.feather", {"timestamp_ns": stamps, **pose_columns(turns, places)})
    ahead = Rotation.from_matrix([[0, 0, 1], [-1, 0, 0], [0, -1, 0]])
    looks = [
        Rotation.identity(),
        Rotation.identity(),
        ahead,
        *(Rotation.from_euler("z", a) * ahead for a in (0.8, -0.7)),
    ]
    mounts = np.array([[1.3, 0, 1.6], [1.3, 0, 1.5], [1.6, 0, 1.4], [1.5, 0.3, 1.4], [1.5, -0.3, 1.4]])
    table = pose_columns(Rotation.concatenate(looks), mounts)
    write(
        folder / "calibration/egovehicle_SE3_sensor.feather",
        {"sensor_name": ["up_lidar", "down_lidar", *CAMERAS], **table},
    )
    size = {"height_px": np.full(3, 48, np.uint16), "width_px": np.full(3, 64, np.uint16)}
    lens = {
        "fx_px": [60.0, 61, 62],
        "fy_px": [60.0] * 3,
        "cx_px": [31.5, 30, 33],
        "cy_px": [23.5] * 3,
        "k1": [0.1, 0.2, 0.3],
    }
    write(
        folder / "calibration/intrinsics.feather",
        {"sensor_name": CAMERAS, **lens, "k2": [0.0] * 3, "k3": [0.0] * 3, **size},
    )
    cuboids: dict[str, list[Any]] = {}
    for i in range(sweeps):
        stamp = T0 + i * SWEEP
        cloud = make_cloud(rng, turns[list(stamps).index(stamp)], places[list(stamps).index(stamp)])
        inside = int((np.abs(np.stack([cloud[c] for c in "xyz"], 1) - [8, 2, 1.2]) <= [2, 1, 1.5]).all(1).sum())
        cloud |= {n: make(len(cloud["x"])) for n, make in (own or {}).items()}
        write(folder / f"sensors/lidar/{stamp}.feather", cloud)
        row = {"timestamp_ns": stamp, "track_uuid": "car", "category": "REGULAR_VEHICLE", **CAR, "qw": 1.0, "qx": 0.0,
               "qy": 0.0, "qz": 0.0, "tx_m": 8.0, "ty_m": 2.0, "tz_m": 1.2, "num_interior_pts": inside}  # fmt: skip
        for name, value in row.items():
            cuboids.setdefault(name, []).append(value)
        for name in CAMERAS if pictures else ():
            path = folder / f"sensors/cameras/{name}/{stamp + CAMERAS.index(name)}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), rng.integers(0, 256, (48, 64, 3), np.uint8))
    if pictures:  # a pose for each
        add_poses(folder, [T0 + i * SWEEP + k for i in range(sweeps) for k in range(3)])
    write(folder / "annotations.feather", cuboids)
    make_maps(folder / "map", folder.name)
    return folder


def add_poses(folder: Path, stamps: Sequence[int]) -> None:
    """Give the log a pose at every stamp, that of the nearest one."""
    path = folder / "city_SE3_egovehicle.feather"
    table = read(path)
    wanted = np.union1d(table["timestamp_ns"], stamps)
    nearest = np.abs(table["timestamp_ns"][None] - wanted[:, None]).argmin(1)
    write(path, {**{n: c[nearest] for n, c in table.items()}, "timestamp_ns": wanted})


def make_cloud(rng: np.random.Generator, turn: Rotation, place: np.ndarray) -> dict[str, np.ndarray]:
    xy = place[:2] + rng.uniform(-30, 30, (3000, 2))
    street = turn.inv().apply(np.column_stack([xy, ground(xy)]) - place)
    xyz = np.concatenate([street, rng.uniform([6.5, 1.5, 0.2], [9.5, 2.5, 2.2], (200, 3))]).astype(np.float32)
    n = len(xyz)
    columns = {c: xyz[:, i] for i, c in enumerate("xyz")} | {"intensity": rng.integers(0, 256, n).astype(np.uint8)}
    laser, offset = rng.integers(0, 64, n).astype(np.uint8), np.sort(rng.integers(0, 99_000_000, n)).astype(np.int32)
    return {**columns, "laser_number": laser, "offset_ns": offset}


def make_maps(folder: Path, name: str) -> None:
    """A ground raster whose frame is turned against the city, and a vector map of two lanes."""
    folder.mkdir(parents=True)
    R, t = Rotation.from_euler("z", 0.2).as_matrix()[:2, :2], np.array([12.0, -170.0])
    rows, columns = np.mgrid[0:700, 0:640] + 0.5  # heights of the middles of the cells
    xy = (np.stack([columns, rows], -1) * CELL - t) @ R
    heights = ground(xy.reshape(-1, 2)).reshape(rows.shape).astype(np.float16)
    heights[:, :50] = np.nan
    np.save(folder / f"{name}_ground_height_surface____PIT.npy", heights)
    (folder / f"{name}___img_Sim2_city.json").write_text(
        json.dumps({"R": R.ravel().tolist(), "t": t.tolist(), "s": 1 / CELL})
    )
    (folder / f"log_map_archive_{name}____PIT_city_1.json").write_text(json.dumps(VECTOR_MAP))


def line(*points: tuple[float, float]) -> list[dict[str, float]]:
    heights = ground(np.array(points)).tolist()
    return [{"x": x, "y": y, "z": z} for (x, y), z in zip(points, heights, strict=True)]


def lane(number: int, y: float, left: int | None, right: int | None) -> dict[str, Any]:
    """A lane 3 m wide that leads along the city's x."""
    edges = {"left_lane_boundary": line((110, y + 3), (140, y + 3)), "right_lane_boundary": line((110, y), (140, y))}
    marks = {"left_lane_mark_type": f"LEFT_OF_{number}", "right_lane_mark_type": f"RIGHT_OF_{number}"}
    links = {"left_neighbor_id": left, "right_neighbor_id": right, "predecessors": [7], "successors": [8, 9]}
    return {"id": number, "is_intersection": False, "lane_type": "VEHICLE", **edges, **marks, **links}


VECTOR_MAP = {
    "lane_segments": {"1": lane(1, 250.0, 2, None), "2": lane(2, 253.0, None, 1)},
    "drivable_areas": {"5": {"id": 5, "area_boundary": line((105, 240), (150, 240), (150, 262))}},
    "pedestrian_crossings": {
        "6": {"id": 6, "edge1": line((120, 248), (120, 258)), "edge2": line((124, 248), (124, 258))}
    },
}


# --- reading ----------------------------------------------------------------------------------------------------------
def points(folder: Path, stamp: int) -> np.ndarray:
    """Points (n, 3) of a sweep, in the vehicle's frame."""
    table = read(folder / f"sensors/lidar/{stamp}.feather")
    return np.stack([table[c].astype(float) for c in "xyz"], 1)


def in_city(folder: Path, stamp: int, xyz: np.ndarray) -> np.ndarray:
    """Points (n, 3) of the vehicle's frame at a stamp, in the city."""
    table = read(folder / "city_SE3_egovehicle.feather")
    turn, place = poses_of(table, int(np.flatnonzero(table["timestamp_ns"] == stamp)[0]))
    return turn.apply(xyz) + place


def stamps_of(folder: Path) -> list[int]:
    return sorted(int(p.stem) for p in (folder / "sensors/lidar").glob("*.feather"))


def height_over_map(folder: Path, city: np.ndarray) -> np.ndarray:
    """Heights (n,) of points over the ground raster, by the rule of the format's own reader: p = s (R q + t), cut to
    whole numbers, column and row; NaN outside."""
    similarity = json.loads(next((folder / "map").glob("*___img_Sim2_city.json")).read_text())
    heights = np.load(next((folder / "map").glob("*_ground_height_surface____*.npy"))).astype(np.float32)
    R, t = np.array(similarity["R"]).reshape(2, 2), np.array(similarity["t"])
    cell = ((city[:, :2] @ R.T + t) * similarity["s"]).astype(np.int64)
    inside = (cell >= 0).all(1) & (cell[:, 0] < heights.shape[1]) & (cell[:, 1] < heights.shape[0])
    out = np.full(len(city), np.nan)
    out[inside] = city[inside, 2] - heights[cell[inside, 1], cell[inside, 0]]
    return out
