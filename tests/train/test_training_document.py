"""docs/training.md: its code runs, on a made log and without workers."""

from __future__ import annotations

from pathlib import Path

import torch
from places import ARM, REPOSITORY

import fusion_aug as fa


def test_code_of_the_document_runs(street: Path) -> None:
    text = (REPOSITORY / "docs" / "training.md").read_text(encoding="utf-8")
    blocks = [b.split("```")[0] for b in text.split("```python\n")[1:]]
    assert len(blocks) == 6
    names: dict = {"fa": fa, "root": str(street), "workers": 0, "arm": ARM}
    for block in blocks:
        exec(compile(block, "docs/training.md", "exec"), names)
        if "history" in block:
            drawn = names["batch"].take([0])
    assert names["images"].shape[1:] == (64, 176, 3)
    assert isinstance(names["batch"]["sample"], fa.Sample) and len(names["batch"]["id"]) == 2
    policy = names["policy"]
    assert policy["observation.images.front"].shape == (2, 2, 120, 160, 3) and policy["action"].shape == (2, 5, 8)
    again = fa.replay(names["log"].read(drawn.meta.id), names["history"])
    assert torch.equal(drawn["CAM_FRONT"].images, again.realized()["CAM_FRONT"].images)
