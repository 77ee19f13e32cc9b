"""HardExamples: losses kept by id, difficulties from them, and what samplers and transforms make of these."""

from __future__ import annotations

import json
import multiprocessing
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from generic import assert_same_streams
from loading import MadeLog, numbers
from samples import make_sample
from torch.utils.data import DataLoader

import fusion_aug as fa
from fusion_aug.policy import hard_examples
from fusion_aug.policy.hard_examples import ranks
from fusion_aug.run.config import build_pipeline

IDS = [f"s{i}" for i in range(4)]
STRONG = fa.Compose({"bright": fa.Brightness(factor=[0.5, 1.5]), "thin": fa.PointDropout(share=[0.0, 0.4])})


def table(losses: tuple[float, ...] = (1.0, 4.0, 2.0, 3.0)) -> fa.HardExamples:
    found = fa.HardExamples(IDS)
    found.update(IDS[: len(losses)], losses)
    found.set_epoch(1)
    return found


@pytest.mark.quick
def test_difficulties_are_places_among_the_known() -> None:
    assert ranks(np.array([1.0, np.nan, 5.0, 3.0])).tolist() == [0, 0.5, 1, 0.5]
    assert ranks(np.array([7.0, np.nan])).tolist() == [0.5, 0.5]
    even = ranks(np.array([2.0, 2.0 * (1 + 5e-7), 2.0, 9.0]))
    assert even.tolist() == [1 / 3, 1 / 3, 1 / 3, 1.0], "equal to a millionth"
    assert table().difficulties.tolist() == [0, 1, 1 / 3, 2 / 3]
    assert [table().magnitude_of(i, 0.6, 0.3) for i in IDS] == pytest.approx([0.6, 0.3, 0.5, 0.4])
    assert table().difficulty_of("s1@12") == 1.0, "a window of an episode"


@pytest.mark.quick
def test_means_move_and_difficulties_wait_for_the_next_epoch() -> None:
    found = fa.HardExamples(IDS, memory=0.75)
    found.update(["s0", "s1", "s0"], torch.tensor([2.0, 5.0, 4.0], requires_grad=True))
    assert found.means[:2].tolist() == [0.75 * 2 + 0.25 * 4, 5.0] and np.isnan(found.means[2:]).all()
    assert found.difficulties.tolist() == [0.5] * 4
    found.set_epoch(1)
    assert found.difficulties.tolist() == [0, 1, 0.5, 0.5]


@pytest.mark.quick
@pytest.mark.parametrize(
    ("ids", "losses", "said"),
    [
        (["s9"], [1.0], "'s9' is not in the table"),
        (["s0"], [float("nan")], r"the loss of s0 \(nan\) is not finite"),
        (["s0", "s1"], [1.0], r"2 ids need as many losses, got the shape \(1,\)"),
        (["s0"], torch.zeros(1, 1), r"got the shape \(1, 1\)"),
    ],
)
def test_wrong_losses_are_refused_and_change_nothing(ids: list[str], losses: Any, said: str) -> None:
    found = table()
    before = found.means.copy()
    with pytest.raises(fa.DataError, match=said):
        found.update(ids, losses)
    assert np.array_equal(found.means, before)


@pytest.mark.quick
def test_wrong_settings_are_refused() -> None:
    for ids in ([], ["a", "a"], [1, 2]):
        with pytest.raises(fa.ConfigError, match=r"HardExamples\.ids"):
            fa.HardExamples(ids)  # type: ignore[arg-type]
    for memory in (1.0, -0.1, "much"):
        with pytest.raises(fa.ConfigError, match=r"HardExamples\.memory"):
            fa.HardExamples(IDS, memory)  # type: ignore[arg-type]
    for options in ({"ratio": 0.5}, {"length": 2.5}, {"rank": 1}, {"length": 1, "num_replicas": 2}):
        with pytest.raises(fa.ConfigError):
            table().sampler(**options)  # type: ignore[arg-type]
    with pytest.raises(fa.ConfigError, match=r"gather needs torch\.distributed"):
        table().update(["s0"], [1.0], gather=True)
    with pytest.raises(fa.DataError, match="the sample 'other' is not in the table"):
        table().difficulty_of("other")


def test_a_file_keeps_the_means(tmp_path: Path) -> None:
    path, found = tmp_path / "losses.json", table((1.5, 0.1))
    found.save(path)
    found.save(path)
    assert [p.name for p in tmp_path.iterdir()] == ["losses.json"]
    again = fa.HardExamples(["new", *reversed(IDS)])
    again.load(path)
    assert again.means[-2:].tolist() == [0.1, 1.5] and again.difficulties.tolist() == [0.5, 0.5, 0.5, 0, 1]
    for text, said in (
        ("{", "cannot be read as a table of losses"),
        ("[]", "is no table of losses"),
        (json.dumps({"version": 2, "memory": 0.7, "losses": {}}), "of version 1"),
        (json.dumps({"version": 1, "memory": 0.7, "losses": {"s0": "high"}}), "is no table"),
        (json.dumps({"version": 1, "memory": 0.7, "losses": {"s9": 1.0}}), "'s9' is not in the table"),
    ):
        path.write_text(text)
        with pytest.raises(fa.DataError, match=f"losses.json: .*{said}"):
            again.load(path)
    with pytest.raises(fa.DataError, match="cannot be read"):
        again.load(tmp_path / "absent.json")


@pytest.mark.quick
def test_hard_samples_come_more_often() -> None:
    found = table()
    many = found.sampler(ratio=3.0, length=800, seed=2)
    counts = Counter(many)
    assert [counts[i] for i in range(4)] == [100, 300, 100 * 5 // 3, 800 - 400 - 166] or sum(counts.values()) == 800
    assert all(abs(counts[i] - 800 * w / 8) <= 1 for i, w in enumerate((1, 3, 5 / 3, 7 / 3)))
    assert Counter(found.sampler(ratio=1.0)) == {0: 1, 1: 1, 2: 1, 3: 1}
    assert list(many) == list(many) != list(found.sampler(ratio=3.0, length=800, seed=3))
    first = list(many)
    many.set_epoch(1)
    assert list(many) != first and len(many) == 800


@pytest.mark.quick
def test_processes_share_an_epoch() -> None:
    parts = [list(table().sampler(length=11, num_replicas=2, rank=r)) for r in (0, 1)]
    whole = list(table().sampler(length=11))
    assert [len(p) for p in parts] == [5, 5] and [x for pair in zip(*parts, strict=True) for x in pair] == whole[:10]
    shares = [list(fa.Occurrences(table().sampler(length=11), num_replicas=2, rank=r)) for r in (0, 1)]
    assert [[int(i) for i in s] for s in shares] == parts


def test_losses_of_all_processes_are_gathered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stood in for: what two processes would get, in the order of their ranks."""
    mine, other = ([("s1", 8.0)], ""), ([("s1", 4.0)], "")

    def gather(parts: list, one: object) -> None:
        assert one == mine
        parts[:] = [other, mine]

    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    monkeypatch.setattr(torch.distributed, "all_gather_object", gather)
    found = fa.HardExamples(IDS, memory=0.5)
    found.update(["s1"], [8.0], gather=True)
    assert found.means[1] == 6.0


def test_loaders_see_the_next_epoch_in_workers_that_live_on() -> None:
    """The sampler's ``set_epoch`` lets difficulties follow; magnitudes of workers are those without."""
    outs = []
    for workers in (0, 2):
        found, log = table(), MadeLog("s", gels=False)
        data = fa.AugmentedDataset(
            log, fa.ByDifficulty(STRONG), seed=5, by_occurrence=True, resources={"hard_examples": found}  # type: ignore[arg-type]
        )  # fmt: skip
        loader = DataLoader(
            data, batch_size=2, sampler=fa.Occurrences(found.sampler(length=6, seed=1)), collate_fn=fa.collate,
            num_workers=workers, persistent_workers=workers > 0,
        )  # fmt: skip
        epochs = []
        for epoch in range(2):
            fa.set_epoch(loader, epoch)
            batches = list(loader)
            epochs.append(numbers(batches))
            ids = [m.id for b in batches for m in b.metas]
            found.update(ids, [10.0 if i == "s0" else 1.0 for i in ids])
        outs.append(epochs)
    assert outs[0] == outs[1] and outs[0][0] != outs[0][1]


def test_a_started_process_shares_the_difficulties() -> None:
    found = table()
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=lambda: queue.put(found.difficulties.tolist()))
    found.update(["s0"], [99.0])
    found.set_epoch(2)
    child.start()
    assert queue.get(timeout=60) == found.difficulties.tolist() != table().difficulties.tolist()
    child.join()


def test_the_magnitude_is_recorded_and_a_replay_needs_no_table() -> None:
    pipeline = fa.ByDifficulty(STRONG, table(), easy=0.8, hard=0.2)
    for name, magnitude in zip(IDS, (0.8, 0.2, 0.6, 0.4), strict=True):
        out = pipeline(make_sample(name, gels=False), seed=3)
        assert out.history[-1].params[""]["magnitude"] == pytest.approx(magnitude)
        expected = fa.Space.of(STRONG).at(magnitude)(make_sample(name, gels=False), seed=3).history
        shares = [h[1].params["lidar"]["share"] for h in (out.history, expected)]
        assert out.history[1].path == "ByDifficulty/thin" and shares[0] == pytest.approx(shares[1])
        assert_same_streams(out, fa.replay(make_sample(name, gels=False), out.history))
    batch = pipeline(fa.collate([make_sample(n, gels=False) for n in IDS]), seed=3)
    assert [round(m.history[-1].params[""]["magnitude"], 6) for m in batch.metas] == [0.8, 0.2, 0.6, 0.4]


def test_a_configuration_names_a_resource() -> None:
    pipeline = fa.Compose({"hard": fa.ByDifficulty(STRONG, hard=0.05)})
    again = build_pipeline(pipeline.to_config())
    assert again.to_config() == pipeline.to_config()
    sample = make_sample(gels=False)
    assert again(sample, resources={"hard_examples": table()}).history[-1].params[""]["magnitude"] == pytest.approx(0.5)
    with pytest.raises(fa.ConfigError, match="needs the resource 'hard_examples'"):
        again(sample)
    with pytest.raises(fa.ConfigError, match="the resource 'hard_examples' is no HardExamples, but 3"):
        again(sample, resources={"hard_examples": 3})
    with pytest.raises(fa.ConfigError, match="no configuration can hold a table"):
        fa.ByDifficulty(STRONG, table()).to_config()
    for options in ({"easy": 1.5}, {"hard": -0.1}, {"table": 3}):
        with pytest.raises(fa.ConfigError, match="ByDifficulty"):
            fa.ByDifficulty(STRONG, **options)
    with pytest.raises(fa.ConfigError, match="no number"):
        fa.ByDifficulty([fa.MirrorScene()])


@pytest.mark.quick
def test_margins_of_retrieval() -> None:
    """Against similarities written out."""
    text = torch.tensor([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
    sensor = torch.tensor([[2.0, 0.0], [1.0, 1.0], [0.0, 5.0]])
    s = np.array([[1, 0.5**0.5, 0], [0, 0.5**0.5, 1], [0.5**0.5, 1, 0.5**0.5]])
    expected = [s[i, i] - max(*np.delete(s[i], i), *np.delete(s[:, i], i)) for i in range(3)]
    assert np.allclose(fa.retrieval_margins(text, sensor), expected, atol=1e-6)
    found = fa.HardExamples(IDS[:3])
    found.update(IDS[:3], -fa.retrieval_margins(text, sensor))
    found.set_epoch(1)
    assert found.difficulties[0] == 0, "the pair with the widest margin is the easiest"
    whole = torch.ones(3, 2, dtype=torch.int64)
    with pytest.raises(fa.DataError, match=r"floats, got torch\.int64 \(3, 2\)"):
        fa.retrieval_margins(whole, whole)
    for wrong in (torch.zeros(3, 3), torch.zeros(3), torch.zeros(1, 2)):
        with pytest.raises(fa.DataError, match="retrieval_margins: expected two times"):
            fa.retrieval_margins(text if wrong.ndim == 2 and len(wrong) > 1 else wrong, wrong)
    assert hard_examples.UNKNOWN == 0.5


def test_a_table_of_another_kind_is_not_loaded(tmp_path) -> None:
    fa.HardExamples(["a", "b"], memory=0.9).save(tmp_path / "table.json")
    with pytest.raises(fa.DataError, match=r"memory: the table was kept with 0.9, this one has 0.7"):
        fa.HardExamples(["a", "b"]).load(tmp_path / "table.json")
    (tmp_path / "table.json").write_text('{"version": true, "memory": 0.7, "losses": {}}')
    with pytest.raises(fa.DataError, match="no table of losses of version 1"):
        fa.HardExamples(["a", "b"]).load(tmp_path / "table.json")
    with pytest.raises(fa.ConfigError, match="expected the ids of all samples"):
        fa.HardExamples("abc")


def test_losses_with_a_gradient_come_in() -> None:
    table = fa.HardExamples(["a", "b"])
    table.update(["a", "b"], [torch.tensor(2.0, requires_grad=True), 1.0])
    assert table.means.tolist() == [2.0, 1.0]


def test_magnitudes_may_be_scheduled_and_a_narrowed_space_stays_narrow() -> None:
    table = fa.HardExamples(["s0", "s1"])
    table.update(["s0", "s1"], [1.0, 2.0])
    table.set_epoch(0)
    space = fa.Space.of(fa.Compose({"hue": fa.Hue(angle_deg=[0, 20]), "thin": fa.PointDropout(share=0.4)}))
    whole = fa.ByDifficulty(space, table, easy=fa.Schedule(0.0, 0.8, 4), hard=0.0)
    log = MadeLog(gels=False)
    drawn = [whole(log[0], seed=1, epoch=e).history[-1].params[""]["magnitude"] for e in (0, 2, 9)]
    assert drawn == [0.0, 0.4, 0.8]
    narrow = fa.ByDifficulty(space.only(["thin.share"]).up_to({"thin.share": 0.5}), table, easy=1.0)
    history = narrow(log[0], seed=1).history
    shares = {p["share"] for p in history[1].params.values()}
    assert shares == {space.up_to({"thin.share": 0.5}).dimensions[1].value(1.0)}
    angles = [p["angle_deg"] for p in history[0].params.values()]
    assert angles and all(0 <= a <= 20 for a in angles)  # as it was given, since the space leaves it alone
    with pytest.raises(fa.ConfigError, match="easy: expected a magnitude from 0 to 1"):
        fa.ByDifficulty(space, table, easy=[0.1, 0.5])
