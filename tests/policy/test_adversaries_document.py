"""docs/adversaries.md: its code runs, on a made log."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from places import REPOSITORY

import fusion_aug as fa


def test_code_of_the_document_runs(street: Path) -> None:
    text = (REPOSITORY / "docs" / "adversaries.md").read_text(encoding="utf-8")
    text = text.replace('"datasets/drive"', repr(str(street)))
    blocks = [b.split("```")[0] for b in text.split("```python\n")[1:]]
    assert len(blocks) == 5
    names: dict = {}
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", fa.ZeroGradient)
        for block in blocks:
            exec(compile(block, "docs/adversaries.md", "exec"), names)
    assert Path("losses.json").is_file()
    assert names["said"]["gradient"]["bright.factor"] == "spsa"
    assert names["said"]["gradient"]["aim.x_deg@CAM_FRONT"] == "exact"
    magnitudes = {m.history[-1].params[""]["magnitude"] for m in names["batch"].metas}
    assert all(0.1 <= m <= 0.5 for m in magnitudes)
