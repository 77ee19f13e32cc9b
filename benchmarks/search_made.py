"""The engines of a search on a made objective whose optimum is known, at 9 to 1,000 evaluations.

``python -m benchmarks.search_made [--seeds 20] [--budgets 9,30,100,300,1000] [--jobs 2]``. Of ten operations about half
help: each gives 2 to 12 points at a best magnitude of its own, and less beyond; the others cost 2 to 12 points at full
magnitude. Gains of several saturate at 25 points. Which do what is drawn anew for every seed. A training's score has
noise of 2 points, as seeds of real trainings have. Printed and written: the true gain, without noise, of what each
engine returns, as a mean over the seeds, with its standard error. ``policies`` draws at random what ``reinforce``
draws.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

import fusion_aug as fa
from fusion_aug.core.compose import Compose, OneOf
from fusion_aug.ops.random import digest, generator
from fusion_aug.policy.randaugment import RandAugment
from fusion_aug.policy.search import search_policy
from fusion_aug.policy.search.reinforce import Reinforce
from fusion_aug.policy.search.trials import Proposal, Trial, best_of
from fusion_aug.policy.space import Dimension, Space

NOISE = 2.0  # points, standard deviation of a score
MOST = 25.0  # points that gains saturate at
BUDGETS = (9, 30, 100, 300, 1000)
ENGINES = ("random", "policies", "grid", "pbt", "optuna", "reinforce")
TRANSFORMS = {
    "brightness": fa.Brightness(factor=[0.5, 1.5]), "contrast": fa.Contrast(factor=[0.5, 1.5]),
    "saturation": fa.Saturation(factor=[0.5, 1.5]), "hue": fa.Hue(angle_deg=[-20, 20]),
    "blur": fa.GaussianBlur(sigma=[0, 2]), "turn": fa.RotateScene(yaw_deg=[-45, 45]),
    "scale": fa.ScaleScene(scale=[0.9, 1.1]), "points": fa.PointDropout(share=[0, 0.5]),
    "grain": fa.GaussianNoise(sigma=[0, 0.05]), "jitter": fa.RangeJitter(sigma=[0, 0.1]),
}  # fmt: skip
SPACE = Space.of(Compose(TRANSFORMS))


@dataclass(kw_only=True)
class Policies(Reinforce):
    """Sub-policies as ``reinforce`` draws them, without learning; the best one counts."""

    name: ClassVar[str] = "policies"

    def ask(self, number: int) -> Proposal:
        """A draw from the table, which stays even; never its most probable entry."""
        return self.proposed(number, self.drawn(number))

    def tell(self, trial: Trial) -> None:
        """Nothing is learnt."""

    def best(self, trials: Any) -> Trial:
        """The best score."""
        return best_of(trials, self.task.scores[0])


class Problem:
    """What each operation does, drawn for a seed."""

    def __init__(self, seed: int):
        rng = generator(digest(seed, "made problem"))
        count = len(SPACE.operations)
        self.helps = rng.random(count) < 0.5
        if not self.helps.any():
            self.helps[0] = True
        self.points, self.at = rng.uniform(2, 12, count), rng.uniform(0.2, 0.9, count)

    def gain(self, operation: int, magnitude: float) -> float:
        """Points that one operation gives or costs."""
        if not self.helps[operation]:
            return float(-self.points[operation] * magnitude)
        share = magnitude / self.at[operation]
        return float(self.points[operation] * (2 * share - share * share))

    @property
    def optimum(self) -> float:
        """The gain of every operation that helps, always, at its best magnitude."""
        return float(saturated(self.points[self.helps].sum()))

    def value(self, pipeline: Compose) -> float:
        """The true gain of a pipeline, averaged over what it draws."""
        (first,) = pipeline.transforms[:1]
        if isinstance(first, OneOf):
            return float(np.mean([self.value(policy) for policy in first.transforms]))  # type: ignore[arg-type]
        if isinstance(first, RandAugment):
            gains = np.array([self.gain(i, float(first.magnitude)) for i in range(len(SPACE.operations))])
            rows = chosen(len(gains), first.n)
            return float(saturated(gains[rows].sum(1)).mean())
        steps: dict[int, tuple[float, float]] = {}  # an operation twice is one that is twice as strong
        for t in pipeline.transforms:
            i = operation_of(t)
            steps[i] = (
                steps.get(i, (0.0, 0.0))[0] + (magnitude_of(t) if t.p else 0.0),
                max(steps.get(i, (0, 0))[1], t.p),
            )
        gains = np.array([self.gain(i, m) for i, (m, _) in steps.items()])
        p, gates = np.array([p for _, p in steps.values()]), all_gates(len(steps))
        chance = np.where(gates, p, 1 - p).prod(1)
        return float((chance * saturated(gates @ gains)).sum())


def saturated(points: Any) -> Any:
    """Gains that saturate; losses do not."""
    return np.where(points > 0, MOST * (1 - np.exp(-np.maximum(points, 0) / MOST)), points)


@cache
def chosen(count: int, n: int) -> np.ndarray:
    """Every choice of n from a number of operations."""
    return np.array(list(combinations(range(count), n)))


@cache
def all_gates(count: int) -> np.ndarray:
    """Every pattern of what is applied (2^n, n)."""
    return (np.arange(2**count)[:, None] >> np.arange(count) & 1).astype(bool)


def operation_of(transform: Any) -> int:
    """Which operation a transform is."""
    kinds = [type(t) for t in TRANSFORMS.values()]
    return kinds.index(type(transform))


def magnitude_of(transform: Any) -> float:
    """The magnitude that a transform is at, from its field."""
    dimension = dimensions()[operation_of(transform)]
    value = getattr(transform, dimension.field)
    value = value["values"][-1] if isinstance(value, dict) else value
    side, start = dimension.strength.sides[-1], dimension.strength.neutral
    assert start is not None
    if dimension.scale == "log":
        return math.log(value / start) / math.log(side / start)
    return float((value - start) / (side - start))


@cache
def dimensions() -> list[Dimension]:
    """The dimension of every operation."""
    assert len(SPACE.dimensions) == len(SPACE.operations)
    return list(SPACE.dimensions)


def searched(engine: str, budget: int, seed: int) -> float:
    """The true gain of what an engine returns."""
    problem = Problem(seed)

    def objective(pipeline: Compose, training: int, epochs: int, checkpoint: Any) -> dict[str, float]:
        checkpoint.after.touch()
        text = json.dumps(pipeline.to_config(), sort_keys=True)
        noise = generator(digest(seed, training, str(checkpoint.after.name), text)).normal(0, NOISE)
        return {"gain": problem.value(pipeline) + float(noise)}

    options: dict[str, Any] = {"epochs": 1000} if engine == "pbt" else {}
    if engine == "grid":
        options = {"n": list(range(1, 4 if budget < 100 else 11))}
        options["magnitudes"] = [round((i + 1) / (budget // len(options["n"]) + 1), 6)
                                 for i in range(budget // len(options["n"]))]  # fmt: skip
    trials = None if engine == "grid" else budget
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as out:
        found = search_policy(objective, SPACE, engine, trials, seed, out=out, **options)
    return problem.value(found.pipeline)


def tasks(budgets: list[int], seeds: int, engines: list[str], first: int) -> Iterator[tuple[str, int, int]]:
    """Engine, budget and seed of every search."""
    for engine in engines:
        for budget in budgets:
            if not (engine == "pbt" and budget < 9):
                yield from ((engine, budget, first + seed) for seed in range(seeds))


def _one(task: tuple[str, int, int]) -> float:
    return searched(*task)


def main() -> None:
    """Print the table, and write it beside."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--budgets", default=",".join(map(str, BUDGETS)))
    parser.add_argument("--engines", default=",".join(ENGINES))
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--json", type=Path, default=Path(__file__).with_suffix(".json"))
    words = parser.parse_args()
    budgets, engines = [int(b) for b in words.budgets.split(",")], words.engines.split(",")
    todo = list(tasks(budgets, words.seeds, engines, words.first))
    with ProcessPoolExecutor(words.jobs) as pool:
        values = dict(zip(todo, pool.map(_one, todo), strict=True))
    seeds = range(words.first, words.first + words.seeds)
    optimum = float(np.mean([Problem(s).optimum for s in seeds]))
    table: dict[str, dict[str, list[float]]] = {}
    print(f"true gain, points; the optimum is {optimum:.1f}; {words.seeds} seeds\n")
    print("| engine | " + " | ".join(f"{b:,}" for b in budgets) + " |")
    print("|---|" + "---:|" * len(budgets))
    for engine in engines:
        cells = []
        for budget in budgets:
            row = np.array([values[engine, budget, s] for s in seeds])
            error = float(row.std(ddof=1) / math.sqrt(len(row)))
            table.setdefault(engine, {})[str(budget)] = [round(float(row.mean()), 2), round(error, 2)]
            cells.append(f"{row.mean():.1f} ± {error:.1f}")
        print(f"| {engine} | " + " | ".join(cells) + " |", flush=True)
    facts = {"optimum": round(optimum, 2), "noise": NOISE, "seeds": [*seeds], "gain and its standard error": table}
    words.json.write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
