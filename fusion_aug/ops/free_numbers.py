"""Numbers of objects of two samples side by side: none of one means an object of the other."""

from __future__ import annotations

import numpy as np


def numbered_apart(own: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Numbers of another sample's objects, where they are taken changed to the smallest that neither has.

    Args:
        own, other: whole numbers of any shape; 0 is no object, and stays so.

    Returns:
        of the shape of ``other``, int64.
    """
    mine, (theirs, place) = np.unique(own), np.unique(other, return_inverse=True)
    known = np.union1d(mine, theirs)
    taken = np.isin(theirs, mine) & (theirs != 0)
    count = int(taken.sum())
    free = np.setdiff1d(np.arange(1, len(known) + count + 2), known)[:count]
    renamed = theirs.astype(np.int64)
    renamed[taken] = free
    numbers: np.ndarray = renamed[place.reshape(other.shape)]
    return numbers
