"""docs/pairs.md: its code runs, on a made log and on the arm."""

from __future__ import annotations

from pathlib import Path

from places import ARM, REPOSITORY


def test_code_of_the_document_runs(street: Path) -> None:
    text = (REPOSITORY / "docs" / "pairs.md").read_text(encoding="utf-8")
    text = text.replace('"datasets/drive"', repr(str(street))).replace('"datasets/arm"', repr(str(ARM)))
    blocks = [b.split("```")[0] for b in text.split("```python\n")[1:]]
    assert len(blocks) == 4
    names: dict = {}
    for block in blocks:
        exec(compile(block, "docs/pairs.md", "exec"), names)
    assert len(names["points"]) > 500 and len(names["boxes"]) > 0 and bool(names["pixels"].valid.any())
    assert len(names["pairs"]) == len(names["features_b"]) > 20 and float(names["loss"]) > 1.0
    overlap = names["m_time"].overlap
    assert overlap is None or overlap[1] - overlap[0] <= 2_500_000_000
    assert len(names["same"]) == int(names["covered"].sum()) and len(names["readings"].joints_a) == 8
    assert all(float(v) < 1e-9 for v in names["apart"])
