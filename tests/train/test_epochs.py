"""One call for the epoch, through wrappers and samplers, into workers that live on."""

from __future__ import annotations

from typing import Any

import pytest
from loading import MadeLog, numbers
from torch.utils.data import (
    BatchSampler,
    ConcatDataset,
    DataLoader,
    Dataset,
    DistributedSampler,
    RandomSampler,
    StackDataset,
    Subset,
)

import fusion_aug as fa
from fusion_aug.run.workers import fresh_processes

PIPELINE = fa.Compose([fa.RotateScene(yaw_deg=[-45, 45]), fa.PointDropout(share=[0.1, 0.5])])


class Hidden(Dataset[Any]):
    """A wrapper that keeps what it wraps under a name of its own."""

    def __init__(self, inside: Any):
        self.inside = inside

    def __len__(self) -> int:
        return len(self.inside)

    def __getitem__(self, index: int) -> Any:
        return self.inside[index]


def log(prefix: str = "s") -> Any:
    return MadeLog(prefix, gels=False)


def data(prefix: str = "s") -> fa.AugmentedDataset:
    return fa.AugmentedDataset(log(prefix), PIPELINE, seed=3)


@pytest.mark.quick
@pytest.mark.parametrize("wrapped", ["alone", "concatenated", "part", "both"])
def test_every_data_set_takes_it(wrapped: str) -> None:
    a, b = data("a"), data("b")
    target = {
        "alone": a, "concatenated": ConcatDataset([a, b]), "part": Subset(a, [1]),
        "both": ConcatDataset([Subset(ConcatDataset([b]), [2, 3]), a]),
    }[wrapped]  # fmt: skip
    reached = [a, b] if wrapped in ("concatenated", "both") else [a]
    for epoch, given in ((4, target), (0, DataLoader(target))):
        fa.set_epoch(given, epoch)
        assert [d.epoch for d in reached] == [epoch] * len(reached)


def test_every_sampler_takes_it() -> None:
    dataset = data()

    def share() -> DistributedSampler:
        return DistributedSampler(dataset, num_replicas=2, rank=0)

    samplers = [share() for _ in range(4)]
    loaders: list[DataLoader] = [
        DataLoader(dataset, sampler=samplers[0]),
        DataLoader(dataset, batch_sampler=BatchSampler(samplers[1], 2, False)),
        DataLoader(dataset, sampler=fa.Occurrences(samplers[2])),
        DataLoader(dataset, batch_sampler=BatchSampler(fa.Occurrences(samplers[3]), 2, False)),
    ]
    for loader in loaders:
        fa.set_epoch(loader, 7)
    assert [s.epoch for s in samplers] == [7] * 4
    fa.Occurrences(samplers[0]).set_epoch(8)  # as frameworks call it on a loader's sampler
    fa.Occurrences(RandomSampler(dataset)).set_epoch(8)
    assert samplers[0].epoch == 8


def test_a_loader_whose_epochs_would_be_alike_is_refused() -> None:
    """Also where a sampler takes the epoch, which only shuffles by it."""
    hidden = Hidden(data())
    share = DistributedSampler(hidden, num_replicas=2, rank=0)
    for target in (log(), hidden, DataLoader(log()), DataLoader(hidden, sampler=share)):
        with pytest.raises(fa.ConfigError, match="takes an epoch, so every epoch would be drawn alike"):
            fa.set_epoch(target, 1)
    assert share.epoch == 0


@pytest.mark.slow
def test_workers_that_live_on_draw_the_epoch() -> None:
    """What one of two processes loads is what the pipeline draws for its share of the epoch."""
    both: ConcatDataset = ConcatDataset([data("a"), data("b")])
    share = DistributedSampler(both, num_replicas=2, rank=1, seed=1)
    loader: DataLoader = DataLoader(
        both, batch_size=3, sampler=share, num_workers=1, collate_fn=fa.collate, persistent_workers=True,
        multiprocessing_context=fresh_processes(),
    )  # fmt: skip
    shares = []
    for epoch in (0, 2, 1):
        fa.set_epoch(loader, epoch)
        found = numbers(list(loader))
        shares.append(sorted(share))
        samples = [log("ab"[i // 4])[i % 4] for i in shares[-1]]
        assert found == numbers([PIPELINE(s, seed=3, epoch=epoch).realized() for s in samples]), epoch
    assert shares[0] != shares[1] != shares[2], "the sampler does not know the epoch"


def test_stacked_data_sets_take_it() -> None:
    """Also by name, behind others."""
    sets = [data(n) for n in "abc"]
    target: ConcatDataset = ConcatDataset([StackDataset(first=sets[0], second=Subset(sets[1], [0, 1, 2, 3])), sets[2]])
    fa.set_epoch(DataLoader(target), 6)
    assert [d.epoch for d in sets] == [6, 6, 6]
    fa.set_epoch(StackDataset(*sets), 7)
    assert [d.epoch for d in sets] == [7, 7, 7]
