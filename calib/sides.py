"""Left and right in names."""

from __future__ import annotations

import re
from collections.abc import Container

_OPPOSITE = {"left": "right", "l": "r"}
_OPPOSITE |= {b: a for a, b in _OPPOSITE.items()}
# a side is a part of a name: left_arm, arm-left, leftArm, armLeft, l_arm, arm_l, LWrist; not "upright" and not "L5"
_SIDE = re.compile(
    r"(?<![A-Za-z])(?:[lL]eft|[rR]ight|LEFT|RIGHT)(?![a-z])"
    r"|(?<=[a-z0-9])(?:Left|Right)(?![a-z])"
    r"|(?<![A-Za-z])[lrLR](?![A-Za-z0-9])"
    r"|(?<![A-Za-z])[LR](?=[A-Z][a-z])"
    r"|(?<=[a-z])[LR](?![A-Za-z0-9])"
)


def swapped_sides(name: str) -> str:
    """A name with the parts that say left and right swapped; the name itself where there are none."""
    return _SIDE.sub(lambda found: _match_case(found[0]), name)


def other_side(name: str, names: Container[str]) -> str:
    """The one of ``names`` on the other side; the name itself where there is no such one.

    Where the parts of a name say nothing, left and right inside a word do (``panda_leftfinger``).
    """
    swapped = swapped_sides(name)
    if swapped != name and swapped in names:
        return swapped
    for a, b in (("left", "right"), ("Left", "Right")):
        for x, y in ((a, b), (b, a)):
            if x in name and name.replace(x, y) in names:
                return name.replace(x, y)
    return name


def side_of(name: str) -> str:
    """ "left", "right", or "" where the parts of a name name no side, or both."""
    sides = {found.lower()[0] for found in _SIDE.findall(name)}
    return {"l": "left", "r": "right"}[sides.pop()] if len(sides) == 1 else ""


def _match_case(word: str) -> str:
    other = _OPPOSITE[word.lower()]
    return other.upper() if word.isupper() else other.capitalize() if word[0].isupper() else other
