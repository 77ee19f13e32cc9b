"""Batches of what ``convert=`` makes, and how they come from a worker."""

from __future__ import annotations

import os
import pickle
import sys
import time
from collections.abc import Callable
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
import torch.multiprocessing  # registers how tensors travel
from loading import MadeLog
from torch.utils.data import DataLoader, default_collate

import fusion_aug as fa
from fusion_aug.sample.packing import with_tensors

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
    back = pickle.loads(raw)
    for _ in range(100):  # the thread that lends descriptors closes its own a moment later
        if descriptors() - before <= 2:
            break
        time.sleep(0.01)
    return back, descriptors() - before


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


class Named(NamedTuple):
    """What ``convert=`` may make."""

    sample: Any
    id: str
    points: torch.Tensor


@pytest.mark.quick
def test_named_tuples_stay_named(in_a_worker: None) -> None:
    batch, taken = sent(fa.collate([Named(*as_tuple(LOG[i])) for i in range(3)]))
    assert isinstance(batch, Named) and batch.id == ["s0", "s1", "s2"] and taken <= 2
    check_fields(*batch)


def test_lists_and_all_else_are_listed() -> None:
    items = [as_list(LOG[i]) for i in range(2)]
    batch = fa.collate(items)
    assert [b is i for b, i in zip(batch, items, strict=True)] == [True, True]
    assert fa.collate(["a", "b"]) == ["a", "b"]


@pytest.mark.parametrize(
    ("items", "part"),
    [
        ([{"a": 1}, {"b": 1}], r"different fields \(the first has a\)"),
        ([{1: 1}, {2: 1}], r"different fields \(the first has 1\)"),
        ([{"a": 1}, 3], r"different fields \(the first has a\)"),
        ([(1, 2), (1,)], "not all tuples of 2"),
        ([(1, 2), "ab"], "not all tuples of 2"),
    ],
)
def test_items_that_differ_are_refused(items: list, part: str) -> None:
    with pytest.raises(fa.DataError, match=part):
        fa.collate(items)


@pytest.mark.parametrize("items", [LOG[0], {"a": 1}, [], "ab"])
def test_what_is_no_list_of_items_is_refused(items: Any) -> None:
    with pytest.raises(fa.ConfigError, match=r"collate: expected a list of items, got .*batch_size=None"):
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


def tensors_of(value: Any) -> list[torch.Tensor]:
    found: list[torch.Tensor] = []
    with_tensors(value, lambda t: found.append(t) or t)  # type: ignore[func-returns-value]
    return found


def test_metadata_keeps_no_pictures(in_a_worker: None) -> None:
    """Who keeps rigs of a batch keeps neither its block of shared memory nor the descriptor."""
    batch, _ = sent(fa.collate([LOG[i] for i in range(3)]))
    pictures = batch["CAM_FRONT"].pictures[0].untyped_storage()
    kept = tensors_of(batch.metas)
    assert len(kept) > 10 and pictures.is_shared()
    assert not any(t.untyped_storage().is_shared() for t in kept)
    assert {t.untyped_storage().data_ptr() for t in kept if t.numel()}.isdisjoint({pictures.data_ptr()})
    for i, meta in enumerate(batch.metas):
        own = tensors_of(LOG[i].meta)
        assert all(torch.equal(a, b) for a, b in zip(tensors_of(meta), own, strict=True))


@pytest.mark.quick
def test_a_pickle_of_a_part_holds_the_part_alone(in_a_worker: None) -> None:
    batch, _ = sent(fa.collate([LOG[i] for i in range(3)]))
    whole, part = (len(pickle.dumps(b)) for b in (batch, batch.take([1])))
    assert part < whole / 2


# --- what torch would lose in a thread that nobody hears --------------------------------------------------------------
def with_lambda(sample: fa.Sample) -> dict:
    return {"id": sample.id, "deep": [{"f": lambda: sample}]}


def with_gradient(sample: fa.Sample) -> fa.Sample:
    weight = torch.ones(1, requires_grad=True)
    lidar = sample["lidar"]
    return sample.with_streams({**sample.streams, "lidar": lidar.with_values(xyz=lidar["xyz"] * weight)})


@pytest.mark.parametrize(
    ("convert", "part"),
    [
        (with_lambda, r"batch\['deep'\]\[0\]\[0\]\['f'\]: cannot be sent from a worker \(.*lambda"),
        (with_gradient, r"batch\.streams\['lidar'\]\.values\['xyz'\]: cannot be sent .*detach\(\)"),
    ],
)
def test_what_cannot_be_sent_is_told(convert: Callable[[fa.Sample], Any], part: str) -> None:
    """By a real worker: without being told the loader would wait for ever."""
    data = fa.AugmentedDataset(LOG, fa.Compose([]), convert=convert)  # type: ignore[arg-type]
    loader: DataLoader = DataLoader(
        data, batch_size=2, collate_fn=fa.collate, num_workers=1, timeout=60, multiprocessing_context="fork"
    )
    with pytest.raises(fa.DataError, match=part):
        next(iter(loader))
    fa.collate([data[0], data[1]])  # here it may stay


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_tensors_that_fit_no_buffer_pass_as_they_are(in_a_worker: None) -> None:
    def item(i: float) -> dict:
        values = torch.arange(4.0) + i
        return {
            "quantized": torch.quantize_per_tensor(values, 0.5, 0, torch.quint8),
            "nested": torch.nested.nested_tensor([values, values[:2]]),
            "sparse": torch.diag(values).to_sparse(), "leaf": values.clone().requires_grad_(), "plain": values,
        }  # fmt: skip

    batch, _ = sent(fa.collate([item(0), item(10)]))
    for i, start in enumerate((0, 10)):
        values = torch.arange(4.0) + start
        # torch itself loses the scale of quantized tensors between processes, so the numbers alone
        assert batch["quantized"][i].int_repr().tolist() == (values / 0.5).tolist()
        assert [t.tolist() for t in batch["nested"][i].unbind()] == [values.tolist(), values[:2].tolist()]
        assert torch.equal(batch["sparse"][i].to_dense(), torch.diag(values))
        assert batch["leaf"][i].requires_grad and torch.equal(batch["leaf"][i].detach(), values)
        assert torch.equal(batch["plain"][i], values)


# --- a collate function around ours -----------------------------------------------------------------------------------
def counted(items: list) -> dict:
    batch = fa.collate(items)
    batch["n"] = len(batch["id"])
    batch["points"] = torch.cat(batch["points"])
    batch["one"] = batch["sample"].take([1])
    return batch


@pytest.mark.parametrize("workers", [0, 1])
def test_a_collate_function_around_ours(workers: int) -> None:
    data = fa.AugmentedDataset(LOG, fa.Compose([]), convert=as_dict)  # type: ignore[arg-type]
    loader: DataLoader = DataLoader(
        data, batch_size=3, collate_fn=counted, num_workers=workers, timeout=60 if workers else 0,
        multiprocessing_context="fork" if workers else None,
    )  # fmt: skip
    batch = next(iter(loader))
    assert batch["n"] == 3 and len(batch["points"]) == sum(len(LOG[i]["lidar"]["xyz"]) for i in range(3))
    assert batch["one"].id == "s1" and torch.equal(batch["one"]["lidar"]["xyz"], LOG[1]["lidar"]["xyz"])
    check_fields(batch["sample"], batch["id"], batch["points"].split([len(LOG[i]["lidar"]["xyz"]) for i in range(3)]))
