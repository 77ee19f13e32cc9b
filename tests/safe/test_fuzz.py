"""A tenth of ``make fuzz``: damaged files, outputs and command lines are read or refused, and bombs are refused."""

from __future__ import annotations

import sys

import pytest
from places import REPOSITORY

sys.path.append(str(REPOSITORY / "tools"))
from fuzz import ALLOWED, names_by_hand, outcomes

CASES, HALVES, SEED = 2000, 2, 7
EVERY = 20  # of those by hand, which take longer: a twentieth


@pytest.mark.slow
@pytest.mark.parametrize("half", range(HALVES))
def test_damaged_files_and_odd_words(half: int) -> None:
    cases = [*range(half, CASES, HALVES), *names_by_hand()[half * EVERY :: HALVES * EVERY]]
    found = dict(outcomes(cases, SEED))
    assert len(found) == len(cases) and {a["kind"] for a in found.values()} >= set(ALLOWED)
    assert {n: a for n, a in found.items() if a["kind"] not in ALLOWED} == {}
