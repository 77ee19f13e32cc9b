"""The block of docs/labels.md on trajectories runs as it is written."""

from __future__ import annotations

import re

import numpy as np
import torch
from places import DRIVE, REPOSITORY


def test_the_block_on_trajectories() -> None:
    text = (REPOSITORY / "docs" / "labels.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", text.partition("## Trajectories")[2].partition("\n## ")[0], re.S)
    names: dict[str, object] = {}
    exec(block.replace('"datasets/drive"', repr(str(DRIVE))), names)
    places, steps = names["places"], names["steps"]
    assert isinstance(places, torch.Tensor) and places.shape == (9, 3)  # from 1 s before to 3 s after
    assert isinstance(steps, np.ndarray) and steps.shape[1:] == (6, 2) and np.abs(steps).max() > 0.5
