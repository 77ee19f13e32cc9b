"""Left and right in names."""

from __future__ import annotations

import re
from collections.abc import Container

_OPPOSITE = {"left": "right", "l": "r"}
_OPPOSITE |= {"fl": "fr", "rl": "rr", "hl": "hr", "bl": "br", "lf": "rf", "lh": "rh", "lb": "rb"}  # legs: front, rear
_OPPOSITE |= {b: a for a, b in _OPPOSITE.items()}
_SIDE_LAST, _SIDE_FIRST = "[FRHB][LR]", "[LR][FHB]"  # FL, RR, HL; LF, RH
_CODES = f"{_SIDE_LAST}|{_SIDE_FIRST}"
_LIMBS = "ARM|LEG|HAND|FOOT|WRIST|ELBOW|SHOULDER|HIP|KNEE|ANKLE|THIGH|CALF|FINGER|THUMB|GRIPPER"
# a side is a part of a name: left_arm, arm-left, leftArm, armLeft, l_arm, arm_l, LWrist, FL_hip, LARM_3; not "upright"
# and not "L5"
_SIDE = re.compile(
    r"(?<![A-Za-z])(?:[lL]eft|[rR]ight|LEFT|RIGHT)(?![a-z])"
    r"|(?<=[a-z0-9])(?:Left|Right)(?![a-z])"
    r"|(?<![A-Za-z])[lrLR](?![A-Za-z0-9])"
    r"|(?<![A-Za-z])[LR](?=[A-Z][a-z])"
    r"|(?<=[a-z])[LR](?![A-Za-z0-9])"
    rf"|(?<![A-Za-z])(?:{_CODES}|{_CODES.lower()})(?![A-Za-z0-9])"
    rf"|(?<![A-Za-z])(?:[LR](?=(?:{_LIMBS})(?![A-Za-z]))|[lr](?=(?:{_LIMBS.lower()})(?![a-z])))"
)
_WORD = re.compile(r"[A-Za-z]+")


def swapped_sides(name: str) -> str:
    """A name with the parts that say left and right swapped; the name itself where there are none."""
    return _SIDE.sub(lambda found: _match_case(found[0]), name)


def other_side(name: str, names: Container[str]) -> str:
    """The one of ``names`` on the other side; the name itself where there is no such one.

    Where the parts of a name say nothing, left and right inside a word do (``panda_leftfinger``), and then the first
    or last letter of a word (``RR`` beside ``LR``, ``larm`` beside ``rarm``).
    """
    swapped = swapped_sides(name)
    if swapped != name and swapped in names:
        return swapped
    for a, b in (("left", "right"), ("Left", "Right")):
        for x, y in ((a, b), (b, a)):
            if x in name and name.replace(x, y) in names:
                return name.replace(x, y)
    return next((n for n in _other_letters(name) if n in names), name)


def _other_letters(name: str) -> list[str]:
    """The name with the letter of a side exchanged at the end or the beginning of one of its words."""
    words = dict.fromkeys(_WORD.findall(name))
    found = [(word, word[:-1] + _match_case(word[-1])) for word in words if word[-1] in "lrLR"]
    found += [(word, _match_case(word[0]) + word[1:]) for word in words if word[0] in "lrLR"]
    return [re.sub(rf"(?<![A-Za-z]){word}(?![A-Za-z])", new, name) for word, new in found]


def side_of(name: str) -> str:
    """ "left", "right", or "" where the parts of a name name no side, or both."""
    sides = {_letter_of(found.lower()) for found in _SIDE.findall(name)}
    return {"l": "left", "r": "right"}[sides.pop()] if len(sides) == 1 else ""


def _letter_of(word: str) -> str:
    """ "l" or "r" of a side: the second letter of FL, FR, RL, RR, ..., the first of every other word."""
    return word[1] if re.fullmatch(_SIDE_LAST.lower(), word) else word[0]


def _match_case(word: str) -> str:
    other = _OPPOSITE[word.lower()]
    return other.upper() if word.isupper() else other.capitalize() if word[0].isupper() else other
