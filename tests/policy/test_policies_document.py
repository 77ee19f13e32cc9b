"""docs/policies.md: its code runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from places import DRIVE, REPOSITORY

import fusion_aug as fa


@pytest.fixture
def names(own_names: None) -> dict[str, object]:
    return {"__name__": "policies_document"}


def test_the_code_runs(names: dict[str, object], tmp_path: Path) -> None:
    """As somebody pastes it who has the checkout and nothing else."""
    text = (REPOSITORY / "docs" / "policies.md").read_text(encoding="utf-8")
    text = text.replace('"datasets/drive"', repr(str(DRIVE)))  # where this test runs from
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 3
    for block in blocks:
        exec(compile(block, "docs/policies.md", "exec", dont_inherit=True), names)
    staged, out = names["staged"], names["out"]
    assert isinstance(staged, fa.RandAugment) and isinstance(out, fa.Sample)
    assert sum(r.applied for r in out.history) == 2
    listed = names["names"]
    assert isinstance(listed, list) and {"any_weather/fog.mor", "any_weather/rain.rain_rate"} <= {*listed}
    augment, fog = names["augment"], names["fog"]
    assert isinstance(augment, fa.RandAugment) and isinstance(fog, fa.Fog) and fog.mor == pytest.approx(100)
