"""Where the files of info files lie below the root: infos name them with or without their folders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from calib.regular_files import is_there, open_regular
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.logs.core.flat_clouds import FlatLayout
from fusion_aug.logs.core.flat_evidence import other_layout
from fusion_aug.logs.core.tree import Tree
from fusion_aug.logs.mmdet3d.contents import COLUMNS
from fusion_aug.sample.manifest import NAME as MANIFEST

SPLITS = ("training", "testing")
# Waymo's cameras in the order of its folders image_0, image_1, ..., as mmdetection3d names them
WAYMO = ("CAM_FRONT", "CAM_FRONT_LEFT", "CAM_FRONT_RIGHT", "CAM_SIDE_LEFT", "CAM_SIDE_RIGHT")
LIDAR_CHANNEL = "LIDAR_TOP"
LOOKED_AT = 2**22  # bytes of a cloud that tell how many numbers a point has


def info_paths(tree: Tree, names: Sequence[str] | None) -> list[str]:
    """Paths from the root of the info files of a log.

    Args:
        tree: the log's. names: what ``log.infos`` gives; None for all ``*infos*.pkl`` in the root, or where none is
            called so, for all ``*.pkl``.

    Raises:
        DataError: there is none. ConfigError: one that is named does not lie below the root.
    """
    if names is None:
        for pattern in ("*infos*.pkl", "*.pkl"):
            found = [p.name for p in tree.glob(pattern) if "dbinfos" not in p.stem]
            if found:
                return found
        raise DataError(f"{tree.root}: there is no info file (*infos*.pkl); name it with log.infos=FILE")
    found = []
    for name in names:
        path = _below(tree, Path(name))
        if path is not None:
            found.append(path)
        elif not (tree.root / MANIFEST).is_file():  # a run writes info files of the selected samples only
            raise ConfigError(f"log.infos: there is no {name} below {tree.root}")
    return found


def _below(tree: Tree, name: Path) -> str | None:
    """The path from the root of a file that is named from there, from here, or in full."""
    root = tree.root.resolve()
    for path in (tree.root / name, (tree.root / name).with_name(f"{name.name}.pkl"), name):
        if is_there(path):
            full = path.parent.resolve() / path.name
            if full.is_relative_to(root):
                return full.relative_to(root).as_posix()
    return None


def candidates(named: str, channel: str, cameras: Sequence[str]) -> Iterator[str]:
    """Paths from the root where a file may lie: of its own folders, then where data sets keep such files.

    Args:
        named: path as the info gives it. channel: a camera, or ``LIDAR_CHANNEL``. cameras: of the sample, in order.
    """
    kept = [p for p in Path(named.replace("\\", "/")).parts if p not in ("/", ".", "..")]
    yield from ("/".join(kept[i:]) for i in range(len(kept)))
    if channel == LIDAR_CHANNEL:
        folders = [f"samples/{channel}", f"sweeps/{channel}", "points", "velodyne"]
        folders += [f"{split}/velodyne" for split in SPLITS]
    else:
        order = WAYMO if channel in WAYMO else cameras
        folders = [f"samples/{channel}", f"sweeps/{channel}", "points", f"images/{channel}"]
        folders += [f"{split}/image_{order.index(channel)}" for split in SPLITS]
    yield from (f"{folder}/{kept[-1]}" for folder in folders if kept)


def layout_of(path: Path, width: int, declared: FlatLayout | None) -> FlatLayout:
    """The numbers of every point of a cloud.

    Args:
        path: of the cloud. width: numbers per point as the info gives them, 0 if it does not. declared: the layout
            that ``log.columns`` gives.

    Raises:
        ConfigError: ``log.columns`` gives another number than the info.
    """
    if declared is not None:
        if width not in (0, declared.width):
            raise ConfigError(f"log.columns: {declared.width} columns, but num_pts_feats of the info file is {width}")
        return declared
    return standard_layout(width or _width(path))


def standard_layout(width: int) -> FlatLayout:
    """x, y, z, intensity and further features."""
    return FlatLayout((*COLUMNS, *(f"feature_{i}" for i in range(len(COLUMNS), width)))[:width])


def _width(path: Path) -> int:
    """Numbers per point, where nothing gives it: nuScenes has 5, KITTI 4; where both fit, by the numbers themselves."""
    size = path.stat().st_size
    if size % 20 or size % 16:
        return 5 if size % 20 == 0 else 4
    with open_regular(path) as file:
        raw = file.read(LOOKED_AT - LOOKED_AT % 80)
    return 4 if other_layout(raw, 5, (0, 1, 2)) and not other_layout(raw, 4, (0, 1, 2)) else 5
