"""What the numbers of a vector mean: ``log.parts``, of one feature.

    observation.state: {position: [0, 3], rpy: [3, 6], gripper: [6, 7], frame: base}
    action: {position: [0, 3, 0.05], axis_angle: [3, 6, 0.5], delta: base, command: [6, 7]}

A column takes [start, stop] or [start, stop, factor to SI units]. Words beside the columns:

* ``frame``: of the rig, in which poses are; the robot's base by default.
* ``tool``: frame of the rig whose pose it is, such as the link of the hand.
* ``joints``: names of the joints of its columns of joints, in order, where the names of the numbers do not say so.
* ``delta: base`` or ``delta: tool``: position and rotation are changes per step, along and about axes of the frame, or
  of the tool.
* ``window: [first, step]``, seconds after the frame, of features with several samples per frame.

A vector that holds several hands has the parts of each under its name; each becomes a stream, as ``state:left``:

    observation.state: {left: {position: [0, 3], rpy: [3, 6]}, right: {position: [6, 9], rpy: [9, 12]}}
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from calib.rotation_forms import WIDTHS
from fusion_aug.errors import ConfigError
from fusion_aug.streams.naming import SET_MARK
from fusion_aug.streams.vectors import CHANGES, OF_THE_TOOL

Part = tuple[int, int, float]
OTHER_PART = "other"  # numbers of a vector that no transform has to change
WINDOW, FRAME, TOOL, DELTA, JOINTS = "window", "frame", "tool", "delta", "joints"
WORDS = (WINDOW, FRAME, TOOL, DELTA, JOINTS)
DELTAS = {"base": "", "tool": OF_THE_TOOL}


@dataclass(frozen=True)
class Parts:
    """The declared meaning of a feature's numbers.

    Attributes:
        columns: column of the stream -> (start, stop, factor to SI units), by place in the vector.
        frame, tool: frames of the rig; empty where none is named.
        window: first offset from the frame's time and step, ns; None where a frame holds one sample.
        joints: names of the joints; empty where they are not declared.
        hands: name -> the parts of each hand, where the vector holds several; ``columns`` are then what is of none.
    """

    columns: Mapping[str, Part] = field(default_factory=dict)
    frame: str = ""
    tool: str = ""
    window: tuple[int, int] | None = None
    joints: tuple[str, ...] = ()
    hands: Mapping[str, Parts] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.columns or self.hands)

    @property
    def by_stream(self) -> dict[str, Parts]:
        """End of the name of each stream that the vector becomes -> its parts."""
        own = {"": replace(self, hands={})} if self.columns or not self.hands else {}
        return {**own, **{f"{SET_MARK}{hand}": parts for hand, parts in self.hands.items()}}

    @property
    def spans(self) -> dict[str, Part]:
        """All columns, those of hands with their names before them."""
        return {**self.columns, **{f"{h}.{c}": part for h, p in self.hands.items() for c, part in p.columns.items()}}


def read_parts(declared: Mapping[str, Any], where: str) -> Parts:
    """Return the parts of a feature as they are declared; ``where`` is its place, such as ``log.parts.action``.

    Raises:
        ConfigError: something is no part, or two columns are called alike.
    """
    if not isinstance(declared, Mapping):
        raise ConfigError(f"{where}: expected a mapping of columns to [start, stop], got {declared!r}")
    columns: dict[str, Part] = {}
    hands: dict[str, Parts] = {}
    for word, value in declared.items():
        if word in WORDS:
            continue
        if isinstance(value, Mapping):
            hands[str(word)] = _hand(word, value, declared, where)
            continue
        name = _column(str(word), declared.get(DELTA), where)
        if name in columns:
            raise ConfigError(f"{where}.{word}: {name} is declared twice")
        columns[name] = _part(value, f"{where}.{word}")
    forms = [c for c in columns if c in WIDTHS]
    if len(forms) > 1:
        raise ConfigError(f"{where}: {forms[0]} and {forms[1]} are the rotation of one hand; give one of them")
    names = {word: _frame(declared.get(word, ""), f"{where}.{word}") for word in (FRAME, TOOL)}
    ordered = dict(sorted(columns.items(), key=lambda item: item[1][0]))
    window = _window(declared.get(WINDOW), f"{where}.{WINDOW}")
    joints = _joints(declared.get(JOINTS), f"{where}.{JOINTS}")
    if joints and not columns and not hands:
        raise ConfigError(
            f"{where}.{JOINTS}: names the joints of columns, and none is told; give them too, such as "
            f"position: [0, {len(joints)}] of a state or joint_position of a command"
        )
    return Parts(ordered, names[FRAME], names[TOOL], window, joints, hands)


def _hand(name: Any, value: Mapping[str, Any], declared: Mapping[str, Any], where: str) -> Parts:
    """Parts of one hand of several; what is told beside all of them is of each."""
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9_.-]+", name):
        raise ConfigError(f"{where}: {name!r}: expected the name of a hand: letters, digits, _ . or -")
    shared = {w: declared[w] for w in (FRAME, DELTA, WINDOW) if w in declared}
    found = read_parts({**shared, **value}, f"{where}.{name}")
    if found.hands or not found.columns:
        raise ConfigError(f"{where}.{name}: expected columns of the hand, such as position: [0, 3]")
    return found


def _column(word: str, delta: Any, where: str) -> str:
    """The column of a stream that a word of ``log.parts`` means."""
    if delta is None:
        return word
    if not isinstance(delta, str) or delta not in DELTAS:
        raise ConfigError(f"{where}.{DELTA}: expected base or tool, the axes that changes are along, got {delta!r}")
    if word == "position":
        return f"{DELTAS[delta]}delta_position"
    return DELTAS[delta] + CHANGES[word] if word in CHANGES else word


def _part(value: Any, where: str) -> Part:
    numbers = list(value) if isinstance(value, list | tuple) else []
    whole = all(type(n) is int for n in numbers[:2])
    if len(numbers) not in (2, 3) or not whole or type(numbers[-1]) not in (int, float):
        raise ConfigError(f"{where}: expected [start, stop] or [start, stop, factor], got {value!r}")
    factor = float(numbers[2]) if len(numbers) == 3 else 1.0
    if factor == 0 or not math.isfinite(factor):
        raise ConfigError(f"{where}: expected a factor to SI units that is a number other than 0, got {numbers[2]!r}")
    return numbers[0], numbers[1], factor


def _frame(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise ConfigError(f"{where}: expected the name of a frame, got {value!r}")
    return value


def _joints(names: Any, where: str) -> tuple[str, ...]:
    if names is None:
        return ()
    if not isinstance(names, list | tuple) or not all(isinstance(n, str) for n in names):
        raise ConfigError(f"{where}: expected names of joints, got {names!r}")
    return tuple(names)


def _window(window: Any, where: str) -> tuple[int, int] | None:
    if window is None:
        return None
    numbers = list(window) if isinstance(window, list | tuple) else []
    if len(numbers) != 2 or not all(isinstance(n, int | float) for n in numbers) or not numbers[1] > 0:
        raise ConfigError(f"{where}: expected [first, step] in seconds, got {window!r}")
    return round(numbers[0] * 1e9), round(numbers[1] * 1e9)


def rows_left(parts: Mapping[str, Part], width: int, where: str) -> list[int]:
    """The numbers of a vector that belong to no part.

    Raises:
        ConfigError: a part is not within the vector, or a number belongs to two; ``where`` is the place of the parts.
    """
    owner: dict[int, str] = {}
    for column, (start, stop, _) in parts.items():
        if not 0 <= start < stop <= width:
            raise ConfigError(
                f"{where}.{column}: [{start}, {stop}] is not within the {width} numbers; give [start, stop] of them"
            )
        for i in range(start, stop):
            if i in owner:
                raise ConfigError(
                    f"{where}.{column}: number {i} belongs to {owner[i]!r} already; give every number once"
                )
            owner[i] = column
    return [i for i in range(width) if i not in owner]


def check_cover(parts: Mapping[str, Part], width: int, where: str) -> None:
    """Raise unless every number of a vector belongs to exactly one part."""
    left = rows_left(parts, width, where)
    if left:
        raise ConfigError(
            f"{where}: number {left[0]} of {width} is not declared; give its column, or declare "
            f"{OTHER_PART}: [{left[0]}, {left[-1] + 1}] where no transform has to change it"
        )
