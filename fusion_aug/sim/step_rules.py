"""What a transform does to one reading at a time: an open registry of rules beside that of handlers.

A rule is asked once per episode, with what was drawn, and gives a kernel of NumPy. A kernel gives a reading the bits
that the ordinary handler gives it as one of a recorded stream: both work element by element, sum in a fixed order, and
take noise from the counter hash of the reading's stamp.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from fusion_aug.core.registry import Context, family_of, handler_for
from fusion_aug.core.transform import Transform
from fusion_aug.errors import ConfigError
from fusion_aug.names import Registry, full_name
from fusion_aug.sample import Sample, SampleMeta
from fusion_aug.sample.sensors import is_selected
from fusion_aug.streams import Opaque, Stream
from fusion_aug.streams.families import Family, Fault, Photometric, Temporal

BLOCK = 256  # rows whose noise is worked out at once

Columns = dict[str, np.ndarray]
Kernel = Callable[[int, Columns], bool | None]  # changes a row's columns in their place; True: the reading is lost
Blocks = Iterator[np.ndarray]


class Later(NamedTuple):
    """A change of arrival times: of blocks of them, (BLOCK,) int64 ns row after row, into others."""

    change: Callable[[Blocks], Blocks]


class Silent(NamedTuple):
    """A sensor that sends nothing in the whole episode."""


@dataclass
class Raw:
    """A stream's reading at hand, as the sensor truly read it.

    Attributes:
        values: column -> numbers.
    """

    values: Mapping[str, Any]


Rule = Callable[["StepCall"], Kernel | Later | Silent | None]


@dataclass(frozen=True)
class StepCall:
    """One drawn transform on one stream.

    Attributes:
        transform: class. path: of it. params: drawn for the stream.
        name: of the stream. sample: one reading of every stream, changed by the transforms before.
        periods: stream -> ns between two rows. context: resources. raw: what the sensor reads, row by row.
        drawn: instance -> parameters, of all streams.
    """

    transform: Any
    path: str
    params: Mapping[str, Any]
    name: str
    sample: Sample
    periods: Mapping[str, int]
    context: Context
    raw: Raw
    drawn: Mapping[str, Mapping[str, Any]]

    @property
    def period(self) -> int:
        """Nanoseconds between two rows of the stream."""
        return self.periods[self.name]

    @property
    def stream(self) -> Stream:
        """One reading of the stream, as the transforms before leave it."""
        return self.sample.streams[self.name]

    @property
    def meta(self) -> SampleMeta:
        """Rigs and reference, as the transforms before leave them."""
        return self.sample.metas[0]

    def stamps(self, first: int, count: int = BLOCK) -> np.ndarray:
        """Reported capture times (count,) int64 ns of rows from ``first`` on."""
        start = int(self.stream.capture_times[0]) + first * self.period
        return start + self.period * np.arange(count)

    def true_stamps(self, first: int, count: int = BLOCK) -> np.ndarray:
        """True capture times (count,) int64 ns of rows from ``first`` on."""
        start = int(self.stream.true_capture_times[0]) + first * self.period
        return start + self.period * np.arange(count)

    def of(self, name: str) -> StepCall:
        """The same transform on another stream."""
        instance = self.sample.streams[name].instance(name)
        params = self.drawn[instance if instance in self.drawn else ""]
        return replace(self, name=name, params=params)

    def refusal(self, reason: str) -> ConfigError:
        """The error for a stream that cannot be changed reading by reading."""
        return ConfigError(f"Stepper: {self.path} ({self.transform.__name__}) on {self.name!r}: {reason}")


class Rows:
    """Numbers of a stream's rows, worked out a block ahead.

    Args:
        blocks: begins at row 0, and gives the numbers of ``BLOCK`` rows at a time.
    """

    def __init__(self, blocks: Callable[[], Blocks]):
        self._blocks = blocks
        self._begin()

    def _begin(self) -> None:
        self._next, self._first, self._block = self._blocks(), -BLOCK, np.empty(0)

    def at(self, row: int) -> Any:
        """The numbers of a row; those before the block at hand are worked out from the beginning."""
        place = row - self._first
        if place < 0:
            self._begin()
            place = row - self._first
        while place >= BLOCK:
            self._block = next(self._next)
            self._first += BLOCK
            place -= BLOCK
        return self._block[place]


_RULES: Registry[Rule] = Registry("step rule", "handle a transform or a stream class of your own")
_REFUSED: dict[type, list[tuple[Callable[[Any], bool], str]]] = {}
_REPORTS: set[type] = set()


def steps(transform: type, stream: type) -> Callable[[Rule], Rule]:
    """Register what a transform (or a family of them) does to single readings of a kind of stream.

    Args:
        transform: the class. stream: the class.

    Raises:
        ConfigError: another function does that already.
    """

    def register(rule: Rule) -> Rule:
        said = f"{full_name(transform)} on {full_name(stream)}"
        return _RULES.add((transform, stream), rule, said)

    return register


def refuse_steps(transform: type, reason: str, when: Callable[[Any], bool] = lambda transform: True) -> None:
    """Refuse a transform on single readings.

    Args:
        transform: the class. reason: why, and a remedy, which end the message. when: of a transform, by its fields.
    """
    _REFUSED.setdefault(transform, []).append((when, reason))


def changes_report(*transforms: type) -> None:
    """Say of transforms that they change rigs, or what a stream tells beside its columns: the sample changes, too."""
    _REPORTS.update(transforms)


def reports(transform: type) -> bool:
    """Whether a transform changes rigs, stamps, poses of taxels or gels."""
    return bool(getattr(transform, "only_rig", False)) or any(t in _REPORTS for t in transform.__mro__)


def rule_for(transform: type, stream: type) -> Rule | None:
    """The rule for a pair, most special transform first, then most special stream."""
    pairs = ((t, s) for t in transform.__mro__ for s in stream.__mro__ if (t, s) in _RULES)
    return next((_RULES[pair] for pair in pairs), None)


def check_steps(path: str, transform: Transform, sample: Sample) -> None:
    """Raise where a transform cannot be applied reading by reading.

    Args:
        path: of it in the pipeline. transform: whatever its draw says. sample: one reading of every stream.

    Raises:
        ConfigError: it looks ahead, or has no rule for a stream.
    """
    cls = type(transform)
    who = f"Stepper: {path or cls.__name__} ({cls.__name__})"
    if transform.scope == "timestep":
        raise ConfigError(f"{who}: scope: timesteps have no draws of their own here; use sensor, sample or scene")
    asked = {n: s for n, s in sample.streams.items() if _asks(transform, s, n)}
    reasons = [why for kind in cls.__mro__ for when, why in _REFUSED.get(kind, ()) if when(transform)]
    if reasons and asked:
        raise ConfigError(f"{who}: {reasons[0]}")
    met = [n for n, s in asked.items() if isinstance(s, Opaque) or handler_for(cls, s, n) is not None]
    whole = (cls.accumulates or cls.has_own_walk()) and not reports(cls) and not issubclass(cls, Fault)
    for name in met:
        if rule_for(cls, type(sample.streams[name])) is None:
            raise ConfigError(
                f"{who} has no rule for single readings of {name!r} ({type(sample.streams[name]).__name__}); leave it "
                f"out, or augment the recorded log with it"
            )
    if whole and not met and asked:
        kind = family_of(cls).__name__ if issubclass(cls, Family) else "it"
        raise ConfigError(
            f"{who} changes whole samples ({kind}), not single readings; augment the recorded log with it"
        )


def _asks(transform: Transform, stream: Stream, name: str) -> bool:
    """Whether the fields of a transform select a stream."""
    field = {Temporal: "sensors", Photometric: "cameras"}
    patterns = next((getattr(transform, f, None) for k, f in field.items() if isinstance(transform, k)), None)
    cameras = getattr(transform, "cameras", None) if isinstance(transform, Temporal) else None
    chosen = cameras if cameras is not None else patterns
    return chosen is None or is_selected(stream, name, chosen)
