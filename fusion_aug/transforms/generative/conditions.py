"""Pictures that tell a ControlNet what has to be where: depth, classes, boxes and edges of an augmented sample."""

from __future__ import annotations

import colorsys
import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import cv2
import numpy as np

from fusion_aug.errors import DataError
from fusion_aug.sample import Sample
from fusion_aug.streams import SegmentationMask
from fusion_aug.transforms.generative.shown_objects import beside, distances, solid_boxes

Array = np.ndarray

EDGES = ((0, 1), (2, 3), (4, 5), (6, 7), (0, 2), (1, 3), (4, 6), (5, 7), (0, 4), (1, 5), (2, 6), (3, 7))  # of a box
CANNY = (100, 200)  # thresholds of gradients, levels


def depth(sample: Sample, name: str, item: int, levels: Array, params: Mapping[str, Any]) -> Array:
    """Inverse distance, white where it is nearest in the picture."""
    inverse = 1 / np.maximum(distances(sample, name, item, params, "Diffuse.condition"), 0.1)
    grey = np.rint(255 * inverse / inverse.max()).astype(np.uint8)
    return np.repeat(grey[..., None], 3, -1)


def segmentation(sample: Sample, name: str, item: int, levels: Array, params: Mapping[str, Any]) -> Array:
    """Classes of the camera's mask in colours: those of ``palette``, else a colour of each name's own.

    Raises:
        DataError: the camera has no mask.
    """
    for label, mask in sample.of_type(SegmentationMask).items():
        mine = mask.instance(label) == sample[name].instance(name)
        if mine and (nearest := beside(mask, sample, name, item)) is not None:
            numbers = mask.image(nearest).numpy().reshape(levels.shape[:2])
            out = np.zeros((*numbers.shape, 3), np.uint8)
            for number in np.unique(numbers).tolist():
                known = 0 <= number < len(mask.label_names) and mask.label_names[number]
                out[numbers == number] = colour_of(known or str(number), params["palette"])
            return out
    raise DataError(f"Diffuse.condition: {name!r} has no mask of classes; leave out segmentation, or give one")


def boxes(sample: Sample, name: str, item: int, levels: Array, params: Mapping[str, Any]) -> Array:
    """The edges of all boxes that the picture shows whole, white on black."""
    out = np.zeros((*levels.shape[:2], 3), np.uint8)
    for corners in solid_boxes(sample, name, item):
        for a, b in EDGES:
            first, last = (np.rint(corners[k]).astype(int).tolist() for k in (a, b))
            cv2.line(out, first, last, (255, 255, 255), 2, cv2.LINE_AA)
    return out


def edges(sample: Sample, name: str, item: int, levels: Array, params: Mapping[str, Any]) -> Array:
    """Edges of the picture itself (Canny), white on black."""
    grey = cv2.Canny(cv2.cvtColor(levels, cv2.COLOR_RGB2GRAY), *CANNY)
    return np.repeat(grey[..., None], 3, -1)


CONDITIONS: dict[str, Callable[[Sample, str, int, Array, Mapping[str, Any]], Array]] = {
    "depth": depth, "segmentation": segmentation, "boxes": boxes, "edges": edges,
}  # fmt: skip


def colour_of(name: str, palette: Mapping[str, Any]) -> tuple[int, int, int]:
    """The colour of a class: that of a palette, else one that its name alone decides."""
    if name in palette:
        red, green, blue = palette[name]
        return int(red), int(green), int(blue)
    number = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=4).digest(), "big")
    return tuple(round(255 * c) for c in colorsys.hsv_to_rgb(number / 2**32, 0.65, 0.95))  # type: ignore[return-value]
