"""Times of single points: drivers count them in seconds to nanoseconds, from the message's stamp or from the epoch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fusion_aug.logs.core.number_types import fitting
from fusion_aug.streams.meanings import UNITS

DAY = 86400.0
LONGEST = {"s": 10.0, "ms": 10e3, "us": 10e6}  # most of a unit between the first and the last point of a cloud
ABSOLUTE_FROM = 1e6  # seconds: a larger time of a point is none after a stamp
PART = 0.02  # of the time to the next cloud, which a sweep takes at least
MANY_POINTS = 1000  # which no scanner measures within a millisecond and less


@dataclass(frozen=True)
class TimeCoding:
    """How a field counts times.

    Attributes:
        unit: word of ``UNITS``. is_absolute: whether from the epoch instead of the stamp.
    """

    unit: str
    is_absolute: bool

    def decoded(self, values: np.ndarray, stamp: int) -> np.ndarray:
        """Seconds (n,) float64 after a stamp (ns)."""
        numbers, size = values.astype(np.float64), UNITS[self.unit]
        return (numbers - stamp * (1e-9 / size)) * size if self.is_absolute else numbers * size

    def encoded(self, seconds: np.ndarray, stamp: int, kind: np.dtype, what: str) -> np.ndarray:
        """The numbers of a field of a type for seconds (n,) after a stamp (ns).

        Raises:
            DataError: the type cannot hold one.
        """
        size = UNITS[self.unit]
        numbers: np.ndarray = seconds / size + (stamp * (1e-9 / size) if self.is_absolute else 0.0)
        if kind.kind in "iu":
            numbers = np.round(np.where(np.isnan(numbers), 0, numbers))
            return fitting(numbers, kind, what, "leave the topic out with log.exclude, or change the speed less")
        return numbers


def coding_of(values: np.ndarray, stamp: int, unit: str | None = None, period: float = 0.0) -> TimeCoding:
    """Find how a field counts times.

    Whole numbers are nanoseconds; microseconds where points would else be measured within a small part of the time to
    the next cloud, or as many as a sweep has within a millisecond. Others are in the unit that brings them near the
    stamp, else in the one in which a cloud does not take longer than ten of its seconds.

    Args:
        values: (n,) numbers of the field. stamp: of the message, ns. unit: where it is known.
        period: seconds from one cloud to the next, 0 where it is not known.
    """
    known = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    if not len(known):
        return TimeCoding(unit or ("ns" if values.dtype.kind in "iu" else "s"), False)
    numbers = known.astype(np.float64)
    if values.dtype.kind in "iu":
        unit = unit or ("us" if _is_brief(numbers, period) else "ns")
    middle = float(np.median(numbers))
    near = [u for u in ([unit] if unit else UNITS) if abs(middle * UNITS[u] - stamp * 1e-9) < DAY]
    if near and stamp * 1e-9 > ABSOLUTE_FROM:
        return TimeCoding(near[0], True)
    span = float(np.ptp(numbers)) or abs(middle) * 1e-9
    unit = unit or next((u for u, most in LONGEST.items() if span < most), "ns")
    return TimeCoding(unit, abs(middle) * UNITS[unit] > ABSOLUTE_FROM)


def _is_brief(numbers: np.ndarray, period: float) -> bool:
    """Whether whole numbers would be too short a sweep as nanoseconds, and a right one as microseconds."""
    span = float(np.ptp(numbers))
    if period > 0:
        return span * 1e-9 < PART * period and PART < span * 1e-6 / period < 3
    return len(numbers) >= MANY_POINTS and 1e3 <= span < 1e6
