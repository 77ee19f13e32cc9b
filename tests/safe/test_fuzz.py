"""A part of ``make fuzz``: damaged files, outputs and command lines are read or refused, and bombs are refused."""

from __future__ import annotations

import pytest

CASES, SEED = 400, 7
EVERY = 40  # of those by hand, which take longer: a fortieth


@pytest.mark.slow
def test_damaged_files_and_odd_words() -> None:
    from fuzz import ALLOWED, names_by_hand, outcomes  # makes some of its bombs, which takes as long as a test

    cases = [*range(CASES), *names_by_hand()[::EVERY]]
    found = dict(outcomes(cases, SEED))
    assert len(found) == len(cases) and {a["kind"] for a in found.values()} >= set(ALLOWED)
    assert {n: a for n, a in found.items() if a["kind"] not in ALLOWED} == {}
