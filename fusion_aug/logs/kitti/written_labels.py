"""What a KITTI label file holds after an augmentation, line by line of its source.

* A line stays as long as its box does; lines of the picture alone stay as long as their rectangle does. What is not set
  stays as it is written, and so does every number that did not change.
* 2-D box: the upright rectangle around the mapped corners, cut at the canvas (0 to width - 1). A rectangle that lies
  beside the projection of its own box was not measured: it stays, and takes no box with it.
* truncation: 1 - (1 - before) * (area inside / area); an object of which less than 5 % of that area, or less than
  2 pixels of width or height, is left on the canvas is removed. DontCare regions stay while any pixel of them does.
* alpha changes as it does in the axes of the real camera: not at all by a rigid motion, to pi - alpha by a mirror.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from calib.se3 import invert
from fusion_aug.logs.kitti.labels import REQUIRED, Label, boxes_from_labels, labels_from_boxes, view_angles, wrapped
from fusion_aug.logs.kitti.written_rectangles import Row, WrittenRectangles, rows_of
from fusion_aug.sample import Sample
from fusion_aug.streams import Boxes3D, strings
from fusion_aug.streams.columns import take_rows
from fusion_aug.transforms.scene import scene_motion

SAME = 5e-7  # half of the last digit that is written


@dataclass(frozen=True, eq=False)
class WrittenLabel:
    """One line of an output.

    Attributes:
        before: its line in the source; None for a box that was added.
        category: type of the object. values: the 14 numbers after it.
        box: row of the sample's boxes; None where it has none.
    """

    before: Label | None
    category: str
    values: tuple[float, ...]
    box: int | None

    @property
    def line(self) -> str:
        """The line; what did not change is written as it was."""
        words = [_text(v) for v in self.values]
        if self.before is None:
            return " ".join([self.category, *words])
        pairs = zip(words, self.values, self.before.words[1:REQUIRED], self.before.values, strict=True)
        kept = [old if abs(value - was) <= SAME else new for new, value, old, was in pairs]
        return " ".join([self.category, *kept, *self.before.words[REQUIRED:]])

    @property
    def has_rectangle(self) -> bool:
        """Whether it gives a box on the picture."""
        left, top, right, bottom = self.values[3:7]
        return right > left and bottom > top

    @property
    def score(self) -> str:
        """Its next field, or ""."""
        return " ".join(self.before.words[REQUIRED : REQUIRED + 1]) if self.before else ""


@dataclass(frozen=True, eq=False)
class LabelFile:
    """The label file of an augmented frame.

    Attributes:
        sample, source: the frame and what it was made from; both have ``boxes``, and ``boxes_2d`` where a camera is.
        lines: of the source's file.
        T_velo_rectified: (4, 4), the axes that the written labels are in.
    """

    sample: Sample
    source: Sample
    lines: Sequence[Label]
    T_velo_rectified: Tensor

    @cached_property
    def written(self) -> list[WrittenLabel]:
        """The lines of the output, in the source's order, and those of boxes that were added."""
        known = {str(label.number) for label in self.lines}
        changed = [self._changed(label) for label in self.lines]
        added = [self._added(row) for name, row in self.box_rows.items() if name not in known]
        return [label for label in (*changed, *added) if label is not None]

    @property
    def text(self) -> str:
        """The file."""
        return "".join(f"{label.line}\n" for label in self.written)

    @property
    def left_behind(self) -> int:
        """How many rectangles stay where they were while the picture moves, since nobody measured them."""
        flat = self.rectangles
        if flat is None:
            return 0
        rows = [(label, flat.rows.get(str(label.number))) for label in self.lines if label.has_rectangle]
        return sum(flat.stays_behind(x, row, has_box=x.has_box) for x, row in rows if row is not None)

    @cached_property
    def rectangles(self) -> WrittenRectangles | None:
        """The rectangles; None where there is no camera that they could be on."""
        return WrittenRectangles(self.sample, self.source) if "boxes_2d" in self.sample.streams else None

    @cached_property
    def box_rows(self) -> Row:
        """Instance -> row of the sample's boxes."""
        return rows_of(self.sample.boxes())

    @cached_property
    def rows_before(self) -> Row:
        """Instance -> row of the source's boxes."""
        return rows_of(self.source.boxes())

    @cached_property
    def numbers(self) -> Tensor:
        """(n, 7) h w l x y z rotation_y of the sample's boxes."""
        boxes = self.sample.boxes()
        return labels_from_boxes(invert(self.T_velo_rectified) @ boxes["pose"], boxes["size"])

    def _changed(self, label: Label) -> WrittenLabel | None:
        """A line of the source as it is written; None where it goes."""
        name, flat = str(label.number), self.rectangles
        box, category, values = self.box_rows.get(name), label.category, list(label.values)
        if label.has_box and box is None:
            return None  # of another class, or taken out
        if flat is not None and label.has_rectangle:
            row = flat.rows.get(name)
            told = None if row is None else flat.written(label, row, has_box=label.has_box)
            if row is None or told is None:
                return None
            category = str(flat.flat["category"][row])
            values[0], values[3:7] = told
        if box is not None:
            category = str(self.sample.boxes()["category"][box])
            values[7:14] = self.numbers[box].tolist()
            if label.alpha is not None:
                values[2] = self._alpha(name, box, label.alpha)
        return WrittenLabel(label, category, tuple(values), box)

    def _added(self, row: int) -> WrittenLabel:
        """The line of a box that the source does not have."""
        boxes = self.sample.boxes()
        alone = boxes.select(torch.arange(boxes.rows) == row)
        rectangle = [0.0] * 4 if self.rectangles is None else self.rectangles.added(alone)
        alpha = float(self._view_angle(self.sample, row))
        return WrittenLabel(
            None, str(boxes["category"][row]), (0.0, 0.0, alpha, *rectangle, *self.numbers[row].tolist()), row
        )

    def _alpha(self, name: str, row: int, before: float) -> float:
        """The observation angle of a box: as much another as it is in the axes of the real camera."""
        was, now = self._view_angle(self.source, self.rows_before[name]), self._view_angle(self.sample, row)
        start = torch.full_like(now, before)
        if self._is_mirrored:
            start, was = torch.pi - start, torch.pi - was
        return float(wrapped(start + wrapped(now - was)))

    @cached_property
    def _is_mirrored(self) -> bool:
        return float(torch.linalg.det(scene_motion(self.sample.meta.history)[:3, :3])) < 0

    def _view_angle(self, sample: Sample, row: int) -> Tensor:
        axes = "rectified" if self.rectangles is None else self.rectangles.camera
        return view_angles(invert(sample.rig.T("velodyne", axes)) @ sample.boxes()["pose"][row][None])[0]

    def as_read_back(self) -> Sample:
        """The sample with the boxes that the file holds: upright in its axes, ``instance`` the number of the line."""
        lines = list(enumerate(self.written))
        solid = [(number, x) for number, x in lines if x.box is not None]
        boxes = _taken(self.sample.boxes(), [x.box for _, x in solid], [n for n, _ in solid])
        pose, size = boxes_from_labels(_table([x for _, x in solid]))
        streams = {**self.sample.streams, "boxes": boxes.with_values(pose=self.T_velo_rectified @ pose, size=size)}
        if self.rectangles is not None:
            numbers = [number for number, x in lines if x.has_rectangle]
            flat = [self.written[number] for number in numbers]
            table, categories, scores = _table(flat), [x.category for x in flat], [x.score for x in flat]
            streams["boxes_2d"] = self.rectangles.as_read_back(table, categories, numbers, scores)
        return self.sample.with_streams(streams)


def _taken(boxes: Boxes3D, rows: Sequence[int | None], lines: Sequence[int]) -> Boxes3D:
    index = torch.tensor([r for r in rows if r is not None], dtype=torch.int64)
    values = {**take_rows(boxes.values, index), "instance": strings(str(n) for n in lines)}
    return replace(boxes, values=values, offsets=torch.tensor([0, len(rows)]), source_rows=None)


def _table(labels: Sequence[WrittenLabel]) -> Tensor:
    return torch.tensor([x.values for x in labels], dtype=torch.float64).reshape(-1, REQUIRED - 1)


def _text(value: float) -> str:
    return np.format_float_positional(round(value, 6) + 0.0, trim="-")
