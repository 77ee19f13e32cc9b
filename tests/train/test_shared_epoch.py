"""The epoch reaches workers that live on, also of data sets that were copied, and costs few descriptors."""

from __future__ import annotations

import copy
import io
import multiprocessing
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from loading import MadeLog
from torch.utils.data import DataLoader

import fusion_aug as fa
from fusion_aug.train import shared_epoch
from fusion_aug.train.shared_epoch import SharedEpoch

PIPELINE = fa.Compose([fa.RotateScene(yaw_deg=[-45, 45])])


def drawn(sample: fa.Sample) -> str:
    return str(sample.history)


def data() -> fa.AugmentedDataset:
    log: Any = MadeLog(gels=False)
    return fa.AugmentedDataset(log, PIPELINE, seed=3, convert=drawn)


def saved(dataset: Any) -> Any:
    file = io.BytesIO()
    torch.save(dataset, file)
    return torch.load(io.BytesIO(file.getvalue()), weights_only=False)


COPIES = {"deep": copy.deepcopy, "pickled": lambda d: pickle.loads(pickle.dumps(d)), "saved": saved}


@pytest.mark.parametrize("how", COPIES)
def test_workers_of_a_copy_see_its_epoch(how: str) -> None:
    """Two processes in turn: workers live on between the epochs."""
    original = data()
    original.set_epoch(7)
    dataset = COPIES[how](original)
    assert dataset.epoch == 7
    loader: DataLoader = DataLoader(
        dataset, batch_size=4, collate_fn=list, num_workers=1, persistent_workers=True, timeout=60,
        multiprocessing_context="fork",
    )  # fmt: skip
    epochs = []
    for epoch in range(3):
        fa.set_epoch(loader, epoch)
        epochs.append(next(iter(loader)))
    alone = data()
    for epoch, found in enumerate(epochs):
        alone.set_epoch(epoch)
        assert found == [alone[i] for i in range(4)], epoch
    assert epochs[0] != epochs[1] != epochs[2] and original.epoch == 7


def answer(epochs: list[SharedEpoch], asked: Any, told: Any) -> None:
    """A process that was started: what it sees, each time it is asked; then it sets the last one."""
    while asked.get(timeout=60):
        told.put([e.value for e in epochs])
    epochs[-1].value = 99
    own = SharedEpoch(5)
    told.put(own.value)


@pytest.mark.parametrize("start", [pytest.param("spawn", marks=pytest.mark.slow), "fork"])
def test_a_started_process_shares_the_places(start: str) -> None:
    context = multiprocessing.get_context(start)
    epochs = [SharedEpoch(i) for i in range(3)]
    asked, told = context.Queue(), context.Queue()
    process = context.Process(target=answer, args=(epochs, asked, told), daemon=True)
    process.start()
    for values in ([4, 5, 6], [7, 8, 9]):
        for e, v in zip(epochs, values, strict=True):
            e.value = v
        asked.put(True)
        assert told.get(timeout=60) == values
    asked.put(False)
    assert told.get(timeout=60) == 5
    process.join(60)
    later = SharedEpoch(1)  # what the other process made has no place here
    assert [e.value for e in epochs] == [7, 8, 99] and later.value == 1


@pytest.mark.quick
def test_many_data_sets_take_few_descriptors() -> None:
    before = len(list(Path(f"/proc/{os.getpid()}/fd").iterdir()))
    many = [SharedEpoch(i) for i in range(1100)]
    assert len(list(Path(f"/proc/{os.getpid()}/fd").iterdir())) - before <= 4
    assert [e.value for e in many] == list(range(1100))
    page = many[600]._page
    assert len(page) == shared_epoch.PLACES
    sets = [data() for _ in range(3)]
    for i, d in enumerate(sets):
        d.set_epoch(10 + i)
    assert [d.epoch for d in sets] == [10, 11, 12]


@pytest.mark.quick
def test_an_epoch_set_without_gradients() -> None:
    with torch.inference_mode():
        dataset = data()
        dataset.set_epoch(2)
    dataset.set_epoch(3)
    assert dataset.epoch == 3
