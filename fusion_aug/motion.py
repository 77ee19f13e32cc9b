"""A similarity of a frame: rotation, translation, uniform scale and mirror, one per row."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Motion:
    """Maps ``x -> s Q x + t``, Q orthogonal (determinant -1 for a mirror).

    Attributes:
        matrix: (n, 4, 4) float64.
    """

    matrix: Tensor

    @cached_property
    def scale(self) -> Tensor:
        """(n,) scale factors s."""
        return torch.linalg.det(self.matrix[:, :3, :3]).abs() ** (1 / 3)

    @cached_property
    def sign(self) -> Tensor:
        """(n,) +1, or -1 for a mirror."""
        return torch.sign(torch.linalg.det(self.matrix[:, :3, :3])).detach()

    @cached_property
    def Q(self) -> Tensor:
        """(n, 3, 3) the map with its scale taken out."""
        return self.matrix[:, :3, :3] / self.scale[:, None, None]

    def apply(self, points: Tensor) -> Tensor:
        """Points (n, 3), one motion each."""
        m = self.matrix.to(points.dtype)
        return (m[:, :3, :3] @ points[..., None])[..., 0] + m[:, :3, 3]

    def rotate(self, vectors: Tensor) -> Tensor:
        """Vectors (n, 3) turned and mirrored, not scaled."""
        return (self.Q.to(vectors.dtype) @ vectors[..., None])[..., 0]

    def rows(self, index: Tensor) -> Motion:
        """The motions of other rows."""
        return Motion(self.matrix[index])
