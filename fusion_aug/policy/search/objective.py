"""What a search asks: train with a pipeline, and say how good the result is."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any

from fusion_aug.core.compose import Compose
from fusion_aug.errors import ConfigError


@dataclass(frozen=True)
class Checkpoint:
    """Where a training goes on from, and where it leaves what the next one goes on from.

    Attributes:
        before: file or folder that an earlier training of this search left; None: the training begins anew.
        after: where the objective may leave a file or a folder; nothing is there yet. ``pbt`` needs it, since what it
            leaves there is a later training's ``before``.
        epoch: how many epochs lie behind ``before``, 0 where that is None.
    """

    before: Path | None
    after: Path
    epoch: int = 0


Objective = Callable[[Compose, int, int, Checkpoint], Mapping[str, float]]


def checked_scores(returned: Any, where: str, names: Sequence[str] | None) -> dict[str, float]:
    """What an objective returned, as plain numbers by name, in the order of the names.

    Args:
        returned: by the objective. where: the trial and seed, for messages.
        names: what it returned before, sorted; None of the first time.

    Raises:
        ConfigError: it is no mapping of names to finite numbers, or has other names than before.
    """
    if not isinstance(returned, Mapping) or not returned or not all(isinstance(n, str) and n for n in returned):
        raise ConfigError(
            f"objective: expected scores by name, such as {{'accuracy': 0.7}}, got {returned!r} of {where}"
        )
    for name, value in returned.items():
        if not isinstance(value, Real) or isinstance(value, bool) or not math.isfinite(value):
            raise ConfigError(
                f"objective: the score {name!r} of {where} is no finite number but {value!r}; return a "
                f"low one where a training comes to nothing"
            )
    found = sorted(returned)
    if names is not None and found != list(names):
        raise ConfigError(
            f"objective: the scores of {where} are {', '.join(found)}, those before were {', '.join(names)}; "
            f"return the same names each time"
        )
    return {name: float(returned[name]) for name in found}


def name_of(objective: Any) -> str:
    """``module:function`` of an objective, or of the class of one that is an object.

    Raises:
        ConfigError: it cannot be called.
    """
    if not callable(objective):
        raise ConfigError(f"objective: expected a function of pipeline, seed, epochs and checkpoint, got {objective!r}")
    named = objective if hasattr(objective, "__qualname__") else type(objective)
    return f"{named.__module__}:{named.__qualname__}"
