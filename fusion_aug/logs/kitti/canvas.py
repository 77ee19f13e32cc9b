"""The canvas of cameras in frames that have no picture of them: calibration files do not hold it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from torch import Tensor

from fusion_aug.errors import DataError
from fusion_aug.logs.core.files import image_size

DEFAULT_SIZE = (375, 1242)  # of the benchmark's pictures
NEAR = 0.1  # of a side, from its middle to the principal point of a camera that has the benchmark's canvas
MAX_SIDE = 2**15  # pixels


def first_size(paths: Iterable[Path]) -> tuple[tuple[int, int] | None, list[Path]]:
    """(height, width) of the first picture that can be read, and all that were looked at; None where there is none."""
    looked_at = []
    for path in paths:
        looked_at.append(path)
        try:
            return image_size(path), looked_at
        except DataError:  # the frame that it is of says so
            continue
    return None, looked_at


def assumed_size(P: Tensor) -> tuple[int, int]:
    """(height, width) of a camera without any picture, pixels.

    The benchmark's where the principal point lies in its middle, else twice that point.

    Args:
        P: (3, 4) projection matrix, also of a turned or mirrored scene.
    """
    u, v = (P[:2, :3] @ P[2, :3] / (P[2, :3] @ P[2, :3])).tolist()
    height, width = DEFAULT_SIZE
    is_middle = abs(u - width / 2) < NEAR * width and abs(v - height / 2) < NEAR * height
    if is_middle or not (1 <= 2 * v <= MAX_SIDE and 1 <= 2 * u <= MAX_SIDE):
        return DEFAULT_SIZE
    return round(2 * v), round(2 * u)
