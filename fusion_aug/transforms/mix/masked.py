"""Which pixels of a picture belong to what is named: by a mask of its camera, or by their distance."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fusion_aug.errors import DataError
from fusion_aug.sample import Sample
from fusion_aug.sample.sensors import matches
from fusion_aug.streams import SegmentationMask, ValidityMask

MASK_GAP = 20_000_000  # ns by which a mask may be older or newer than the picture that it belongs to
OBJECTS = "objects"  # name of everything that a mask of instances has a number for
NOT_CHOSEN = -1


def chosen_numbers(sample: Sample, name: str, item: int, classes: Sequence[str], who: str) -> Tensor:
    """What of the named classes every pixel of a picture shows.

    Args:
        sample: one sample or a batch. name: camera stream. item: which of its pictures.
        classes: names or shell patterns of classes (their numbers where a mask has no names), or ``objects`` for all
            objects of a mask of instances.
        who: transform and field, for messages.

    Returns:
        (H, W) int64, the class or, of ``objects``, the object; -1 elsewhere.

    Raises:
        DataError: the camera has no such mask, or it has no class of that name.
    """
    if OBJECTS in classes:
        numbers = _mask_of(sample, name, item, True, who)[0]
        return torch.where(numbers > 0, numbers, NOT_CHOSEN)
    numbers, mask = _mask_of(sample, name, item, False, who)
    known = {i: n for i, n in enumerate(mask.label_names) if n}
    known = known or {i: str(i) for i in range(int(numbers.max()) + 1)}
    for pattern in classes:
        if mask.label_names and not any(matches(n, [pattern]) for n in known.values()):
            raise DataError(f"{who}: {pattern!r} names no class of the masks (they have {', '.join(known.values())})")
    table = torch.full((max([int(numbers.max()), *known], default=0) + 2,), NOT_CHOSEN)
    for number, called in known.items():
        if matches(called, classes):
            table[number] = number
    found: Tensor = table[numbers]  # -1, of which nothing is known, is the last one
    return found


def _mask_of(sample: Sample, name: str, item: int, of_objects: bool, who: str) -> tuple[Tensor, SegmentationMask]:
    stream = sample[name]
    index, time, camera = int(stream.sample_index[item]), int(stream.true_capture_times[item]), stream.instance(name)
    for other, mask in sample.of_type(SegmentationMask).items():
        useful = mask.holds != "class" if of_objects else mask.has_classes
        if isinstance(mask, ValidityMask) or mask.instance(other) != camera or not useful:
            continue
        apart = (mask.true_capture_times - time).abs()
        near = ((mask.sample_index == index) & mask.present & (apart <= MASK_GAP)).nonzero()[:, 0]
        if len(near):
            at = int(near[int(apart[near].argmin())])
            return (mask.instances(at) if of_objects else mask.classes(at)).cpu(), mask
    what = "objects" if of_objects else "classes"
    raise DataError(f"{who}: {name!r} has no mask of {what} at its picture; choose other cameras, or give masks")
