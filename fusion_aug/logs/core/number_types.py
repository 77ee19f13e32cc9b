"""Numbers as the types of files hold them: what does not fit is rounded, clipped or refused, never wrapped."""

from __future__ import annotations

from typing import Any

import numpy as np

from calib.ties import nearest_whole
from fusion_aug.errors import DataError


def fitting(values: np.ndarray, kind: Any, what: str, remedy: str) -> np.ndarray:
    """Return numbers of classes, objects or times, which a type must hold as they are.

    Args:
        values: (n,) numbers. kind: dtype of NumPy, or what makes one. what: names file and field. remedy: for messages.

    Raises:
        DataError: the type holds whole numbers, and not one of these.
    """
    kind = np.dtype(kind)
    if kind.kind not in "iu":
        return values
    limits = np.iinfo(kind)
    wrong = values[(values < limits.min) | (values > limits.max)]
    if len(wrong):
        raise DataError(
            f"{what}: {len(wrong)} points have the number {wrong[0]}, which {kind.name} cannot hold; {remedy}"
        )
    return values


def in_range(values: np.ndarray, kind: Any) -> np.ndarray:
    """Return numbers that a type can hold: where it is one of whole numbers, rounded and clipped, 0 for NaN."""
    kind = np.dtype(kind)
    if kind.kind not in "iu":
        return values
    limits = np.iinfo(kind)
    if values.dtype.kind == "f":
        values = nearest_whole(np.where(np.isnan(values), 0, values))
    return values.clip(limits.min, limits.max)
