"""``replay``: an episode's draws again."""

from __future__ import annotations

from typing import Any

from fusion_aug.errors import ConfigError
from fusion_aug.sim.randomized import Randomized
from fusion_aug.sim.recorded_draws import HISTORY


def replay(env: Any, history: Any) -> tuple[Any, dict[str, Any]]:
    """Begin an episode with the draws of another one; the same actions then give the same bytes.

    World, delays and seeds are those of the record. Errors of sensors are drawn by the pipeline from the same keys, and
    refused where they are not those of the record. Resets after it go on from its episode.

    Args:
        env: a ``Randomized`` environment, also below other wrappers. history: ``info["history"]`` of a reset.

    Returns:
        Observation and info, as of ``reset``.

    Raises:
        ConfigError: nothing of the environment is randomized. DataError: the history is none, or of another pipeline.
    """
    inside = env
    while not isinstance(inside, Randomized):
        if not hasattr(inside, "env"):
            raise ConfigError("replay: no Randomized is among the wrappers of this environment; wrap it first")
        inside = inside.env
    return env.reset(options={HISTORY: history})
