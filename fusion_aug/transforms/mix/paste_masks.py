"""Which pixels of a picture show an object: by masks where there are some, else by its box and the distances."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from fusion_aug.streams import SegmentationMask, ValidityMask
from fusion_aug.transforms.mix.paste_crops import Crop
from fusion_aug.transforms.mix.paste_objects import GROWN, Solid

Array = np.ndarray
GUESSED = 0.35  # metres by which distances that were worked out reach out of a box
GUESSED_FOOT = 0.15  # metres above the ground
CORE = 0.3  # metres above the ground from which a pixel tells an object's class
LEAST_SHARE = 0.5  # of those pixels, that one number has
SPECK = 0.05  # share of the largest piece of an object that a piece has at least


def object_mask(crop: Crop, solid: Solid, local: Array) -> Array:
    """Pixels (h, w) bool of a donor's crop that show an object, without what hides it.

    Args:
        crop: of the donor. solid: object. local: (h, w, 3) what its pixels show, along the box's axes.
    """
    known = crop.given is not None
    grown, foot = (GROWN, 0.02) if known else (GUESSED, GUESSED_FOOT)
    inside = solid.fills(local, grown, foot)
    core = inside & (local[..., 2] > solid.ground + CORE)
    for numbers in _numbers(crop):
        number = _most(numbers[core])
        if number is not None:
            around = solid.fills(local, 2 * grown, 0.0)
            return _pieces((numbers == number) & around)
    return _pieces(inside)


def _numbers(crop: Crop) -> Iterator[Array]:
    """Numbers (h, w) of objects, then of classes, 0 where there is none, by the masks of a picture."""
    mine = crop.stream.instance(crop.name)
    time = int(crop.stream.true_capture_times[crop.item])
    found = []
    for name, mask in crop.sample.of_type(SegmentationMask).items():
        if isinstance(mask, ValidityMask) or mask.instance(name) != mine:
            continue
        items = (mask.true_capture_times == time).nonzero()[:, 0].tolist()
        found += [(mask, i) for i in items if bool(mask.present[i])]
    for mask, i in sorted(found, key=lambda pair: pair[0].holds == "class"):
        numbers = mask.instances(i) if mask.holds != "class" else mask.classes(i) + 1
        yield numbers[crop.where.slices].numpy()


def _most(numbers: Array) -> int | None:
    """The number that most have; None where that is none, or too few have it."""
    if not len(numbers):
        return None
    values, counts = np.unique(numbers, return_counts=True)
    most = int(counts.argmax())
    return int(values[most]) if values[most] > 0 and counts[most] >= LEAST_SHARE * len(numbers) else None


def _pieces(mask: Array) -> Array:
    """A mask without specks."""
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if count <= 2:
        return mask
    area = stats[1:, cv2.CC_STAT_AREA]
    kept: Array = np.isin(pieces, 1 + np.flatnonzero(area >= SPECK * area.max()))
    return kept
