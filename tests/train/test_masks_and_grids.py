"""Masks of pictures and grids of occupancy in dictionaries and dense tensors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from samples import T0, make_sample

import fusion_aug as fa
from fusion_aug.errors import DataError

CAMERAS = ["CAM_FRONT", "CAM_LEFT"]


def straight(seed: int = 0, ids: torch.Tensor | None = None, **more: object) -> fa.Sample:
    """A sample whose front camera has a panoptic mask; the grid has 6 x 4 x 2 cells."""
    sample = make_sample(f"s{seed}", seed=seed, gels=False)
    if ids is None:
        ids = torch.from_numpy(np.random.default_rng(seed).integers(0, 8, (48, 64)) * 1000)
        ids[:9], ids[9:20] = 65535, 4007
    front = sample["CAM_FRONT"]
    mask = fa.SegmentationMask(
        frame="CAM_FRONT", camera="CAM_FRONT", capture_times=front.capture_times, items=(ids,), holds="panoptic",
        ignore=65535, **more,
    )  # fmt: skip
    label = np.random.default_rng(seed).integers(0, 18, (1, 6, 4, 2), np.uint8)
    grid = fa.Occupancy(frame="ref", capture_times=[T0], low=(-3.0, -2.0, 0.0), cell=(1.0, 1.0, 1.0), free=17,
                        values={"label": label, "seen_by_lidar": (label < 9).astype(np.uint8)})  # fmt: skip
    keep = {n: s for n, s in sample.streams.items() if n != "CAM_LEFT/mask"}
    return sample.with_streams({**keep, "CAM_FRONT/ids": mask, "occupancy": grid})


def test_dictionaries_hold_masks_and_grids_after_geometry() -> None:
    sample = straight()
    out = fa.Compose([fa.MirrorScene(axis="x"), fa.Crop(size=(40, 80), x=0.0, y=0.0)])(sample, seed=1)
    row = fa.to_mmdet3d(out, cameras=["CAM_FRONT"])
    classes, objects = row["gt_semantic_seg"][0], row["gt_instance_seg"][0]
    assert classes.shape == objects.shape == row["img"][0].shape[:2] and classes.dtype == objects.dtype == np.int64
    stream = out["CAM_FRONT/ids"]
    raw = stream.image(0).numpy()
    assert np.array_equal(classes, np.where(raw == 65535, 255, raw // 1000)) and (classes == 255).any()
    assert np.array_equal(objects, np.where(raw == 4007, 4007, 0)) and (objects > 0).any()
    grid = sample["occupancy"]
    assert np.array_equal(row["voxel_semantics"], grid["label"][0].numpy()[::-1])
    assert np.array_equal(row["mask_lidar"], grid["seen_by_lidar"][0].numpy()[::-1]) and "mask_camera" not in row
    assert "gt_semantic_seg" not in fa.to_mmdet3d(make_sample(gels=False), cameras=["CAM_FRONT"])


def test_a_batch_of_masks_and_grids() -> None:
    samples = [straight(0), straight(1)]
    without = samples[1].with_streams(
        {n: s for n, s in samples[1].streams.items() if n not in ("occupancy", "CAM_FRONT/ids")}
    )
    dense = fa.to_dense(fa.collate(samples), cameras=["CAM_FRONT"])
    assert dense["mask_labels"].shape == dense["images"].shape[:4] and dense["mask_labels"].dtype == torch.int64
    for u, sample in enumerate(samples):
        assert torch.equal(dense["mask_labels"][u, 0], sample["CAM_FRONT/ids"].classes(0))
        assert torch.equal(dense["mask_instances"][u, 0], sample["CAM_FRONT/ids"].instances(0))
        assert torch.equal(dense["voxel_semantics"][u], sample["occupancy"]["label"][0])
    first = fa.to_dense(fa.collate([samples[0], without]), cameras=["CAM_FRONT"], channels_first=True)
    assert first["images"].shape[2] == 3 and tuple(first["mask_labels"].shape[2:]) == tuple(first["images"].shape[3:])
    assert bool((first["mask_labels"][1] == -1).all()) and not bool(first["mask_instances"][1].any())
    assert bool((first["voxel_semantics"][1] == 255).all()) and not bool(first["mask_lidar"][1].any())
    assert not {"mask_labels", "voxel_semantics"} & set(fa.to_dense(without, cameras=["CAM_FRONT"]))


def test_what_cannot_be_handed_over_is_told() -> None:
    full = straight(ids=torch.full((48, 64), 255))
    with pytest.raises(DataError, match="gt_semantic_seg: a mask has a class 255"):
        fa.to_mmdet3d(full, cameras=["CAM_FRONT"])
    sample = straight()
    small = replace(sample["CAM_FRONT/ids"], items=(torch.zeros((24, 32), dtype=torch.int64),))
    with pytest.raises(DataError, match="mask_labels: masks and pictures of one size can be stacked"):
        fa.to_dense(sample.with_streams({**sample.streams, "CAM_FRONT/ids": small}), cameras=["CAM_FRONT"])
