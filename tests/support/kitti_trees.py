"""KITTI trees made on the spot, and what training code reads from them: its formulas, by NumPy alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

Array = np.ndarray
HEIGHT, WIDTH = 96, 320
AXES = np.array([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]])  # LiDAR (x forward) to camera (z forward)
NO_LABEL = "DontCare -1 -1 -10 20.00 10.00 40.00 20.00 -1 -1 -1 -1000 -1000 -1000 -10"


def turn(axis: int, degrees: float) -> Array:
    """Rotation (3, 3) about x, y or z."""
    return cv2.Rodrigues(np.radians(degrees) * np.eye(3)[axis])[0]


def square(matrix: Array) -> Array:
    """(4, 4) of a 3x3 or 3x4."""
    out = np.eye(4)
    out[: matrix.shape[0], : matrix.shape[1]] = matrix
    return out


def calibration() -> dict[str, Array]:
    """Two colour cameras on a LiDAR that leans by 0.4 degrees, printed with few digits as KITTI prints them."""
    K = np.array([[350.0, 0, 158.3, 0], [0, 350.0, 47.1, 0], [0, 0, 1, 0]])
    P = {f"P{i}": K.copy() for i in range(4)}
    for name, shift in (("P1", -0.54), ("P2", 0.06), ("P3", -0.47)):
        P[name][:, 3] = K[:, :3] @ [shift, 0.002, 0.003]
    rotation = AXES @ turn(1, 0.4)
    Tr = np.column_stack([rotation, [-0.004, -0.076, -0.272]])
    few = {"R0_rect": turn(0, -0.1) @ turn(2, -0.2), "Tr_velo_to_cam": Tr}
    imu = {"Tr_imu_to_velo": np.column_stack([turn(2, 0.8), [-0.81, 0.32, -0.8]])}
    return {**P, **{n: np.array([[float(f"{v:.6e}") for v in row] for row in m]) for n, m in {**few, **imu}.items()}}


def write_calibration(path: Path, rows: Mapping[str, Array], colon: str = ":") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "".join(f"{n}{colon} {' '.join(f'{v:.12e}' for v in np.ravel(m))}".rstrip() + "\n" for n, m in rows.items())
    )


def read_rows(path: Path) -> dict[str, Array]:
    """Matrices of a file whose names have colons."""
    rows = (line.split(":", 1) for line in path.read_text().splitlines() if ":" in line)
    numbers = {name: np.array(text.split(), float) for name, text in rows}
    return {name: m.reshape(3, -1) for name, m in numbers.items() if m.size}


def chain(rows: Mapping[str, Array]) -> Array:
    """L = R0 Tr (4, 4)."""
    return square(rows["R0_rect"]) @ square(rows["Tr_velo_to_cam"])


def label(place: Sequence[float], ry: float, rows: Mapping[str, Array], name: str = "Car", extra: str = "") -> str:
    """A line for a box (1.5 high, 1.6 wide, 3.9 long) at a place of rectified axes, its rectangle projected."""
    x, y, z = place
    local = np.array([[a * 1.95, b, c * 0.8] for a in (-1, 1) for b in (-1.5, 0) for c in (-1, 1)])
    corners = local @ np.array([[np.cos(ry), 0, -np.sin(ry)], [0, 1, 0], [np.sin(ry), 0, np.cos(ry)]]) + [x, y, z]
    seen = np.column_stack([corners, np.ones(8)]) @ rows["P2"].T
    pixels = seen[:, :2] / seen[:, 2:]
    left, top = np.maximum(pixels.min(0), 0)
    right, bottom = np.minimum(pixels.max(0), [WIDTH - 1, HEIGHT - 1])
    numbers = (0, 0, ry - np.arctan2(x, z), left, top, right, bottom, 1.5, 1.6, 3.9, x, y, z, ry)
    return f"{name} " + " ".join(f"{v:.2f}" for v in numbers) + extra


PLACES = (((-3.0, 1.6, 14.0), 0.7), ((2.5, 1.7, 22.0), -1.2), ((0.5, 1.5, 31.0), 2.4))


def ring_cloud(number: int = 6000, seed: int = 0) -> Array:
    """Points (n, 4) all around, x y z and intensity within 0 to 1."""
    rng = np.random.default_rng(seed)
    angle, distance = rng.uniform(-np.pi, np.pi, number), rng.uniform(4, 70, number)
    z = rng.uniform(-1.7, 1.0, number)
    return np.column_stack([distance * np.cos(angle), distance * np.sin(angle), z, rng.uniform(0, 1, number)])


def write_tree(
    root: Path,
    *,
    labels: Iterable[str] | None = None,
    rows: Mapping[str, Array] | None = None,
    cloud: Array | None = None,
    pictures: Sequence[str] = ("image_2", "image_3"),
    suffix: str = ".png",
) -> Path:
    """A tree of one frame, training/000000; three cars and a DontCare region by default."""
    rows = calibration() if rows is None else rows
    part = root / "training"
    labels = [*(label(place, ry, rows) for place, ry in PLACES), NO_LABEL] if labels is None else labels
    (part / "velodyne").mkdir(parents=True)
    (part / "velodyne/000000.bin").write_bytes((ring_cloud() if cloud is None else cloud).astype("<f4").tobytes())
    (part / "label_2").mkdir()
    (part / "label_2/000000.txt").write_text("".join(f"{line}\n" for line in labels))
    write_calibration(part / "calib/000000.txt", rows)
    for i, name in enumerate(pictures):
        (part / name).mkdir()
        small = np.random.default_rng(i).integers(0, 256, (HEIGHT // 8, WIDTH // 8, 3), dtype=np.uint8)
        cv2.imwrite(str(part / name / f"000000{suffix}"), cv2.resize(small, (WIDTH, HEIGHT)))
    return root


def read_labels(root: Path) -> list[list[str]]:
    """Fields of every line."""
    return [line.split() for line in (root / "training/label_2/000000.txt").read_text().splitlines()]


def read_cloud(root: Path, width: int = 4) -> Array:
    return np.fromfile(root / "training/velodyne/000000.bin", "<f4").reshape(-1, width)


# --- what training code makes of a tree ------------------------------------------------------------------------------
def rows_by_line(path: Path) -> dict[str, Array]:
    """A calibration file as OpenPCDet and mmdetection3d read it: by the number of the line."""
    lines = path.read_text().splitlines()
    numbers = [np.array(line.split(" ")[1:], float) for line in lines[:6]]
    names = ("P0", "P1", "P2", "P3", "R0_rect", "Tr_velo_to_cam")
    return {name: n.reshape(3, -1) for name, n in zip(names, numbers, strict=True)}


def boxes_of_loaders(root: Path) -> Array:
    """(n, 7) x y z l w h heading in the LiDAR frame.

    OpenPCDet (``KittiDataset.get_infos``) and mmdetection3d (``Box3DMode``) alike: the centre of the bottom goes
    through the inverse of R0 Tr, the heading is -(rotation_y + pi / 2).
    """
    L = chain(rows_by_line(root / "training/calib/000000.txt"))
    out = []
    for words in read_labels(root):
        h, w, length, x, y, z, ry = (float(v) for v in words[8:15])
        if words[0] == "DontCare" or x <= -1000:
            continue
        bottom = np.linalg.inv(L) @ [x, y, z, 1]
        out.append([*bottom[:2], bottom[2] + h / 2, length, w, h, -(ry + np.pi / 2)])
    return np.array(out)


def kept_by_openpcdet(points: Array, rows: Mapping[str, Array]) -> Array:
    """FOV_POINTS_ONLY: pixels are P2 X divided by the *nominal* depth (``Calibration.rect_to_img``)."""
    rect = np.column_stack([points[:, :3], np.ones(len(points))]) @ chain(rows).T
    seen = rect @ rows["P2"].T
    pixels = seen[:, :2] / rect[:, 2:3]
    inside = (pixels >= 0).all(1) & (pixels[:, 0] < WIDTH) & (pixels[:, 1] < HEIGHT)
    return inside & (seen[:, 2] - rows["P2"][2, 3] >= 0)


def kept_by_mmdetection3d(points: Array, rows: Mapping[str, Array]) -> Array:
    """``remove_outside_points``: inside the frustum up to 100 m of P2 = C (R, T), split by QR of its inverse."""
    P2 = rows["P2"]
    Rinv, Cinv = np.linalg.qr(np.linalg.inv(P2[:, :3]))
    C, R, T = np.linalg.inv(Cinv), np.linalg.inv(Rinv), Cinv @ P2[:, 3]
    corners = []
    for depth in (0.001, 100.0):
        for u, v in ((0, 0), (0, HEIGHT), (WIDTH, HEIGHT), (WIDTH, 0)):
            corners.append([(u - C[0, 2]) / (C[0, 0] / depth), (v - C[1, 2]) / (C[1, 1] / depth), depth])
    frustum = (np.linalg.inv(R) @ (np.array(corners) - T).T).T
    frustum = (np.linalg.inv(chain(rows)) @ np.column_stack([frustum, np.ones(8)]).T).T[:, :3]
    keep = np.ones(len(points), bool)
    for face in ((0, 1, 2, 3), (7, 6, 5, 4), (0, 3, 7, 4), (1, 5, 6, 2), (0, 4, 5, 1), (3, 2, 6, 7)):
        a, b, c = frustum[list(face[:3])]
        normal = np.cross(a - b, b - c)
        keep &= (points[:, :3] - a) @ normal < 0
    return keep


def in_view(points: Array, rows: Mapping[str, Array], camera: str = "P2") -> Array:
    """Which points P R0 Tr takes onto the canvas, before the camera."""
    pixels, depth = project(points, rows, camera)
    return (depth > 0) & (pixels >= 0).all(1) & (pixels[:, 0] < WIDTH) & (pixels[:, 1] < HEIGHT)


def project(points: Array, rows: Mapping[str, Array], camera: str) -> tuple[Array, Array]:
    """Pixels (n, 2) and depths (n,) of P R0 Tr X."""
    homogeneous = np.column_stack([points[:, :3].astype(float), np.ones(len(points))])
    seen = homogeneous @ (rows[camera] @ chain(rows)).T
    return seen[:, :2] / seen[:, 2:], seen[:, 2]
