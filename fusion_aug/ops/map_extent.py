"""What of a picture the canvas of an image map shows, and how much the map shrinks it.

An affine map, which nearly all are, is answered with a few numbers; any other at points around the canvas.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from calib.ties import TIE, cell_of, nearest_whole
from fusion_aug.ops.image_map import ImageMap

MARGIN = 16  # pixels around what is needed, for filters


def shrinking(image_map: ImageMap) -> tuple[float, float]:
    """How many canvas pixels one source pixel covers along the source's u and v, at the canvas centre."""
    affine = image_map.affine
    if affine is not None:
        (a, b, _), (c, d, _) = affine
        return math.hypot(a, c), math.hypot(b, d)
    h, w = image_map.size
    centre = torch.tensor([(w - 1) / 2, (h - 1) / 2], dtype=torch.float64)
    offsets = torch.tensor([[0.0, 0.0], [0.5, 0.0], [0.0, 0.5]], dtype=torch.float64)
    at = image_map.backward(centre + offsets).detach()
    backward = ((at[1:] - at[:1]) * 2).T  # source by canvas
    if not bool(torch.isfinite(backward).all()) or abs(float(torch.linalg.det(backward))) < 1e-9:
        return 1.0, 1.0
    u, v = torch.linalg.norm(torch.linalg.inv(backward), dim=0).tolist()
    return u, v


def _needed(image_map: ImageMap, margin: float) -> tuple[float, float, float, float] | None:
    """Least u and v and largest u and v in the picture of a canvas and ``margin`` pixels beside it; None if unknown."""
    affine = image_map.affine
    if affine is None:
        at = image_map.backward(_rim(image_map.size, margin)).detach()
        if not bool(torch.isfinite(at).all()):
            return None
        (left, top), (right, bottom) = at.amin(0).tolist(), at.amax(0).tolist()
        return left, top, right, bottom
    (a, b, tu), (c, d, tv) = affine
    height, width = image_map.size
    corners = [(x - tu, y - tv) for x in (-margin, width - 1 + margin) for y in (-margin, height - 1 + margin)]
    size = a * d - b * c
    us, vs = [(d * x - b * y) / size for x, y in corners], [(a * y - c * x) / size for x, y in corners]
    return min(us), min(vs), max(us), max(vs)


def crop_to_need(picture: Tensor, image_map: ImageMap) -> tuple[Tensor, ImageMap]:
    """The part of a picture that the canvas looks at, with a margin for the filter; the map from there."""
    height, width = picture.shape[:2]
    need = _needed(image_map, 1)
    if need is None or image_map.matrix() is None:
        return picture, image_map
    left, top, right, bottom = (int(x) for x in cell_of(np.array(need)))
    a, b = max(0, top - MARGIN), min(height, bottom + MARGIN)
    c, d = max(0, left - MARGIN), min(width, right + MARGIN)
    if b - a < 4 or d - c < 4:
        return picture, image_map
    back = torch.tensor([[1.0, 0, c], [0, 1, a], [0, 0, 1]], dtype=torch.float64)
    return picture[a:b, c:d], ImageMap.homography(back, image_map.size).then(image_map)


def stays_inside(image_map: ImageMap, shape: torch.Size) -> bool:
    """Whether the canvas lies inside a picture (H, W, ...): its edge is then repeated, so that no rim is darkened."""
    need, slack = _needed(image_map, 0), 0.5 + TIE
    if need is None:
        return False
    left, top, right, bottom = need
    return min(left, top) >= -slack and right <= shape[1] - 1 + slack and bottom <= shape[0] - 1 + slack


def shown_share(image_map: ImageMap, shape: torch.Size | tuple[int, ...]) -> float:
    """Share of a canvas's pixels whose nearest source pixel lies on a picture (H, W, ...); of one homography."""
    matrix, (height, width) = image_map.matrix(), image_map.size
    assert matrix is not None
    inverse = np.linalg.inv(matrix.detach().numpy())
    x, y = np.arange(width, dtype=float), np.arange(height, dtype=float)
    if not (inverse[0, 1] or inverse[1, 0] or inverse[2, 0] or inverse[2, 1]):  # rows and columns one by one
        ends = [(inverse[k, k] * at + inverse[k, 2]) / inverse[2, 2] for k, at in enumerate((x, y))]
        inside = [(nearest_whole(at) >= 0) & (nearest_whole(at) < shape[1 - k]) for k, at in enumerate(ends)]
        return float(inside[0].mean() * inside[1].mean())
    u, v, w = (a * x + (b * y + c)[:, None] for a, b, c in inverse)
    u, v = nearest_whole(u / w), nearest_whole(v / w)
    return float(((u >= 0) & (u < shape[1]) & (v >= 0) & (v < shape[0])).mean())


def _rim(size: tuple[int, int], margin: float) -> Tensor:
    """Points (k, 2) around the rim of a canvas, ``margin`` pixels outside its outermost pixel centres."""
    u = torch.linspace(-margin, size[1] - 1 + margin, 9, dtype=torch.float64)
    v = torch.linspace(-margin, size[0] - 1 + margin, 9, dtype=torch.float64)
    return torch.cat([torch.cartesian_prod(u, v[[0, -1]]), torch.cartesian_prod(u[[0, -1]], v)])
