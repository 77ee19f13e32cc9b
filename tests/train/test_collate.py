"""Batches of what ``convert=`` makes, and how they come from a worker."""

from __future__ import annotations

import os
import pickle
import sys
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.multiprocessing  # registers how tensors travel
from loading import MadeLog
from torch.utils.data import DataLoader, default_collate

import fusion_aug as fa

LOG = MadeLog(gels=False)


def as_tuple(sample: fa.Sample) -> tuple:
    return sample, sample.id, sample["lidar"]["xyz"]


def as_dict(sample: fa.Sample) -> dict:
    return {"sample": sample, "id": sample.id, "points": sample["lidar"]["xyz"]}


def as_list(sample: fa.Sample) -> list:
    return list(as_tuple(sample))


def as_many(sample: fa.Sample) -> dict:
    """Tensors alone, many of them and of one shape for all samples."""
    return {f"t{i}": torch.full((3,), float(i)) for i in range(60)}


def descriptors() -> int:
    return len(list(Path(f"/proc/{os.getpid()}/fd").iterdir()))


@pytest.fixture
def in_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """The batch function believes that it runs in a worker of a loader."""
    monkeypatch.setattr(sys.modules[fa.collate.__module__], "get_worker_info", lambda: "worker")


def sent(batch: Any) -> tuple[Any, int]:
    """A batch after its way between processes, and how many descriptors that took."""
    before = descriptors()
    raw = ForkingPickler.dumps(batch)
    return pickle.loads(raw), descriptors() - before


def check_fields(sample: Any, ids: Any, points: Any) -> None:
    assert [m.id for m in sample.metas] == ids == ["s0", "s1", "s2"]
    for i, own in enumerate(points):
        assert torch.equal(own, LOG[i]["lidar"]["xyz"])
        assert torch.equal(sample.take([i])["lidar"]["xyz"], own)


@pytest.mark.quick
def test_fields_are_joined_one_by_one() -> None:
    batch = fa.collate([as_dict(LOG[i]) for i in range(3)])
    assert list(batch) == ["sample", "id", "points"]
    check_fields(*batch.values())
    check_fields(*fa.collate([as_tuple(LOG[i]) for i in range(3)]))


def test_lists_and_all_else_are_listed() -> None:
    items = [as_list(LOG[i]) for i in range(2)]
    batch = fa.collate(items)
    assert [b is i for b, i in zip(batch, items, strict=True)] == [True, True]
    assert fa.collate(["a", "b"]) == ["a", "b"]


@pytest.mark.parametrize(
    ("items", "part"),
    [
        ([{"a": 1}, {"b": 1}], r"different fields \(the first has a\)"),
        ([{"a": 1}, 3], r"different fields \(the first has a\)"),
        ([(1, 2), (1,)], "not all tuples of 2"),
        ([(1, 2), "ab"], "not all tuples of 2"),
    ],
)
def test_items_that_differ_are_refused(items: list, part: str) -> None:
    with pytest.raises(fa.DataError, match=part):
        fa.collate(items)


@pytest.mark.parametrize("convert", [fa.Sample.realized, as_tuple, as_list, as_dict])
def test_a_batch_takes_one_descriptor_whatever_holds_it(convert: Any, in_a_worker: None) -> None:
    batch, taken = sent(fa.collate([convert(LOG[i]) for i in range(3)]))
    assert taken <= 2  # the buffer, and a socket that lends it
    if convert is as_list:
        assert [b[1] for b in batch] == ["s0", "s1", "s2"]
        assert all(torch.equal(b[0]["lidar"]["xyz"], b[2]) for b in batch)
    elif convert is not fa.Sample.realized:
        check_fields(*(batch.values() if isinstance(batch, dict) else batch))
    else:
        assert [m.id for m in batch.metas] == ["s0", "s1", "s2"]


def test_batches_of_another_collate_function_take_one_too(in_a_worker: None) -> None:
    items = [as_many(LOG[0]), as_many(LOG[1])]
    _, plain = sent(default_collate(items))
    batch, taken = sent(fa.in_one_buffer(default_collate)(items))
    assert plain >= 60 and taken <= 2
    assert type(batch) is dict and batch["t7"].tolist() == [[7.0] * 3] * 2


def test_without_workers_nothing_is_packed() -> None:
    batch = fa.in_one_buffer(default_collate)([as_many(LOG[0])])
    assert type(batch) is dict and len(batch) == 60


@pytest.mark.slow
def test_converted_batches_through_spawned_workers() -> None:
    log: Any = LOG
    dataset = fa.AugmentedDataset(log, fa.Compose([]), convert=as_dict)
    loader: DataLoader = DataLoader(
        dataset, batch_size=3, collate_fn=fa.collate, num_workers=1, multiprocessing_context="spawn"
    )
    check_fields(*next(iter(loader)).values())
