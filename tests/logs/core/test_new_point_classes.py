"""``log.classes`` of clouds whose classes are held in any type of numbers."""

from __future__ import annotations

import pytest
import torch

import fusion_aug as fa
from fusion_aug.logs.core.point_labels import with_new_classes


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.uint8, torch.float32, torch.float64])
def test_classes_in_any_type_get_new_numbers(dtype: torch.dtype) -> None:
    values = {"xyz": torch.zeros(4, 3), "label": torch.tensor([0, 3, 7, 3]).to(dtype)}
    cloud = fa.Lidar(frame="lidar", capture_times=torch.tensor([0]), values=values)
    assert with_new_classes(cloud, {3: 1, 7: 200})["label"].tolist() == [-1, 1, 200, 1]
