"""Ground planes of KITTI trees: ``planes/*.txt``, which follow the scene.

Three lines of a header, then a b c d of the plane a x + b y + c z + d = 0 in rectified camera coordinates (Chen et al.
2015, "3D Object Proposals for Accurate Object Class Detection").
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from fusion_aug.errors import DataError

NUMBERS_AT = 3  # line, from 0


def moved_plane(text: str, motion: Tensor, path: Path) -> str:
    """Return the file of a plane after a motion of its coordinates; the normal keeps its length.

    Args:
        text: of the file. path: of the file, for messages.
        motion: (4, 4) similarity from old to new rectified coordinates.

    Raises:
        DataError: the fourth line is not four numbers of a plane.
    """
    lines = text.splitlines()
    try:
        plane = torch.tensor([float(v) for v in lines[NUMBERS_AT].split()], dtype=torch.float64)
    except (IndexError, ValueError):
        plane = torch.zeros(0, dtype=torch.float64)
    if plane.shape != (4,) or not bool(torch.isfinite(plane).all()) or not bool(plane[:3].any()):
        raise DataError(f"{path}: line {NUMBERS_AT + 1}: expected the four numbers of a plane, a b c d")
    moved = torch.linalg.inv(motion).T @ plane  # p X = 0 holds for X' = H X with p' = p H^-1
    moved = moved * torch.linalg.norm(plane[:3]) / torch.linalg.norm(moved[:3])
    lines[NUMBERS_AT] = " ".join(f"{v:.6e}" for v in moved.tolist())
    return "".join(f"{line}\n" for line in lines)
