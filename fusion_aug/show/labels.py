"""Drawing what is labelled: points by their class, masks over pictures, occupancy from above."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from fusion_aug.sample import Sample
from fusion_aug.streams import Occupancy, Points, SegmentationMask, ValidityMask
from fusion_aug.streams.lazy_columns import UNLABELLED
from fusion_aug.streams.occupancy import LABEL

NOBODY = (110, 110, 110)  # RGB levels of what nobody labelled
GOLDEN = 137.50776  # degrees of hue from a number to the next, so that neighbours differ
TINT, FLOOR = 0.45, 0.45  # weight of a mask over its picture; light of the lowest cells of a grid against the highest
ENTRY, ABOVE = 15, 60  # pixels of an entry of a legend, and what is left free above it
PAPER = (24, 26, 30)


def label_colours(numbers: np.ndarray) -> np.ndarray:
    """RGB levels (n, 3) uint8 of classes (n,); every number has its own, gray is unlabelled."""
    n = np.asarray(numbers, np.int64).reshape(-1)
    hue = (n * GOLDEN % 360) / 2  # OpenCV's hues of 8 bits count to 180
    level = np.stack([hue, 190 - 45 * (n % 3), 255 - 35 * (n // 3 % 3)], 1)
    rgb = (
        cv2.cvtColor(level.astype(np.uint8)[:, None], cv2.COLOR_HSV2RGB)[:, 0] if len(n) else np.zeros((0, 3), np.uint8)
    )
    return np.where((n == UNLABELLED)[:, None], np.array(NOBODY, np.uint8), rgb)


def point_labels(cloud: Points) -> np.ndarray | None:
    """Classes (n,) of all points of a cloud; None where none has one."""
    if LABEL not in cloud.values:
        return None
    found: np.ndarray = cloud.realized()[LABEL].cpu().numpy()
    return found if bool((found != UNLABELLED).any()) else None


def tint_with_mask(image: np.ndarray, sample: Sample, camera: str, item: int) -> None:
    """Lay the mask of a picture over it, that of classes before that of objects.

    Args:
        image: (H, W, 3) uint8 RGB of any size, which is changed. sample: one sample. camera: stream of the picture.
        item: of the stream.
    """
    pictures = sample[camera]
    time, own = int(pictures.capture_times[item]), pictures.instance(camera)
    for name, mask in sorted(sample.of_type(SegmentationMask).items(), key=lambda m: not m[1].has_classes):
        at = (mask.capture_times == time).nonzero()[:, 0].tolist()
        if isinstance(mask, ValidityMask) or mask.instance(name) != own or not at:
            continue
        numbers = mask.classes(at[0]) if mask.has_classes else mask.instances(at[0])
        numbers = cv2.resize(
            numbers.cpu().numpy().astype(np.float64), image.shape[1::-1], interpolation=cv2.INTER_NEAREST
        ).astype(np.int64)
        known = numbers != (UNLABELLED if mask.has_classes else 0)
        colours = label_colours(numbers[known])
        image[known] = (image[known] * (1 - TINT) + colours * TINT).astype(np.uint8)
        return


def occupancy_from_above(image: np.ndarray, sample: Sample, place: Callable[[np.ndarray], np.ndarray]) -> None:
    """Draw the highest cell that something fills of every column, the higher the brighter.

    Args:
        image: (H, W, 3) uint8 RGB, which is changed. sample: one sample.
        place: places (n, 2) of the reference frame of pixels (n, 2).
    """
    v, u = np.mgrid[: image.shape[0], : image.shape[1]]
    flat = place(np.stack([u.reshape(-1), v.reshape(-1)], 1).astype(np.float64))
    for name, grids in sample.of_type(Occupancy).items():
        if not len(grids):
            continue
        item = sample.key_item(name)
        labels = grids[LABEL][item].cpu().numpy().astype(np.int64)
        T = np.linalg.inv(sample.T_ref(name, item).numpy())
        own = flat @ T[:2, :2].T + T[:2, 3]
        cells = np.floor((own - grids.low[:2]) / grids.cell[:2]).astype(int)
        inside = ((cells >= 0) & (cells < labels.shape[:2])).all(1)
        columns = labels[tuple(cells[inside].T)]
        filled = columns != grids.unknown
        filled &= columns != grids.free if grids.free is not None else True
        top = columns.shape[1] - 1 - filled[:, ::-1].argmax(1)
        light = FLOOR + (1 - FLOOR) * top / max(1, columns.shape[1] - 1)
        colours = label_colours(columns[np.arange(len(columns)), top]) * light[:, None]
        rows = np.flatnonzero(inside)[filled.any(1)]
        image.reshape(-1, 3)[rows] = colours[filled.any(1)].astype(np.uint8)


def draw_legend(image: np.ndarray, sample: Sample) -> None:
    """Write the names of all classes, the commonest on top, into the lower left corner, in their colours."""
    counts: dict[tuple[int, str], int] = {}
    for cloud in sample.of_type(Points).values():
        _count(counts, point_labels(cloud), cloud.label_names)
    for grids in sample.of_type(Occupancy).values():
        _count(counts, grids[LABEL].cpu().numpy().reshape(-1), grids.label_names, (grids.unknown, grids.free))
    pixels = dict[tuple[int, str], int]()
    for name, masks in sample.of_type(SegmentationMask).items():
        if masks.has_classes and masks.label_names and len(masks) and not isinstance(masks, ValidityMask):
            _count(pixels, masks.classes(sample.key_item(name)).cpu().numpy().reshape(-1), masks.label_names)
    common = list(dict.fromkeys((*_commonest(counts), *_commonest(pixels))))
    room = max(1, (image.shape[0] - ABOVE) // ENTRY)
    if len(common) > room:
        common = [*common[: room - 1], (UNLABELLED, f"and {len(common) - room + 1} more")]
    for row, (number, name) in enumerate(reversed(common)):
        y = image.shape[0] - 8 - ENTRY * row
        cv2.rectangle(image, (0, y - 11), (10 + 7 * len(name), y + 4), PAPER, -1)
        colour = [int(c) for c in label_colours(np.array([number]))[0]]
        cv2.putText(image, name, (5, y), cv2.FONT_HERSHEY_SIMPLEX, 0.38, colour, 1, cv2.LINE_AA)


def _commonest(counts: dict[tuple[int, str], int]) -> list[tuple[int, str]]:
    return sorted(counts, key=lambda k: -counts[k])


def _count(
    counts: dict[tuple[int, str], int],
    numbers: np.ndarray | None,
    names: tuple[str, ...],
    but: tuple[int | None, ...] = (),
) -> None:
    for number, count in zip(*np.unique(numbers, return_counts=True), strict=True) if numbers is not None else ():
        if 0 <= number < len(names) and names[number] and number not in but:
            key = (int(number), names[number])
            counts[key] = counts.get(key, 0) + int(count)
