"""SemanticKITTI: a sample is a file of ``velodyne``; a label is a uint32, of which the low 16 bits are the class."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fusion_aug.check.counts.classes import ByClass, CountedByClass, class_counter
from fusion_aug.check.counts.core import Counted, Counts, counter
from fusion_aug.check.counts.files import LogFiles, pictures_by_stem
from fusion_aug.errors import DataError

CLOUD = "velodyne"
POINT, LABEL = 16, 4  # bytes: four float32, and one uint32
DIGITS = 9  # of the number that a scan is called by


class Scan(NamedTuple):
    """One scan, by the names of its files.

    Attributes:
        folder: of the sequence. name: of its files. place: among the scans of the sequence. scans: how many these are.
    """

    folder: Path
    name: str
    place: int
    scans: int

    @property
    def cloud(self) -> Path:
        """Its points."""
        return self.folder / CLOUD / f"{self.name}.bin"

    @property
    def labels(self) -> Path:
        """Their labels, which may not be there."""
        return self.folder / "labels" / f"{self.name}.label"


@counter("semantickitti")
def count(root: Path, options: Mapping[str, Any]) -> Counted:
    """Pictures, points (four float32 each) and poses, scan by scan."""
    files = LogFiles(root, options)
    return {name: partial(count_scan, files, scan) for name, scan in scans(files)}


def scans(files: LogFiles) -> Iterator[tuple[str, Scan]]:
    """Id and files of every scan."""
    above = "" if (files.root / "sequences").is_dir() else "dataset/"
    for folder in files.matching(f"{above}sequences/*"):
        names = [p.stem for p in files.matching(f"{CLOUD}/*", folder) if p.suffix.lower() == ".bin"]
        names = sorted((n for n in names if n.isascii() and n.isdigit() and len(n) <= DIGITS), key=int)
        sequence, mark, copy = folder.name.partition("__")
        for place, name in enumerate(names):
            yield f"{sequence}/{name}{mark}{copy}", Scan(folder, name, place, len(names))


def count_scan(files: LogFiles, scan: Scan) -> Counts:
    """One scan."""
    out: dict[str, dict[str, int]] = {CLOUD: {"sweeps": 1, "points": points_of(files, scan)}}
    for folder in files.matching("image_[0-9]", scan.folder):
        picture = pictures_by_stem(files.matching(f"{scan.name}.*", folder)).get(scan.name)
        if picture is not None:
            out[folder.name] = {"pictures": int(files.is_whole_picture(picture))}
    poses = scan.folder / "poses.txt"
    if files.is_file(poses):
        rows = len(files.read(poses).splitlines())
        out["ego"] = {"poses": int(rows == scan.scans or rows > int(scan.name))}
    return out


def points_of(files: LogFiles, scan: Scan) -> int:
    """Points of a scan.

    Raises:
        DataError: there are not as many labels, where it has a file of them.
    """
    points, labels = files.size(scan.cloud) // POINT, files.size(scan.labels)
    if files.is_file(scan.labels) and labels != points * LABEL:
        raise DataError(f"{scan.labels}: holds {labels / LABEL:g} labels, and {scan.cloud.name} {points} points")
    return points


@class_counter("semantickitti")
def count_classes(root: Path, options: Mapping[str, Any]) -> CountedByClass:
    """Points by class, scan by scan."""
    files = LogFiles(root, options)
    return {name: partial(classes_of, files, scan) for name, scan in scans(files)}


def classes_of(files: LogFiles, scan: Scan) -> ByClass:
    """Points of a scan by class; nothing where it has no labels."""
    if not files.is_file(scan.labels):
        return {}
    raw = files.read(scan.labels)
    labels = np.frombuffer(raw[: len(raw) // LABEL * LABEL], "<u4") & 0xFFFF
    classes, numbers = np.unique(labels, return_counts=True)
    return {CLOUD: {int(c): int(n) for c, n in zip(classes, numbers, strict=True)}}
