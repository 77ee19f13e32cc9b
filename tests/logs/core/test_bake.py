"""Clouds as they are written."""

from __future__ import annotations

import pytest
import torch
from samples import make_sample

from calib.se3 import rotation_about, se3
from fusion_aug.logs.core.bake import bake


@pytest.mark.quick
def test_a_cloud_that_moved_there_and_back_is_written_as_it_was_read() -> None:
    """Poses that cancel do so up to the last bits only."""
    sample = make_sample(gels=False)
    pose, move = sample.rig.frames["lidar"].pose, se3(rotation_about("z", 0.7) @ rotation_about("x", 0.1), [1.1, -2, 3])
    assert isinstance(pose, torch.Tensor)
    there = sample.with_meta(0, rig=sample.rig.with_pose("lidar", pose @ move))
    back = sample.with_meta(0, rig=sample.rig.with_pose("lidar", pose @ move @ torch.linalg.inv(move)))
    assert not torch.equal(back.rig.T("ego", "lidar"), sample.rig.T("ego", "lidar"))
    assert bake(back, sample, "lidar") is back["lidar"]
    assert bake(there, sample, "lidar") is not there["lidar"]
