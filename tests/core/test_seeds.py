"""Seeds and epochs are whole numbers, whoever made them; nothing else is silently another stream of draws."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from loading import MadeLog, numbers
from samples import make_sample

import fusion_aug as fa
from fusion_aug.core.random import Keys

pytestmark = pytest.mark.quick
PIPELINE = fa.Compose([fa.RotateScene(yaw_deg=[-45, 45])])
WHOLE = [np.int64(5), np.uint8(5), torch.tensor(5), torch.tensor([5], dtype=torch.int16), np.array(5)]
OTHER = [5.0, 1.5, True, np.True_, torch.tensor(True), "5", None, torch.tensor(5.0), np.float32(5), float("nan")]


def data(**options: Any) -> fa.AugmentedDataset:
    log: Any = MadeLog(gels=False)
    return fa.AugmentedDataset(log, PIPELINE, **options)


@pytest.mark.parametrize("number", WHOLE, ids=repr)
def test_whole_numbers_of_any_library_are_one_seed(number: Any) -> None:
    assert Keys(number, number).key("s", "path", "gate") == Keys(5, 5).key("s", "path", "gate")
    sample = make_sample(gels=False)
    history = PIPELINE(sample, seed=5, epoch=5).history
    assert PIPELINE(sample, seed=number, epoch=number).history == history != PIPELINE(sample, seed=5).history
    dataset, same = data(seed=number), data(seed=5)
    for d, epoch in ((dataset, number), (same, 5)):
        fa.set_epoch(d, epoch)
    assert dataset.epoch == 5 and numbers([dataset[1]]) == numbers([same[1]])
    assert dataset[torch.tensor(1)].id == dataset[np.int64(1)].id == "s1"  # type: ignore[index]


@pytest.mark.parametrize("number", OTHER, ids=repr)
def test_everything_else_is_refused_by_name(number: Any) -> None:
    sample, dataset = make_sample(gels=False), data()
    for name, enter in {
        "seed": lambda: PIPELINE(sample, seed=number),
        "epoch": lambda: PIPELINE(sample, epoch=number),
        r"AugmentedDataset\.seed": lambda: data(seed=number),
        "epoch ": lambda: fa.set_epoch(dataset, number),
        "epoch  ": lambda: dataset.set_epoch(number),
        "AugmentedDataset: index": lambda: dataset[number],
        "num_replicas": lambda: fa.Occurrences([1], num_replicas=number),
        "rank": lambda: fa.Occurrences([1], num_replicas=2, rank=number),
    }.items():
        with pytest.raises(fa.ConfigError, match=f"{name.strip()}: expected a whole number, got"):
            enter()
    with pytest.raises(fa.ConfigError, match=r"Occurrences\.sampler: expected indices"):
        list(fa.Occurrences([number]))
    assert dataset.epoch == 0
