"""Numbers of objects in masks and clouds of a donor: other ones than the receiver's."""

from __future__ import annotations

import numpy as np

from fusion_aug.errors import DataError
from fusion_aug.ops.free_numbers import numbered_apart
from fusion_aug.streams import SegmentationMask

Array = np.ndarray


def mask_apart(mask: SegmentationMask, own: Array, other: Array) -> Array:
    """A donor's mask (H, W) with numbers of objects that the receiver's (H, W) does not have.

    Args:
        mask: the stream, which says what a number is.

    Raises:
        DataError: so many objects do not fit into its numbers.
    """
    if mask.holds == "class":
        return other
    objects = [_objects(mask, ids.astype(np.int64)) for ids in (own, other)]
    numbers = numbered_apart(np.append(objects[0], mask.ignore), objects[1])
    most = mask.per_class - 1 if mask.holds == "panoptic" else np.iinfo(other.dtype).max
    renamed = other.astype(np.int64) - objects[1] + numbers
    if numbers.max(initial=0) > most or renamed.max(initial=0) > np.iinfo(other.dtype).max:
        raise DataError(f"SwapSector: a mask of {other.dtype} has no numbers for the objects of two samples")
    return renamed.astype(other.dtype)


def _objects(mask: SegmentationMask, ids: Array) -> Array:
    """(H, W) number of the object in its class, 0 of none."""
    known = ids != mask.ignore
    if mask.holds == "instance":
        return np.where(known, ids, 0)
    return np.where(known & (ids >= mask.per_class), ids % mask.per_class, 0)
