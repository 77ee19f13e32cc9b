"""``optuna``: the samplers of Optuna (extra ``optuna``), TPE of one score, NSGA-II of several.

The journal is ours. A search that goes on builds the study again: it asks and tells what it asked and told before, so
that a seeded sampler is where it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

from fusion_aug.errors import ConfigError, MissingPackage
from fusion_aug.policy.search.engine import Engine, whole
from fusion_aug.policy.search.recipes import DIGITS
from fusion_aug.policy.search.trials import Proposal, Trial

SAMPLERS = ("tpe", "nsga2")


@dataclass(kw_only=True)
class Optuna(Engine):
    """Magnitudes of all dimensions and probabilities of all operations, proposed by a sampler of Optuna.

    Attributes:
        sampler: tpe, or nsga2; by default tpe of one score and nsga2 of several.
        startup: of tpe: how many trials are drawn at random first; by default a third of them, at most 10.
        population: of nsga2: trials of a generation; by default the square root of ``trials``, at least 2.
    """

    name: ClassVar[str] = "optuna"
    several_scores: ClassVar[bool] = True
    sampler: Any = None
    startup: Any = None
    population: Any = None
    _asked: dict[int, Any] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        try:
            import optuna
        except ImportError:
            raise MissingPackage("engine: optuna needs the package optuna: pip install '.[optuna]'") from None
        several = len(self.task.scores) > 1
        kind = self.sampler or ("nsga2" if several else "tpe")
        if kind not in SAMPLERS:
            raise ConfigError(f"sampler: {kind!r} is not one of {', '.join(SAMPLERS)}")
        unused = "population" if kind == "tpe" else "startup"
        if getattr(self, unused) is not None:
            raise ConfigError(f"{unused}: the sampler {kind} has no such option; leave it out")
        seed = int(self.task.draws("optuna").integers(2**31))
        if kind == "tpe":
            startup = min(10, max(1, self.trials // 3)) if self.startup is None else whole(self.startup, "startup", 1)
            sampler: Any = optuna.samplers.TPESampler(seed=seed, n_startup_trials=startup)
        else:
            default = max(2, round(self.trials**0.5))
            size = default if self.population is None else whole(self.population, "population", 2)
            sampler = optuna.samplers.NSGAIISampler(seed=seed, population_size=size)
        with quiet(optuna):
            self._study = optuna.create_study(sampler=sampler, directions=["maximize"] * len(self.task.scores))

    def ask(self, number: int) -> Proposal:
        """What the sampler suggests."""
        import optuna

        space = self.task.space
        with quiet(optuna):
            trial = self._asked[number] = self._study.ask()
            magnitudes = {d.name: trial.suggest_float(f"magnitude {d.name}", 0.0, 1.0) for d in space.dimensions}
            p = {path: trial.suggest_float(f"p {path}", 0.0, 1.0) for path in space.operations}
        recipe = {"magnitudes": magnitudes, "p": p}
        return Proposal({k: {n: round(v, DIGITS) for n, v in of.items()} for k, of in recipe.items()}, self.task.epochs)

    def tell(self, trial: Trial) -> None:
        """Tell the study the scores."""
        import optuna

        with quiet(optuna):
            self._study.tell(self._asked.pop(trial.number), [trial.value(s) for s in self.task.scores])


@contextmanager
def quiet(optuna: Any) -> Iterator[None]:
    """Without the lines that Optuna logs of every study and trial."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
