"""Argoverse 2: a sample is a LiDAR sweep with the pictures that lie nearer to it than to any other."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from calib.regular_files import read_regular
from fusion_aug.check.counts.core import Counted, Counts, counter
from fusion_aug.check.counts.files import LogFiles, once_per_file
from fusion_aug.check.counts.labels import Label, Labelled, labeller, points_inside, rotation_of
from fusion_aug.check.counts.roads import with_roads
from fusion_aug.check.counts.tracks import Moment, with_tracks
from fusion_aug.errors import DataError
from fusion_aug.safe.arrow import check_columns, check_decoded, check_ipc

END_NS = 50_000_000  # ns before the first sweep and after the last one, half the time between two
CLOUD = "lidar"


@counter("argoverse2")
def count(root: Path, options: Mapping[str, Any]) -> Counted:
    """Pictures, points, cuboids and poses of the vehicle, sweep by sweep."""
    found: dict[str, Any] = {}
    places: dict[str, tuple[Path, int]] = {}
    pictures: dict[Path, dict[str, list[int]]] = {}
    files = LogFiles(root, options)
    for sample, (folder, stamp, first, last) in sweeps(files).items():
        if folder not in pictures:
            pictures[folder] = pictures_of(files, folder)
        mine = {c: [t for t in stamps if first <= t < last] for c, stamps in pictures[folder].items()}
        places[sample] = folder, stamp
        found[sample] = partial(count_sweep, files, folder, stamp, {c: stamps for c, stamps in mine.items() if stamps})

    def place(sample: str) -> complex:
        folder, stamp = places[sample]
        poses = cuboids(files.checked(folder / "city_SE3_egovehicle.feather"))
        row = int(np.flatnonzero(poses["timestamp_ns"] == stamp)[0])
        return complex(poses["tx_m"][row], poses["ty_m"][row])

    def road(sample: str) -> Path | None:
        named = files.matching("map/log_map_archive_*.json", places[sample][0])
        return files.checked(named[0]) if named else None

    def moment(sample: str) -> Moment:
        folder, stamp = places[sample]
        mine = mine_of(files, folder, stamp)
        return Moment(str(folder), stamp, [] if mine is None else mine["track_uuid"].tolist())

    return with_tracks(with_roads(found, options, place, road), options, moment)


def sweeps(files: LogFiles) -> dict[str, tuple[Path, int, int, int]]:
    """Id -> folder of the log, stamp, and the first and last moment of the pictures of each sweep, ns."""
    found: dict[str, tuple[Path, int, int, int]] = {}
    root = files.root
    for folder in sorted(p.parents[1] for deep in range(3) for p in files.matching("*/" * deep + "sensors/lidar")):
        scene = root.resolve().name if folder == root else folder.relative_to(root).as_posix()
        name, mark, copy = scene.partition("__")
        stamps = sorted(int(p.stem) for p in files.matching("sensors/lidar/*.feather", folder) if p.stem.isdigit())
        limits = [(a + b) // 2 for a, b in pairwise(stamps)]
        for k, stamp in enumerate(stamps):
            first = limits[k - 1] if k else stamp - END_NS
            last = limits[k] if k < len(limits) else stamp + END_NS
            found[f"{name}/{stamp}{mark}{copy}"] = (folder, stamp, first, last)
    return found


def count_sweep(files: LogFiles, folder: Path, stamp: int, pictures: Mapping[str, list[int]]) -> Counts:
    """One sweep, with the stamps of its pictures by camera."""
    points = table(files.checked(cloud_of(folder, stamp)), ("x",))
    out: dict[str, dict[str, int]] = {CLOUD: {"sweeps": 1, "points": points.num_rows}}
    moments = {stamp}
    for camera, stamps in pictures.items():
        moments.update(stamps)
        paths = (folder / "sensors" / "cameras" / camera / f"{t}.jpg" for t in stamps)
        out[camera] = {"pictures": sum(map(files.is_whole_picture, paths))}
    boxes = mine_of(files, folder, stamp)
    if boxes is not None:
        out["boxes"] = {"boxes": len(boxes["timestamp_ns"])}
    out["ego"] = {"poses": len(moments)}
    return out


def cloud_of(folder: Path, stamp: int) -> Path:
    """File of a sweep."""
    return folder / "sensors" / "lidar" / f"{stamp}.feather"


def pictures_of(files: LogFiles, folder: Path) -> dict[str, list[int]]:
    """Camera -> stamps of its pictures, ns."""
    found: dict[str, list[int]] = {p.name: [] for p in files.matching("sensors/cameras/*", folder) if p.is_dir()}
    for path in files.matching("sensors/cameras/*/*.jpg", folder):
        found[path.parent.name] += [int(path.stem)] if path.stem.isdigit() else []
    return {camera: sorted(stamps) for camera, stamps in found.items()}


@once_per_file
def cuboids(path: Path) -> dict[str, np.ndarray]:
    """Columns of a table, of all cuboids or poses of a log."""
    found = table(path)
    return {name: found[name].to_numpy() for name in found.column_names}


def mine_of(files: LogFiles, folder: Path, stamp: int) -> dict[str, np.ndarray] | None:
    """Columns of the cuboids of one sweep; None where a log has none at all."""
    path = folder / "annotations.feather"
    if not files.is_file(path):
        return None
    return {name: column[cuboids(path)["timestamp_ns"] == stamp] for name, column in cuboids(path).items()}


def table(path: Path, columns: tuple[str, ...] | None = None) -> Any:
    """A feather file as a table of pyarrow, or some of its columns.

    Raises:
        DataError: it is missing or damaged, or holds far more than its file.
    """
    from pyarrow import ArrowException, BufferReader, feather, ipc

    try:
        data = read_regular(path)
        check_ipc(path, data)
        check_columns(ipc.open_file(BufferReader(data)).schema.names, path)
        found = feather.read_table(BufferReader(data), columns=None if columns is None else list(columns))
        check_decoded(found, len(data), path)
        return found
    except (OSError, ArrowException) as error:
        raise DataError(f"{path}: is not a readable feather file ({str(error).splitlines()[0]})") from None


@labeller("argoverse2")
def labels(root: Path, options: Mapping[str, Any]) -> Labelled:
    """Cuboids by track, and the points of the sweep in them."""
    files = LogFiles(root, options)
    return {i: partial(labels_of_sweep, files, folder, stamp) for i, (folder, stamp, _, _) in sweeps(files).items()}


def labels_of_sweep(files: LogFiles, folder: Path, stamp: int) -> dict[str, Label]:
    """Labels of one sweep; cloud and cuboids are in the vehicle's frame at its stamp."""
    mine = mine_of(files, folder, stamp)
    if mine is None or "num_interior_pts" not in mine:
        return {}
    cloud = table(files.checked(cloud_of(folder, stamp)), ("x", "y", "z"))
    points = np.stack([cloud[axis].to_numpy() for axis in "xyz"], axis=1)
    quaternions = np.stack([mine[f"q{axis}"] for axis in "wxyz"], axis=1)
    rotations = np.array([rotation_of(q) for q in quaternions]).reshape(-1, 3, 3)
    centres = np.stack([mine[f"t{axis}_m"] for axis in "xyz"], axis=1)
    sizes = np.stack([mine[f"{side}_m"] for side in ("length", "width", "height")], axis=1)
    inside = points_inside(points, centres, rotations, sizes)
    said = mine["num_interior_pts"]
    return {
        str(track): Label({}, {"num_interior_pts": int(said[i])}, {"num_interior_pts": inside[i]})
        for i, track in enumerate(mine["track_uuid"])
    }
