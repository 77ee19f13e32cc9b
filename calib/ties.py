"""Ties: a computed number that lies between two choices, decided alike on every processor.

The last bits of a computed number hang on the order in which a processor sums products. Where such a number is made a
whole one, the border between two choices therefore lies beside the numbers that computations like to hit (whole and
half ones), by far more than the last bits and by far less than anything that shows: ``TIE``.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

TIE = 1e-6  # of the unit that is counted, mostly pixels; sums of a thousand float64 products differ by 1e-12 of it

Numbers = TypeVar("Numbers", Tensor, np.ndarray)


def nearest_whole(x: Numbers) -> Numbers:
    """The nearest whole numbers, as floats; a half, and what lies less than ``TIE`` below one, goes up.

    Args:
        x: tensor or array of any shape, such as pixels, whose centres are whole numbers.
    """
    return cell_of(x + 0.5)


def cell_of(x: Numbers) -> Numbers:
    """The cells [k, k + 1) that numbers lie in, as floats; what lies less than ``TIE`` below a border is beyond it.

    Args:
        x: tensor or array of any shape, in cells.
    """
    return torch.floor(x + TIE) if isinstance(x, Tensor) else np.floor(x + TIE)


def count_up(x: float) -> int:
    """The smallest whole number that is not below ``x``, unless that is by less than ``TIE``."""
    return int(np.ceil(x - TIE))
