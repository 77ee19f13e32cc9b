"""Runs on a Ray cluster: the same bytes, also where workers and nodes die."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import small_logs
from test_workers import ABORTED, BAD, KILLED, LONE, not_started, started

from fusion_aug import DataError
from fusion_aug.cli import main
from fusion_aug.errors import ConfigError
from fusion_aug.run.ray_engine import RayOptions, work_on_ray
from fusion_aug.run.workers import ProcessDied
from fusion_aug.sample.manifest import NAME

pytest.importorskip("ray", reason="needs the extra ray")


@pytest.mark.slow
def test_what_kills_its_process_is_tried_so_often_and_named(tmp_path: Path) -> None:
    retried: Counter[int] = Counter()
    options = RayOptions(retries=2, samples_per_task=3)
    found = dict(work_on_ray(range(8), 2, options, retried, started, str(tmp_path)))
    assert {n for n, e in found.items() if e is None} == {0, 1, 3, 7, LONE}
    assert isinstance(found[BAD], DataError)
    for number in (KILLED, ABORTED):
        assert isinstance(found[number], ProcessDied) and "in each of 3 tries" in str(found[number])
        assert len(list(tmp_path.glob(f"{number}-*"))) >= 3
    assert retried[KILLED] >= 2 and retried[ABORTED] >= 2 and retried[7] == 0
    with pytest.raises(DataError, match="there is no log"):
        list(work_on_ray(range(3), 1, RayOptions(), Counter(), not_started))


@pytest.mark.slow
def test_the_same_bytes_as_without(tmp_path: Path, capsys: Any) -> None:
    root = small_logs.kitti(tmp_path / "log")
    lines = []
    for name, words in (("here", []), ("ray", ["engine=ray", "workers=2", "engine.samples_per_task=2"])):
        out = tmp_path / name
        assert main(["run", "log=kitti", f"log.root={root}", "pipeline=driving", f"out={out}", *words]) == 0
        lines.append((out / NAME).read_text())
    assert lines[0] == lines[1]
    facts = json.loads((tmp_path / "ray/run.json").read_text())
    (node,) = facts["nodes"].values()
    assert node["samples"] == 2 and facts["retried"] == {} and facts["stragglers"]["median_seconds"] > 0


@pytest.mark.parametrize(
    ("word", "what"),
    [
        ("engine.retries=-1", "engine.retries: expected a whole number of at least 0, got -1"),
        ("engine.cpus_per_task=0", "needs a part of a processor or of a GPU"),
        ("engine.samples_per_task=x", "engine.samples_per_task: expected a whole number"),
        ("+engine.taks=1", "engine.taks: there is no such option"),
        ("engine.object_store_mb=10", "of at least 75"),
        ("engine.address=3", "engine.address: expected host:port or auto, got 3"),
    ],
)
def test_options(tmp_path: Path, capsys: Any, word: str, what: str) -> None:
    root = small_logs.kitti(tmp_path / "log")
    assert main(["run", "log=kitti", f"log.root={root}", f"out={tmp_path}/out", "engine=ray", word]) == 2
    assert what in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_tasks_at_once() -> None:
    options = RayOptions(cpus_per_task=0.5, gpus_per_task=0.25, memory_mb=1024)
    assert options.tasks_at_once({"CPU": 8, "GPU": 1, "memory": 2**35}) == 4
    assert options.tasks_at_once({"CPU": 8}) == 0
    with pytest.raises(ConfigError, match="memory_mb"):
        RayOptions(memory_mb=0)
