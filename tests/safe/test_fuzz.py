"""A tenth of ``make fuzz``: damaged files and odd command lines are read, or refused in one sentence."""

from __future__ import annotations

import sys

import pytest
from places import REPOSITORY

sys.path.append(str(REPOSITORY / "tools"))
from fuzz import ALLOWED, outcomes


@pytest.mark.slow
def test_damaged_files_and_odd_words() -> None:
    found = dict(outcomes(cases=2000, seed=7))
    assert len(found) == 2000 and {a["kind"] for a in found.values()} >= set(ALLOWED)
    assert {n: a for n, a in found.items() if a["kind"] not in ALLOWED} == {}
