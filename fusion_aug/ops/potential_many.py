"""Maps from their steps between neighbours, and coarse maps at the edges of finer ones, of many pictures at once."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from fusion_aug.ops.cells_many import blurred, cells_of, enlarged
from fusion_aug.ops.potential import ROUNDS

Grid = tuple[int, int]


def cosines(grid: Grid) -> dict[str, np.ndarray]:
    """The cosine transforms (orthonormal) of both axes and their eigenvalues, as numbers; see ``integrated``."""
    out = {"signs": -np.array([[1, 1, 1, 1], [1, 1, -1, -1]], np.float32).reshape(2, 2, 2, 1, 1)}
    for name, n in zip(("rows", "columns"), grid, strict=True):
        k = np.arange(n)
        wave = np.cos(np.pi * np.outer(k, 2 * k + 1) / (2 * n)) * np.sqrt(2 / n)
        wave[0] /= np.sqrt(2)
        out[f"waves along {name}"] = wave.astype(np.float32)
        out[f"stiffness along {name}"] = ((2 * np.cos(np.pi * k / n) - 2) * (n / (n - 1))).astype(np.float32)
    out["back along rows"] = np.pad(out["waves along rows"].T, ((1, 1), (0, 0)))
    return out


def integrated(
    steps: Tensor, ties: Tensor, expected: Tensor, factor: float, weight: Tensor, waves: Mapping[str, Tensor]
) -> Tensor:
    """The maps (N, h, w) nearest to given steps and expected values: ``potential.integrated``.

    What its rounds of conjugate gradients find is the best combination of as many maps: those that the preconditioner
    and the equations make of each other. Here these are made first, and the combination is solved for at the end.

    Args:
        steps, ties: (N, 2, h, w) across and down to the next place, and minus their weights; those of the last column
            and of the last row count nowhere.
        expected, factor, weight: what is expected is ``factor`` times ``expected`` (N, h, w). waves: ``cosines``.
    """
    rows, columns, back = waves["waves along rows"], waves["waves along columns"], waves["back along rows"]
    around, size = _around(torch.stack([ties, ties * steps], 1)), expected.shape
    diagonal, pull = (around * waves["signs"]).sum((2, 3)).unbind(1)
    diagonal, pull = diagonal.add_(weight), pull.addcmul_(weight, expected, value=factor)
    around, means = around[:, 0], around[:, 0, 1].mean((2, 3))[..., None, None]  # of one more than there are
    scale = torch.addcmul(weight.mean((1, 2), keepdim=True), means[:, 0], waves["stiffness along columns"])
    scale = torch.addcmul(scale, means[:, 1], waves["stiffness along rows"][:, None]).reciprocal_()
    maps: list[Tensor] = []
    bent = [pull]
    for _ in range(ROUNDS):
        wave = torch.matmul(rows, torch.matmul(bent[-1], columns.T)).mul_(scale)
        wave = torch.matmul(back, wave)  # with a row of nothing before and behind
        # without the map before, since the preconditioner nearly undoes the equations
        x = torch.baddbmm(maps[-1], wave, columns.expand(len(wave), -1, -1), beta=-1) if maps else wave @ columns
        maps.append(x)
        bent.append(_bent(x, diagonal, around))
    known = torch.stack(maps, 1)[:, :, 1:-1].flatten(2)
    products = torch.bmm(torch.stack(bent, 1).flatten(2), known.transpose(1, 2))
    best = torch.linalg.solve_ex(products[:, 1:], products[:, 0])[0]
    return torch.bmm(best[:, None], known).view(size)


def _around(ties: Tensor) -> Tensor:
    """Ties (N, k, 2, h, w) as (N, k, 2, 2, h, w): to the neighbours above and before, behind and below."""
    across, down = F.pad(ties[:, :, 0, :, :-1], (1, 1)), F.pad(ties[:, :, 1, :-1], (0, 0, 1, 1))
    four = torch.stack([down[..., :-1, :], across[..., :-1], across[..., 1:], down[..., 1:, :]], 2)
    return four.unflatten(2, (2, 2))


def _bent(x: Tensor, diagonal: Tensor, around: Tensor) -> Tensor:
    """The equations of maps (N, h, w): each place, and its ties to its neighbours, ``around`` (N, 2, 2, h, w).

    Args:
        x: the maps with a row more before and behind, (N, h + 2, w).
    """
    count, height, width = diagonal.shape
    strides = ((height + 2) * width, width + 1, width - 1, width, 1)  # no tie leads from a row's end to the next one
    neighbours = x.as_strided((count, 2, 2, height, width), strides)
    return torch.addcmul((around * neighbours).sum((1, 2)), diagonal, x[:, 1:-1])


def guided(coarse: Tensor, fine: Tensor, factor: float = 1.0, radius: int = 2, eps: float = 0.02) -> Tensor:
    """Coarse maps (N, 1, h, w) times a factor at the size of fine guides (N, 1, H, W): ``potential.guided``."""
    guide, size = cells_of(fine, tuple(coarse.shape[-2:])), 2 * radius + 1  # type: ignore[arg-type]
    both = torch.cat([coarse, guide], 1)
    means, products = blurred(torch.cat([both, both * guide], 1), size).split(2, 1)
    mean, level = means.split(1, 1)
    common, square = torch.addcmul(products, means, level, value=-1).split(1, 1)
    slope = common.div_(square.add_(eps)).clamp_(0, 1)
    line = blurred(torch.cat([slope, torch.addcmul(mean, slope, level, value=-1)], 1).mul_(factor), size)
    a, b = enlarged(line, tuple(fine.shape[-2:])).split(1, 1)  # type: ignore[arg-type]
    return torch.addcmul(b, a, fine)


__all__ = ["cosines", "guided", "integrated"]
