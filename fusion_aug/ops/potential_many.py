"""Maps from their steps between neighbours, and coarse maps at the edges of finer ones, of many pictures at once."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from fusion_aug.ops.cells_many import blurred, cells_of, enlarged
from fusion_aug.ops.potential import ROUNDS

Grid = tuple[int, int]


def cosines(grid: Grid) -> dict[str, np.ndarray]:
    """The cosine transforms (orthonormal) of both axes and their eigenvalues, as numbers; see ``integrated``."""
    out = {}
    for name, n in zip(("rows", "columns"), grid, strict=True):
        k = np.arange(n)
        wave = np.cos(np.pi * np.outer(k, 2 * k + 1) / (2 * n)) * np.sqrt(2 / n)
        wave[0] /= np.sqrt(2)
        out[f"waves along {name}"] = wave.astype(np.float32)
        out[f"stiffness along {name}"] = (2 - 2 * np.cos(np.pi * k / n)).astype(np.float32)
    return out


def integrated(
    across: tuple[Tensor, Tensor], down: tuple[Tensor, Tensor], expected: Tensor, weight: Tensor,
    waves: Mapping[str, Tensor],
) -> Tensor:  # fmt: skip
    """The maps (N, h, w) nearest to given steps and expected values: ``potential.integrated``.

    What its rounds of conjugate gradients find is the best combination of as many maps: those that the preconditioner
    and the equations make of each other. Here these are made first, and the combination is solved for at the end.

    Args:
        across, down: steps (N, h, w - 1) and (N, h - 1, w), each with its weights. expected, weight: (N, h, w).
        waves: ``cosines``.
    """
    (step_x, a), (step_y, d) = across, down
    rows, columns = waves["waves along rows"], waves["waves along columns"]
    sides = ((a, step_x, 2), (d, step_y, 1))
    diagonal, pull = weight.clone(), weight * expected
    for held, step, axis in sides:
        for out, more in ((diagonal, held), (pull, held * step)):
            near, beyond = _ends(out, axis)
            near.add_(more, alpha=1 if out is diagonal else -1)
            beyond.add_(more)
    scale = weight.mean((1, 2), keepdim=True) + a.mean((1, 2), keepdim=True) * waves["stiffness along columns"]
    scale = (scale + d.mean((1, 2), keepdim=True) * waves["stiffness along rows"][:, None]).reciprocal_()
    maps: list[Tensor] = []
    bent = [pull]
    for _ in range(ROUNDS):
        wave = torch.matmul(rows, torch.matmul(bent[-1], columns.T)).mul_(scale)
        wave = torch.matmul(rows.T, wave)
        # without the map before, since the preconditioner nearly undoes the equations
        x = torch.baddbmm(maps[-1], wave, columns.expand(len(wave), -1, -1), beta=-1) if maps else wave @ columns
        y = diagonal * x
        for held, _, axis in sides:
            (near, beyond), (x_near, x_beyond) = _ends(y, axis), _ends(x, axis)
            near.addcmul_(held, x_beyond, value=-1)
            beyond.addcmul_(held, x_near, value=-1)
        maps.append(x)
        bent.append(y)
    known = torch.stack(maps, 1).flatten(2)
    products = torch.bmm(torch.stack(bent, 1).flatten(2), known.transpose(1, 2)).to(torch.float64)
    best = torch.linalg.solve_ex(products[:, 1:], products[:, 0])[0]
    return torch.bmm(best.to(known.dtype)[:, None], known).view(expected.shape)


def _ends(x: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Views of maps without the last and without the first place along an axis."""
    return x.narrow(axis, 0, x.shape[axis] - 1), x.narrow(axis, 1, x.shape[axis] - 1)


def guided(coarse: Tensor, fine: Tensor, factor: float = 1.0, radius: int = 2, eps: float = 0.02) -> Tensor:
    """Coarse maps (N, 1, h, w) times a factor at the size of fine guides (N, 1, H, W): ``potential.guided``."""
    guide, size = cells_of(fine, tuple(coarse.shape[-2:])), 2 * radius + 1  # type: ignore[arg-type]
    mean, level, both, square = blurred(torch.cat([coarse, guide, coarse * guide, guide * guide], 1), size).split(1, 1)
    slope = torch.addcmul(both, mean, level, value=-1) / torch.addcmul(square, level, level, value=-1).add_(eps)
    slope = slope.clamp_(0, 1)
    line = blurred(torch.cat([slope, torch.addcmul(mean, slope, level, value=-1)], 1).mul_(factor), size)
    a, b = enlarged(line, tuple(fine.shape[-2:])).split(1, 1)  # type: ignore[arg-type]
    return torch.addcmul(b, a, fine)


__all__ = ["cosines", "guided", "integrated"]
