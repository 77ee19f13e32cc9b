"""``Engine``: what every way of searching is, and the registry of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Any, ClassVar

import numpy as np

from fusion_aug.core.random import whole_number
from fusion_aug.errors import ConfigError
from fusion_aug.names import Registry
from fusion_aug.ops.random import digest, generator
from fusion_aug.policy.search.trials import MEAN, Proposal, Trial, best_of, mean_value
from fusion_aug.policy.space import Space

ENGINES: Registry[type[Engine]] = Registry("engine")
TRIALS = 9  # where neither the caller nor the engine says how many


@dataclass(frozen=True)
class Task:
    """What is searched, whichever engine does it.

    Attributes:
        space: in which. trials: how many, or None, which leaves it to the engine. seed: of all draws.
        epochs: of a training. scores: what counts: one name, ``mean``, or several names where an engine takes them.
    """

    space: Space
    trials: int | None
    seed: int
    epochs: int
    scores: tuple[str, ...]

    def draws(self, *parts: str | int) -> np.random.Generator:
        """The random stream of one draw of the search: a trial draws the same numbers, whatever came before."""
        return generator(digest(self.seed, "search", *parts))


@dataclass(kw_only=True)
class Engine:
    """A way of searching. Fields of a subclass are its options; it is registered under its ``name``.

    An engine decides from its task and from what it was told, and never from a clock or a global random state: asked
    and told the same it proposes the same, which is how a killed search goes on.
    """

    name: ClassVar[str]
    several_scores: ClassVar[bool] = False  # whether it takes more than one
    default_score: ClassVar[str] = MEAN  # where none is named
    needs_checkpoints: ClassVar[bool] = False  # whether an objective must leave them
    task: Task

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        ENGINES.add(cls.name, cls)

    @property
    def trials(self) -> int:
        """How many trials it makes."""
        return TRIALS if self.task.trials is None else self.task.trials

    def ask(self, number: int) -> Proposal:
        """What trial ``number`` is to try; asked in order, each after the ones before were told."""
        raise NotImplementedError

    def tell(self, trial: Trial) -> None:
        """Learn from a trial."""

    def dispensable(self, number: int) -> range:
        """Trials whose checkpoints nobody needs once trial ``number`` was told."""
        return range(0)

    def best(self, trials: Sequence[Trial]) -> Trial:
        """The trial whose pipeline is the result: the best one, of several scores by their mean."""
        if len(self.task.scores) == 1:
            return best_of(trials, self.task.scores[0])
        return max(trials, key=lambda t: (mean_value(t, self.task.scores), -t.number))

    def narrowed(self, trials: Sequence[Trial]) -> Space | None:
        """The space that is left, of an engine that makes it smaller."""
        return None

    def facts(self, trials: Sequence[Trial]) -> dict[str, Any]:
        """What ``results.json`` says beside the trials, JSON-able."""
        return {}

    @classmethod
    def options(cls) -> dict[str, Any]:
        """Options and their defaults."""
        return {f.name: f.default for f in fields(cls) if f.init and f.default is not MISSING}


def make_engine(name: str, task: Task, options: Mapping[str, Any]) -> Engine:
    """An engine by its name.

    Raises:
        ConfigError: there is none of that name, it has no such option, or an option is wrong.
    """
    if name not in ENGINES:
        raise ConfigError(f"engine: {name!r} is not one of {', '.join(ENGINES)}")
    kind = ENGINES[name]
    known = kind.options()
    for option in options:
        if option not in known:
            its = f"it has {', '.join(known)}" if known else "it has none"
            raise ConfigError(f"{option}: the engine {name} has no such option ({its})")
    if len(task.scores) > 1 and not kind.several_scores:
        raise ConfigError(f"score: the engine {name} takes one score or mean; several are for engine=optuna")
    return kind(task=task, **options)


def whole(value: Any, name: str, least: int) -> int:
    """A whole number of at least ``least``.

    Raises:
        ConfigError: it is none.
    """
    number = whole_number(value, name)
    if number < least:
        raise ConfigError(f"{name}: expected a whole number of at least {least}, got {value!r}")
    return number


def numbers(values: Any, name: str, low: float, high: float) -> tuple[float, ...]:
    """A list of numbers within limits, each once.

    Raises:
        ConfigError: it is none.
    """
    given = tuple(values) if isinstance(values, Sequence) and not isinstance(values, str) else ()
    fit = all(isinstance(v, int | float) and not isinstance(v, bool) and low <= v <= high for v in given)
    if not given or not fit or len(set(given)) < len(given):
        raise ConfigError(f"{name}: expected a list of numbers from {low:g} to {high:g}, each once, got {values!r}")
    return given
