"""Masks of pictures and grids of occupancy, as networks take them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fusion_aug.errors import DataError
from fusion_aug.sample import Sample
from fusion_aug.streams import Occupancy, SegmentationMask, ValidityMask
from fusion_aug.streams.lazy_columns import UNLABELLED
from fusion_aug.streams.occupancy import LABEL, SEEN

IGNORED = 255  # class of pixels and cells of which nothing is known, as mmsegmentation and Occ3D's tools leave it out
GRIDS = {LABEL: "voxel_semantics", **dict(zip(SEEN, ("mask_camera", "mask_lidar"), strict=True))}


def mask_beside(sample: Sample, camera: str, of_objects: bool = False) -> Tensor | None:
    """(H, W) int64 numbers beside the key picture of a camera; None where it has no mask.

    Args:
        sample: one sample. camera: stream of its pictures.
        of_objects: the numbers of objects, 0 for none, instead of those of classes, -1 where nothing is known.
    """
    pictures = sample.streams.get(camera)
    if pictures is None or not len(pictures):
        return None
    time, own = int(pictures.capture_times[sample.key_item(camera)]), pictures.instance(camera)
    for name, mask in sample.of_type(SegmentationMask).items():
        at = ((mask.capture_times == time) & mask.present).nonzero()[:, 0].tolist()
        useful = mask.holds != "class" if of_objects else mask.has_classes
        if at and useful and mask.instance(name) == own and not isinstance(mask, ValidityMask):
            return mask.instances(at[0]) if of_objects else mask.classes(at[0])
    return None


def picture_masks(sample: Sample, cameras: Sequence[str]) -> dict[str, list[np.ndarray]]:
    """``gt_semantic_seg`` and ``gt_instance_seg`` of ``to_mmdet3d``; empty where no camera has a mask.

    Raises:
        DataError: there is a class 255, which stands for pixels of which nothing is known.
    """
    out: dict[str, list[np.ndarray]] = {}
    for key, of_objects in (("gt_semantic_seg", False), ("gt_instance_seg", True)):
        found = [mask_beside(sample, name, of_objects) for name in cameras]
        if all(m is None for m in found):
            continue
        nothing = 0 if of_objects else IGNORED
        sizes = [sample.rig.camera(sample[name].instance(name)).size for name in cameras]
        whole = [torch.full(s, nothing) if m is None else m.cpu() for m, s in zip(found, sizes, strict=True)]
        if not of_objects and any(m is not None and bool((m == IGNORED).any()) for m in found):
            raise DataError(
                f"{key}: a mask has a class {IGNORED}, which here stands for pixels of which nothing is known"
            )
        out[key] = [m.masked_fill(m == UNLABELLED, nothing).numpy() for m in whole]
    return out


def grid_tables(sample: Sample) -> dict[str, np.ndarray]:
    """The key grid of a sample's occupancy: ``voxel_semantics``, ``mask_camera``, ``mask_lidar``; empty without one."""
    for name, grids in sample.of_type(Occupancy).items():
        if len(grids):
            item, values = sample.key_item(name), grids.realized().values
            return {key: values[column][item].cpu().numpy() for column, key in GRIDS.items() if column in values}
    return {}


def dense_masks(samples: Sequence[Sample], cameras: Sequence[str], images: Tensor) -> dict[str, Tensor]:
    """Masks and grids of a batch, for ``to_dense``; without those that no sample has.

    Args:
        samples: B of them. cameras: C of them. images: (B, C, H, W, 3).

    Raises:
        DataError: masks and pictures, or grids, are of different sizes.
    """
    out: dict[str, Any] = {}
    shape = (len(samples), len(cameras), *images.shape[2:4])
    for key, of_objects in (("mask_labels", False), ("mask_instances", True)):
        found = [mask_beside(s, c, of_objects) for s in samples for c in cameras]
        there = [m for m in found if m is not None]
        if not there:
            continue
        if any(m.shape != shape[2:] for m in there):
            raise DataError(
                f"{key}: masks and pictures of one size can be stacked; bring them to one size (ResizeCrop)"
            )
        empty = torch.full(shape[2:], 0 if of_objects else UNLABELLED, device=there[0].device)
        out[key] = torch.stack([empty if m is None else m for m in found]).reshape(shape)
    grids = [grid_tables(s) for s in samples]
    for key in dict.fromkeys(k for g in grids for k in g):
        model = next(g[key] for g in grids if key in g)
        if any(key in g and g[key].shape != model.shape for g in grids):
            raise DataError(f"{key}: grids of different sizes cannot be stacked")
        nothing = np.full_like(model, IGNORED if key == GRIDS[LABEL] else 0)
        out[key] = torch.from_numpy(np.stack([g.get(key, nothing) for g in grids]))
    return out
