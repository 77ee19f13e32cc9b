"""HardExamples: losses of real processes that train together, with and without workers of their loaders."""

from __future__ import annotations

import json
import math
import multiprocessing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gathering import PROCESSES, Ids, loss_of, run
from loading import MadeLog
from places import ARM

import fusion_aug as fa
from fusion_aug.policy.hard_examples import ranks


def trained(folder: Path, workers: int) -> list[dict[str, Any]]:
    """What every process came to."""
    folder.mkdir()
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=run, args=(rank, folder, workers)) for rank in range(PROCESSES)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=300)
        process.kill()
        process.join()
    assert [p.exitcode for p in processes] == [0] * PROCESSES
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(PROCESSES)]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return trained(tmp_path_factory.mktemp("gathered") / "alone", 0)


def test_processes_that_train_together_have_one_table(alone: list[dict[str, Any]], tmp_path: Path) -> None:
    assert alone == trained(tmp_path / "workers", 2)
    means = dict.fromkeys(Ids.ids, math.nan)
    for step in zip(*(process["seen"] for process in alone), strict=True):  # in the order of the ranks
        for name, magnitude in (pair for names, strong in step for pair in zip(names, strong, strict=True)):
            loss, old = loss_of(name, magnitude), means[name]
            means[name] = loss if math.isnan(old) else (old + loss) / 2
    assert all(process["means"] == list(means.values()) for process in alone)
    assert all(process["hard"] == ranks(np.array(alone[0]["means"])).tolist() for process in alone)
    drawn = [name for process in alone for names, _ in process["seen"] for name in names]
    assert len(drawn) == 16 and set(drawn) == set(Ids.ids)
    assert len({m for process in alone for _, strong in process["seen"][2:] for m in strong}) > 1


def test_a_loss_that_is_refused_in_one_process_ends_all_of_them(alone: list[dict[str, Any]]) -> None:
    """The others would wait for it until a time-out, or go on with tables of their own."""
    first, second = alone
    assert first["refused"] == "HardExamples.update: the loss of s0 (nan) is not finite"
    assert second["refused"] == "HardExamples.update: the loss of s0 (nan) is not finite (of process 0)"
    assert first["means"] == second["means"] and not any(map(math.isnan, first["means"]))


@pytest.mark.quick
def test_windows_count_for_their_episode_or_for_themselves() -> None:
    log = fa.open_log("lerobot", ARM / "lerobot", urdf=ARM / "arm.urdf", rig=ARM / "lerobot_rig.yaml")
    data = fa.AugmentedDataset(log, fa.Compose([]), observe=0.0, chunk=0.4, convert=lambda s: s)
    assert len(data.ids) == len(data) == len(set(data.ids)) > len(log)
    assert [data[i].id for i in (0, len(data) - 1)] == [data.ids[0], data.ids[-1]]
    episodes, windows = fa.HardExamples(log.ids, memory=0.5), fa.HardExamples(data.ids)
    for table in (episodes, windows):
        table.update(data.ids[:2], [4.0, 2.0])
    assert episodes.means[0] == 3.0 and windows.means[:2].tolist() == [4.0, 2.0]
    assert max(windows.sampler(length=500)) > len(log)
    assert fa.AugmentedDataset(MadeLog("s", gels=False), fa.Compose([])).ids == list(Ids.ids)


@pytest.mark.quick
@pytest.mark.parametrize(
    ("ids", "losses", "said"),
    [
        (["s0"], ["high"], "expected one number for each of 1 ids"),
        (["s0"], [None], "expected one number for each of 1 ids"),
        ([7], [1.0], "7 is not in the table"),
        (["s9@1"], [1.0], "'s9@1' is not in the table"),
    ],
)
def test_odd_ids_and_losses_are_refused(ids: list[Any], losses: list[Any], said: str) -> None:
    table = fa.HardExamples(Ids.ids)
    with pytest.raises(fa.DataError, match=said):
        table.update(ids, losses)
    table.update([], [])
    assert all(map(math.isnan, table.means)) and set(table.difficulties) == {0.5}
