"""docs/search.md: its code runs, with a training that is made up."""

from __future__ import annotations

import pytest
from places import REPOSITORY
from searches import Counted

from fusion_aug.policy.search import ENGINES


def test_code_of_the_document_runs(own_names: None) -> None:
    text = (REPOSITORY / "docs" / "search.md").read_text(encoding="utf-8")
    blocks = [b.split("```")[0] for b in text.split("```python\n")[1:]]
    assert len(blocks) == 3
    train = Counted(lambda pipeline, seed, epochs: {"clean": 0.7 + seed / 100, "fog": 0.4})
    names: dict = {
        "train_and_validate": lambda p, *, seed, epochs: train(p, seed, epochs),
        "loss_of_the_frozen_model": lambda pipeline, seed: 1.0 + len(str(pipeline.to_config())) / 1000,
        "__name__": "a_document",
    }  # fmt: skip
    try:
        for number, block in enumerate(blocks):
            exec(compile(block, "docs/search.md", "exec"), names)
            if number == 0:
                assert train.calls == 18 and names["found"].best.scores == {"clean": (0.7, 0.71), "fog": (0.4, 0.4)}
    finally:
        ENGINES.pop("ladder", None)
        ENGINES._owners.pop("ladder", None)
    assert [t.recipe["magnitudes"]["yaw.yaw_deg"] for t in names["found"].trials] == [
        pytest.approx(k / 3) for k in (1, 2, 3)
    ]


@pytest.mark.quick
def test_the_table_has_every_engine_with_its_options() -> None:
    text = (REPOSITORY / "docs" / "search.md").read_text(encoding="utf-8")
    rows = {line.split("`")[1]: line for line in text.splitlines() if line.startswith("| `") and "engine=" not in line}
    assert set(rows) == {n for n, kind in ENGINES.items() if kind.__module__.startswith("fusion_aug")}
    for name, row in rows.items():
        told = {word for i, word in enumerate(row.rsplit("|", 2)[1].split("`")) if i % 2}
        assert told == set(ENGINES[name].options()), name
