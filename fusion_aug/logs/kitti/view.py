"""The part of a cloud that a camera sees (``log.crop_to_view``)."""

from __future__ import annotations

import torch
from torch import Tensor

from calib.se3 import invert
from fusion_aug.sample import Sample
from fusion_aug.streams import Points

MARGIN = 0.01  # px inside the canvas, so that no point leaves it when its coordinates are rounded to float32


def seen_points(sample: Sample, cloud: Points, camera: str) -> Tensor:
    """Which points (n,) of a cloud lie before a camera and on its canvas (0 to width - 1).

    Args:
        sample: it has the calibration. cloud: of one item, in the reference frame. camera: of the rig.
    """
    sensor = sample.rig.camera(camera)
    M = sensor.A @ sensor.model.K @ invert(sample.rig.T("velodyne", camera))[:3]
    seen = cloud["xyz"].to(torch.float64) @ M[:, :3].T + M[:, 3]
    pixels = seen[:, :2] / seen[:, 2:]
    height, width = sensor.size
    limit = torch.tensor([width - 1.0, height - 1.0], dtype=torch.float64)
    inside: Tensor = ((pixels >= MARGIN) & (pixels <= limit - MARGIN)).all(1)
    return inside & (seen[:, 2] > 0)
