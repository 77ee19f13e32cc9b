"""Values in a file, one on each line."""

from __future__ import annotations

import json
from operator import itemgetter
from pathlib import Path

import pytest

from fusion_aug.logs.core.json_lines import JsonLines

VALUES = [{"rows": {"a": [1, 2.5, None]}}, {"rows": "zwölf\n"}, {"rows": {}}]


def test_values_come_back_in_any_order(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_text("".join(json.dumps(v, ensure_ascii=False) + "\n" for v in VALUES), encoding="utf-8")
    lines, rows = JsonLines(path), JsonLines(path, itemgetter("rows"))
    assert list(lines) == list(lines) == VALUES
    assert len(lines) == 3 and [lines[k] for k in (2, 0, -2)] == [VALUES[k] for k in (2, 0, 1)]
    assert list(rows) == [v["rows"] for v in VALUES] and rows[1] == VALUES[1]["rows"]
    with pytest.raises(IndexError):
        lines[3]
