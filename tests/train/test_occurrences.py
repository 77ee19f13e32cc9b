"""Oversampling: by default every occurrence of a sample in an epoch is the same; by occurrence each is drawn anew."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from loading import MadeLog, numbers
from torch.utils.data import (
    ConcatDataset,
    DataLoader,
    DistributedSampler,
    Subset,
    SubsetRandomSampler,
    WeightedRandomSampler,
)

import fusion_aug as fa
from fusion_aug.run.workers import fresh_processes
from fusion_aug.train.occurrences import OccurrenceIndex

PIPELINE = fa.Compose([fa.RotateScene(yaw_deg=[-45, 45]), fa.PointDropout(share=[0.1, 0.5], p=0.9)])
DRAWN = [2, 0, 2, 2, 3, 0]


def data(by_occurrence: bool = True, prefix: str = "s", pipeline: fa.Transform = PIPELINE) -> fa.AugmentedDataset:
    log: Any = MadeLog(prefix, gels=False)
    return fa.AugmentedDataset(log, pipeline, seed=5, by_occurrence=by_occurrence)


def told(indices: Any) -> list[tuple[int, int]]:
    return [(int(i), i.occurrence) for i in indices]


def drawn(dataset: Any, sampler: Any, workers: int = 0) -> list[tuple]:
    """All samples of an epoch, in the order of ids and occurrences."""
    return numbers(list(DataLoader(dataset, batch_size=3, sampler=sampler, collate_fn=fa.collate, num_workers=workers)))


@pytest.mark.quick
def test_occurrences_are_counted_from_0_in_every_epoch() -> None:
    sampler = fa.Occurrences(DRAWN)
    expected = [(2, 0), (0, 0), (2, 1), (2, 2), (3, 0), (0, 1)]
    assert told(sampler) == told(sampler) == expected and len(sampler) == 6
    batches = fa.Occurrences([[2, 0], [2], [2, 3, 0]])
    assert [told(b) for b in batches] == [expected[:2], expected[2:3], expected[3:]]
    assert told(fa.Occurrences(torch.tensor(DRAWN))) == expected
    with pytest.raises(
        fa.ConfigError, match=r"Occurrences\.sampler: expected indices or lists of indices, got \(3, 4\)"
    ):
        list(fa.Occurrences([(3, 4)]))


def test_an_index_keeps_its_occurrence_on_its_way() -> None:
    index = OccurrenceIndex(7, 2)
    for other in (pickle.loads(pickle.dumps(index)), copy.copy(index), copy.deepcopy([index])[0]):
        assert told([other]) == [(7, 2)]
    assert told([index - 4]) == [(3, 2)] and index == 7 and list(range(9))[index] == 7


def test_by_default_every_occurrence_is_the_same() -> None:
    a, b = (numbers([data(by_occurrence=False)[1]]) for _ in range(2))
    assert a == b
    epoch = drawn(data(by_occurrence=False), DRAWN)
    assert len(epoch) == 6 and len(set(epoch)) == 3


def test_by_occurrence_every_one_is_drawn_anew_and_the_first_as_ever() -> None:
    epoch, once = drawn(data(), fa.Occurrences(DRAWN)), drawn(data(by_occurrence=False), [0, 2, 3])
    assert len(set(epoch)) == 6
    assert [epoch[0], epoch[2], epoch[5]] == once  # s0 s0 s2 s2 s2 s3
    assert drawn(data(), fa.Occurrences(sorted(DRAWN))) == epoch, "the order decides"


def test_it_is_recorded_and_replays_from_the_history_alone() -> None:
    pipeline = fa.Compose([fa.GaussianNoise(sigma=[0.05, 0.1]), fa.Fog(mor=[50, 300])])
    dataset = data(pipeline=pipeline)
    items = [dataset[i] for i in fa.Occurrences([1, 1])]
    assert [i.meta.occurrence for i in items] == [0, 1]
    for item in items:
        history = fa.history_from_json(fa.history_to_json(item.history))
        again = fa.replay(dataset.log[1], history).realized()
        assert numbers([again]) == numbers([item])
        told = dataset.log[1].with_meta(0, occurrence=item.meta.occurrence)  # or from seed and occurrence
        assert numbers([pipeline(told, seed=5).realized()]) == numbers([item])


def test_a_batch_draws_each_occurrence_as_alone() -> None:
    pipeline = fa.Compose([fa.OneOf([fa.Brightness(factor=[0.5, 0.9]), fa.GaussianNoise(sigma=0.1)]), PIPELINE])
    indices = list(fa.Occurrences([1, 3, 1, 1]))
    bare = data(pipeline=fa.Compose([]))
    batch = pipeline(fa.collate([bare[i] for i in indices]), seed=5)
    dataset = data(pipeline=pipeline)
    alone = [dataset[i].history for i in indices]
    assert [m.history for m in batch.metas] == alone and len({str(h) for h in alone}) == 4


def test_a_scene_shares_its_draws_among_equal_occurrences() -> None:
    """The fog of the second occurrences is another one, and the same for all samples of the scene."""
    dataset = data(pipeline=fa.Fog(mor=[50, 500]))
    mor = [dataset[i].history[0].params[""]["mor"] for i in fa.Occurrences([0, 1, 0, 1])]  # both of scene0
    assert mor[0] == mor[1] != mor[2] == mor[3]
    noise = {dataset[i].history[0].params[""]["noise"] for i in fa.Occurrences([0, 1, 0, 1])}
    assert len(noise) == 4


def test_what_loses_or_ignores_occurrences_is_refused() -> None:
    with pytest.raises(
        fa.ConfigError, match=r"does not tell how often .* give the loader sampler=Occurrences\(sampler\)"
    ):
        data()[1]
    with pytest.raises(fa.ConfigError, match=r"torch's Subset .* around the log"):
        drawn(Subset(data(), [1, 3]), fa.Occurrences([0, 1, 1]))
    with pytest.raises(
        fa.ConfigError, match=r"index 2 \(occurrence 0\) comes from Occurrences, .* set by_occurrence=True"
    ):
        drawn(data(by_occurrence=False), fa.Occurrences(DRAWN))


def test_subsets_lie_below_or_in_the_sampler() -> None:
    """The two remedies: a part of the log, and a sampler of the part."""
    part: Any = Subset(MadeLog(gels=False), [1, 3])
    below = drawn(fa.AugmentedDataset(part, PIPELINE, seed=5, by_occurrence=True), fa.Occurrences([0, 1, 1]))
    beside = drawn(data(), fa.Occurrences(SubsetRandomSampler([1, 3, 3])))
    assert below == beside and len(set(below)) == 3


def test_processes_that_train_together_share_the_occurrences() -> None:
    def rank(r: int) -> fa.Occurrences:
        weighted = WeightedRandomSampler([1, 1, 8, 1], 11, generator=torch.Generator().manual_seed(3))
        return fa.Occurrences(weighted, num_replicas=2, rank=r)

    shares = [told(rank(r)) for r in range(2)]
    assert [len(s) for s in shares] == [len(rank(0))] * 2 == [5, 5]
    together = [pair for both in zip(*shares, strict=True) for pair in both]
    assert len(set(together)) == 10
    assert told(fa.Occurrences([i for i, _ in together])) == together  # as one process would count
    with pytest.raises(fa.ConfigError, match=r"Occurrences\.rank: .* got 2 of 2"):
        fa.Occurrences([0], num_replicas=2, rank=2)


def test_behind_a_distributed_sampler_nothing_changes() -> None:
    dataset = data()
    share = DistributedSampler(dataset, num_replicas=2, rank=1, shuffle=True, seed=1)
    assert drawn(dataset, fa.Occurrences(share)) == drawn(data(by_occurrence=False), list(share))


@pytest.mark.slow
def test_workers_do_not_matter() -> None:
    """Two data sets in one, weighted sampling, workers that live on: the same bytes as without workers."""
    weights = [1.0, 1, 9, 1, 1, 1, 1, 9]

    def epochs(workers: int, batch: int) -> list[list[tuple]]:
        both = ConcatDataset([data(prefix="a"), data(prefix="b")])
        weighted = WeightedRandomSampler(weights, 8, generator=torch.Generator().manual_seed(2))
        loader: DataLoader = DataLoader(
            both, batch_size=batch, sampler=fa.Occurrences(weighted), collate_fn=fa.collate, num_workers=workers,
            multiprocessing_context=fresh_processes() if workers else None, persistent_workers=workers > 0,
        )  # fmt: skip
        out = []
        for epoch in range(2):
            fa.set_epoch(loader, epoch)
            out.append(numbers(list(loader)))
        return out

    alone = epochs(0, 3)
    assert [len(set(e)) for e in alone] == [8, 8]
    assert any(s[0] == "b3" for s in alone[0]) and len({s[0] for s in alone[0]}) < 8, "nothing came twice"
    assert epochs(2, 2) == alone


@pytest.mark.quick
@pytest.mark.parametrize("count", [0, 1, 6, 7, 8])
@pytest.mark.parametrize("known", [True, False])
def test_shares_are_equal_with_and_without_a_length(count: int, known: bool) -> None:
    class Drawn:
        """A sampler that does not tell its length."""

        def __iter__(self) -> Any:
            return iter([i % 3 for i in range(count)])

    sampler: Any = list(Drawn()) if known else Drawn()
    shares = [told(fa.Occurrences(sampler, num_replicas=3, rank=r)) for r in range(3)]
    everything = [(i % 3, i // 3) for i in range(count // 3 * 3)]
    assert shares == [everything[r::3] for r in range(3)]
    assert len({len(s) for s in shares}) == 1
