"""The rectangles of a KITTI label file after an augmentation, see ``written_labels``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from calib.se3 import invert
from fusion_aug.logs.kitti.labels import VAGUE, Label
from fusion_aug.sample import Sample
from fusion_aug.streams import Boxes2D, Boxes3D, strings
from fusion_aug.streams.ragged import Ragged

MIN_SHARE = 0.05
MIN_SIDE = 2.0
ALIKE = 0.1  # of the union, that a measured rectangle and the projection of its box have in common
NEAR = 0.1  # metres before the camera from which on corners are projected
Row = dict[str, int]  # instance -> row of a stream


@dataclass(frozen=True, eq=False)
class WrittenRectangles:
    """Rectangles of a frame, before and after.

    Attributes:
        sample, source: the frame and what it was made from; both have ``boxes`` and ``boxes_2d``.
    """

    sample: Sample
    source: Sample

    @cached_property
    def flat(self) -> Boxes2D:
        """The sample's rectangles."""
        return _rectangles(self.sample)

    @cached_property
    def flat_before(self) -> Boxes2D:
        """The source's rectangles."""
        return _rectangles(self.source)

    @property
    def camera(self) -> str:
        """The camera whose picture they are on."""
        return self.flat.instance("boxes_2d")

    @cached_property
    def rows(self) -> Row:
        """Instance -> row of the sample's rectangles."""
        return rows_of(self.flat)

    @cached_property
    def _rows_before(self) -> tuple[Row, Row]:
        return rows_of(self.source.boxes()), rows_of(self.flat_before)

    @cached_property
    def _cut(self) -> tuple[Tensor, Tensor]:
        whole, size = self.flat.rectangles(), self.sample.rig.camera(self.camera).size
        cut, full = cut_at(whole, size), area(whole)
        return cut, torch.where(full > 0, area(cut) / full.clamp(min=1e-9), torch.zeros_like(full))

    def written(self, label: Label, row: int, *, has_box: bool) -> tuple[float, list[float]] | None:
        """Truncation and left, top, right, bottom that are written; None where the object left the picture.

        Args:
            label: line of the source. row: of its rectangle. has_box: whether it has a box in space, too.
        """
        truncated, rectangle = label.values[0], list(label.values[3:7])
        if not self._moved(str(label.number), row) or self.stays_behind(label, row, has_box=has_box):
            return truncated, rectangle
        cut, share = self._cut[0][row], float(self._cut[1][row])
        whole = self.flat.rectangles()[row]
        least = (whole[2:] - whole[:2]).clamp(max=MIN_SIDE)  # what is thin, but not cut, has not left
        large = share >= MIN_SHARE and bool((cut[2:] - cut[:2] >= least).all())
        if not (share > 0 if label.category == VAGUE else large):
            return None
        hidden = share < 1 and truncated >= 0
        return 1 - (1 - truncated) * share if hidden else truncated, cut.tolist()

    def stays_behind(self, label: Label, row: int, *, has_box: bool) -> bool:
        """Whether a rectangle that nobody measured stays where it was while the picture moves, see ``written``."""
        return has_box and self._moved(str(label.number), row) and not self._was_measured(str(label.number))

    def added(self, box: Boxes3D) -> list[float]:
        """The rectangle of one box that the source does not have; zeros where the camera does not see it."""
        seen = projected_rectangle(self.sample, box, self.camera)
        return [0.0] * 4 if seen is None else cut_at(seen, self.sample.rig.camera(self.camera).size).tolist()

    def _moved(self, name: str, row: int) -> bool:
        """Whether a rectangle is another than in the source, or the canvas is."""
        sizes = {sample.rig.camera(self.camera).size for sample in (self.sample, self.source)}
        own = self._rows_before[1].get(name) if len(sizes) == 1 else None
        return own is None or not torch.equal(self.flat_before["corners"][own], self.flat["corners"][row])

    def _was_measured(self, name: str) -> bool:
        """Whether the source's rectangle covers the same part of the picture as the projection of its box."""
        boxes, (solid, flat) = self.source.boxes(), self._rows_before
        seen = projected_rectangle(self.source, boxes.select(torch.arange(boxes.rows) == solid[name]), self.camera)
        rectangle = self.flat_before.rectangles()[flat[name]]
        return seen is not None and overlap(cut_at(seen, self.source.rig.camera(self.camera).size), rectangle) >= ALIKE

    def as_read_back(
        self, table: Tensor, categories: Sequence[str], lines: Sequence[int], scores: Sequence[str]
    ) -> Boxes2D:
        """The rectangles of a file.

        Args:
            table: (n, 14) numbers of the lines that give one. categories: of these. lines: their numbers.
            scores: their next field, or "".
        """
        left, top, right, bottom = table[:, 3:7].unbind(1)
        values = {
            "corners": torch.stack([left, top, right, top, right, bottom, left, bottom], 1).reshape(-1, 4, 2),
            "category": strings(categories), "instance": strings(map(str, lines)), "truncated": table[:, 0],
            "occluded": table[:, 1].to(torch.int64), "score": strings(scores),
        }  # fmt: skip
        return replace(self.flat, values=values, offsets=torch.tensor([0, len(table)]), source_rows=None)


def projected_rectangle(sample: Sample, box: Boxes3D, camera: str) -> Tensor | None:
    """Rectangle (4,) around the corners of one box that lie before a camera, px; None where none does."""
    sensor = sample.rig.camera(camera)
    T = invert(sample.rig.T("velodyne", camera))
    local = box.corners()[0] @ T[:3, :3].T + T[:3, 3]
    ahead = local[local[:, 2] > NEAR]
    if not len(ahead):
        return None
    pixels = ahead @ (sensor.A @ sensor.model.K).T
    pixels = pixels[:, :2] / pixels[:, 2:]
    return torch.cat([pixels.amin(0), pixels.amax(0)])


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


def rows_of(stream: Ragged) -> Row:
    """Instance -> row of a stream."""
    return {str(name): row for row, name in enumerate(stream["instance"])}


def _rectangles(sample: Sample) -> Boxes2D:
    flat = sample["boxes_2d"]
    assert isinstance(flat, Boxes2D)
    return flat
