"""docs/sim_to_real.md: its code runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from places import REPOSITORY


def test_the_code_of_the_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("gymnasium")
    text = (REPOSITORY / "docs" / "sim_to_real.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert blocks
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, "docs/sim_to_real.md", "exec"), names)
