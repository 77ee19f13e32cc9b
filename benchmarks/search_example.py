"""Searches on the fusion example, which see its validation streets only, and their winners on its test streets.

``python -m benchmarks.search_example [--out out/search] [--jobs 2]``. The space is what the example's arm ``full``
takes from. A grid of 5 x 5, every second row and column of it as a grid of 3 x 3, Optuna's TPE with 9 trainings and a
population of 3 in 3 rounds (9 trainings of a third of the epochs) search with one seed each. What two searches both ask
for is trained once. Every winner is trained anew with three fresh seeds and tested. Printed and written: what won, its
score on the validation streets, and the mean over all tests for every fresh seed. Goes on where it was killed. About
an hour and a half of one processor.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import torch

import fusion_aug as fa
from examples import train_fusion as example
from fusion_aug.policy.search import Checkpoint
from fusion_aug.policy.search.report import described
from fusion_aug.policy.search.trials import mean_of
from fusion_aug.run.config import build_pipeline

EPOCHS = 60  # of a whole training: 120 steps of 6 of the 12 keyframes
FRESH = (10, 11, 12)  # seeds of the winners' trainings; searches have seed 0
N, MAGNITUDES = (1, 2, 3, 4, 5), (0.17, 0.33, 0.5, 0.67, 0.83)
SEARCHES: dict[str, dict[str, Any]] = {
    "grid 5 x 5": {"engine": "grid", "n": N, "magnitudes": MAGNITUDES},
    "grid 3 x 3": {"engine": "grid", "n": N[::2], "magnitudes": MAGNITUDES[::2]},
    "optuna, 9": {"engine": "optuna", "trials": 9}, "pbt, 9": {"engine": "pbt", "trials": 9, "population": 3},
}  # fmt: skip
TOGETHER = (("grid 5 x 5", "grid 3 x 3"), ("optuna, 9",), ("pbt, 9",))  # in one process, one after another
SCORES: dict[Any, dict[str, float]] = {}  # of whole trainings in this process


def objective(pipeline: fa.Transform, seed: int, epochs: int, checkpoint: Checkpoint) -> dict[str, float]:
    """That of the example; what was trained whole before is not trained again."""
    if epochs < EPOCHS:
        return example.objective(pipeline, seed, epochs, checkpoint)
    asked = json.dumps(pipeline.to_config()), seed
    if asked not in SCORES:
        SCORES[asked] = example.objective(pipeline, seed, epochs, checkpoint)
    return SCORES[asked]


def searched(names: Sequence[str], out: Path) -> tuple[dict[str, Any], float]:
    """Some searches: of each the winner's configuration, recipe and score; and the new seconds of the processor."""
    began, winners = time.process_time(), {}
    space = fa.Space.of(fa.Compose(example.built(example.SETTINGS.everything)))
    for name in names:
        folder = out / "".join(c if c.isalnum() else "_" for c in name)
        found = fa.search_policy(objective, space, out=folder, epochs=EPOCHS, **SEARCHES[name])
        recipe, score = dict(found.best.recipe), round(found.best.value("mean"), 2)
        winners[name] = {
            "recipe": recipe, "said": said(recipe), "pipeline": found.pipeline.to_config(), "validation": score
        }  # fmt: skip
    return winners, time.process_time() - began


def said(recipe: Mapping[str, Any]) -> str:
    """A recipe in a few words."""
    return described(recipe) if "n" in recipe else f"own magnitudes of {len(recipe['magnitudes'])} fields"


def tested(pipeline: Mapping[str, Any], seed: int) -> tuple[dict[str, float], float]:
    """A pipeline trained anew: its scores by test, and the seconds of the processor."""
    began, samples = time.process_time(), example.keyframes("training")[::2]
    network = example.train(samples, build_pipeline(pipeline), seed)
    scores = {name: example.evaluate(network, batches) for name, batches in example.tests("test").items()}
    return scores, time.process_time() - began


def side_by_side(jobs: int, task: Callable[..., Any], asked: Sequence[tuple[Any, ...]]) -> list[Any]:
    """What a function gives for every tuple of arguments, in some processes of one thread each."""
    with ProcessPoolExecutor(jobs, get_context("fork"), initializer=one_thread) as pool:
        return list(pool.map(task, *zip(*asked, strict=True)))


def one_thread() -> None:
    """Sums in an order of their own on every machine."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


def main() -> None:
    """Search, train the winners anew, and print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out/search"))
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--json", type=Path, default=Path(__file__).with_suffix(".json"))
    words = parser.parse_args()
    one_thread()
    began = time.process_time()
    for part in ("training", "validation", "test"):
        example.keyframes(part)
    example.tests("validation")
    example.tests("test")  # once, before there are processes
    made = time.process_time() - began
    found = side_by_side(words.jobs, searched, [(names, words.out) for names in TOGETHER])
    winners = {name: won for each, _ in found for name, won in each.items()}
    different = {json.dumps(won["pipeline"]): won["pipeline"] for won in winners.values()}
    asked = [(pipeline, seed) for pipeline in different.values() for seed in FRESH]
    trained = dict(zip(((json.dumps(p), s) for p, s in asked), side_by_side(words.jobs, tested, asked), strict=True))
    seconds = {"data": made, "searches": sum(s for _, s in found), "winners": sum(s for _, s in trained.values())}
    print("| search | won | on validation | mean over all tests, 3 fresh seeds | spread |\n|---|---|---:|---:|---:|")
    for name, won in winners.items():
        tests = {s: trained[json.dumps(won["pipeline"]), s][0] for s in FRESH}
        means = [mean_of(list(scores.values())) for scores in tests.values()]
        won |= {"tests": {str(s): {n: round(v, 2) for n, v in scores.items()} for s, scores in tests.items()}}
        won |= {"mean": round(mean_of(means), 2), "spread": round(statistics.stdev(means), 2)}
        print(f"| {name} | {won['said']} | {won['validation']:.1f} | {won['mean']:.1f} | {won['spread']:.1f} |")
    apart = abs(winners["grid 3 x 3"]["mean"] - winners["grid 5 x 5"]["mean"])
    print(f"\ngrids are {apart:.1f} points apart; {sum(seconds.values()) / 60:.0f} minutes of the processor")
    facts = {
        "winners": winners,
        "grids_apart": round(apart, 2),
        "cpu_seconds": {k: round(v) for k, v in seconds.items()},
    }
    words.json.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
