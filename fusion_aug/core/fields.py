"""Fields of a transform by their real types: which are drawn, which are lists of words or numbers, which are flags."""

from __future__ import annotations

import types
from collections.abc import Sequence
from dataclasses import fields
from typing import Any, NamedTuple, Union, get_args, get_origin, get_type_hints

from fusion_aug.core.ranges import Range, check_range
from fusion_aug.errors import ConfigError
from fusion_aug.names import full_name

_RANGE = set(get_args(Range))


class Kind(NamedTuple):
    """How a field is checked.

    Attributes:
        name: range, words, numbers, flag, made or other.
        optional: whether None is taken.
        maker: of a field that is made: its type, which has ``from_config(value, where)``, ``recorded()`` for records
            and ``to_config()``.
    """

    name: str
    optional: bool
    maker: Any = None


_KNOWN: dict[type, dict[str, Kind]] = {}


def kinds(cls: type) -> dict[str, Kind]:
    """Field name -> how it is checked, of a dataclass.

    Raises:
        ConfigError: an annotation names something that its module does not have when a transform is made.
    """
    if cls in _KNOWN:
        return _KNOWN[cls]
    try:
        hints = get_type_hints(cls)
    except NameError as error:
        raise ConfigError(
            f"{full_name(cls)}: the type of a field cannot be found ({error}); import it where the class is defined"
        ) from None
    _KNOWN[cls] = {f.name: _kind(hints[f.name]) for f in fields(cls)}
    return _KNOWN[cls]


def _kind(hint: Any) -> Kind:
    parts = set(get_args(hint)) if get_origin(hint) in (Union, types.UnionType) else {hint}
    optional = type(None) in parts
    parts -= {type(None)}
    if parts >= _RANGE:
        return Kind("range", optional)
    (only,) = parts if len(parts) == 1 else (None,)
    inside = get_args(only)
    if get_origin(only) is tuple and inside and inside[0] is str:
        return Kind("words", optional)
    if get_origin(only) is tuple and inside and inside[0] is float:
        return Kind("numbers", optional)
    if hasattr(only, "from_config"):
        return Kind("made", optional, only)
    return Kind("flag" if only is bool else "other", optional)


def checked(kind: Kind, value: Any, where: str, limits: tuple[float, ...]) -> Any:
    """A field's value, checked by its kind, with lists made tuples.

    Args:
        kind: of the field.
        value: as given.
        where: transform and field, for messages.
        limits: (low, high) that every number of a range must keep, or ().

    Raises:
        ConfigError: it is of another kind.
    """
    if value is None and kind.optional:
        return None
    if kind.name == "range":
        return check_range(value, where, *limits)
    if kind.name == "made":
        return value if isinstance(value, kind.maker) else kind.maker.from_config(value, where)
    if kind.name in ("words", "numbers") and value is not None:
        return _as_tuple(value, kind.name, where)
    if kind.name == "flag" and not isinstance(value, bool):
        raise ConfigError(f"{where}: expected true or false, got {value!r}")
    return tuple(value) if isinstance(value, list) else value


def _as_tuple(value: Any, kind: str, where: str) -> tuple[Any, ...]:
    """A field of several words or numbers; a single word is a list of one."""
    items = (value,) if isinstance(value, str) and kind == "words" else value
    wanted = str if kind == "words" else int | float
    if not isinstance(items, Sequence) or isinstance(items, str) or not all(isinstance(i, wanted) for i in items):
        raise ConfigError(f"{where}: expected a list of {kind}, got {value!r}")
    return tuple(items)
