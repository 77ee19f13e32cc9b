"""What ``make device`` checks on a GPU, on the mock device."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch

from fusion_aug.testing import mock_device

TOOL = Path(__file__).resolve().parents[3] / "tools" / "device.py"


def test_values_of_the_sample_log() -> None:
    spec = importlib.util.spec_from_file_location("device_tool", TOOL)
    assert spec is not None and spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    with mock_device() as log:
        found = tool.values(log.device, log, 2)
    assert all(v["levels off by more than 1"] <= 1e-3 and v["all else"] <= 1e-5 for v in found.values())
    batch = tool.keyframes(1)
    cloud = batch["LIDAR_TOP"]
    moved = cloud.with_values(xyz=cloud["xyz"] + torch.tensor([0.0, 0.0, 1e-3]))
    wrong = batch.with_streams({**batch.streams, "LIDAR_TOP": moved})
    assert tool.differences(batch, wrong)["all else"] > 1e-5
