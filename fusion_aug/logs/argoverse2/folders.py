"""Argoverse 2 sensor dataset: which logs and samples a folder holds, and what its files are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from torch import Tensor

from fusion_aug.errors import DataError
from fusion_aug.logs.argoverse2 import maps
from fusion_aug.logs.argoverse2.contents import NO_SAMPLE, NO_SWEEP, STRAY_BOXES
from fusion_aug.logs.argoverse2.feather import read_arrow, schema_of
from fusion_aug.logs.argoverse2.tables import LABELS
from fusion_aug.logs.argoverse2.vector_map import read_vector_map
from fusion_aug.logs.core.contents import LEFT_OUT, Fields, Part, contents_of
from fusion_aug.logs.core.log import Format, Log, LogOptions
from fusion_aug.logs.core.sidecar import ids_in_manifest
from fusion_aug.logs.core.vector_maps import VectorMap, map_range_of
from fusion_aug.streams import MapElements

END = 50_000_000  # ns: pictures so far before the first sweep or after the last one belong to it
MOST_SCHEMAS = 8  # clouds of a log whose columns are looked at, evenly spread


class Files(NamedTuple):
    """What lies in one log's folder.

    Attributes:
        folder: of the log. sweeps: stamps of the LiDAR sweeps, ns, sorted. pictures: camera -> stamps, sorted.
    """

    folder: Path
    sweeps: np.ndarray
    pictures: dict[str, np.ndarray]

    def sweeps_of(self, stamps: np.ndarray) -> np.ndarray:
        """Numbers of the sweeps that pictures with stamps (n,) belong to, the nearest ones; -1 where there is none."""
        if not len(self.sweeps):
            return np.full(len(stamps), -1)
        middles = (self.sweeps[:-1] + self.sweeps[1:]) // 2
        near = (stamps >= self.sweeps[0] - END) & (stamps < self.sweeps[-1] + END)
        return np.where(near, np.searchsorted(middles, stamps, side="right"), -1)


class ArgoverseFolders(Log):
    """The logs below a root, their samples, and the parts that their files are."""

    def __init__(self, root: str | Path, options: LogOptions, format: Format):
        super().__init__(root, options, format)
        found = sorted(p.parents[1] for n in range(3) for p in self.tree.glob("*/" * n + "sensors/lidar"))
        # a root that is one log itself has its own name, so that its copies get folders beside it
        names = [(self.root.resolve().name if p == self.root else str(p.relative_to(self.root)), p) for p in found]
        self.folders = dict(names)
        self._files: dict[str, Files] = {}
        self.map_range = map_range_of(options)
        if not self.folders:
            raise DataError(f"{self.root}: there is no Argoverse 2 log: expected LOG/sensors/lidar and LOG/calibration")

    def files(self, scene: str) -> Files:
        """Sweeps and pictures of a log, whose names are scanned once."""
        if scene not in self._files:
            self._files[scene] = self._scanned(self.folders[scene])
        return self._files[scene]

    def _scanned(self, folder: Path) -> Files:
        pictures = {}
        for camera in (p for p in self.tree.glob("sensors/cameras/*", folder) if p.is_dir()):
            pictures[camera.name] = self._stamps(camera, ".jpg")
        return Files(folder, self._stamps(folder / "sensors" / "lidar", ".feather"), pictures)

    def _stamps(self, folder: Path, suffix: str) -> np.ndarray:
        """Stamps (ns, sorted) that the files of a folder are called by."""
        names = [p.stem for p in self.tree.glob(f"*{suffix}", folder)]
        odd = [n for n in names if not n.isdigit() or int(n) >= 2**63]
        if odd:
            raise DataError(f"{folder / odd[0]}{suffix}: the name is not a stamp in nanoseconds")
        return np.array(sorted(map(int, names)), np.int64)

    @cached_property
    def _all(self) -> dict[str, tuple[str, int]]:
        """Id -> log and stamp, in order."""
        return {sweep_id(scene, t): (scene, t) for scene in self.folders for t in self.files(scene).sweeps.tolist()}

    @property
    def all_ids(self) -> Sequence[str]:
        """Ids of all sweeps, log by log."""
        return list(self._all)

    def names_of(self, sample_id: str) -> list[str]:
        """A sample is called by its id, its log (with and without the split), and the split."""
        scene = self.scene_of(sample_id)
        return [sample_id, scene, *scene.split("/")]

    def box_place(self, sample_id: str, stream: str, box: str) -> str:
        """The row of the log's table of annotations."""
        return f"{self.folders[self.scene_of(sample_id)] / 'annotations.feather'}: row {box}"

    def scene_of(self, sample_id: str) -> str:
        """Folder of a sample's log, relative to the root."""
        return self.locate(sample_id)[0]

    def locate(self, sample_id: str) -> tuple[str, int]:
        """Log and stamp (ns) of a sample."""
        try:
            return self._all[sample_id]
        except KeyError:
            raise DataError(f"{self.root}: there is no sweep {sample_id!r}") from None

    def cloud_file(self, sample_id: str, stream: str) -> Path:
        """The sweep."""
        scene, stamp = self.locate(sample_id)
        return self.folders[scene] / "sensors" / "lidar" / f"{stamp}.feather"

    def map_files(self, scene: str) -> list[Path]:
        """Maps of a log."""
        return [p for pattern in maps.PATTERNS for p in self.tree.glob(f"map/{pattern}", self.folders[scene])]

    @lru_cache(maxsize=8)  # noqa: B019
    def check_maps(self, scene: str) -> None:
        """Raise unless the maps of a log can be moved.

        Raises:
            DataError: a file is damaged.
        """
        maps.check_maps(self.map_files(scene))

    @lru_cache(maxsize=4)  # noqa: B019
    def vector_map(self, scene: str) -> VectorMap | None:
        """The vector map of a log in the city's coordinates; None where it has none.

        Raises:
            DataError: it is damaged, or there are several.
        """
        found = self.tree.glob(f"map/{maps.VECTOR}", self.folders[scene])
        if len(found) > 1:
            raise DataError(f"{found[0].parent}: holds {len(found)} {maps.VECTOR}; keep the one of the log")
        return read_vector_map(found[0]) if found else None

    def map_stream(self, scene: str, T_city_ref: Tensor, time: int, W: np.ndarray | None = None) -> MapElements | None:
        """The map within ``log.map_range`` of the vehicle; None where there is no map, or none is asked for.

        Args:
            scene: the log. T_city_ref: (4, 4) pose of the reference frame. time: ns, of the sample.
            W: (4, 4) map of the city after which the map is written; None where it stays.
        """
        city = None if self.map_range is None else self.vector_map(scene)
        if city is None or self.map_range is None:
            return None
        return (city if W is None else city.moved(W)).stream(T_city_ref, time, self.map_range)

    # --- account ------------------------------------------------------------------------------------------------------
    def place_of(self, path: str) -> tuple[str, str] | None:
        """Log of a file and its path from the log's folder; None for what lies in no log.

        Args:
            path: from the root, with slashes.
        """
        parts = path.split("/")
        found = ("/".join(parts[:n]) for n in range(min(3, len(parts))))
        folder = next((f for f in found if f in self._scenes), None)
        return None if folder is None else (self._scenes[folder], path[len(folder) :].lstrip("/"))

    @cached_property
    def _scenes(self) -> dict[str, str]:
        """Folder of a log from the root, with slashes -> the log's name."""
        return {"" if p == self.root else p.relative_to(self.root).as_posix(): n for n, p in self.folders.items()}

    @cached_property
    def _selected(self) -> dict[str, set[int]]:
        """Log -> numbers of its selected sweeps."""
        found: dict[str, set[int]] = {}
        for scene, stamp in map(self.locate, self.ids):
            found.setdefault(scene, set()).add(int(np.searchsorted(self.files(scene).sweeps, stamp)))
        return found

    def part_of(self, path: str) -> Part | None:
        """The part of the format that a file is: pictures, cuboids and logs without a sweep are parts too."""
        place = self.place_of(path)
        if place is None:
            return contents_of(()).file(path)
        scene, inner = place
        part = contents_of(self.format.contents).file(inner)
        if part is None or inner.startswith("fusion_aug/"):
            return part
        if not len(self.files(scene).sweeps):
            return NO_SAMPLE
        if inner == LABELS and scene in self._selected and self._has_stray_boxes(scene):
            return STRAY_BOXES
        return NO_SWEEP if self._sweep_of(scene, inner) == -1 else part

    def _has_stray_boxes(self, scene: str) -> bool:
        """Whether the annotations of a log have stamps at which there is no sweep."""
        path = self.tree.path(LABELS, scene, self.folders[scene])
        try:
            stamps = read_arrow(None, path, ("timestamp_ns",), only=("timestamp_ns",))["timestamp_ns"].to_numpy()
        except DataError:  # damaged annotations have no stamps to tell; their samples say so
            return False
        return not bool(np.isin(stamps, self.files(scene).sweeps).all())

    def is_selected_file(self, path: str) -> bool:
        """Whether a file belongs to the selected sweeps, or to a log of theirs as a whole."""
        if path.startswith("fusion_aug/samples/"):
            names = path.split("/")[2:]
            return any("/".join(names[:n]) in self._selected_sidecars for n in range(len(names)))
        place = self.place_of(path)
        if place is None or place[0] not in self._selected:
            return place is None
        number = self._sweep_of(*place)
        return number is None or number in self._selected[place[0]]

    @cached_property
    def _selected_sidecars(self) -> set[str]:
        named = ids_in_manifest(self.tree)
        return {named.get(i, i) for i in self.ids}

    def _sweep_of(self, scene: str, inner: str) -> int | None:
        """Number of the sweep that a cloud or a picture belongs to, -1 for none; None for other files of a log."""
        folder, _, name = inner.rpartition("/")
        stamp, _, suffix = name.partition(".")
        kinds = {"sensors/lidar": "feather", **{f"sensors/cameras/{c}": "jpg" for c in self.files(scene).pictures}}
        if kinds.get(folder) != suffix or not stamp.isdigit():
            return None
        return int(self.files(scene).sweeps_of(np.array([int(stamp)]))[0])

    def fields(self) -> Mapping[str, Fields]:
        """Columns of the tables of the selected logs and of some of their clouds, and fields of their vector maps."""
        out: dict[str, Fields] = {}
        for scene in self._selected:
            folder, sweeps = self.folders[scene], self.files(scene).sweeps
            some = sweeps[np.unique(np.linspace(0, len(sweeps) - 1, MOST_SCHEMAS).round().astype(int))]
            tables = [f"sensors/lidar/{t}.feather" for t in some.tolist()]
            tables += [p.relative_to(folder).as_posix() for p in self.tree.glob("calibration/*.feather", folder)]
            tables += [p.relative_to(folder).as_posix() for p in self.tree.glob("*.feather", folder)]
            prefix = "" if folder == self.root else folder.relative_to(self.root).as_posix() + "/"
            known = contents_of(self.format.contents)
            for table in tables:
                part = known.file(table)
                if part is not None and part.fate != LEFT_OUT:
                    out[prefix + table] = partial(_columns_of, folder / table)
            for path in self.tree.glob(f"map/{maps.VECTOR}", folder):
                out[prefix + path.relative_to(folder).as_posix()] = partial(maps.fields_of, path)
        return out


def _columns_of(path: Path) -> list[str]:
    names: list[str] = schema_of(path).names
    return names


def sweep_id(scene: str, stamp: int) -> str:
    """Id of a sweep. A copy k of a log lies in LOG__k; its samples are called LOG/STAMP__k."""
    name, mark, copy = scene.partition("__")
    return f"{name}/{stamp}{mark}{copy}"
