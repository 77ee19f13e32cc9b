"""KITTI's label files: lines, placeholders, and the boxes that they give.

Labels are in rectified camera coordinates: location is the centre of the bottom face, rotation_y is a rotation about
the camera's y axis. A line that says nothing of the space (dimensions -1, location -1000, or zeros alone) gives no box
there, and one whose rectangle has no area gives none on the picture; both keep their placeholders when written.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from calib.se3 import se3
from fusion_aug.errors import DataError
from fusion_aug.sample import REF
from fusion_aug.streams import Boxes2D, Boxes3D, rectangle_corners, strings

STAMP = torch.zeros(1, dtype=torch.int64)  # the object benchmark has no times
NAMES = (
    "type", "truncated", "occluded", "alpha", "left", "top", "right", "bottom", "height", "width", "length", "x", "y",
    "z", "rotation_y", "score", "track",
)  # fmt: skip
REQUIRED = 15  # fields; a score and the number of a track may follow
RECTANGLE_END = 7  # of the numbers after the type; those of the box in space follow
VAGUE = "DontCare"  # a region of the picture whose objects nobody labelled
UNSET_PLACE, UNSET_ALPHA = -1000.0, -10.0


class Label(NamedTuple):
    """One line of a label file.

    Attributes:
        number: of the line, from 0; ``instance`` of its boxes. words: its fields as they are written.
        values: the 14 numbers after the type.
    """

    number: int
    words: tuple[str, ...]
    values: tuple[float, ...]

    @property
    def category(self) -> str:
        """Type of the object."""
        return self.words[0]

    @property
    def alpha(self) -> float | None:
        """Observation angle, rad; None where it is not set."""
        return None if self.values[2] == UNSET_ALPHA else self.values[2]

    @property
    def has_rectangle(self) -> bool:
        """Whether it gives a box on the picture."""
        left, top, right, bottom = self.values[3:7]
        return right > left and bottom > top

    @property
    def has_box(self) -> bool:
        """Whether it gives a box in space."""
        sizes, place = self.values[7:10], self.values[10:13]
        unset = all(v == -1 for v in sizes) or min(place) <= UNSET_PLACE or not any(self.values[7:14])
        return self.category != VAGUE and not unset


def read_lines(text: str, where: str) -> list[Label]:
    """The lines of a label file that are not empty.

    Args:
        text: of the file. where: its path, for messages.

    Raises:
        DataError: a line has another number of fields, a field is no number, or one of the picture is not finite.
    """
    out = []
    for number, line in enumerate(text.splitlines()):
        words = tuple(line.split())
        if not words:
            continue
        at = f"{where}: line {number + 1}"
        if not REQUIRED <= len(words) <= len(NAMES):
            raise DataError(f"{at}: expected {REQUIRED} to {len(NAMES)} fields, got {len(words)}")
        try:
            values = tuple(float(w) for w in words[1:REQUIRED])
        except ValueError as error:
            raise DataError(f"{at}: a field is not a number ({error})") from None
        for name, value in zip(NAMES[1:], values[:RECTANGLE_END], strict=False):  # log.bad_boxes says what of boxes
            if not abs(value) < float("inf"):
                raise DataError(f"{at}: {name}: is NaN or infinite")
        out.append(Label(number, words, values))
    return out


def rectangles_of_lines(labels: Sequence[Label], camera: str) -> Boxes2D:
    """Boxes on the picture of a camera; ``instance`` is the number of the line."""
    flat = [x for x in labels if x.has_rectangle]
    numbers = _numbers(flat)
    return Boxes2D(
        frame=camera,
        camera=camera,
        capture_times=STAMP,
        values={
            "corners": rectangle_corners(numbers[:, 3:7]),
            "category": strings(x.category for x in flat),
            "instance": strings(str(x.number) for x in flat),
            "truncated": numbers[:, 0],
            "occluded": numbers[:, 1].to(torch.int64),
            "score": strings(" ".join(x.words[REQUIRED : REQUIRED + 1]) for x in flat),
        },
    )


def boxes_of_lines(labels: Sequence[Label], T_velo_rectified: Tensor) -> Boxes3D:
    """Boxes in space (reference frame); ``instance`` is the number of the line.

    Args:
        labels: lines of a file. T_velo_rectified: (4, 4).
    """
    solid = [x for x in labels if x.has_box]
    pose, size = boxes_from_labels(_numbers(solid))
    return Boxes3D(
        frame=REF,
        capture_times=STAMP,
        values={
            "pose": T_velo_rectified @ pose,
            "size": size,
            "velocity": torch.full((len(solid), 3), float("nan"), dtype=torch.float64),
            "category": strings(x.category for x in solid),
            "instance": strings(str(x.number) for x in solid),
        },
    )


def _numbers(labels: Sequence[Label]) -> Tensor:
    return torch.tensor([x.values for x in labels], dtype=torch.float64).reshape(-1, REQUIRED - 1)


def boxes_from_labels(numbers: Tensor) -> tuple[Tensor, Tensor]:
    """``T_rectified_box`` (n, 4, 4) and (length, width, height) (n, 3) from the 14 numbers of each label."""
    h, w, length, x, y, z, ry = numbers[:, 7:14].unbind(1)
    c, s, o = torch.cos(ry), torch.sin(ry), torch.zeros_like(ry)
    # columns: forward, left and up of the box in camera axes
    rotation = torch.stack([c, s, o, o, o, -torch.ones_like(ry), -s, c, o], 1).reshape(-1, 3, 3)
    return se3(rotation, torch.stack([x, y - h / 2, z], 1)), torch.stack([length, w, h], 1)


def labels_from_boxes(pose: Tensor, size: Tensor) -> Tensor:
    """The seven numbers h w l x y z ry (n, 7) of ``T_rectified_box``.

    A label holds a rotation about y alone: of a tilted box it has the heading and the centre.
    """
    forward = pose[:, :3, 0]
    ry = torch.atan2(-forward[:, 2], forward[:, 0])
    length, w, h = size.unbind(1)
    centre = pose[:, :3, 3]
    # the centre of the bottom face; a label of a tilted box would mean the point straight below its centre
    bottom = centre + torch.stack([torch.zeros_like(h), h / 2, torch.zeros_like(h)], 1)
    return torch.cat([torch.stack([h, w, length], 1), bottom, ry[:, None]], 1)


def view_angles(T_camera_box: Tensor) -> Tensor:
    """Observation angle alpha (n,), rad: the heading of a box about the camera's y axis, less that of its ray."""
    forward, centre = T_camera_box[:, :3, 0], T_camera_box[:, :3, 3]
    heading = torch.atan2(-forward[:, 2], forward[:, 0])
    return wrapped(heading - torch.atan2(centre[:, 0], centre[:, 2]))


def wrapped(angle: Tensor) -> Tensor:
    """Angles within -pi and pi."""
    return torch.atan2(torch.sin(angle), torch.cos(angle))
