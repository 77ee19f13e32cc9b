"""A similarity of a frame: rotation, translation, uniform scale and mirror, one per row or one for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Motion:
    """Maps ``x -> s Q x + t``, Q orthogonal (determinant -1 for a mirror).

    Attributes:
        matrix: (n, 4, 4) float64; n is 1 where one motion holds for all rows.
        scale: (n,) s.
        sign: (n,) determinant of Q, +1 or -1.
        is_rigid: known to have scale 1, so that lengths need no multiplication.
    """

    matrix: Tensor
    scale: Tensor
    sign: Tensor
    is_rigid: bool = False

    @staticmethod
    def of(matrix: Tensor) -> Motion:
        """The motions of matrices (n, 4, 4), with scale and sign computed."""
        determinant = torch.linalg.det(matrix[:, :3, :3])
        return Motion(matrix, determinant.abs() ** (1 / 3), torch.sign(determinant).detach())

    @staticmethod
    def identity() -> Motion:
        """The motion that moves nothing."""
        one = torch.ones(1, dtype=torch.float64)
        return Motion(torch.eye(4, dtype=torch.float64)[None], one, one, True)

    @staticmethod
    def stack(parts: Sequence[Motion]) -> Motion:
        """Single motions as rows of one."""
        if len(parts) == 1:
            return parts[0]
        matrix, scale, sign = (torch.cat([getattr(p, n) for p in parts]) for n in ("matrix", "scale", "sign"))
        return Motion(matrix, scale, sign, all(p.is_rigid for p in parts))

    @cached_property
    def Q(self) -> Tensor:
        """(n, 3, 3) the map with its scale taken out."""
        Q = self.matrix[:, :3, :3]
        return Q if self.is_rigid else Q / self.scale[:, None, None]

    @cached_property
    def keeps_axes(self) -> bool:
        """Whether only signs and lengths along the axes change: what is NaN along one then stays NaN along it alone."""
        Q = self.matrix[:, :3, :3].detach()
        return not self.matrix.requires_grad and torch.equal(Q, torch.diag_embed(torch.diagonal(Q, dim1=1, dim2=2)))

    @cached_property
    def inverse_matrix(self) -> Tensor:
        """(n, 4, 4) of the motions back."""
        if self.matrix.requires_grad:
            return torch.linalg.inv(self.matrix)
        return torch.from_numpy(np.linalg.inv(self.matrix.numpy()))  # five times faster on small matrices

    @property
    def inverse(self) -> Motion:
        """The motions back."""
        return Motion(self.inverse_matrix, self.scale.reciprocal(), self.sign, self.is_rigid)

    def apply(self, points: Tensor) -> Tensor:
        """Points (rows, 3)."""
        m = self.matrix.to(points)
        return _product(m[:, :3, :3], points, self.keeps_axes) + m[:, :3, 3]

    def rotate(self, vectors: Tensor) -> Tensor:
        """Vectors (rows, 3) rotated and mirrored, not scaled."""
        return _product(self.Q.to(vectors), vectors, self.keeps_axes)

    def take_rows(self, index: Tensor) -> Motion:
        """The motions of other rows; one that holds for all stays as it is."""
        if self.matrix.shape[0] == 1:
            return self
        return Motion(self.matrix[index], self.scale[index], self.sign[index], self.is_rigid)


def drop_single_axis(matrices: Tensor) -> Tensor:
    """One matrix for all rows without its row axis, which torch multiplies faster."""
    return matrices[0] if matrices.shape[0] == 1 else matrices


def _product(matrices: Tensor, vectors: Tensor, are_diagonal: bool) -> Tensor:
    if are_diagonal:
        return vectors * torch.diagonal(matrices, dim1=1, dim2=2) + 0.0  # without a negative zero, as of a sum
    if matrices.shape[0] == 1:
        return vectors @ matrices[0].T
    return (matrices @ vectors[..., None])[..., 0]
