"""The sequences below a root, their scans, and what their files are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import NamedTuple

from calib.kitti import CAMERAS, read_kitti_rows
from calib.regular_files import is_there
from fusion_aug.errors import DataError
from fusion_aug.logs.core.contents import LEFT_OUT, Fields, Part, contents_of
from fusion_aug.logs.core.log import Format, Log, LogOptions
from fusion_aug.logs.core.sidecar import FOLDER as SIDECAR
from fusion_aug.logs.semantickitti.classes import SPLITS
from fusion_aug.logs.semantickitti.contents import NO_SCAN, NO_SEQUENCE

SEQUENCES, ABOVE = "sequences", "dataset"  # KITTI's archives unpack to dataset/sequences
CLOUDS, LABELS, CALIBRATION, POSES, TIMES = "velodyne", "labels", "calib.txt", "poses.txt", "times.txt"
SUFFIXES = {CLOUDS: (".bin",), LABELS: (".label",), **dict.fromkeys(CAMERAS, (".png", ".jpg", ".jpeg"))}
DIGITS = 9  # that the name of a scan has at most; the benchmark's have 6
COPY = "__"  # before the number of a copy, in ids and in names of sequences


class Files(NamedTuple):
    """What lies in the folder of a sequence.

    Attributes:
        folder: of the sequence. scans: their names, which are numbers, in order.
        by_scan: folder -> name of a scan -> its file there.
        tables: name -> its table with a row for every scan, and its calibration, where they are.
    """

    folder: Path
    scans: tuple[str, ...]
    by_scan: dict[str, dict[str, Path]]
    tables: dict[str, Path]


class Sequences(Log):
    """The sequences below a root, their samples, and the parts that their files are."""

    def __init__(self, root: str | Path, options: LogOptions, format: Format):
        super().__init__(root, options, format)
        above = [p for p in ("", f"{ABOVE}/") if self.tree.path(f"{p}{SEQUENCES}", str(self.root)).is_dir()]
        if not above:
            up = " (give the folder above)" if self.root.name == SEQUENCES or (self.root / CLOUDS).is_dir() else ""
            raise DataError(f"{self.root}: there is no SemanticKITTI: expected {SEQUENCES}/00/{CLOUDS}/*.bin{up}")
        self.prefix = f"{above[0]}{SEQUENCES}/"  # of the paths of sequences, from the root

    @cached_property
    def sequences(self) -> dict[str, Files]:
        """Sequences with scans by the names of their folders, in order."""
        found = {p.name: self._scanned(p) for p in self.tree.glob(f"{self.prefix}*") if p.is_dir()}
        return {name: files for name, files in found.items() if files.scans}

    def _scanned(self, folder: Path) -> Files:
        by_scan: dict[str, dict[str, Path]] = {}
        for name, suffixes in SUFFIXES.items():
            own = by_scan.setdefault(name, {})
            for path in self.tree.glob(f"{name}/*", folder):
                if path.suffix.lower() not in suffixes or not is_number(path.stem):
                    continue
                if path.stem in own:
                    raise DataError(f"{path}: {own[path.stem].name} belongs to the same scan; keep one of them")
                own[path.stem] = path
        tables = {n: self.tree.path(n, str(folder), folder) for n in (CALIBRATION, POSES, TIMES)}
        scans = tuple(sorted(by_scan[CLOUDS], key=lambda s: (int(s), s)))
        return Files(folder, scans, by_scan, {n: p for n, p in tables.items() if is_there(p)})

    @cached_property
    def _all(self) -> dict[str, tuple[str, int]]:
        """Id -> sequence, and place of the scan in it, in order."""
        return {scan_id(name, scan): (name, i) for name, f in self.sequences.items() for i, scan in enumerate(f.scans)}

    @property
    def all_ids(self) -> Sequence[str]:
        """Ids of all scans, sequence by sequence."""
        if not self._all:
            raise DataError(f"{self.root}: no scans: expected {self.prefix}00/{CLOUDS}/000000.bin")
        return list(self._all)

    def locate(self, sample_id: str) -> tuple[str, int]:
        """Sequence of a sample, and its place in it."""
        try:
            return self._all[sample_id]
        except KeyError:
            raise DataError(f"{self.root}: there is no scan {sample_id!r}") from None

    def scene_of(self, sample_id: str) -> str:
        """Sequence of a sample."""
        return self.locate(sample_id)[0]

    def names_of(self, sample_id: str) -> list[str]:
        """A scan is called by its id, its sequence, and the published split that this is in."""
        scene = self.scene_of(sample_id)
        splits = [name for name, members in SPLITS.items() if scene.partition(COPY)[0] in members]
        return [sample_id, scene, *splits]

    def file(self, sample_id: str, folder: str) -> Path | None:
        """File of a scan in a folder of its sequence; None if there is none."""
        scene, place = self.locate(sample_id)
        files = self.sequences[scene]
        return files.by_scan[folder].get(files.scans[place])

    def cloud_file(self, sample_id: str, stream: str) -> Path | None:
        """The cloud of a scan."""
        return self.file(sample_id, CLOUDS)

    # --- account ------------------------------------------------------------------------------------------------------
    @cached_property
    def _selected(self) -> dict[str, set[str]]:
        """Sequence -> names of its selected scans."""
        found: dict[str, set[str]] = {}
        for scene, place in map(self.locate, self.ids):
            found.setdefault(scene, set()).add(self.sequences[scene].scans[place])
        return found

    @cached_property
    def _selected_ids(self) -> frozenset[str]:
        return frozenset(self.ids)

    def part_of(self, path: str) -> Part | None:
        """The part of the format that a file is: only what belongs to a scan is written."""
        if not path.startswith(self.prefix):
            part = super().part_of(path)
            return part if part is None or f"/{SEQUENCES}/" not in f"/{path}" else contents_of(()).file(path)
        scene, _, inner = path[len(self.prefix) :].partition("/")
        folder, _, name = inner.rpartition("/")
        part = super().part_of(path)
        if part is None or part.fate == LEFT_OUT or not inner:
            return part
        if scene not in self.sequences:
            return NO_SEQUENCE
        if folder not in SUFFIXES:
            return part
        if not is_number(stem_of(name)):
            return None
        scans = self.sequences[scene].by_scan[CLOUDS]
        return part if stem_of(name) in scans else Part(f"{part.pattern} (no scan)", LEFT_OUT, NO_SCAN)

    def is_selected_file(self, path: str) -> bool:
        """Whether a file belongs to a selected scan, or to a sequence of theirs as a whole."""
        if path.startswith(f"{SIDECAR}/samples/"):
            return "/".join(path.split("/")[2:4]) in self._selected_ids
        if not path.startswith(self.prefix):
            return True
        scene, _, inner = path[len(self.prefix) :].partition("/")
        folder, _, name = inner.rpartition("/")
        own = self._selected.get(scene)
        if scene not in self.sequences:
            return True
        of_scan = folder in SUFFIXES and stem_of(name) in self.sequences[scene].by_scan[CLOUDS]
        return own is not None and (not of_scan or stem_of(name) in own)

    def fields(self) -> Mapping[str, Fields]:
        """Rows of the calibrations of the selected sequences."""
        paths = [self.sequences[scene].tables.get(CALIBRATION) for scene in self._selected]
        return {p.relative_to(self.root).as_posix(): partial(_labels_of, p) for p in paths if p is not None}


def _labels_of(path: Path) -> list[str]:
    """Names of the rows of a calibration file, without comments."""
    labels = [row.label.rstrip(":") for row in read_kitti_rows(path)]
    return [label for label in labels if not label.startswith("#")]


def scan_id(scene: str, scan: str) -> str:
    """Id of a scan. A copy k of sequence 00 is a sequence 00__k of its own; its samples are called 00/000000__k."""
    name, mark, copy = scene.partition(COPY)
    return f"{name}/{scan}{mark}{copy}"


def is_number(name: str) -> bool:
    """Whether a name is one that scans have."""
    return name.isascii() and name.isdigit() and len(name) <= DIGITS


def stem_of(name: str) -> str:
    """Name of a file without its ending; a tree may have many."""
    return name.rpartition(".")[0] or name
