"""Boxes that a network found in two views, compared in the original scene."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from fusion_aug.core.inversion import invert
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.sample.history import History
from fusion_aug.streams import Boxes3D
from fusion_aug.train.losses.divergence import mean_where


class BoxDifference(NamedTuple):
    """How far boxes lie apart, the mean over pairs, () each.

    Attributes:
        centre: metres. size: |log of the ratio| of length, width and height, their mean. turn: 1 - cos of the angle
            between the two headings, 0 to 2.
    """

    centre: Tensor
    size: Tensor
    turn: Tensor


def box_consistency(
    boxes_a: Boxes3D, boxes_b: Boxes3D, history_a: History, history_b: History,
    *, rows_a: Tensor | None = None, rows_b: Tensor | None = None,
) -> BoxDifference:  # fmt: skip
    """Compare boxes of two views, each brought back to the original scene by ``fa.invert``.

    Args:
        boxes_a, boxes_b: predictions, as ``fa.boxes_from`` makes them of a network's table, with its gradient.
        history_a, history_b: of the views (``sample.history``).
        rows_a, rows_b: (k,) int64, which row belongs to which (``fa.matches(a, b).boxes()`` for queries that each stand
            for a labelled box); by default row i of one to row i of the other.

    Returns:
        the differences; 0 of no pairs.

    Raises:
        ConfigError: there are not as many rows on both sides, or rows are none of the boxes.
        DataError: a size is not above 0, or a transform of a history cannot be undone on boxes.
    """
    (pose_a, size_a), (pose_b, size_b) = _back(boxes_a, history_a, rows_a, "a"), _back(boxes_b, history_b, rows_b, "b")
    if len(pose_a) != len(pose_b):
        raise ConfigError(f"box_consistency: {len(pose_a)} rows of a and {len(pose_b)} of b: give rows_a and rows_b")
    centre = _length(pose_a[:, :3, 3] - pose_b[:, :3, 3])
    size = (size_a.log() - size_b.log()).abs().mean(1)
    trace = (pose_a[:, :3, :3] * pose_b[:, :3, :3]).sum((1, 2))
    return BoxDifference(*(mean_where(v, None) for v in (centre, size, (3 - trace) / 2)))


def _back(boxes: Boxes3D, history: History, rows: Tensor | None, side: str) -> tuple[Tensor, Tensor]:
    """Poses (k, 4, 4) and sizes (k, 3) of some boxes of a view, in the original scene."""
    back = invert(boxes, history)
    pose, size = back.values["pose"], back.values["size"]
    if rows is not None:
        if rows.dtype != torch.int64 or rows.ndim != 1 or bool(((rows < 0) | (rows >= len(pose))).any()):
            raise ConfigError(f"box_consistency: rows_{side}: expected int64 (k,) from 0 to {len(pose) - 1}")
        pose, size = pose[rows.to(pose.device)], size[rows.to(size.device)]
    if bool((wrong := ~(size > 0).all(1)).any()):  # also NaN; its logarithm would make the loss infinite
        first = int(wrong.nonzero()[0])
        raise DataError(
            f"box_consistency: box {first if rows is None else int(rows[first])} of {side} has the size "
            f"{_told(size[first])}, and a size has to be above 0; let the network predict its logarithm, or clamp it"
        )
    return pose, size


def _told(size: Tensor) -> str:
    return " x ".join(f"{v:g}" for v in size.tolist())


def _length(v: Tensor) -> Tensor:
    """Length (n,) of vectors (n, 3), whose gradient at 0 is 0 instead of NaN."""
    square = (v * v).sum(1)
    zero = square == 0
    return torch.where(zero, square, square.masked_fill(zero, 1.0).sqrt())
