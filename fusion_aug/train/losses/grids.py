"""Maps from above that a network made of two views, compared cell by cell in one scene."""

from __future__ import annotations

import torch
from torch import Tensor

from calib.ties import TIE
from fusion_aug.errors import ConfigError
from fusion_aug.train.losses.divergence import jensen_shannon
from fusion_aug.train.losses.pictures import at_pixels
from fusion_aug.train.maps import checked_span

Span = tuple[float, float]


def map_consistency(
    logits_a: Tensor, logits_b: Tensor, T_b_a: Tensor, *, x: Span, y: Span,
    where: Tensor | None = None, multi_label: bool = True,
) -> Tensor:  # fmt: skip
    """How far two views' maps from above lie apart, cell by cell of a: their Jensen-Shannon divergence.

    The map of b is read, bilinear, where the scene's recorded motion puts the centres of the cells of a. Cells that b
    does not hold do not count. Pitch and roll are taken at the height of the reference frame's origin.

    Args:
        logits_a, logits_b: (C, X, Y) of one sample; cell (i, j) has its centre at x[0] + (i + 1/2) (x[1] - x[0]) / X,
            y[0] + (j + 1/2) (y[1] - y[0]) / Y in its view's reference frame, as of ``rasterize_map``.
        T_b_a: (4, 4) from the reference frame of a to that of b, ``fa.matches(a, b).T_b_a``.
        x, y: the rectangle of both maps, metres.
        where: (X, Y) bool, the cells of a that count, such as those that a labelled map covers.
        multi_label: whether each class is a yes or no of its own, as in maps and heat maps.

    Returns:
        the mean, () nats; 0 where no cell counts.

    Raises:
        ConfigError: the maps or ``where`` are not of one shape, or x or y does not go from less to more.
    """
    if logits_a.ndim != 3 or logits_a.shape != logits_b.shape:
        shapes = tuple(logits_a.shape), tuple(logits_b.shape)
        raise ConfigError(f"map_consistency: expected two maps (C, X, Y) of one shape, got {shapes[0]}, {shapes[1]}")
    (x0, x1), (y0, y1) = checked_span("map_consistency: x", x), checked_span("map_consistency: y", y)
    count = logits_a.shape[1:]
    if where is not None and (where.dtype != torch.bool or where.shape != count):
        got = f"{where.dtype} {tuple(where.shape)}"
        raise ConfigError(f"map_consistency: where: expected bool {tuple(count)} as the maps have cells, got {got}")
    if 0 in count:
        return logits_a.sum() + logits_b.sum()
    low = torch.tensor([x0, y0], dtype=torch.float64)
    cell = torch.tensor([(x1 - x0) / count[0], (y1 - y0) / count[1]], dtype=torch.float64)
    number = torch.cartesian_prod(*(torch.arange(n, dtype=torch.float64) for n in count))
    centre = low + (number + 0.5) * cell
    T = T_b_a.to("cpu", torch.float64)
    there = (centre @ T[:2, :2].T + T[:2, 3] - low) / cell - 0.5
    size = torch.tensor(count, dtype=torch.float64)
    # half a cell past the outermost centres the map still tells of what it holds
    inside = ((there >= -0.5 - TIE) & (there <= size - 0.5 + TIE)).all(1)
    if where is not None:
        inside &= where.to("cpu").reshape(-1)
    own = logits_a.flatten(1).T[inside.to(logits_a.device)]
    # a picture's u is its last axis
    other = at_pixels(logits_b, there[inside].flip(-1).to(logits_b.device))
    return jensen_shannon([own, other], multi_label=multi_label)
