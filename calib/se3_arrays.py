"""Rigid transforms of many rows at once, as NumPy arrays.

All is worked out term by term and not by the matrix products of a library, so that the bits of a row do not depend on
those beside it. Of few rows it takes a third of the time that torch takes.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

Array = np.ndarray[Any, Any]
# entries of rotation matrices, row by row: twice the sum (of _LESS the difference) of two of the 16 products of the
# quaternion's numbers, on the diagonal 1 less that
_FIRST, _SECOND, _LESS = [10, 6, 7, 6, 5, 11, 7, 11, 5], [15, 3, 2, 3, 15, 1, 2, 1, 10], [1, 5, 6]


def product(a: Array, b: Array) -> Array:
    """Products (..., i, k) of small matrices (..., i, j) and (..., j, k), term by term: the same bits everywhere."""
    out: Array = a[..., :, 0, None] * b[..., 0, None, :] + 0.0  # so that no zero is negative, as nowhere else
    for j in range(1, a.shape[-1]):
        out = out + a[..., :, j, None] * b[..., j, None, :]
    return out


def normalized(wxyz: Array) -> Array:
    """Quaternions (..., 4) of length 1, entry by entry: the same bits alone and among others."""
    w, x, y, z = (wxyz[..., i, None] for i in range(4))
    squares = torch.from_numpy(w * w + x * x + y * y + z * z)
    out: Array = wxyz / torch.sqrt(squares).numpy()  # torch's root, which may differ from others in the last bit
    return out


def rotations(q: Any) -> Any:
    """Rotation matrices (..., 3, 3) of unit quaternions (..., 4), a tensor or an array."""
    columns = q.reshape((-1, 4)).T
    products = (columns[:, None] * columns).reshape((16, columns.shape[1]))
    second = products[_SECOND]
    second[_LESS] *= -1
    entries = 2 * (products[_FIRST] + second)  # such as 2 (x y - w z)
    entries[::4] = 1 - entries[::4]
    return entries.T.reshape((*q.shape[:-1], 3, 3))


def poses_of_rows(rows: Array) -> Tensor:
    """Poses (n, 4, 4) of a table of quaternions, w x y z, and places (n, 7), which need not be of length 1."""
    out = np.zeros((len(rows), 4, 4))
    out[:, :3, :3], out[:, :3, 3], out[:, 3, 3] = rotations(normalized(rows[:, :4])), rows[:, 4:], 1.0
    return torch.from_numpy(out)


def rotvec_from_rotation(rotation: Array) -> Array:
    """Rotation vectors (n, 3), radians, of rotation matrices (n, 3, 3)."""
    m = rotation
    if not len(m):
        return np.zeros((0, 3))
    trace = m[:, 0, 0] + m[:, 1, 1] + m[:, 2, 2]
    turns_little = trace > np.maximum(np.maximum(m[:, 0, 0], m[:, 1, 1]), m[:, 2, 2])
    if not (turns_little.all() and np.abs(product(m, m.swapaxes(1, 2)) - np.eye(3)).max() < 1e-12):
        from scipy.spatial.transform import Rotation

        return np.asarray(Rotation.from_matrix(m).as_rotvec()).reshape(-1, 3)
    q = np.stack([m[:, 2, 1] - m[:, 1, 2], m[:, 0, 2] - m[:, 2, 0], m[:, 1, 0] - m[:, 0, 1], 1 + trace])  # x y z w
    q /= np.sqrt(q[0] * q[0] + q[1] * q[1] + q[2] * q[2] + q[3] * q[3])
    lengths = np.sqrt(q[0] * q[0] + q[1] * q[1] + q[2] * q[2])
    halves = [math.atan2(sin, cos) for sin, cos in zip(lengths.tolist(), q[3].tolist(), strict=True)]
    scales = [2 * h / math.sin(h) if h > 5e-4 else 2 + h * h / 3 + 7 * h**4 / 180 for h in halves]  # a series near 0
    found: Array = q[:3].T * np.array(scales)[:, None]
    return found


def determinants(m: Array) -> Array:
    """Determinants (...) of matrices (..., 3, 3)."""
    (a, b, c), (d, e, f), (g, h, i) = m.reshape(-1, 3, 3).transpose(1, 2, 0)
    found: Array = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    return found
