"""Keyed randomness.

A draw depends on what it is for, never on when or where it is made: its key is the digest of the canonical JSON
``[seed, epoch, owner, path, purpose, instance]``. So any number of workers, any order and any batch gives the same
numbers, and a new transform leaves the draws of named others alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import index
from typing import Any

import numpy as np

from fusion_aug.errors import ConfigError
from fusion_aug.ops.random import digest, generator

PURPOSES = ("gate", "choice", "params", "noise")

Owner = str | tuple[str, int]


def owner_of(name: str, occurrence: int = 0) -> Owner:
    """What a draw belongs to, as it enters keys.

    Args:
        name: id of the sample or scene.
        occurrence: how often the sample came before in its epoch; the first time keys are those of the id alone.
    """
    return (name, occurrence) if occurrence else name


def whole_number(value: Any, name: str) -> int:
    """A whole number, also NumPy's or torch's, as an int: 5 and np.int64(5) are one seed.

    Args:
        value: the number. name: of the argument, for the message.

    Raises:
        ConfigError: it is none; fractions, text, None and truth values would silently be other seeds.
    """
    try:
        number = index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool) or "bool" in str(getattr(value, "dtype", "")):
        raise ConfigError(f"{name}: expected a whole number, got {value!r}")
    return int(number)


@dataclass(frozen=True)
class Keys:
    """The seed and epoch of one run, from which every random stream is derived.

    Raises:
        ConfigError: one of them is no whole number.
    """

    seed: int = 0
    epoch: int = 0

    def __post_init__(self) -> None:
        for name in ("seed", "epoch"):
            object.__setattr__(self, name, whole_number(getattr(self, name), name))

    def key(self, owner: Owner, path: str, purpose: str, instance: str = "") -> str:
        """Key of one purpose of one transform.

        Args:
            owner: what the draw belongs to, see ``owner_of``. path: of the transform, names joined by "/".
            purpose: one of ``PURPOSES``. instance: "", a sensor's name or the start of a timestep.
        """
        return digest(self.seed, self.epoch, owner, path, purpose, instance)

    def generator(self, owner: Owner, path: str, purpose: str, instance: str = "") -> np.random.Generator:
        """Random stream of one purpose of one transform; arguments as of ``key``."""
        return generator(self.key(owner, path, purpose, instance))
