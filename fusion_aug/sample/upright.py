"""A canvas turned by quarters so that up lies at its first row: cameras hang upside down, and pictures are turned."""

from __future__ import annotations

import numpy as np
import torch

from calib import CameraSensor
from calib.ties import nearest_whole

Array = np.ndarray

STEEP = 0.3  # cosine of the elevation of a picture's middle below which none of its rows is up


def quarter_turns(sensor: CameraSensor, up: Array) -> int:
    """Quarter turns to the left, 0 to 3, after which a canvas stands upright.

    Args:
        sensor: the camera with its canvas. up: (3,) unit vector in the camera's axes.

    Returns:
        0 where the lens shows nothing in the middle of the canvas, or the camera looks straight up or down.
    """
    height, width = sensor.size
    middle = torch.tensor([(width - 1) / 2, (height - 1) / 2], dtype=torch.float64)
    around = middle + torch.tensor([[1.0, 0], [-1, 0], [0, 1], [0, -1]], dtype=torch.float64)
    rays = sensor.unproject(around).numpy()
    steps = rays[::2] - rays[1::2]  # along the columns' axis and down the rows
    climb = steps @ up
    if not np.isfinite(climb).all() or np.hypot(*climb) < STEEP * np.linalg.norm(steps, axis=1).max():
        return 0
    return int(nearest_whole(np.arctan2(climb[:1], -climb[1:]) / (np.pi / 2))[0]) % 4


def turned(sensor: CameraSensor, turns: int) -> CameraSensor:
    """The camera of a canvas after quarter turns to the left, as ``numpy.rot90`` turns pictures."""
    for _ in range(turns):
        height, width = sensor.size
        turn = torch.tensor([[0.0, 1, 0], [-1, 0, width - 1], [0, 0, 1]], dtype=torch.float64)
        sensor = sensor.with_pixel_map(turn, (width, height))
    return sensor
