"""Maps of a log under a motion of the scene.

A rigid motion changes no coordinate in the city. A mirror or a scale does, by one map W of the city for the whole log
(docs/design.md), and the log's maps follow without being resampled: points of the vector map by W; the ground raster by
flipping its rows, by heights, and by the similarity that leads from the city to its cells, ``p = s (R q + t)``, whose R
stays a rotation. What is left of a lane is right of it after a mirror: boundaries, marks and neighbours change places.
A mark such as ``DASH_SOLID_WHITE`` is named from its own lane outwards, so that it stays.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from calib.regular_files import check_regular
from calib.ties import TIE
from fusion_aug.errors import DataError
from fusion_aug.logs.core.files import read_json, write_json
from fusion_aug.logs.core.new_files import new_path

VECTOR, RASTER, SIM2 = "log_map_archive_*.json", "*_ground_height_surface____*.npy", "*___img_Sim2_city.json"
PATTERNS = (VECTOR, RASTER, SIM2)
SAME_HEIGHT = 1e-9  # m: a mirror alone leaves heights as they are, but for the rounding of W
SIDES = {"left_": "right_", "right_": "left_"}


class Sim2(NamedTuple):
    """A similarity of the plane, ``p = s (R q + t)``, from coordinates in the city to (column, row) of an array.

    Attributes:
        R: (2, 2) rotation. t: (2,) m. s: cells per metre.
    """

    R: np.ndarray
    t: np.ndarray
    s: float

    def after(self, W: np.ndarray, rows: int) -> Sim2:
        """The similarity after a map W (4, 4) of the city; after a mirror it leads to the array with its rows flipped.

        A cell holds what lies in [k, k + 1). Coordinates that computations put on a border, by ``TIE`` of a cell,
        keep their cell.
        """
        scale = W[2, 2]
        R = self.R @ (W[:2, :2] / scale).T
        t, s = scale * self.t - R @ W[:2, 3], self.s / scale
        to_cell = np.array([TIE, TIE])
        if is_mirror(W):
            R, t, to_cell = R * [[1.0], [-1.0]], t * [1.0, -1.0], np.array([TIE, rows - TIE])
        return Sim2(R, t + to_cell / s, s)

    @staticmethod
    def read(path: Path) -> Sim2:
        """Read ``R`` (row by row), ``t`` and ``s``.

        Raises:
            DataError: one is missing or no number, or R is no rotation.
        """
        data = read_json(path)
        try:
            R, t = np.array(data["R"], float).reshape(2, 2), np.array(data["t"], float).reshape(2)
            s = float(data["s"])
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{path}: expected R (4 numbers), t (2) and s ({error})") from None
        if not (np.isfinite(t).all() and np.isfinite(s) and s > 0):
            raise DataError(f"{path}: t and s: expected finite numbers, s above 0")
        if not (np.abs(R @ R.T - np.eye(2)).max() < 1e-6 and np.linalg.det(R) > 0):
            raise DataError(f"{path}: R: is no rotation")
        return Sim2(R, t, s)

    def write(self, path: Path) -> None:
        """Write what ``read`` reads."""
        write_json({"R": self.R.reshape(-1).tolist(), "t": self.t.tolist(), "s": self.s}, path)


def is_mirror(W: np.ndarray) -> bool:
    """Whether a similarity reverses left and right."""
    return bool(np.linalg.det(W[:3, :3]) < 0)


def copy_files(files: Sequence[Path], target: Path) -> None:
    """Copy files into a folder."""
    for path in files:
        check_regular(path)
        shutil.copyfile(path, new_path(target / path.name))


def write_moved_maps(files: Sequence[Path], target: Path, W: np.ndarray) -> None:
    """Write the maps of a log after a map W (4, 4) of the city, an upright similarity.

    Raises:
        DataError: see ``check_maps``.
    """
    for path in _of(files, VECTOR):
        write_json(moved_vector_map(read_json(path), W), target / path.name)
    rasters, similarity = _rasters(files)
    for path in rasters:
        assert similarity is not None
        heights = read_heights(path)
        Sim2.read(similarity).after(W, len(heights)).write(target / similarity.name)
        np.save(new_path(target / path.name), moved_heights(heights, W))


def check_maps(files: Sequence[Path]) -> None:
    """Raise unless the maps of a log can be moved.

    Raises:
        DataError: a file is damaged, or a raster does not have exactly one similarity beside it.
    """
    for path in _of(files, VECTOR):
        data = read_json(path)
        if not isinstance(data, dict):
            raise DataError(f"{path}: expected a mapping of lane_segments, drivable_areas, pedestrian_crossings")
        try:
            moved_vector_map(data, np.eye(4))
        except RecursionError:
            raise DataError(f"{path}: is nested too deep") from None
    rasters, similarity = _rasters(files)
    for path in rasters:
        read_heights(path)
    if similarity is not None:
        Sim2.read(similarity)


def _rasters(files: Sequence[Path]) -> tuple[list[Path], Path | None]:
    """The ground rasters of a log and the similarity that leads to their cells."""
    rasters, similarities = _of(files, RASTER), _of(files, SIM2)
    if (len(rasters), len(similarities)) not in ((0, 0), (1, 1)):
        raise DataError(
            f"{files[0].parent}: holds {len(rasters)} *_ground_height_surface____*.npy and {len(similarities)} "
            f"*___img_Sim2_city.json; a mirror or a scale needs one of each, or none"
        )
    return rasters, similarities[0] if rasters else None


def _of(files: Sequence[Path], pattern: str) -> list[Path]:
    return [p for p in files if p.match(pattern)]


# --- ground raster ----------------------------------------------------------------------------------------------------
def read_heights(path: Path) -> np.ndarray:
    """A raster of heights (rows, columns), m; not read before it is used.

    Raises:
        DataError: it is damaged, or no table of numbers.
    """
    try:
        check_regular(path)
        heights: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: cannot be read as an array ({error})") from None
    if heights.ndim != 2 or heights.dtype.kind not in "fiu":
        raise DataError(f"{path}: expected heights (rows, columns), got {heights.dtype} {heights.shape}")
    return heights


def moved_heights(heights: np.ndarray, W: np.ndarray) -> np.ndarray:
    """Heights (rows, columns) after a map W of the city, rows flipped after a mirror.

    Other heights than before are stored in float32 at least: half precision is off by 15 mm at 40 m.
    """
    flipped = heights[::-1] if is_mirror(W) else heights
    if abs(W[2, 2] - 1) < SAME_HEIGHT and abs(W[2, 3]) < SAME_HEIGHT:
        return np.ascontiguousarray(flipped)
    kind = heights.dtype if heights.dtype in (np.float32, np.float64) else np.dtype(np.float32)
    return np.ascontiguousarray((W[2, 2] * flipped.astype(np.float64) + W[2, 3]).astype(kind))


# --- vector map -------------------------------------------------------------------------------------------------------
def moved_vector_map(node: Any, W: np.ndarray) -> Any:
    """A vector map, or a part of it, after a map W of the city.

    Every mapping with numbers x, y (and z) is a point. After a mirror the fields ``left_*`` and ``right_*`` change
    places; successors, predecessors and all else stay.
    """
    a, b, c = W.tolist()[:3]
    mirrored = is_mirror(W)

    def moved(node: Any) -> Any:
        if isinstance(node, list):
            return [moved(v) for v in node]
        if not isinstance(node, Mapping):
            return node
        if _is_point(node):
            x, y, z = node["x"], node["y"], node.get("z", 0.0)
            point = {"x": a[0] * x + a[1] * y + a[3], "y": b[0] * x + b[1] * y + b[3], "z": c[2] * z + c[3]}
            return {k: point.get(k, v) for k, v in node.items()}
        return {_other_side(k) if mirrored else k: moved(v) for k, v in node.items()}

    return moved(node)


def _is_point(node: Mapping[str, Any]) -> bool:
    return all(isinstance(node.get(k), int | float) for k in "xy") and isinstance(node.get("z", 0.0), int | float)


def _other_side(name: str) -> str:
    return next((other + name[len(side) :] for side, other in SIDES.items() if name.startswith(side)), name)


def fields_of(path: Path) -> set[str]:
    """Names of the fields of a vector map: ``lane_segments.left_lane_boundary``.

    Raises:
        DataError: it is damaged.
    """
    data = read_json(path)
    names = set()
    for section, members in data.items() if isinstance(data, dict) else ():
        rows = members.values() if isinstance(members, dict) else members if isinstance(members, list) else ()
        names |= {f"{section}.{k}" for row in rows if isinstance(row, dict) for k in row} or {str(section)}
    return names
