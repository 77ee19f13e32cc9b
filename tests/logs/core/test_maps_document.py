"""The block of docs/labels.md on maps runs as it is written."""

from __future__ import annotations

import re

import torch
from places import DRIVE, REPOSITORY


def test_the_block_on_maps() -> None:
    text = (REPOSITORY / "docs" / "labels.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", text.partition("## Maps")[2].partition("\n## ")[0], re.S)
    names: dict[str, object] = {}
    exec(block.replace('"datasets/drive"', repr(str(DRIVE))), names)
    vectors, masks = names["vectors"], names["masks"]
    assert isinstance(vectors, dict) and isinstance(masks, torch.Tensor)
    count = len(vectors["points"])
    assert count > 5 and vectors["points"].shape == (count, 20, 3)
    assert all(vectors[k].shape == (count,) for k in ("labels", "closed", "elements"))
    assert masks.shape == (6, 200, 100) and masks.dtype == torch.uint8 and masks[0].sum() > 1000, "as the comments say"
