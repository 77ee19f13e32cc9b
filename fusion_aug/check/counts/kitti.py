"""KITTI object detection: frames by the names of their files, labels by their lines."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from calib.regular_files import read_regular_text
from fusion_aug.check.counts.core import Counted, Counts, chosen_width, counter
from fusion_aug.check.counts.files import LogFiles, pictures_by_stem
from fusion_aug.errors import DataError

SUBSETS = ("training", "testing")
LABELS = ("label_all", "label_2", "label_0")  # the first that a tree has; conversions of Waymo have all of them
FIELDS = 15
UNSET_SIZE, UNSET_PLACE = -1.0, -1000.0  # of DontCare regions, and of objects that are labelled in the picture alone


@counter("kitti")
def count(root: Path, options: Mapping[str, Any]) -> Counted:
    """Pictures, points (four float32 each, or those of ``log.columns``), boxes in space and on the picture."""
    found: dict[str, Any] = {}
    files = LogFiles(root, options)
    for part in SUBSETS:
        folders = files.matching(f"{part}/image_*")
        pictures = {f.name: pictures_by_stem(files.matching("*", f)) for f in folders}
        clouds = {p.stem for p in files.matching(f"{part}/velodyne/*.bin")}
        labels = next((f for f in LABELS if files.matching(f"{part}/{f}/*.txt")), LABELS[0])
        for stem in sorted(clouds.union(*pictures.values())):
            mine = {name: stems[stem] for name, stems in pictures.items() if stem in stems}
            width = chosen_width(options, 4)
            found[f"{part}/{stem}"] = partial(count_frame, files, root / part, stem, mine, labels, width)
    return found


def count_frame(
    files: LogFiles, folder: Path, stem: str, pictures: Mapping[str, Path], label_folder: str, width: int
) -> Counts:
    """One frame."""
    out: dict[str, dict[str, int]] = {n: {"pictures": int(files.is_whole_picture(p))} for n, p in pictures.items()}
    cloud, labels = folder / "velodyne" / f"{stem}.bin", folder / label_folder / f"{stem}.txt"
    if files.is_file(cloud):
        out["velodyne"] = {"sweeps": 1, "points": files.size(cloud) // (4 * width)}
    if files.is_file(labels):
        lines = [line.split() for line in text_of(labels).splitlines()]
        lines = [words for words in lines if len(words) >= FIELDS]
        out["boxes_2d"] = {"boxes": sum(has_rectangle(words) for words in lines)}
        out["boxes"] = {"boxes": sum(has_place(words) for words in lines)}
    return out


def text_of(path: Path) -> str:
    """Text of a file, without a byte order mark.

    Raises:
        DataError: it is no text.
    """
    try:
        return read_regular_text(path, "utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from None


def has_rectangle(words: list[str]) -> bool:
    """Whether a line of a label file gives a box on the picture: one with an area."""
    left, top, right, bottom = map(float, words[4:8])
    return right > left and bottom > top


def has_place(words: list[str]) -> bool:
    """Whether a line of a label file gives a box in space; DontCare and labels of the picture alone give none."""
    sizes, place, turn = [float(w) for w in words[8:11]], [float(w) for w in words[11:14]], float(words[14])
    unset = all(v == UNSET_SIZE for v in sizes) or min(place) <= UNSET_PLACE or not any((*sizes, *place, turn))
    return words[0] != "DontCare" and not unset
