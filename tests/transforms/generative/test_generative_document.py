"""docs/generative.md: its code runs, on the sample log."""

from __future__ import annotations

from pathlib import Path

import pytest
from places import DRIVE, REPOSITORY

import fusion_aug as fa


def test_code_of_the_document_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = (
        (REPOSITORY / "docs" / "generative.md")
        .read_text(encoding="utf-8")
        .replace('"datasets/drive"', repr(str(DRIVE)))
    )
    blocks = [b.split("```")[0] for b in text.split("```python\n")[1:]]
    assert len(blocks) == 2
    names: dict = {}
    for block in blocks:
        exec(compile(block, "docs/generative.md", "exec"), names)
    assert names["gate"].judged(*names["pictures"][0], style="warm").word == "passed"
    assert fa.Stylize(model="warm", gate="warm.json", style="warm").gate == names["gate"]
