"""Runs on a Ray cluster: the same bytes, also where workers and nodes die."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
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

PATIENCE = 240  # seconds on a busy machine


def begin(root: Path, out: Path, address: str) -> subprocess.Popen[str]:
    """A run on a cluster, as a process of its own."""
    words = ["log=nuscenes", f"log.root={root}", "pipeline=driving", f"out={out}", "engine=ray", "limit=4"]
    command = [sys.executable, "-m", "fusion_aug", "run", *words, f"engine.address={address}"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def wait_for(what: Callable[[], Any], run: subprocess.Popen[str]) -> Any:
    """Wait until something is true while a run goes on."""
    deadline = time.monotonic() + PATIENCE
    while not (found := what()):
        assert run.poll() is None, run.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def at_work() -> list[int]:
    """Processes that work on samples."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if path.read_bytes().startswith(b"ray::work_on_group"):
                found.append(int(path.parent.name))
    return found


@pytest.fixture(scope="module")
def expected(street: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("here") / "out"
    words = ["log=nuscenes", f"log.root={street}", "pipeline=driving", f"out={out}", "limit=4"]
    assert main(["run", *words]) == 0
    return (out / NAME).read_text()


@pytest.fixture
def two_nodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A head without processors, and two nodes of one each."""
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    small = {"object_store_memory": 80 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **small})
    yield cluster, [cluster.add_node(num_cpus=1, **small) for _ in range(2)]
    cluster.shutdown()


@pytest.mark.cluster
def test_a_worker_a_node_and_the_driver_are_killed(street: Path, expected: str, two_nodes: Any, tmp_path: Path) -> None:
    out, (cluster, nodes) = tmp_path / "out", two_nodes
    first = begin(street, out, cluster.address)
    wait_for(lambda: list(out.glob(".work/stage-*")), first)
    os.kill(wait_for(at_work, first)[0], signal.SIGKILL)
    wait_for(lambda: list(out.glob(".work/done/*.json")), first)
    first.kill()
    first.wait()
    again = begin(street, out, cluster.address)
    wait_for(at_work, again)
    cluster.remove_node(nodes[1], allow_graceful=False)
    error = again.communicate(timeout=PATIENCE)[1]
    assert again.returncode == 0, error
    assert (out / NAME).read_text() == expected and not (out / ".work").exists()


@pytest.mark.cluster
def test_what_kills_its_process_is_tried_so_often_and_named(tmp_path: Path) -> None:
    retried: Counter[int] = Counter()
    options = RayOptions(retries=2, samples_per_task=3)
    found = dict(work_on_ray(range(8), 2, options, retried, started, str(tmp_path)))
    assert {n for n, e in found.items() if e is None} == {0, 1, 3, 7, LONE}
    assert isinstance(found[BAD], DataError)
    for number in (KILLED, ABORTED):
        assert isinstance(found[number], ProcessDied) and "in each of 3 tries" in str(found[number])
        assert len(list(tmp_path.glob(f"{number}-*"))) >= 3  # each alone, and 4 also in a group
    assert retried[KILLED] >= 2 and retried[ABORTED] >= 2 and retried[0] == 0
    with pytest.raises(DataError, match="there is no log"):
        list(work_on_ray(range(3), 1, RayOptions(), Counter(), not_started))


def imports(folder: str) -> Callable[[int], None]:
    """What works on a number by importing a module that nothing has imported yet."""

    def work(number: int) -> None:
        import colorsys

        assert not Path(str(colorsys.__file__)).is_relative_to(folder)

    return work


@pytest.mark.cluster
def test_tasks_take_no_module_of_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is that of somebody else's log; Ray would put it first on their path."""
    for name in ("colorsys", "fusion_aug", "torch"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit")
    monkeypatch.chdir(tmp_path)
    assert list(work_on_ray([0], 1, RayOptions(), Counter(), imports, str(tmp_path))) == [(0, None)]


@pytest.mark.cluster
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
