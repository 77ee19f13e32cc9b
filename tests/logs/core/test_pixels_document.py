"""The block of docs/labels.md on pixels runs as it is written."""

from __future__ import annotations

import re

import torch
from places import DRIVE, REPOSITORY


def test_the_block_on_pixels() -> None:
    text = (REPOSITORY / "docs" / "labels.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", text.partition("## Pixels")[2].partition("\n## ")[0], re.S)
    names: dict[str, object] = {}
    exec(block.replace('"datasets/drive"', repr(str(DRIVE))), names)
    classes = names["classes"]
    assert isinstance(classes, torch.Tensor)
    source = names["sample"]["CAM_FRONT/classes"].image(0)  # type: ignore[index]
    unknown = classes == -1
    assert 0.01 < float(unknown.double().mean()) < 0.5
    assert set(classes[~unknown].unique().tolist()) <= set(source.unique().tolist())
