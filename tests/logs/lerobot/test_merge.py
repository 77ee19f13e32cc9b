"""The tables of many episodes: the same as if all were at hand together, with few of them in memory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import episodes
import numpy as np
import pytest

import fusion_aug as fa
from fusion_aug.cli import main
from fusion_aug.logs.lerobot import layout_v3
from fusion_aug.logs.lerobot.stats import QUANTILES, TotalStats, vector_stats

pq = pytest.importorskip("pyarrow.parquet")
COUNT, COPIES = 5, 2


def test_statistics_added_one_by_one_are_those_of_all_rows() -> None:
    rng = np.random.default_rng(0)
    parts = [rng.normal(1e3, 10.0 ** (k % 4), (n, 3)) for k, n in enumerate([1, 40, 7, 300, 2])]
    total = TotalStats()
    for part in parts:
        total.add(vector_stats(part))
    rows, counts = np.concatenate(parts), [len(p) for p in parts]
    expected = {"min": rows.min(0), "max": rows.max(0), "mean": rows.mean(0), "std": rows.std(0), "count": [len(rows)]}
    for name in QUANTILES:  # LeRobot's are means of the episodes'
        expected[name] = np.average([vector_stats(p)[name] for p in parts], axis=0, weights=counts)
    assert set(total.value) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(total.value[name], value, rtol=1e-9, err_msg=name)


def test_quantiles_are_those_of_the_rows_to_a_bin() -> None:
    rows = np.random.default_rng(1).uniform(0, 5000, (20_000, 2))
    for name, share in QUANTILES.items():
        np.testing.assert_allclose(vector_stats(rows)[name], np.quantile(rows, share, axis=0), atol=1.5, err_msg=name)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with copies, whose table of episodes is written in groups of three."""
    folder = tmp_path_factory.mktemp("episodes")
    log = episodes.lerobot(folder / "log", COUNT, in_file=2)
    words = [episodes.LEROBOT, "pipeline=identity", f"copies={COPIES}"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout_v3, "TOGETHER", 3)
        assert main(["run", "log=lerobot", f"log.root={log}", f"out={folder / 'out'}", *words]) == 0
    return folder / "out"


def test_episodes_follow_their_source_through_groups_of_rows(out: Path) -> None:
    path = out / "meta/episodes/chunk-000/file-000.parquet"
    rows, total = pq.read_table(path).to_pylist(), COUNT * COPIES
    assert pq.read_metadata(path).num_row_groups == 4 and len(rows) == total
    assert [r["episode_index"] for r in rows] == list(range(total))
    assert [r["dataset_from_index"] for r in rows] == [episodes.FRAMES * k for k in range(total)]
    assert [r["tasks"] for r in rows] == [[f"task {k // COPIES % episodes.TASKS}"] for k in range(total)]
    means = [r["stats/observation.state/mean"] for r in rows]
    np.testing.assert_allclose(means, [episodes.numbers(k // COPIES).mean(0) for k in range(total)], rtol=1e-5)
    for k, row in enumerate(rows):
        table = pq.read_table(out / f"data/chunk-000/file-{row['data/file_index']:03d}.parquet")
        assert table["index"].to_pylist() == [episodes.FRAMES * k + i for i in range(episodes.FRAMES)]
        assert np.array_equal(np.array(table["observation.state"].to_pylist(), np.float32), episodes.numbers(k // 2))


def test_totals_are_those_of_all_episodes(out: Path) -> None:
    info, stats = (json.loads((out / f"meta/{name}.json").read_text()) for name in ("info", "stats"))
    total = COUNT * COPIES
    assert (info["total_episodes"], info["total_frames"], info["total_tasks"]) == (total, total * episodes.FRAMES, 3)
    rows = np.concatenate([episodes.numbers(k) for k in range(COUNT)])
    np.testing.assert_allclose(stats["observation.state"]["std"], rows.std(0), rtol=1e-5)
    np.testing.assert_allclose(stats["index"]["mean"], [(total * episodes.FRAMES - 1) / 2])
    assert main(["check", str(out), episodes.LEROBOT]) == 0


class Row(dict[str, Any]):
    """A row that counts how many of its kind there are."""

    alive = most = 0

    def __init__(self, content: dict[str, Any]):
        super().__init__(content)
        Row.alive += 1
        Row.most = max(Row.most, Row.alive)

    def __del__(self) -> None:
        Row.alive -= 1


def test_rows_of_episodes_are_not_held(tmp_path: Path) -> None:
    log = fa.open_log("lerobot", episodes.lerobot(tmp_path / "log", 8), parts=episodes.PARTS)
    writer = log.writer(tmp_path / "out")
    staged = [writer.stage(s, s, s.id, tmp_path / "out") for s in log]

    class OneByOne(list[dict[str, Any]]):
        def __getitem__(self, place: Any) -> Any:
            return Row(super().__getitem__(place))

    writer.finish(OneByOne(staged), [(i, i) for i in log.ids])
    assert Row.most <= 2
