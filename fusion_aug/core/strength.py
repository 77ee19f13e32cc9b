"""Strength: how a field of a transform follows a magnitude from 0, which changes nothing, to 1, which is severe."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fusion_aug.core.ranges import Range, can_differ_from
from fusion_aug.core.schedules import is_number
from fusion_aug.errors import ConfigError

SCALES = ("linear", "log", "inverse")


@dataclass(frozen=True)
class Strength:
    """What a magnitude means for one ``Range`` field.

    Attributes:
        neutral: value at magnitude 0, at which the field changes nothing; None where the field is then left empty.
        full: value at magnitude 1; (low, high) where it goes to either side, which is then drawn by chance.
        scale: in which the way from neutral to full is even: ``linear``, ``log``, or ``inverse``, for quantities whose
            inverse acts, as visibilities do.
        basis: where ``full`` comes from: ``suite/NAME`` (severity 5 of that preset), ``probe`` (the same loss of a
            statistic of the data as the suite has, ``tools/calibrate_strength.py``) or ``declared: reason``.
        unit: of the value, for tables.
        near: number that values of small magnitudes come close to, where it is not ``neutral``; infinity is one.
        exact: whether the data stay as they are at ``neutral``. Where no value leaves them alone, ``neutral`` is the
            mildest, and at magnitude 0 the transform is left out.
    """

    neutral: float | None
    full: float | tuple[float, float]
    scale: str
    basis: str
    unit: str = ""
    near: float | None = None
    exact: bool = True

    def __post_init__(self) -> None:
        start = self.neutral if self.near is None else self.near
        if self.scale not in SCALES:
            raise ConfigError(f"Strength.scale: {self.scale!r} is not one of {', '.join(SCALES)}")
        if start is None or (self.scale != "linear" and not all(v > 0 for v in (start, *self.sides))):
            raise ConfigError(
                f"Strength.near: {self.scale} needs {'a number' if start is None else 'numbers above 0'} to start from"
            )
        if self.basis != "probe" and not self.basis.startswith(("suite/", "declared: ")):
            raise ConfigError(f"Strength.basis: expected suite/NAME, probe or declared: reason, got {self.basis!r}")

    @property
    def sides(self) -> tuple[float, ...]:
        """The values at magnitude 1, one or two."""
        return self.full if isinstance(self.full, tuple) else (self.full,)

    def value(self, magnitude: float, limits: tuple[float, float] = (-math.inf, math.inf)) -> Range | None:
        """The field at a magnitude.

        Args:
            magnitude: 0 to 1. limits: that the field keeps.

        Returns:
            a number; where there are two sides a choice between both; ``neutral`` at 0.
        """
        if magnitude == 0:
            return self.neutral
        start = self.neutral if self.near is None else self.near
        assert start is not None
        ends = [min(max(_between(start, side, magnitude, self.scale), limits[0]), limits[1]) for side in self.sides]
        return ends[0] if len(ends) == 1 else {"distribution": "choice", "values": ends}

    def moves(self, value: Range | None) -> bool:
        """Whether a field with that value can differ from neutral."""
        if value is None:
            return False
        return self.neutral is None or can_differ_from(value, self.neutral)


Strengths = Mapping[str, Strength | str]  # field -> its strength, or why it has none


def _between(start: float, end: float, share: float, scale: str) -> float:
    """The number at a share of the way from start to end; the end itself at 1."""
    if share >= 1:
        return end
    if scale == "linear":
        return start + (end - start) * share
    if scale == "log":
        return start * (end / start) ** share
    return 1 / (1 / start + (1 / end - 1 / start) * share)


def checked_magnitude(value: object, where: str) -> float:
    """A magnitude from 0 to 1.

    Args:
        value: as given. where: of it, for messages.

    Raises:
        ConfigError: it is none.
    """
    if isinstance(value, np.floating):
        value = float(value)
    if not is_number(value) or not 0 <= float(value) <= 1:  # type: ignore[arg-type]
        raise ConfigError(f"{where}: expected a magnitude from 0 to 1, got {value!r}")
    return float(value)  # type: ignore[arg-type]
