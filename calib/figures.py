"""What the fields of a dataclass may hold: declared by their annotations, checked when an object is made.

``max_range: Annotated[float, Figure("metres", above=0)] = 250.0`` is a field and its rule. Checked are numbers with a
``Figure``, text, ``Literal``, tuples of these and ``None``; tensors, lenses and the like check themselves.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import cache
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from calib.errors import CalibrationError


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A number with a unit and the values that it can have.

    Attributes:
        unit: in words, "metres"; "" for a share.
        above, at_least, at_most: limits, in that unit.
        may_be_infinite: whether infinity stands for "no limit".
    """

    unit: str
    above: float = -math.inf
    at_least: float = -math.inf
    at_most: float = math.inf
    may_be_infinite: bool = False

    def fits(self, value: object) -> bool:
        """Whether a value is such a number; text and flags are none."""
        if isinstance(value, bool) or not isinstance(value, float | int | Real):  # the common ones first
            return False
        number = float(value)
        if not math.isfinite(number):
            return self.may_be_infinite and math.isinf(number)
        return number > self.above and self.at_least <= number <= self.at_most

    def __str__(self) -> str:
        low = ("from" if math.isfinite(self.at_most) else "of at least", self.at_least)
        high = ("to" if math.isfinite(self.at_least) else "of at most", self.at_most)
        told = " ".join(f"{w} {limit:g}" for w, limit in (("above", self.above), low, high) if math.isfinite(limit))
        return " ".join(filter(None, ("a number", self.unit and f"in {self.unit}", told)))


Pixels = Annotated[int, Figure(unit="pixels", at_least=1)]


def check_figures(made: Any) -> None:
    """Check the fields of a dataclass by their annotations.

    Raises:
        CalibrationError: naming the field, what it may hold, and what it holds.
    """
    kind: Any = type(made)
    for name, rule, fits in _rules(kind):
        value = getattr(made, name)
        if not fits(value):
            raise CalibrationError(f"{name}: expected {_words(rule)}, got {value!r}")


@cache
def _rules(kind: Any) -> tuple[tuple[str, Any, Callable[[Any], bool]], ...]:
    """Name and rule of every field that is checked, and the check, which is made once."""
    hints = get_type_hints(kind, include_extras=True)
    return tuple((f.name, hints[f.name], _check_of(hints[f.name])) for f in fields(kind) if _is_checked(hints[f.name]))


def _is_checked(rule: Any) -> bool:
    """Whether a rule is one that is checked here, and not the class of something that checks itself."""
    if get_origin(rule) in (Union, UnionType):
        return all(_is_checked(r) for r in get_args(rule))
    return get_origin(rule) in (Annotated, Literal, tuple) or rule in (str, NoneType)


def _check_of(rule: Any) -> Callable[[Any], bool]:
    """What tells whether a value fits a rule."""
    origin, parts = get_origin(rule), get_args(rule)
    if origin in (Union, UnionType):
        choices = [_check_of(r) for r in parts]
        return lambda value: any(fits(value) for fits in choices)
    if origin is Annotated:
        figure, is_whole = parts[1], parts[0] is int
        return lambda value: figure.fits(value) and (not is_whole or isinstance(value, Integral))
    if origin is Literal:
        return lambda value: any(value == choice and type(value) is type(choice) for choice in parts)
    if origin is tuple:
        checks = [_check_of(r) for r in parts if r is not Ellipsis]
        return lambda value: _fits_tuple(value, checks, any_length=parts[-1] is Ellipsis)
    return lambda value: isinstance(value, rule)


def _fits_tuple(value: Any, checks: Sequence[Callable[[Any], bool]], any_length: bool) -> bool:
    if not isinstance(value, tuple | list):
        return False
    own = [checks[0]] * len(value) if any_length else checks
    return len(value) == len(own) and all(fits(v) for fits, v in zip(own, value, strict=True))


def _words(rule: Any) -> str:
    origin, parts = get_origin(rule), get_args(rule)
    if origin in (Union, UnionType):
        return " or ".join(_words(r) for r in parts if r is not NoneType)
    if origin is Annotated:
        return str(parts[1]).replace("a number", "a whole number") if parts[0] is int else str(parts[1])
    if origin is Literal:
        return " or ".join(map(str, parts))
    if origin is tuple:
        return f"a list{'' if parts[-1] is Ellipsis else f' of {len(parts)}'}, each {_words(parts[0])}"
    return "text"
