"""Grids of occupancy beside a nuScenes root, as Occ3D-nuScenes lays them out.

``gts/<name of the scene>/<token of the sample>/labels.npz`` holds ``semantics``, ``mask_lidar`` and ``mask_camera``,
(200, 200, 16) each, x before y before z: cells of 0.4 m of the vehicle's frame at the LiDAR's stamp.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from calib.regular_files import is_there
from fusion_aug.errors import DataError
from fusion_aug.logs.core.contents import LEFT_OUT, Part
from fusion_aug.logs.core.files import copy_file, inside
from fusion_aug.logs.core.log import Log
from fusion_aug.logs.core.new_numbers import OPTION, as_asked
from fusion_aug.logs.core.npz import npz_names, parse_npz, write_npz
from fusion_aug.logs.nuscenes.tables import Tables
from fusion_aug.sample import REF, Sample
from fusion_aug.sample.sensors import matches
from fusion_aug.streams import LazyColumns, Occupancy
from fusion_aug.streams.occupancy import check_grids
from fusion_aug.streams.source import Source, decoder

GRID, FOLDER, FILE = "occupancy", "gts", "labels.npz"
SHAPE, LOW, CELL = (200, 200, 16), (-40.0, -40.0, -1.0), (0.4, 0.4, 0.4)
COLUMNS = {"semantics": "label", "mask_lidar": "seen_by_lidar", "mask_camera": "seen_by_camera"}  # array -> column
NAMES = (
    "others", "barrier", "bicycle", "bus", "car", "construction_vehicle", "motorcycle", "pedestrian", "traffic_cone",
    "trailer", "truck", "driveable_surface", "other_flat", "sidewalk", "terrain", "manmade", "vegetation", "free",
)  # fmt: skip
EXCLUDED = Part("grids of occupancy", LEFT_OUT, "log.exclude leaves them out")
NO_SAMPLE = Part("grids of no sample", LEFT_OUT, "no sample of the tables has this token in a scene of this name")


class LogWithGrids(Log):
    """A log with tables, whose samples may have grids of occupancy."""

    tables: Tables

    def part_of(self, path: str) -> Part | None:
        """The part of the format that a file is; grids are those of samples, or of none."""
        sample = sample_of_grid(self.tables, path)
        if sample is None:
            return super().part_of(path)
        return NO_SAMPLE if not sample else EXCLUDED if self._excludes_grids else super().part_of(path)

    @property
    def _excludes_grids(self) -> bool:
        return matches(GRID, self.tables.exclude)

    def finished(self, sample: Sample) -> Sample:
        """The sample with its grid, where there is one; that of a sidecar comes first."""
        sample = super().finished(sample)
        if GRID in sample.streams or self._excludes_grids or not (self.tree.root / FOLDER).is_dir():
            return sample
        path = self.path_in(place_of_grid(self.tables, sample.id), f"{self.tables.where('scene')}: name")
        return (
            sample.with_streams({**sample.streams, GRID: read_grid(path, sample.ref.time)})
            if is_there(path)
            else sample
        )


def place_of_grid(tables: Tables, sample_id: str, suffix: str = "") -> str:
    """Path of a sample's grid from the root; of a copy with the suffix of its token and its scene's name."""
    scene = tables.get("scene", tables.get("sample", sample_id)["scene_token"])
    return f"{FOLDER}/{scene['name']}{suffix}/{sample_id}{suffix}/{FILE}"


def sample_of_grid(tables: Tables, path: str) -> list[str] | None:
    """The sample that a file is the grid of; none of a grid of no sample, None of any other file."""
    parts = path.split("/")
    if parts[0] != FOLDER or parts[-1] != FILE or len(parts) < 4:
        return None
    try:
        return [parts[-2]] if path == place_of_grid(tables, parts[-2]) else []
    except DataError:
        return []


def read_grid(path: Path, time: int) -> Occupancy:
    """The grid of a file, which is read when it is looked at.

    Args:
        path: of the file. time: ns, of the sample.

    Raises:
        DataError: the file holds no ``semantics``, or an array that is not understood.
    """
    found = npz_names(path)
    other = sorted(set(found) - set(COLUMNS))
    if "semantics" not in found or other:
        what = f"holds {other[0]!r}, which is not understood; take it out" if other else "holds no 'semantics'"
        raise DataError(f"{path}: {what}")
    columns = [COLUMNS[name] for name in COLUMNS if name in found]
    return Occupancy(
        frame=REF, capture_times=torch.tensor([time]), values=LazyColumns([Source(path, "occ3d")], columns),
        low=LOW, cell=CELL, free=NAMES.index("free"), label_names=NAMES,
    )  # fmt: skip


@decoder("occ3d")
def decode_grid(path: Path, raw: bytes, options: dict[str, Any]) -> dict[str, Tensor]:
    """Columns (1, X, Y, Z) of the bytes of a file."""
    out = {}
    for name, array in parse_npz(path, raw).items():
        if array.shape != SHAPE or array.dtype.kind not in "biu":
            raise DataError(f"{path}: {name}: expected {SHAPE} whole numbers, got {array.shape} of {array.dtype}")
        out[COLUMNS.get(name, name)] = torch.from_numpy(array)[None]
    check_grids(out, Occupancy.unknown, str(path))
    return {name: as_asked(grid, options) if name == "label" else grid for name, grid in out.items()}


def has_place(grid: Occupancy) -> bool:
    """Whether the layout holds a grid."""
    ours = (grid.frame, grid.low, grid.cell, grid.unknown, grid.free, grid.label_names)
    if ours != (REF, LOW, CELL, 255, NAMES.index("free"), NAMES) or grid.present.tolist() != [True]:
        return False
    return is_file(grid) or (set(grid.values) <= set(COLUMNS.values()) and grid.values["label"].shape[1:] == SHAPE)


def is_file(grid: Occupancy) -> bool:
    """Whether a grid is that of a file of this layout."""
    return grid.sources is not None and [(s.decoder, OPTION in s.options) for s in grid.sources] == [("occ3d", False)]


def write_grid(tables: Tables, sample: Sample, source: Sample, suffix: str, folder: Path, link: str) -> dict[str, None]:
    """Write the grid of a sample where it lies in the layout, and a copy of its file where it is untouched.

    Args:
        tables: of the source. sample: what is written. source: that it was made from. suffix: of a copy.
        folder: mirrors the root of the output. link: "copy" or "hard", for an untouched file.

    Returns:
        ``{"occupancy": None}`` where it is written, for the sidecar; else nothing.
    """
    grid = sample.streams.get(GRID)
    if not isinstance(grid, Occupancy) or not has_place(grid):
        return {}
    path = inside(folder, place_of_grid(tables, source.id, suffix), f"{tables.where('scene')}: name")
    path.parent.mkdir(parents=True, exist_ok=True)
    if is_file(grid):
        copy_file(grid.sources[0], path, link)  # type: ignore[index]
    else:
        values = grid.realized().values
        write_npz({n: values[c][0].cpu().numpy() for n, c in COLUMNS.items() if c in values}, path)
    return {GRID: None}
