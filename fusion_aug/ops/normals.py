"""Normal variates for rows, by inversion: the quantile of 32 bits of a row's hash, from a table that all devices share.

The quantile is a chain of straight lines between exact points, 128 in each octave of the probability of a tail
(hierarchical segments, as in Cheung, Lee, Luk and Villasenor 2007, Hardware generation of arbitrary random number
distributions from uniform distributions via the inversion method). It is exact within 4e-6 and ends at 6.23 standard
deviations, beyond which one in 2e9 normal variates lies. Only one product and one sum are rounded, as IEEE 754 says.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fusion_aug.ops.hashed import RowKey, for_rows, mixed

OCTAVE = 128  # segments, told by the 7 leading bits of a float32's fraction


@lru_cache(maxsize=16)
def _lines(device: torch.device | None = None) -> tuple[Any, Any]:
    """Offset and slope (65536,) float32 of each segment, by the upper 16 bits of the float32 that falls into it.

    The float32 is a whole number v from -2^31 to 2^31, and the variate the quantile of |v| / 2^32 with its sign.
    """
    if device is not None:
        return tuple(torch.from_numpy(column).to(device) for column in _lines())  # type: ignore[return-value]
    from scipy.special import ndtri  # slow to import

    edges = 2.0 ** np.arange(32)[:, None] * (1 + np.arange(OCTAVE + 1) / OCTAVE)
    quantile = -ndtri(edges / 2.0**32)
    slope = np.diff(quantile, axis=1) / np.diff(edges, axis=1)
    offset = quantile[:, :-1] - slope * edges[:, :-1]
    table = np.zeros((2, 2, 256, OCTAVE), np.float32)  # offset and slope by sign, exponent and fraction
    table[0, 0, 127:159], table[0, 1, 127:159] = offset, -offset
    table[1, :, 127:159] = slope
    return table[0].reshape(-1), table[1].reshape(-1)


def quantile_lines() -> np.ndarray:
    """The table of ``normal_by``: (2, 65536) float32, which whoever asks brings to the device of the rows."""
    return np.stack(_lines())


def normal_by(lines: Tensor, key: RowKey, rows: Tensor) -> Tensor:
    """What ``normal`` gives, for rows on a device that ``lines``, a table, lies on; no copy is made.

    Args:
        lines: ``quantile_lines``. key: of tensors that go with the rows. rows: (...) int64.
    """
    value = ((mixed(key, rows) >> 32) | 1).to(torch.float32)
    segment = (value.view(torch.int32) >> 16) & 0xFFFF
    return lines[1][segment] * value + lines[0][segment]


@for_rows(np.float32)
def normal(key: RowKey, rows: Any) -> Any:
    """A standard normal variate for every row, float32."""
    if isinstance(rows, Tensor):
        return normal_by(torch.stack(_lines(rows.device)), key, rows)
    value = ((mixed(key, rows) >> 32) | 1).astype(np.float32)
    # NumPy picks by its own type of index in a third of the time
    segment, (offset, slope) = (value.view(np.uint32) >> 16).astype(np.intp), _lines()
    return slope.take(segment) * value + offset.take(segment)
