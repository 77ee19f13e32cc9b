"""docs/device.md: its code runs, and its log is what is printed there."""

from __future__ import annotations

import re

import pytest
import torch
from places import DRIVE, REPOSITORY

import fusion_aug as fa


@pytest.fixture(scope="module")
def text() -> str:
    return (REPOSITORY / "docs" / "device.md").read_text(encoding="utf-8")


def test_code_of_the_document_runs(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    blocks = [b.split("```")[0] for b in text.split("```python\n")[1:]]
    names: dict = {"fa": fa, "torch": torch, "root": str(DRIVE)}
    for block in blocks:
        exec(compile(block, "docs/device.md", "exec"), names)
    assert len(blocks) >= 2
    shown = text.split("prints\n\n```\n")[1].split("```")[0]
    printed = re.sub(r"\S*device\.md:", "own.py:", capsys.readouterr().out)
    assert printed == shown
