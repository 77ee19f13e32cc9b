"""Text: captions, commands, scene descriptions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

from fusion_aug.streams.base import Stream
from fusion_aug.streams.columns import Column, label, scalar
from fusion_aug.streams.families import ImagePlane, Mount, Weather

# language -> pairs of words that a left-right mirror swaps, longest match first
MIRROR_WORDS: dict[str, dict[str, str]] = {}


def add_mirror_words(language: str, pairs: dict[str, str]) -> None:
    """Add words that a left-right mirror swaps.

    Args:
        language: code of the language, such as "en".
        pairs: word -> its mirror; the other direction is added too.
    """
    table = MIRROR_WORDS.setdefault(language, {})
    table |= {a.lower(): b.lower() for a, b in pairs.items()} | {b.lower(): a.lower() for a, b in pairs.items()}
    _pattern.cache_clear()


@lru_cache(maxsize=32)
def _pattern(language: str) -> re.Pattern[str]:
    words = sorted(MIRROR_WORDS.get(language, {}), key=len, reverse=True)
    return re.compile(r"\b(" + "|".join(map(re.escape, words)) + r")\b", re.IGNORECASE) if words else re.compile("(?!)")


def mirror_text(text: str, language: str = "en") -> str:
    """Swap left and right words, keeping capitals."""
    table = MIRROR_WORDS.get(language, {})

    def swap(match: re.Match[str]) -> str:
        word = match.group(0)
        new = table[word.lower()]
        return new.upper() if word.isupper() else new.capitalize() if word[0].isupper() else new

    return _pattern(language).sub(swap, text)


add_mirror_words(
    "en",
    {
        "left": "right",
        "leftmost": "rightmost",
        "lefthand": "righthand",
        "leftward": "rightward",
        "leftwards": "rightwards",
        "clockwise": "counterclockwise",
    },
)
add_mirror_words("de", {"links": "rechts", "linke": "rechte", "linken": "rechten", "linker": "rechter"})


@dataclass(frozen=True, kw_only=True, eq=False)
class Text(Stream):
    """Sentences.

    Columns: text; weight (0 to 1, 1 where there is none), how much of a sample that was blended of two it is about.

    Attributes:
        language: which table of mirror words holds.
    """

    language: str = "en"

    columns: ClassVar[tuple[Column, ...]] = (label("text"), scalar("weight", fill=1.0))
    invariant_to: ClassVar[tuple[type, ...]] = (ImagePlane, Mount, Weather)
