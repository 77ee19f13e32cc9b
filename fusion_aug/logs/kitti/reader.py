"""KITTI object detection: reader.

Streams: ``velodyne`` (frame ``lidar``), one of pictures for every folder ``image_0`` .. ``image_9``, ``boxes`` (in the
reference frame) and, where image_2 has a calibration, ``boxes_2d`` (on it, DontCare among them). The reference frame is
the velodyne's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from torch import Tensor

from calib import Frame, RadarSensor, Rig
from calib.kitti import CAMERAS, PROJECTIONS, KittiRow, kitti_matrices, kitti_rig, read_kitti_rows
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.logs.core.contents import CHANGED, LEFT_OUT, Fields, Part
from fusion_aug.logs.core.files import image_size, read_text
from fusion_aug.logs.core.flat_clouds import FlatLayout, flat_layout
from fusion_aug.logs.core.kept import Kept
from fusion_aug.logs.core.log import Format, Log, LogOptions
from fusion_aug.logs.core.sidecar import FOLDER as SIDECAR
from fusion_aug.logs.core.sidecar import merge_sidecar
from fusion_aug.logs.kitti.canvas import DEFAULT_SIZE, assumed_size, first_size
from fusion_aug.logs.kitti.contents import FRAME, NO_FRAME, ORPHANS, OTHER_LABELS
from fusion_aug.logs.kitti.labels import NAMES, STAMP, boxes_of_lines, read_lines, rectangles_of_lines
from fusion_aug.sample import Ref, Sample, SampleMeta
from fusion_aug.streams import Camera, LazyColumns, Radar, Stream
from fusion_aug.streams.source import Source

SUBSETS = ("training", "testing")
CLOUDS, CALIBRATION, PLANES = "velodyne", "calib", "planes"
LABELS = ("label_all", "label_2", "label_0")  # the first that a tree has; conversions of Waymo have all of them
SUFFIXES = {
    CLOUDS: (".bin",), **dict.fromkeys((CALIBRATION, PLANES, *LABELS), (".txt",)),
    **dict.fromkeys(CAMERAS, (".png", ".jpg", ".jpeg")),
}  # fmt: skip
DEFAULT_COLUMNS = ("x", "y", "z", "intensity")
KEPT_RIGS = 256  # of different calibrations
PROJECTION, EXTRINSICS = TURNS = ("projection", "extrinsics")


class KittiLog(Log):
    """A KITTI object-detection tree: ``training`` and ``testing``, each with calib, velodyne, image_2, label_2.

    ``log.select`` takes ids (``training/000008``), numbers, the name of a list in ``ImageSets``, or shell patterns.
    """

    def __init__(self, root: str | Path, options: LogOptions, format: Format):
        super().__init__(root, options, format)
        self.layout: FlatLayout = flat_layout(options.columns or DEFAULT_COLUMNS)
        self._rigs: Kept[Any, Rig] = Kept(KEPT_RIGS)
        if options.turn not in TURNS:
            raise ConfigError(f"log.turn: expected {' or '.join(TURNS)}, got {options.turn!r}")
        if not isinstance(options.crop_to_view, bool):
            raise ConfigError(f"log.crop_to_view: expected true or false, got {options.crop_to_view!r}")

    @cached_property
    def files(self) -> dict[str, dict[str, Path]]:
        """Folder from the root (``training/image_2``) -> stem of a file -> the file, of all folders that are read.

        Raises:
            DataError: two pictures belong to one frame.
        """
        out: dict[str, dict[str, Path]] = {}
        for part in SUBSETS:
            for folder, suffixes in SUFFIXES.items():
                found = out.setdefault(f"{part}/{folder}", {})
                for path in self.tree.glob(f"{part}/{folder}/*"):
                    if path.suffix.lower() not in suffixes or path.name.startswith("."):
                        continue
                    if path.stem in found:
                        raise DataError(f"{path}: {found[path.stem].name} belongs to the same frame; keep one of them")
                    found[path.stem] = path
        return out

    @cached_property
    def all_ids(self) -> list[str]:
        """Ids of all frames, ``training/000008``."""
        found = {f"{part}/{n}" for part in SUBSETS for f in (CLOUDS, *CAMERAS) for n in self.files[f"{part}/{f}"]}
        if not found:
            above = " (give the folder above)" if self.root.name in SUBSETS else ""
            raise DataError(
                f"{self.root}: no frames: expected training/velodyne/*.bin or training/image_2/*.png or *.jpg{above}"
            )
        return sorted(found)

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self.all_ids)

    @cached_property
    def _selected(self) -> frozenset[str]:
        return frozenset(self.ids)

    @cached_property
    def lists(self) -> dict[str, list[tuple[str, str | None]]]:
        """Lists of ``ImageSets`` by name: words, and the ids of the frames that they call; None where there is none.

        A line is one word where it is the name of a frame. Names of lists say which folder comes first: ``test*`` are
        of testing, but trees whose labelled frames all lie in training have a test.txt, too.
        """
        out = {}
        for path in self.tree.glob("ImageSets/*.txt"):
            subsets = SUBSETS[::-1] if path.stem.startswith("test") else SUBSETS
            lines = [line.strip() for line in read_text(path).splitlines()]
            words = [w for line in lines for w in ([line] if self._frame(line, subsets) else line.split())]
            out[path.stem] = [(word, self._frame(word, subsets)) for word in words]
        return out

    def _frame(self, number: str, subsets: Sequence[str]) -> str | None:
        return next((i for s in subsets if (i := f"{s}/{number}") in self._known), None)

    @cached_property
    def splits(self) -> dict[str, list[str]]:
        """Lists of ``ImageSets`` by name, as ids."""
        return {name: [i for _, i in words if i is not None] for name, words in self.lists.items()}

    @cached_property
    def _splits_of(self) -> dict[str, list[str]]:
        out: dict[str, list[str]] = {}
        for name, ids in self.splits.items():
            for i in ids:
                out.setdefault(i, []).append(name)
        return out

    def names_of(self, sample_id: str) -> list[str]:
        """A frame is called by its id, its number, and the splits it is in."""
        return [sample_id, sample_id.partition("/")[2], *self._splits_of.get(sample_id, [])]

    def is_selected_file(self, path: str) -> bool:
        """Whether a file belongs to a selected frame, by its name, or to no frame."""
        parts = path.split("/")
        of_frame = "/".join(parts[2:4]), f"{parts[0]}/{_stem(parts[-1])}"
        owner = of_frame[parts[:2] != [SIDECAR, "samples"]]
        return owner not in self._known or owner in self._selected

    def part_of(self, path: str) -> Part | None:
        """The part that a file is: only what belongs to a frame is written."""
        part = super().part_of(path)
        subset, _, rest = path.partition("/")
        folder, _, name = rest.partition("/")
        if part is None or part.fate != CHANGED or folder not in SUFFIXES:
            return part
        if f"{subset}/{_stem(name)}" not in self._known:
            return Part(f"{part.pattern} (no frame)", LEFT_OUT, ORPHANS)
        if folder in LABELS and folder != self.label_folder(f"{subset}/"):
            return Part(f"{part.pattern} (beside others)", LEFT_OUT, OTHER_LABELS)
        return part

    def fields(self) -> Mapping[str, Fields]:
        """Rows of the calibration files and fields of the labels of all frames, and what lists name."""
        out: dict[str, Fields] = {
            f"ImageSets/{name}.txt": {NO_FRAME if i is None else FRAME for _, i in words}
            for name, words in self.lists.items()
        }
        for folder, files in self.files.items():
            name = folder.partition("/")[2]
            for path in files.values() if name == CALIBRATION or name in LABELS else ():
                read = rows_of_calibration if name == CALIBRATION else fields_of_labels
                out[path.relative_to(self.root).as_posix()] = partial(read, path)
        return out

    def file(self, sample_id: str, folder: str) -> Path | None:
        """File of one frame in a folder; None if there is none."""
        part, _, number = sample_id.partition("/")
        return self.files[f"{part}/{folder}"].get(number)

    def cloud_file(self, sample_id: str, stream: str) -> Path | None:
        """The cloud of a frame."""
        return self.file(sample_id, CLOUDS)

    def label_folder(self, sample_id: str) -> str:
        """The folder with the labels of a frame."""
        return next((f for f in LABELS if self.files[f"{sample_id.partition('/')[0]}/{f}"]), "label_2")

    def box_place(self, sample_id: str, stream: str, box: str) -> str:
        """The line of the label file."""
        return f"{self.file(sample_id, self.label_folder(sample_id))}: line {int(box) + 1}"

    def read(self, sample_id: str) -> Sample:
        """Read one frame."""
        if sample_id not in self._known:
            raise DataError(f"{self.root}: there is no frame {sample_id!r}")
        pictures = {n: path for n in CAMERAS if (path := self.file(sample_id, n)) is not None}
        sizes = {n: image_size(p) for n, p in pictures.items()}
        rig = self._rig(sample_id, sizes)
        streams: dict[str, Stream] = {}
        cloud = self.file(sample_id, CLOUDS)
        if cloud is not None:
            lazy = LazyColumns([self.layout.source(cloud)], self.layout.columns)
            streams["velodyne"] = self.layout.stream(frame="lidar", capture_times=STAMP, values=lazy)
        for name, path in pictures.items():
            source = Source(path, "image", options={"size": sizes[name]})
            streams[name] = Camera(frame=name, capture_times=STAMP, items=(source,))
        folder = self.label_folder(sample_id)
        labels = self.file(sample_id, folder)
        if labels is not None:
            camera = "image_2" if folder == "label_2" else "image_0"
            lines = read_lines(read_text(labels), str(labels))
            streams["boxes"] = boxes_of_lines(lines, rig.T("velodyne", "rectified"))
            if camera in rig.sensors:
                streams["boxes_2d"] = rectangles_of_lines(lines, camera)
        meta = SampleMeta(
            id=sample_id, scene=sample_id, ref=Ref("velodyne", 0), rig=rig, true_rig=rig, clock="velodyne"
        )
        return merge_sidecar(Sample(metas=(meta,), streams=streams), self.tree)

    @cached_property
    def _first_pictures(self) -> dict[str, tuple[tuple[int, int] | None, list[Path]]]:
        """Camera -> (height, width) of the first whole picture that the tree has of it, and what was looked at."""
        pictures = {n: sorted(p for s in SUBSETS for p in self.files[f"{s}/{n}"].values()) for n in CAMERAS}
        return {name: first_size(paths) for name, paths in pictures.items()}

    @cached_property
    def _first_sizes(self) -> dict[str, tuple[int, int]]:
        return {name: size for name, (size, _) in self._first_pictures.items() if size}

    def files_beside(self) -> set[Path]:
        """Also the pictures that say how large the canvas is of selected frames without any."""
        if all(any(self.file(i, n) for n in CAMERAS) for i in self.ids):
            return super().files_beside()
        return super().files_beside() | {p for _, looked_at in self._first_pictures.values() for p in looked_at}

    def _canvas(self, camera: str, P: Tensor, sizes: Mapping[str, tuple[int, int]]) -> tuple[int, int]:
        """(height, width) of a camera: of its picture, of others in the frame, or else of those of other frames.

        Args:
            camera: image_2. P: (3, 4) its row. sizes: of the pictures of the frame.
        """
        known = sizes or self._first_sizes  # which reads files of other frames
        return known.get(camera) or next(iter(known.values()), None) or assumed_size(P)

    def is_canvas_known(self, sample: Sample, camera: str) -> bool:
        """Whether pictures, or else the benchmark, say how large the canvas of a camera is."""
        has_own = any(self.file(sample.id, n) for n in CAMERAS)
        return has_own or bool(self._first_sizes) or sample.rig.camera(camera).size == DEFAULT_SIZE

    def _rig(self, sample_id: str, sizes: Mapping[str, tuple[int, int]]) -> Rig:
        path = self.file(sample_id, CALIBRATION)
        if path is None:
            part, _, number = sample_id.partition("/")
            raise DataError(
                f"{self.root / part / CALIBRATION / number}.txt: is missing; every frame needs a calibration"
            )
        rows = tuple(read_kitti_rows(path))  # the same for all frames of a drive
        rig = self._rigs.get((rows, tuple(sizes.items())), lambda _: self._read_rig(rows, sizes, path))
        return self.with_rig_file(Rig(dict(rig.frames), dict(rig.sensors)))

    def _read_rig(self, rows: Sequence[KittiRow], sizes: Mapping[str, tuple[int, int]], path: Path) -> Rig:
        matrices = kitti_matrices(rows, str(path))
        canvases = {n: self._canvas(n, matrices[row], sizes) for n, row in PROJECTIONS.items() if row in matrices}
        rig = kitti_rig(matrices, DEFAULT_SIZE, str(path), canvases)
        for name in sizes:
            if name not in rig.sensors:
                raise DataError(
                    f"{path}: row {PROJECTIONS[name]} is missing or not set, and there are pictures of {name}"
                )
        sensor = rig.sensors["velodyne"]
        is_radar = issubclass(self.layout.stream, Radar)
        scanner = RadarSensor(frame="lidar") if is_radar else replace(sensor, frame="lidar")
        return replace(rig, frames={**rig.frames, "lidar": Frame(parent="velodyne")}).with_sensor("velodyne", scanner)


def rows_of_calibration(path: Path) -> list[str]:
    """Names of the rows of a calibration file, without comments."""
    labels = [row.label.rstrip(":") for row in read_kitti_rows(path)]
    return [label for label in labels if not label.startswith("#")]


def fields_of_labels(path: Path) -> Sequence[str]:
    """Names of the fields that the lines of a label file have."""
    return NAMES[: max((len(line.split()) for line in read_text(path).splitlines()), default=0)]


def _stem(name: str) -> str:
    """Name of a file without its ending, as ``Path.stem`` has it; a tree may have millions."""
    return name.rpartition(".")[0] or name
