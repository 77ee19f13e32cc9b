"""Trees of SemanticKITTI made on the spot, and what readers of the published layout make of them, by NumPy alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from kitti_trees import AXES, square

Array = np.ndarray
HEIGHT, WIDTH = 96, 320
STEP = (1.1, 0.04, 0.0)  # metres from scan to scan, in the vehicle's frame
TURN = 0.01  # rad from scan to scan
PERIOD = 0.1037  # s between scans
# class -> instances of it; what no instance is of has 0
OBJECTS = {40: (0,), 48: (0,), 50: (0,), 70: (0,), 10: (1, 2, 3), 30: (7,), 252: (4, 65535), 0: (0,), 1: (0,)}


def calibration() -> dict[str, Array]:
    """Projections and Tr, printed with 12 digits as the benchmark prints them."""
    K = np.array([[350.0, 0, 158.3, 0], [0, 350.0, 47.1, 0], [0, 0, 1, 0]])
    rows = {f"P{i}": K.copy() for i in range(4)}
    for name, shift in (("P1", -0.54), ("P2", 0.06), ("P3", -0.47)):
        rows[name][:, 3] = K[:, :3] @ [shift, 0.002, 0.003]
    leaning = cv2.Rodrigues(np.radians([0.0, 0.4, -0.2]))[0]
    rows["Tr"] = np.column_stack([AXES @ leaning, [-0.004, -0.076, -0.272]])
    return {n: np.array([[float(f"{v:.12e}") for v in row] for row in m]) for n, m in rows.items()}


def drive(scans: int) -> Array:
    """Poses (n, 4, 4) of the velodyne in its first frame: a gentle curve."""
    step = np.eye(4)
    step[:3, :3] = cv2.Rodrigues(np.array([0.0, 0.0, TURN]))[0]
    step[:3, 3] = STEP
    return np.stack([np.linalg.matrix_power(step, k) for k in range(scans)])


def scan(seed: int, count: int) -> tuple[Array, Array]:
    """Points (n, 4) float32 with intensities of two digits, and labels (n,) uint32 of all classes and instances."""
    rng = np.random.default_rng(seed)
    angle, distance = rng.uniform(-np.pi, np.pi, count), rng.uniform(4, 60, count)
    z, intensity = rng.uniform(-1.7, 1.0, count), rng.integers(0, 100, count) / 100
    points = np.column_stack([distance * np.cos(angle), distance * np.sin(angle), z, intensity]).astype("<f4")
    pairs = np.array([(label, instance) for label, own in OBJECTS.items() for instance in own])
    label, instance = pairs[rng.integers(0, len(pairs), count)].T
    return points, (label | instance << 16).astype("<u4")


def write_sequence(
    folder: Path,
    *,
    scans: Sequence[int] = (0, 1, 2),
    points: int = 600,
    labels: bool = True,
    poses: bool = True,
    times: bool = True,
    cameras: Sequence[str] = ("image_2", "image_3"),
) -> Path:
    """A sequence; its tables have a row for every number up to the last scan."""
    rows, count = calibration(), max(scans) + 1
    for name in ("velodyne", *(("labels",) if labels else ()), *cameras):
        (folder / name).mkdir(parents=True)
    write_rows(folder / "calib.txt", rows)
    Tr = square(rows["Tr"])
    if poses:
        track = [Tr @ pose @ np.linalg.inv(Tr) for pose in drive(count)]
        lines = [" ".join(f"{v:.6e}" for v in pose[:3].ravel()) for pose in track]
        (folder / "poses.txt").write_text("".join(f"{line}\n" for line in lines))
    if times:
        (folder / "times.txt").write_text("".join(f"{PERIOD * k:.6e}\n" for k in range(count)))
    for number in scans:
        cloud, numbers = scan(number, points)
        cloud.tofile(folder / f"velodyne/{number:06d}.bin")
        if labels:
            numbers.tofile(folder / f"labels/{number:06d}.label")
        for k, name in enumerate(cameras):
            small = np.random.default_rng(10 * number + k).integers(0, 256, (HEIGHT // 8, WIDTH // 8, 3), np.uint8)
            cv2.imwrite(str(folder / name / f"{number:06d}.png"), cv2.resize(small, (WIDTH, HEIGHT)))
    return folder


def write_tree(root: Path, scans: int = 3, points: int = 600) -> Path:
    """Two sequences: 00 with everything, and 11 with neither labels, pictures, poses nor times."""
    write_sequence(root / "sequences/00", scans=range(scans), points=points)
    write_sequence(
        root / "sequences/11", scans=range(min(scans, 2)), points=points, labels=False, poses=False, times=False,
        cameras=(),
    )  # fmt: skip
    return root


def write_rows(path: Path, rows: dict[str, Array]) -> None:
    path.write_text("".join(f"{n}: {' '.join(f'{v:.12e}' for v in np.ravel(m))}\n" for n, m in rows.items()))


# --- the published rules ----------------------------------------------------------------------------------------------
def read_calibration(folder: Path) -> dict[str, Array]:
    """Matrices (4, 4) of ``calib.txt``, as ``parse_calibration`` of the published API reads them."""
    lines = [line.strip().split(":") for line in (folder / "calib.txt").read_text().splitlines()]
    return {name: square(np.array(text.split(), float).reshape(3, 4)) for name, text in lines}


def read_poses(folder: Path) -> Array:
    """T_world_velodyne (n, 4, 4) of ``poses.txt``, as ``parse_poses`` of the published API has it."""
    Tr = read_calibration(folder)["Tr"]
    rows = np.loadtxt(folder / "poses.txt", ndmin=2).reshape(-1, 3, 4)
    return np.stack([np.linalg.inv(Tr) @ square(row) @ Tr for row in rows])


def read_times(folder: Path) -> Array:
    return np.loadtxt(folder / "times.txt", ndmin=1)


def read_scan(folder: Path, name: str) -> tuple[Array, Array, Array]:
    """Points (n, 4), classes (label & 0xFFFF) and instances (label >> 16) of a scan, one for each point."""
    points = np.fromfile(folder / f"velodyne/{name}.bin", "<f4").reshape(-1, 4)
    numbers = np.fromfile(folder / f"labels/{name}.label", "<u4")
    assert len(numbers) == len(points)
    return points, numbers & 0xFFFF, numbers >> 16


def by_class(labels: Array) -> Counter[int]:
    return Counter(labels.tolist())
