"""search_policy: what each engine tries, what it returns, and what it refuses."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from searches import likes_a_third, space, strengths

import fusion_aug as fa
from fusion_aug.policy.search.reinforce import Baseline, shares
from fusion_aug.policy.search.trials import Proposal, Trial, front_of, rounded
from fusion_aug.run.config import build_pipeline, compose_config


def constant(*_: Any) -> dict[str, float]:
    return {"good": 0.5}


@pytest.mark.quick
def test_grid_tries_every_place_and_takes_the_best(tmp_path: Path) -> None:
    def objective(pipeline: fa.Compose, seed: int, epochs: int, checkpoint: Any) -> dict[str, float]:
        (random,) = pipeline.transforms
        assert isinstance(random, fa.RandAugment) and epochs == 7
        return {"good": -abs(random.n - 2) - abs(random.magnitude - 0.75) + 0.01 * seed}

    found = fa.search_policy(objective, space(), out=tmp_path / "s", epochs=7, seeds=[4, 9])
    tried = [(t.recipe["n"], t.recipe["magnitude"]) for t in found.trials]
    assert tried == [(n, m) for n in (1, 2, 3) for m in (0.25, 0.5, 0.75)]
    assert found.best.number == 5 and found.best.scores == {"good": (0.04, 0.09)}
    assert found.best.spread("good") == pytest.approx(np.std([0.04, 0.09], ddof=1))
    assert isinstance(found.pipeline.transforms[0], fa.RandAugment)


@pytest.mark.quick
def test_ties_go_to_the_lower_index(tmp_path: Path) -> None:
    """Also where scores differ by less than 1e-6 of themselves."""
    assert fa.search_policy(constant, space(), out=tmp_path / "s").best.number == 0
    values = iter([0.3, 0.5, 0.5 + 1e-9] + [0.1] * 6)
    assert fa.search_policy(lambda *_: {"a": next(values)}, space(), out=tmp_path / "t").best.number == 1
    assert rounded(0.5 + 1e-9) == 0.5 and rounded(-1234567.89) == -1234568.0


def test_random_draws_are_of_a_trial_not_of_a_search(tmp_path: Path) -> None:
    short = fa.search_policy(likes_a_third, space(), "random", 4, 3, out=tmp_path / "a")
    longer = fa.search_policy(likes_a_third, space(), "random", 12, 3, out=tmp_path / "b")
    other = fa.search_policy(likes_a_third, space(), "random", 4, 5, out=tmp_path / "c")
    recipes = [[t.recipe for t in r.trials] for r in (short, longer, other)]
    assert recipes[0] == recipes[1][:4] and recipes[0][0] != recipes[2][0]
    numbers = [v for r in recipes[1] for kind in ("magnitudes", "p") for v in r[kind].values()]
    assert len(set(numbers)) == len(numbers) and 0 <= min(numbers) < 0.2 and 0.8 < max(numbers) <= 1
    assert {t.p for t in short.pipeline.transforms} == set(short.best.recipe["p"].values())


def test_magnitudes_reach_the_fields(tmp_path: Path) -> None:
    """The pipeline of a trial holds the values that the space has at its magnitudes."""
    seen: list[dict[str, float]] = []

    def objective(pipeline: fa.Compose, *_: Any) -> dict[str, float]:
        seen.append(strengths(pipeline))
        return {"good": 0.0}

    found = fa.search_policy(objective, space(), "random", 3, out=tmp_path / "s")
    full = {d.name: d.strength.sides[-1] for d in space().dimensions}
    for trial, fields in zip(found.trials, seen, strict=True):
        m = trial.recipe["magnitudes"]
        assert fields["bright"] == pytest.approx(full["bright.factor"] ** m["bright.factor"])
        assert fields["turn"] == pytest.approx(full["turn.yaw_deg"] * m["turn.yaw_deg"])
        assert fields["points"] == pytest.approx(full["points.share"] * m["points.share"])


@pytest.mark.parametrize("engine", ["random", "optuna", "pbt"])
def test_more_trials_come_nearer_to_a_known_optimum(tmp_path: Path, engine: str) -> None:
    pytest.importorskip("optuna")

    def objective(pipeline: fa.Compose, seed: int, epochs: int, checkpoint: Any) -> dict[str, float]:
        checkpoint.after.touch()
        return likes_a_third(pipeline, seed, epochs, checkpoint)

    found = fa.search_policy(objective, space(), engine, 36, out=tmp_path / "s", epochs=36)
    first, best = found.trials[0].value("good"), found.best.value("good")
    assert best > 0.9 and best > first + 0.01


def test_reinforce_learns_what_helps(tmp_path: Path) -> None:
    """Of four operations one helps: the most probable policy has it alone."""

    def objective(pipeline: fa.Compose, seed: int, epochs: int, checkpoint: Any) -> dict[str, float]:
        (policies,) = pipeline.transforms
        steps = [step for policy in policies.transforms for step in policy.transforms if step.p > 0]  # type: ignore[attr-defined]
        return {"good": float(sum(1 if isinstance(s, fa.PointDropout) else -1 for s in steps))}

    found = fa.search_policy(objective, space(), "reinforce", 120, out=tmp_path / "s", policies=1, steps=3)
    assert found.best.number == 119
    assert found.best.value("good") >= 2 > np.mean([t.value("good") for t in found.trials[:20]])


def test_transforms_without_numbers_are_operations_too(tmp_path: Path) -> None:
    """A mirror is one that sub-policies and RandAugment may choose; elsewhere it stays as it is."""
    mirrored = fa.Space.of(
        fa.Compose({"mirror": fa.MirrorScene(axis="y", p=0.5), "points": fa.PointDropout(share=0.5)})
    )
    found = fa.search_policy(constant, mirrored, "reinforce", 20, out=tmp_path / "a")
    used = {path for t in found.trials for policy in t.recipe["policies"] for path, _ in policy}
    assert used == {"mirror", "points"}
    kept = fa.search_policy(constant, mirrored, "random", 1, out=tmp_path / "b").pipeline
    assert dict(kept.children())["mirror"].p == 0.5 and dict(kept.children())["points"].p != 1
    fa.search_policy(constant, mirrored, out=tmp_path / "c", n=[1, 2], magnitudes=[0.5])


@pytest.mark.quick
def test_reinforce_arithmetic() -> None:
    """Shares are a softmax; the baseline is plain at first: the third score is measured by mean and spread of two."""
    row = np.array([0.3, -2.0, 5.0])
    assert np.allclose(shares(row), np.exp(row) / np.exp(row).sum(), rtol=1e-12)
    baseline = Baseline()
    assert [baseline.advantage(v) for v in (1.0, 3.0)] == [0.0, 0.0]
    assert baseline.advantage(2.5) == pytest.approx((2.5 - 2.0) / np.std([1.0, 3.0]))
    assert Baseline(30, 1.0, 1e-30).advantage(2.0) == 0.0  # all scores equal so far


def test_pbt_goes_on_from_the_best(tmp_path: Path) -> None:
    """Members whose first number is low are replaced by those whose is high, with their checkpoints."""

    def objective(pipeline: fa.Compose, seed: int, epochs: int, checkpoint: Any) -> dict[str, float]:
        line = [] if checkpoint.before is None else json.loads(checkpoint.before.read_text())
        assert len(line) == checkpoint.epoch // 2 and epochs == 2
        number = int(checkpoint.after.name[5:11])
        checkpoint.after.write_text(json.dumps([*line, number]))
        return {"good": float([*line, number][0])}  # member 3 is the best one

    found = fa.search_policy(objective, space(), "pbt", 12, out=tmp_path / "s", epochs=6, population=4)
    parents = [t.proposal.parent for t in found.trials]
    assert parents == [None] * 4 + [3, 1, 2, 3] + [4, 4, 6, 7]  # member 0, then 1, goes on from the best
    assert [t.proposal.start for t in found.trials] == [0] * 4 + [2] * 4 + [4] * 4
    assert found.trials[7].recipe == found.trials[3].recipe != found.trials[4].recipe
    moved = [abs(a - b) for k in ("magnitudes", "p") for a, b in
             zip(found.trials[4].recipe[k].values(), found.trials[3].recipe[k].values(), strict=True)]  # fmt: skip
    assert sum(d <= 0.2 for d in moved) >= 4
    assert found.best.number == 8 and [s["trial"] for s in found.facts["schedule"]] == [3, 4, 8]
    kept = sorted(p.name for p in (tmp_path / "s" / "checkpoints").iterdir())
    assert kept == [f"trial{n:06d}-seed0" for n in range(8, 12)]


@pytest.mark.quick
def test_several_scores_have_a_front() -> None:
    points = [(1.0, 5.0), (2.0, 4.0), (1.5, 4.0), (3.0, 1.0), (3.0, 1.0)]
    trials = [Trial(i, Proposal({}, 1), {"a": (a,), "b": (b,)}) for i, (a, b) in enumerate(points)]
    assert [t.number for t in front_of(trials, ("a", "b"))] == [0, 1, 3, 4]
    assert trials[0].value("mean") == 3.0


def test_nsga2_weighs_two_scores(tmp_path: Path) -> None:
    pytest.importorskip("optuna")

    def objective(pipeline: fa.Compose, *_: Any) -> dict[str, float]:
        share = strengths(pipeline)["points"]
        return {"clean": 1 - share, "faulty": math.sqrt(share)}

    found = fa.search_policy(objective, space(), "optuna", 16, out=tmp_path / "s", score=["clean", "faulty"])
    facts = json.loads((tmp_path / "s" / "results.json").read_text())
    assert facts["front"] == [t.number for t in found.front] and len(found.front) > 3
    assert max(found.trials, key=lambda t: t.value("mean")).number == found.best.number


@pytest.mark.parametrize("engine", ["grid", "random", "reinforce"])
def test_the_result_is_a_preset_that_builds_the_same_pipeline(tmp_path: Path, engine: str) -> None:
    found = fa.search_policy(constant, space(), engine, 4, out=tmp_path / "s")
    words = ["log=kitti", "log.root=x", "out=y", "pipeline=policy"]
    built = build_pipeline(compose_config("run", words, str(tmp_path / "s"))["pipeline"])
    assert built.to_config() == found.pipeline.to_config()
    assert (
        yaml.safe_load((tmp_path / "s" / "pipeline" / "policy.yaml").read_text())["_target_"] == "fusion_aug.pipeline"
    )


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"engine": "magic"}, "engine: 'magic' is not one of"),
    ({"population": 3}, "population: the engine grid has no such option (it has n, magnitudes)"),
    ({"trials": 8}, "trials: 8 is not the 2 x 2 of the grid; give a square number"),
    ({"trials": 25}, "n: 5 operations are more than the 4 of the pipeline"),
    ({"trials": 2.5}, "trials: expected a whole number, got 2.5"),
    ({"n": [1, 1]}, "n: expected a list of numbers from 1 to 4, each once"),
    ({"magnitudes": [0.2, 1.5]}, "magnitudes: expected a list of numbers from 0 to 1"),
    ({"seeds": []}, "seeds: expected how many, or a list"),
    ({"score": "better"}, "score: the objective gives no 'better' (it gives good)"),
    ({"score": ["good", "mean"]}, "score: the engine grid takes one score"),
    (
        {"engine": "pbt", "trials": 7, "epochs": 7},
        "trials: 7 trainings cannot be made in rounds of a population of two",
    ),
    ({"engine": "pbt", "trials": 9}, "epochs: 1 cannot be shared by 3 rounds"),
    ({"engine": "pbt", "epochs": 3}, "left nothing at checkpoint.after"),
    ({"engine": "reinforce", "rate": -1}, "rate: expected a number above 0"),
    ({"engine": "reinforce", "levels": 1}, "levels: expected a whole number of at least 2"),
    ({"engine": "optuna", "sampler": "tpe", "population": 4}, "population: the sampler tpe has no such option"),
    ({"space": fa.Compose([])}, "space: expected a Space"),
]


@pytest.mark.quick
@pytest.mark.parametrize(("given", "said"), REFUSED, ids=[s.split(":")[0] + str(i) for i, (_, s) in enumerate(REFUSED)])
def test_wrong_arguments_are_refused_in_a_sentence(tmp_path: Path, given: dict[str, Any], said: str) -> None:
    with pytest.raises(fa.ConfigError) as caught:
        fa.search_policy(constant, **({"space": space(), "out": tmp_path / "s"} | given))
    assert str(caught.value).startswith(said) or said in str(caught.value)


@pytest.mark.quick
@pytest.mark.parametrize(
    ("returned", "said"),
    [
        (None, "expected scores by name"),
        ({}, "expected scores by name"),
        ({"good": float("nan")}, "the score 'good' of trial 0, seed 0 is no finite number but nan"),
        ({"good": "0.5"}, "is no finite number but '0.5'"),
        ({"good": True}, "is no finite number but True"),
    ],
)
def test_what_an_objective_returns_is_looked_at(tmp_path: Path, returned: Any, said: str) -> None:
    with pytest.raises(fa.ConfigError, match="objective: ") as caught:
        fa.search_policy(lambda *_: returned, space(), out=tmp_path / "s")
    assert said in str(caught.value)


@pytest.mark.quick
def test_scores_have_the_same_names_each_time(tmp_path: Path) -> None:
    names = iter("aab")
    with pytest.raises(fa.ConfigError, match=r"the scores of trial 2, seed 0 are b, those before were a;"):
        fa.search_policy(lambda *_: {next(names): 1.0}, space(), out=tmp_path / "s")
    with pytest.raises(fa.ConfigError, match="objective: expected a function"):
        fa.search_policy("mine", space(), out=tmp_path / "t")  # type: ignore[arg-type]
