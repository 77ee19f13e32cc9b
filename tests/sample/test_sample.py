"""Samples and batches, asked for where things are."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from oracle import cloud, seen
from samples import make_batch, make_sample

import fusion_aug as fa

pytestmark = pytest.mark.quick


def test_points_and_pixels_follow_from_the_numbers_of_the_rig() -> None:
    sample = make_sample(points=2000)
    points, found = cloud(sample, "lidar"), sample.points("lidar")
    assert np.abs(found["xyz"][found.item_slice(sample.key_item("lidar"))].numpy() - points).max() < 2e-5
    for camera in sample.of_type(fa.Camera):
        expected = seen(sample, camera, points)
        inside = np.isfinite(expected).all(1)
        pixels, visible = sample.project_ref(torch.from_numpy(points), camera)
        assert inside.sum() > 50 and bool(visible[inside].all()), camera
        assert np.abs(pixels.numpy() - expected)[inside].max() < 1e-9, camera


def test_projection_of_an_item_in_a_batch_uses_its_own_sample() -> None:
    out = fa.ResizeCrop(scale=[0.5, 1.5])(make_batch(3))
    item = out["lidar"].sample_index.tolist().index(2) + 1
    p, _ = out.project("lidar", "CAM_FRONT", item=item)
    q, seen = out.take([2]).project("lidar", "CAM_FRONT", item=1)
    assert torch.equal(p[seen], q[seen])
    with pytest.raises(fa.DataError, match="another sample"):
        out.project("lidar", "CAM_FRONT", item=item, camera_item=0)
