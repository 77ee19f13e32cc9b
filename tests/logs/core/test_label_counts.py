"""Points by class in the account of a sample."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from samples import make_sample

import fusion_aug as fa
from fusion_aug.logs.core.label_counts import MOST_CLASSES, labels_before_and_after, points_by_class
from fusion_aug.logs.core.sample_account import is_account, stream_account, total_account
from fusion_aug.streams import strings


def cloud(label: np.ndarray, **fields: object) -> fa.Points:
    lidar = make_sample(points=len(label) // 2)["lidar"]
    return replace(lidar.with_values(label=torch.from_numpy(label)), **fields)


@pytest.mark.parametrize("spread", [30, 2**20])
def test_counts_are_numpys(spread: int) -> None:
    label = np.random.default_rng(0).integers(-1, spread, 500)
    numbers, counts = np.unique(label, return_counts=True)
    assert points_by_class(torch.from_numpy(label)) == dict(zip(numbers.tolist(), counts.tolist(), strict=True))
    assert points_by_class(torch.zeros(0, dtype=torch.int64)) == {}


def test_an_account_by_class_adds_up() -> None:
    before = cloud(np.repeat([0, 2, 2, -1], 10), label_names=("car", "", "road"))
    after = before.select(torch.arange(40) % 2 == 0).with_values(label=torch.tensor([0] * 5 + [1] * 15))
    own = stream_account(before, after, [])
    assert own["labels"] == {"-1": [10, 0], "0 car": [10, 5], "1": [0, 15], "2 road": [20, 0]}
    assert is_account({"lidar": own})
    total = total_account([{"lidar": own}, {"lidar": own}, {"lidar": {"items": [1, 1], "rows": [5, 5]}}])
    assert total["lidar"]["labels"]["0 car"] == [20, 10] and next(iter(total["lidar"]["labels"])) == "-1"


@pytest.mark.parametrize("bad", [3, {"a": [1, 2]}, {"1": [1]}, {"1": ["a", 2]}, {"": [1, 2]}])
def test_what_a_manifest_may_not_say(bad: object) -> None:
    assert not is_account({"lidar": {"items": [1, 1], "labels": bad}})


def test_columns_that_are_no_classes_are_not_counted() -> None:
    many = cloud(np.arange(MOST_CLASSES + 2))
    assert labels_before_and_after(many, many) == {}
    text = many.with_values(label=strings(["a"] * many.rows))
    assert labels_before_and_after(text, text) == {}
    plain = make_sample()["lidar"]
    assert labels_before_and_after(plain, plain) == {} == labels_before_and_after(None, None)
