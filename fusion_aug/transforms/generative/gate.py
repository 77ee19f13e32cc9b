"""``Gate``: whether a picture that was made still shows what its labels say, without any network."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from calib.regular_files import read_regular
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.transforms.generative.gate_figures import FIGURES, HIGHER, exceeded, figures_of

Array = np.ndarray

FEWEST = 30  # good pictures that a style is calibrated on
FALSE_ALARMS = 0.02  # share of good pictures that all figures together may refuse
ROOM = 1.25  # limits lie by this factor beyond the worst good picture but ``FALSE_ALARMS``
LEAST = {"agreement": 0.02, "moved": 0.3, "uneven": 0.5, "kept": 0.05, "new": 0.02}  # between good and a limit
MOST_BYTES = 2**20  # of a file of limits
PASSED, FAILED, UNCALIBRATED = "passed", "failed", "uncalibrated"


class Verdict(NamedTuple):
    """What a gate says of a picture.

    Attributes:
        word: ``passed``, ``failed`` or ``uncalibrated``; only ``passed`` lets a picture through.
        figures: by name, see ``FIGURES``. beyond: names of those beyond their limits.
    """

    word: str
    figures: dict[str, float]
    beyond: tuple[str, ...] = ()


@dataclass(frozen=True)
class Gate:
    """Limits of what a made picture may differ by from its source, by style, calibrated on good pictures.

    Directions of edges are compared, whatever light and colours are: whether the picture has moved, turned, waves or is
    mirrored, whether named boxes are still there, whether anything new looks like an object. A style for which it was
    not calibrated is ``uncalibrated``, and never passed.

    Attributes:
        limits: style -> figure -> limit. counted: style -> good pictures that it was calibrated on.
        path: file that it was read from; not in records.
    """

    limits: Mapping[str, Mapping[str, float]]
    counted: Mapping[str, int]
    path: str | None = field(default=None, compare=False)

    @classmethod
    def calibrated(cls, pictures: Iterable[tuple[Array, Array, Array | None]], style: str = "default") -> Self:
        """The gate of a style, from good pictures of it.

        Limits lie where 2 % of the good pictures, shared among the figures, would lie beyond, and a quarter further.

        Args:
            pictures: source, made picture (both (H, W, 3) uint8), and boxes (n, 4) of named objects or None; at least
                ``FEWEST``, which have been looked at and found good. style: its name.

        Raises:
            DataError: there are too few, or one cannot be compared.
        """
        found = [figures_of(before, after, boxes) for before, after, boxes in pictures]
        if len(found) < FEWEST:
            raise DataError(f"Gate: {style}: calibration takes {FEWEST} good pictures at least, got {len(found)}")
        return cls({style: {name: _limit(name, [f[name] for f in found]) for name in FIGURES}}, {style: len(found)})

    def judged(self, before: Array, after: Array, boxes: Array | None = None, style: str = "default") -> Verdict:
        """What the gate says of a picture.

        Args:
            before, after: (H, W, 3) uint8. boxes: (n, 4) of objects that the source shows, pixels, or None.
            style: by which it was made.

        Raises:
            DataError: they have different sizes.
        """
        found = {k: round(v, 6) for k, v in figures_of(before, after, boxes).items()}
        if style not in self.limits:
            return Verdict(UNCALIBRATED, found)
        beyond = exceeded(found, self.limits[style])
        return Verdict(FAILED if beyond else PASSED, found, tuple(beyond))

    def __or__(self, other: Gate) -> Gate:
        """A gate of the styles of both; those of the second go before."""
        return Gate({**self.limits, **other.limits}, {**self.counted, **other.counted})

    # --- files and configurations -------------------------------------------------------------------------------------
    def save(self, path: str | Path) -> None:
        """Write the limits as JSON."""
        Path(path).write_text(json.dumps(self.recorded(), indent=1, sort_keys=True) + "\n", encoding="utf-8")

    @classmethod
    def from_config(cls, value: Any, where: str = "Gate") -> Self:
        """The gate of a file that ``save`` wrote, or its mapping.

        Raises:
            ConfigError: it is none.
        """
        path = str(value) if isinstance(value, str | Path) else None
        if path is not None:
            try:
                value = json.loads(read_regular(Path(path).expanduser(), MOST_BYTES))
            except (OSError, ValueError, DataError) as error:
                raise ConfigError(f"{where}: {path}: cannot be read as the limits of a gate ({error})") from None
        try:
            limits = {str(s): {n: float(v) for n, v in numbers.items()} for s, numbers in value["limits"].items()}
            counted = {str(s): int(n) for s, n in value["counted"].items()}
        except (TypeError, KeyError, AttributeError, ValueError):
            raise ConfigError(
                f"{where}: expected a file of Gate.save, or its limits and counted, got {value!r:.200}"
            ) from None
        wrong = [s for s, n in limits.items() if set(n) != set(FIGURES) or not all(map(math.isfinite, n.values()))]
        if wrong or limits.keys() != counted.keys():
            raise ConfigError(
                f"{where}: style {(wrong or ['?'])[0]!r}: expected a finite limit for {', '.join(FIGURES)}"
            )
        return cls(limits, counted, path)

    def recorded(self) -> dict[str, Any]:
        """What a record says of it."""
        return {"limits": {s: dict(n) for s, n in self.limits.items()}, "counted": dict(self.counted)}

    def to_config(self) -> str | dict[str, Any]:
        """What ``from_config`` takes."""
        return self.path or self.recorded()


def _limit(name: str, found: Sequence[float]) -> float:
    """Where a figure of good pictures ends."""
    sign = -1.0 if name in HIGHER else 1.0
    good = np.sort(sign * np.asarray(found))
    middle = float(np.median(good))
    worst = float(np.quantile(good, 1 - FALSE_ALARMS / len(FIGURES)))
    return round(sign * (middle + max(ROOM * (worst - middle), LEAST[name])), 6)
