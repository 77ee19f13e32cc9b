"""Numbers of frames, totals and statistics of LeRobot outputs, which no stream holds: planted faults are found."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import policy_logs as made
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from written import run

from fusion_aug.check.episode_tables import compare_episode_tables

WARP = "+pipeline.transforms.w={_target_: fusion_aug.SpeedWarp, speed: 2.0}"
PARTS = "log.parts={observation.state: {joint_position: [0, 3], gripper: [3, 4]}}"


@pytest.fixture
def logs(tmp_path: Path) -> tuple[Path, Path]:
    rng = np.random.default_rng(0)
    states = [np.cumsum(rng.normal(size=(n, 4)), 0) for n in (12, 9)]
    root = made.lerobot(tmp_path / "log", {"observation.state": (["a", "b", "c", "gripper"], states)})
    return root, run(tmp_path / "out", "log=lerobot", f"log.root={root}", "pipeline=identity", WARP, PARTS, "copies=2")


def failed(root: Path, out: Path) -> list[str]:
    return [row.measurement for row in compare_episode_tables(root, out) if row.status == "FAIL"]


def in_table(out: Path, name: str) -> None:
    path = sorted(out.glob("data/*/*.parquet"))[0]
    table = pq.read_table(path)
    values = table[name].to_pylist()
    values[3] += 1
    place = table.column_names.index(name)
    pq.write_table(
        table.set_column(place, table.schema.field(name), pa.array(values, table.schema.field(name).type)), path
    )


def in_json(out: Path, name: str, change: Callable[[Any], None]) -> None:
    data = json.loads((out / name).read_text())
    change(data)
    (out / name).write_text(json.dumps(data))


def test_a_run_holds_and_other_formats_have_no_rows(logs: tuple[Path, Path], tmp_path: Path) -> None:
    rows = list(compare_episode_tables(*logs))
    assert [r.measurement for r in rows] == ["numbers of frames", "totals", "statistics"] and not failed(*logs)
    assert list(compare_episode_tables(logs[0], tmp_path)) == []


@pytest.mark.parametrize("name", ["index", "frame_index"])
def test_a_wrong_number_of_a_frame(logs: tuple[Path, Path], name: str) -> None:
    in_table(logs[1], name)
    assert failed(*logs) == ["numbers of frames"]


def test_wrong_totals(logs: tuple[Path, Path]) -> None:
    in_json(logs[1], "meta/info.json", lambda info: info.update(total_frames=3))
    assert failed(*logs) == ["totals"]


@pytest.mark.parametrize("name", ["min", "max", "mean", "std"])
def test_wrong_statistics(logs: tuple[Path, Path], name: str) -> None:
    def shift(stats: Any) -> None:
        stats["observation.state"][name][1] += 0.1

    in_json(logs[1], "meta/stats.json", shift)
    assert failed(*logs) == ["statistics"]


def test_a_damaged_table_is_told(logs: tuple[Path, Path]) -> None:
    in_json(logs[1], "meta/info.json", lambda info: info.pop("features"))
    assert failed(*logs) == ["unreadable"]
