"""Sets with a task that no table has, NaN in a pose, and stamps at another rate, read with pyarrow and JSON alone."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_logs
from small_logs import LEROBOT_V21_PARTS as PARTS

import fusion_aug as fa
from fusion_aug.cli import main
from fusion_aug.logs.lerobot.stats import TotalStats, vector_stats

pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
MIRROR = "+pipeline.transforms.mirror={_target_: fusion_aug.MirrorScene, axis: y, p: 1.0}"
DATA = "data/chunk-000/episode_000001.parquet"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return small_logs.lerobot_v21(tmp_path / "log")


def with_column(root: Path, name: str, values: Any) -> None:
    table = pq.read_table(root / DATA)
    place = table.schema.get_field_index(name)
    field = table.schema.field(place)
    pq.write_table(table.set_column(place, field, pa.array(values, type=field.type)), root / DATA)


def strict_lines(path: Path) -> list[Any]:
    def refuse(word: str) -> None:
        raise AssertionError(f"{path}: {word} is no JSON")

    return [json.loads(line, parse_constant=refuse) for line in path.read_text().splitlines()]


def test_a_task_without_an_entry_keeps_the_sentence_of_its_episode(root: Path, tmp_path: Path) -> None:
    with_column(root, "task_index", [7] * pq.read_table(root / DATA).num_rows)
    (sentence,) = strict_lines(root / "meta/episodes.jsonl")[1]["tasks"]
    assert main(["run", "log=lerobot", f"log.root={root}", f"out={tmp_path / 'out'}", "pipeline=identity", MIRROR,
                 PARTS]) == 0  # fmt: skip
    tasks = {t["task_index"]: t["task"] for t in strict_lines(tmp_path / "out/meta/tasks.jsonl")}
    numbers = set(pq.read_table(tmp_path / "out" / DATA)["task_index"].to_pylist())
    assert "" not in tasks.values() and numbers <= set(tasks)
    assert list(fa.open_log("lerobot", root)[1]["task"]["text"]) == [sentence]
    path = root / "meta/episodes.jsonl"
    path.write_text("".join(json.dumps(e | {"tasks": ["a", "b"]}) + "\n" for e in strict_lines(path)))
    with pytest.raises(fa.DataError, match=f"{DATA}: task_index: is 7, and the table of tasks has 0, 1"):
        fa.open_log("lerobot", root)[1]


def test_nan_stays_where_it_is_and_out_of_the_statistics(root: Path, tmp_path: Path) -> None:
    before = np.array(pq.read_table(root / DATA)["observation.state"].to_pylist(), np.float32)
    before[3, 1], before[:, 0] = np.nan, np.nan
    with_column(root, "observation.state", before.tolist())
    assert main(["run", "log=lerobot", f"log.root={root}", f"out={tmp_path / 'out'}", "pipeline=identity", MIRROR,
                 PARTS]) == 0  # fmt: skip
    after = np.array(pq.read_table(tmp_path / "out" / DATA)["observation.state"].to_pylist(), np.float32)
    expected = before * np.float32([1, -1, 1, -1, 1, -1])
    np.testing.assert_allclose(after[:, :3], expected[:, :3], rtol=1e-6)
    assert np.array_equal(np.isnan(after), np.isnan(before))
    stats = strict_lines(tmp_path / "out/meta/episodes_stats.jsonl")[1]["stats"]["observation.state"]
    known = np.delete(expected[:, 1], 3)
    assert stats["min"][0] is None and stats["mean"][0] is None
    np.testing.assert_allclose([stats[n][1] for n in ("min", "max", "mean", "std")],
                               [known.min(), known.max(), known.mean(), known.std()], rtol=1e-5)  # fmt: skip


def test_totals_are_those_of_the_numbers_that_are_known() -> None:
    first, second = np.array([[1.0, np.nan], [3.0, np.nan]]), np.array([[5.0, 2.0], [7.0, 4.0]])
    total = TotalStats()
    for rows in (first, second):
        total.add(vector_stats(rows))
    whole = np.concatenate([first, second])
    for name, expected in (("min", np.nanmin), ("max", np.nanmax), ("mean", np.nanmean), ("std", np.nanstd)):
        np.testing.assert_allclose(total.value[name], expected(whole, axis=0), rtol=1e-12)
    assert total.value["count"] == [4]


def test_stamps_at_another_rate_are_told_with_their_worst_row(root: Path) -> None:
    count = pq.read_table(root / DATA).num_rows
    with_column(root, "timestamp", (np.arange(count) / 20).tolist())
    worst = count - 1
    away = worst / 10 - worst / 20
    with pytest.raises(fa.DataError, match=rf"at 10 fps: row {worst} is .* {away:.3g} s from its place.* show 20 fps"):
        fa.open_log("lerobot", root)[1]
    stamps = np.arange(count) / 10
    stamps[5:] += 1
    with_column(root, "timestamp", stamps.tolist())
    with pytest.raises(fa.DataError, match=r"row 5 is .*, 1 s from its place after the first; .* show 10 fps"):
        fa.open_log("lerobot", root)[1]
    stamps[4] = math.nan
    with_column(root, "timestamp", stamps.tolist())
    with pytest.raises(fa.DataError, match="row 4 is nan s"):
        fa.open_log("lerobot", root)[1]
