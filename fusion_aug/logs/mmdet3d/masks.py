"""Labels of single points that info files name: ``pts_semantic_mask_path`` and ``pts_panoptic_mask_path``.

A file holds a number for every point of the sample's own cloud: a byte (nuScenes-lidarseg), uint32 with the class in
the low 16 bits and the instance in the high ones (SemanticKITTI), or an int64 class; a panoptic file is an npz whose
``data`` are class * 1000 + instance (nuScenes-panoptic). Sweeps have none, and are unlabelled.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from calib.regular_files import is_there
from fusion_aug.errors import DataError
from fusion_aug.logs.core.files import copy_file
from fusion_aug.logs.core.point_labels import LabelLayout, as_files_hold_labels, label_file, label_layout
from fusion_aug.logs.mmdet3d.contents import MASK_FIELDS
from fusion_aug.logs.mmdet3d.fields import as_list
from fusion_aug.logs.mmdet3d.places import LIDAR_CHANNEL, candidates
from fusion_aug.streams import LazyColumns, Points
from fusion_aug.streams.source import Source

SEMANTIC, PANOPTIC = MASK_FIELDS
BY_BYTES = {
    1: label_layout(LabelLayout("mmdet3d_uint8", "|u1", 256, 1, 1, 1)),
    4: label_layout(LabelLayout("mmdet3d_uint32", "<u4", 2**16, 2**16, 1, 2**16)),
    8: label_layout(LabelLayout("mmdet3d_int64", "<i8", 2**31, 1, 1, 1)),
}
ZIPPED = label_layout(LabelLayout("mmdet3d_panoptic", "<u2", 66, 1000, 1000, 1, zipped=True))


class Mask(NamedTuple):
    """A file of labels.

    Attributes:
        field: that names it. named: path as the info gives it. record: path from the root. layout: of the file.
    """

    field: str
    named: str
    record: str
    layout: LabelLayout


def masks_of(log: Any, sample_id: str) -> list[Mask]:
    """The files of labels of a sample's own cloud that lie below the root; the last one's classes are ``label``.

    Args:
        log: with info files. sample_id: of the sample.

    Raises:
        DataError: a file does not hold one number for every point, or its name leads out of the log.
    """
    file, number = log.locate(sample_id)
    left_out = as_list(log.options.leave_out)  # which an output need not have any more
    row = {f: file.rows[number].get(f) for f in (PANOPTIC, SEMANTIC) if f not in left_out}
    named = {f: name for f, name in row.items() if isinstance(name, str) and name}
    if not named:
        return []
    info, where = file.info(number), f"{file.path}: sample {file.tokens[number]}"
    cloud = log.find(info.lidar, LIDAR_CHANNEL, where)
    points = (log.root / cloud).stat().st_size // (4 * log.layout(info, cloud).width)
    out = []
    for field, name in named.items():
        places = candidates(name, LIDAR_CHANNEL, ())
        record = next((p for p in places if is_there(log.path_in(p, where))), None)
        if record is not None:
            out.append(Mask(field, name, record, _layout(log.root / record, points)))
    return out


def _layout(path: Path, points: int) -> LabelLayout:
    if path.suffix == ".npz":
        return ZIPPED
    size = path.stat().st_size
    layout = next((one for width, one in BY_BYTES.items() if size == width * points), None)
    if layout is None:
        raise DataError(
            f"{path}: its {size} bytes are no labels of the {points} points of its cloud, of 1, 4 or 8 bytes each; "
            f"leave them out with log.leave_out=[{SEMANTIC},{PANOPTIC}]"
        )
    return layout


def label_columns(masks: list[Mask]) -> tuple[str, ...]:
    """Columns of the cloud that the files hold."""
    own = {c for m in masks for c in m.layout.columns}
    both = ("panoptic_label",) if len(masks) > 1 else ()
    return tuple(c for c in ("label", "instance") if c in own) + both


def mask_sources(masks: list[Mask], root: Path) -> list[Source]:
    """The files, decoded on first use."""
    return [m.layout.source(root / m.record, label=_class_column(m, masks)) for m in masks]


def _class_column(mask: Mask, masks: list[Mask]) -> str:
    return "panoptic_label" if len(masks) > 1 and mask.field == PANOPTIC else "label"


def as_masks_are_held(cloud: Points, masks: list[Mask], time: int, unlabelled: int | None) -> Points:
    """A cloud as the files give it back: sweeps have no labels.

    Args:
        cloud: of the sample. masks: of it. time: ns, of its own cloud. unlabelled: class for points without one.
    """
    held = [c for c in label_columns(masks) if c in cloud.values]
    if not held or isinstance(cloud.values, LazyColumns):
        return cloud
    return as_files_hold_labels(cloud, held, cloud.capture_times == time, unlabelled)


def write_mask(
    mask: Mask, masks: list[Mask], cloud: Points, item: int, path: Path, link: str, unlabelled: int | None
) -> None:
    """Write the labels of one cloud, copied where it is untouched.

    Args:
        mask: which file of all ``masks``. cloud, item: as it is written. path: of the new file. link: "copy" or "hard".
        unlabelled: class for points without one, or None, which refuses them.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    untouched = label_file(cloud, item, mask.layout.name)
    if untouched is not None:
        copy_file(untouched, path, link)
        return
    columns = cloud.realized_items()[item]
    values = {**columns, "label": columns[_class_column(mask, masks)]}
    mask.layout.written(values, path, mask.field, unlabelled)
