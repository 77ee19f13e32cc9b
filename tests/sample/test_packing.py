"""Samples between processes: one buffer, the same values."""

from __future__ import annotations

import copy
import os
import pickle
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.multiprocessing  # registers how tensors travel
from places import DRIVE
from torch import Tensor
from torch.utils.data import DataLoader

import fusion_aug as fa
from fusion_aug.sample.packing import pack, unpack, with_tensors

pytestmark = pytest.mark.quick


def tensors_of(value: Any) -> list[Tensor]:
    found: list[Tensor] = []
    with_tensors(value, lambda t: found.append(t) or t)  # type: ignore[func-returns-value]
    return found


def descriptors() -> int:
    return len(list(Path(f"/proc/{os.getpid()}/fd").iterdir()))


@pytest.fixture(scope="module")
def sample() -> fa.Sample:
    return fa.open_log("nuscenes", DRIVE)[0].realized()


def test_every_kind_of_tensor_comes_back() -> None:
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    given = {
        "whole": base, "columns": base[:, 1:3], "turned": base.T, "repeated": base[:1].expand(1000, 6),
        "empty": torch.zeros(0, 3), "one": torch.tensor(7), "flags": torch.tensor([True, False]),
        "deep": torch.arange(5).to(torch.uint16), "twice": base, "half": torch.ones(3, dtype=torch.bfloat16),
    }  # fmt: skip
    packed = pack(given)
    back = unpack(*packed)
    for name, value in given.items():
        assert back[name].dtype == value.dtype and back[name].shape == value.shape, name
        assert torch.equal(back[name].to(torch.float64), value.to(torch.float64)), name
    assert back["twice"] is back["whole"]
    assert len(packed.buffer) < 1500  # the repeated row is held once


def test_gradients_stay_outside_the_buffer() -> None:
    weight = torch.ones(3, requires_grad=True)
    packed = pack([weight, torch.zeros(2)])
    back = unpack(*packed)
    assert back[0] is weight and torch.equal(back[1], torch.zeros(2))


def test_sample_comes_back_equal(sample: fa.Sample) -> None:
    back = pickle.loads(pickle.dumps(sample))
    assert back.metas[0].id == sample.id and list(back.streams) == list(sample.streams)
    pairs = list(zip(tensors_of((sample.metas, sample.streams)), tensors_of((back.metas, back.streams)), strict=True))
    assert len(pairs) > 50
    assert all(torch.equal(torch.nan_to_num(a), torch.nan_to_num(b)) for a, b in pairs)


def test_sample_takes_one_descriptor(sample: fa.Sample) -> None:
    """What torch's own pickler for processes makes of it; a sample of a hundred tensors took as many."""
    before = descriptors()
    raw = ForkingPickler.dumps((sample, [sample.id]))  # a tuple, as ``convert=`` may make
    assert descriptors() - before <= 2
    assert len(raw) < 1_000_000  # the values themselves lie in shared memory


def test_clone_shares_nothing_and_leaves_the_sample_alone(sample: fa.Sample) -> None:
    for other in (sample.clone(), copy.deepcopy(sample)):
        mine = {t.untyped_storage().data_ptr() for t in tensors_of((sample.metas, sample.streams)) if t.numel()}
        theirs = {t.untyped_storage().data_ptr() for t in tensors_of((other.metas, other.streams)) if t.numel()}
        assert not mine & theirs


def test_pinning_reaches_every_tensor_of_every_stream(sample: fa.Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an accelerator nothing can be pinned, so a copy stands in for it: which tensors, not what it does."""
    pinned: list[int] = []

    def copied(tensor: Tensor) -> Tensor:
        pinned.append(tensor.data_ptr())
        return tensor.clone()

    monkeypatch.setattr(Tensor, "pin_memory", copied)
    out = sample.pin_memory()
    before, after = tensors_of(dict(sample.streams)), tensors_of(dict(out.streams))
    assert len(before) > 30 and sorted(pinned) == sorted(t.data_ptr() for t in before)
    for a, b in zip(before, after, strict=True):
        assert torch.equal(torch.nan_to_num(a), torch.nan_to_num(b)) and (a.data_ptr() != b.data_ptr() or not a.numel())
    assert out.metas == sample.metas


@pytest.mark.skipif(torch.accelerator.is_available(), reason="there is something to pin memory for")
def test_a_loader_that_cannot_pin_hands_the_batch_on(sample: fa.Sample) -> None:
    loader: DataLoader = DataLoader([sample, sample], batch_size=2, collate_fn=fa.collate, pin_memory=True)  # type: ignore[arg-type]
    with pytest.warns(UserWarning, match="no accelerator is found"):
        (batch,) = list(loader)
    assert [m.id for m in batch.metas] == [sample.id] * 2
