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

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from calib.se3 import invert
from fusion_aug.logs.kitti.labels import (
    REQUIRED,
    VAGUE,
    Label,
    boxes_from_labels,
    labels_from_boxes,
    view_angles,
    wrapped,
)
from fusion_aug.sample import Sample
from fusion_aug.streams import Boxes2D, Boxes3D, rectangle_corners, strings
from fusion_aug.streams.base import Ragged
from fusion_aug.streams.columns import take_rows
from fusion_aug.transforms.scene import scene_motion

MIN_SHARE = 0.05
MIN_SIDE = 2.0
ALIKE = 0.1  # of the union, that a measured rectangle and the projection of its box have in common
NEAR = 0.1  # metres before the camera from which on corners are projected
SAME = 5e-7  # half of the last digit that is written
Row = Mapping[str, int]  # instance -> row of a stream


@dataclass(frozen=True, eq=False)
class WrittenLabel:
    """One line of an output.

    Attributes:
        before: its line in the source; None for a box that was added.
        category: type of the object. values: the 14 numbers after it.
        box, rectangle: rows of the sample's streams; None where there is none.
    """

    before: Label | None
    category: str
    values: tuple[float, ...]
    box: int | None
    rectangle: int | None

    @property
    def line(self) -> str:
        """The line; what did not change is written as it was."""
        words = [_text(v) for v in self.values]
        if self.before is None:
            return " ".join([self.category, *words])
        pairs = zip(words, self.values, self.before.words[1:REQUIRED], self.before.values, strict=True)
        kept = [old if abs(value - was) <= SAME else new for new, value, old, was in pairs]
        return " ".join([self.category, *kept, *self.before.words[REQUIRED:]])


@dataclass(frozen=True, eq=False)
class LabelFile:
    """The label file of an augmented frame.

    Attributes:
        sample, source: the frame and what it was made from; both have ``boxes`` and ``boxes_2d``.
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

    @cached_property
    def box_rows(self) -> Row:
        """Instance -> row of the sample's boxes."""
        return _rows(self.sample.boxes())

    @cached_property
    def rectangle_rows(self) -> Row:
        """Instance -> row of the sample's rectangles."""
        return _rows(self.flat)

    @cached_property
    def flat(self) -> Boxes2D:
        """The sample's rectangles."""
        return _rectangles(self.sample)

    @cached_property
    def flat_before(self) -> Boxes2D:
        """The source's rectangles."""
        return _rectangles(self.source)

    @cached_property
    def rows_before(self) -> tuple[Row, Row]:
        """Instance -> row of the source's boxes, and of its rectangles."""
        return _rows(self.source.boxes()), _rows(self.flat_before)

    @cached_property
    def numbers(self) -> Tensor:
        """(n, 7) h w l x y z rotation_y of the sample's boxes."""
        boxes = self.sample.boxes()
        return labels_from_boxes(invert(self.T_velo_rectified) @ boxes["pose"], boxes["size"])

    @cached_property
    def cut(self) -> tuple[Tensor, Tensor]:
        """Rectangles (n, 4) cut at the canvas and the share (n,) of each that is left."""
        return cut_rectangles(self.flat, self.sample.rig.camera(self.camera).size)

    @property
    def camera(self) -> str:
        """The camera whose picture the rectangles are on."""
        return self.flat.instance("boxes_2d")

    def _changed(self, label: Label) -> WrittenLabel | None:
        """A line of the source as it is written; None where it goes."""
        name = str(label.number)
        box, rectangle = self.box_rows.get(name), self.rectangle_rows.get(name)
        if (label.has_box and box is None) or (label.has_rectangle and rectangle is None):
            return None  # of another class, or taken out
        values = list(label.values)
        category = label.category
        if rectangle is not None:
            category = str(self.flat["category"][rectangle])
            if self._moved(name, rectangle) and (box is None or self._was_measured(name)):
                if not self._is_left(rectangle, label):
                    return None
                share = float(self.cut[1][rectangle])
                values[3:7] = self.cut[0][rectangle].tolist()
                if share < 1 and values[0] >= 0:
                    values[0] = 1 - (1 - values[0]) * share
        if box is not None:
            category = str(self.sample.boxes()["category"][box])
            values[7:14] = self.numbers[box].tolist()
            if label.alpha is not None:
                values[2] = self._alpha(name, box, label.alpha)
        return WrittenLabel(label, category, tuple(values), box, rectangle)

    def _added(self, row: int) -> WrittenLabel:
        """The line of a box that the source does not have."""
        boxes = self.sample.boxes()
        alone = boxes.select(torch.arange(boxes.rows) == row)
        seen = projected_rectangle(self.sample, alone, self.camera)
        rectangle = [0.0] * 4
        if seen is not None:
            rectangle = cut_at(seen, self.sample.rig.camera(self.camera).size).tolist()
        alpha = float(view_angles(self._in_camera(self.sample, alone["pose"]))[0])
        values = (0.0, 0.0, alpha, *rectangle, *self.numbers[row].tolist())
        return WrittenLabel(None, str(boxes["category"][row]), values, row, None)

    def _moved(self, name: str, row: int) -> bool:
        """Whether a rectangle is another than in the source, or the canvas is."""
        sizes = {sample.rig.camera(self.camera).size for sample in (self.sample, self.source)}
        own = self.rows_before[1].get(name) if len(sizes) == 1 else None
        return own is None or not torch.equal(self.flat_before["corners"][own], self.flat["corners"][row])

    def _was_measured(self, name: str) -> bool:
        """Whether the source's rectangle covers the same part of the picture as the projection of its box."""
        boxes, (solid, flat) = self.source.boxes(), self.rows_before
        seen = projected_rectangle(self.source, boxes.select(torch.arange(boxes.rows) == solid[name]), self.camera)
        rectangle = self.flat_before.rectangles()[flat[name]]
        return seen is not None and overlap(cut_at(seen, self.source.rig.camera(self.camera).size), rectangle) >= ALIKE

    def _is_left(self, row: int, label: Label) -> bool:
        rectangle, share = self.cut[0][row], float(self.cut[1][row])
        if label.category == VAGUE:
            return share > 0
        return share >= MIN_SHARE and bool((rectangle[2:] - rectangle[:2] >= MIN_SIDE).all())

    def _alpha(self, name: str, row: int, before: float) -> float:
        """The observation angle of a box: as much another as it is in the axes of the real camera."""
        was = view_angles(self._in_camera(self.source, self.source.boxes()["pose"][self.rows_before[0][name]][None]))
        now = view_angles(self._in_camera(self.sample, self.sample.boxes()["pose"][row][None]))
        start = torch.tensor([before], dtype=torch.float64)
        if self._is_mirrored:
            start, was = torch.pi - start, torch.pi - was
        return float(wrapped(start + wrapped(now - was))[0])

    @cached_property
    def _is_mirrored(self) -> bool:
        return float(torch.linalg.det(scene_motion(self.sample.meta.history)[:3, :3])) < 0

    def _in_camera(self, sample: Sample, pose: Tensor) -> Tensor:
        return invert(sample.rig.T("velodyne", self.camera)) @ pose

    @property
    def text(self) -> str:
        """The file."""
        return "".join(f"{label.line}\n" for label in self.written)

    def as_read_back(self) -> Sample:
        """The sample with the boxes that the file holds: upright in its axes, ``instance`` the number of the line."""
        lines = list(enumerate(self.written))
        solid = [(number, x) for number, x in lines if x.box is not None]
        flat = [(number, x) for number, x in lines if x.values[5] > x.values[3] and x.values[6] > x.values[4]]
        boxes = _taken(self.sample.boxes(), [x.box for _, x in solid], [n for n, _ in solid])
        pose, size = boxes_from_labels(_table([x for _, x in solid]))
        boxes = boxes.with_values(pose=self.T_velo_rectified @ pose, size=size)
        numbers = _table([x for _, x in flat])
        table = {
            "corners": rectangle_corners(numbers[:, 3:7]), "category": strings(x.category for _, x in flat),
            "instance": strings(str(n) for n, _ in flat), "truncated": numbers[:, 0],
            "occluded": numbers[:, 1].to(torch.int64),
            "score": strings(" ".join(x.before.words[REQUIRED : REQUIRED + 1]) if x.before else "" for _, x in flat),
        }  # fmt: skip
        rectangles = replace(self.flat, values=table, offsets=torch.tensor([0, len(flat)]))
        return self.sample.with_streams({**self.sample.streams, "boxes": boxes, "boxes_2d": rectangles})


def projected_rectangle(sample: Sample, box: Boxes3D, camera: str) -> Tensor | None:
    """Rectangle (4,) around the corners of one box that lie before a camera, px; None where none does."""
    sensor = sample.rig.camera(camera)
    local = box.corners()[0] @ (T := invert(sample.rig.T("velodyne", camera)))[:3, :3].T + T[:3, 3]
    ahead = local[local[:, 2] > NEAR]
    if not len(ahead):
        return None
    pixels = ahead @ (sensor.A @ sensor.model.K).T
    pixels = pixels[:, :2] / pixels[:, 2:]
    return torch.cat([pixels.amin(0), pixels.amax(0)])


def cut_rectangles(flat: Boxes2D, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Rectangles (n, 4) cut at the canvas, and the share (n,) of each one's area that is left."""
    whole = flat.rectangles()
    cut = cut_at(whole, size)
    full = area(whole)
    return cut, torch.where(full > 0, area(cut) / full.clamp(min=1e-9), torch.zeros_like(full))


def cut_at(rectangles: Tensor, size: tuple[int, int]) -> Tensor:
    """Rectangles (..., 4) cut at the canvas (height, width)."""
    limit = torch.tensor([size[1] - 1.0, size[0] - 1.0], dtype=torch.float64).repeat(2)
    return torch.minimum(rectangles.clamp(min=0), limit)


def area(rectangles: Tensor) -> Tensor:
    """Areas (...) of rectangles (..., 4), px^2."""
    sides: Tensor = (rectangles[..., 2:] - rectangles[..., :2]).clamp(min=0)
    return sides.prod(-1)


def overlap(a: Tensor, b: Tensor) -> float:
    """Share of the union of two rectangles (4,) that both cover."""
    common = area(torch.cat([torch.maximum(a, b)[:2], torch.minimum(a, b)[2:]]))
    return float(common / (area(a) + area(b) - common).clamp(min=1e-9))


def _rectangles(sample: Sample) -> Boxes2D:
    flat = sample["boxes_2d"]
    assert isinstance(flat, Boxes2D)
    return flat


def _rows(stream: Ragged) -> Row:
    return {str(name): row for row, name in enumerate(stream["instance"])}


def _taken(boxes: Boxes3D, rows: Sequence[int | None], lines: Sequence[int]) -> Boxes3D:
    index = torch.tensor([r for r in rows if r is not None], dtype=torch.int64)
    values = {**take_rows(boxes.values, index), "instance": strings(str(n) for n in lines)}
    return replace(boxes, values=values, offsets=torch.tensor([0, len(rows)]))


def _table(labels: Sequence[WrittenLabel]) -> Tensor:
    return torch.tensor([x.values for x in labels], dtype=torch.float64).reshape(-1, REQUIRED - 1)


def _text(value: float) -> str:
    return np.format_float_positional(round(value, 6) + 0.0, trim="-")
