"""Words of a sentence that can be changed to another of their kind, which makes the sentence untrue."""

from __future__ import annotations

import re
from collections.abc import Sequence

WORD = re.compile(r"\w+")

# of each kind, words that exclude one another; the order is part of what is drawn
WORDS: dict[str, tuple[tuple[str, ...], ...]] = {
    "en": (
        ("left", "right"),
        ("leftmost", "rightmost"),
        ("above", "below"),
        ("behind", "before"),
        ("front", "back"),
        ("near", "far"),
        ("red", "green", "blue", "yellow", "white", "black", "grey", "orange", "brown"),
        ("one", "two", "three", "four", "five", "six"),
        ("car", "truck", "bus", "bicycle", "motorcycle", "pedestrian", "van", "trailer"),
        ("cars", "trucks", "buses", "bicycles", "motorcycles", "pedestrians", "vans", "trailers"),
        ("sunny", "rainy", "foggy", "snowy", "cloudy"),
        ("day", "night"),
        ("wet", "dry"),
        ("stop", "go"),
        ("pick", "place", "push", "pull"),
        ("open", "close"),
        ("cube", "ball", "cup", "box", "parcel", "bottle", "plate", "bowl"),
    ),
    "de": (
        ("links", "rechts"),
        ("rot", "grün", "blau", "gelb", "weiß", "schwarz", "grau"),
        ("Auto", "Lastwagen", "Bus", "Fahrrad", "Motorrad", "Fußgänger"),
        ("Tag", "Nacht"),
        ("nass", "trocken"),
    ),
}


def changeable(text: str, groups: Sequence[Sequence[str]]) -> list[tuple[int, list[str]]]:
    """Words of a sentence for which there are others.

    Args:
        text: the sentence. groups: words that exclude one another.

    Returns:
        of each its place among the words, and the others, with its capitals.
    """
    out = []
    for place, word in enumerate(WORD.findall(text)):
        for group in groups:
            folded = [w.casefold() for w in group]
            if word.casefold() in folded:
                out.append((place, [_with_capitals(w, word) for w in group if w.casefold() != word.casefold()]))
                break
    return out


def with_word(text: str, place: int, word: str) -> str:
    """A sentence with another word at a place among its words."""
    found = list(WORD.finditer(text))[place]
    return text[: found.start()] + word + text[found.end() :]


def word_at(text: str, place: int) -> str:
    """The word of a sentence at a place among its words; "" where it has fewer."""
    words = WORD.findall(text)
    return words[place] if place < len(words) else ""


def _with_capitals(word: str, like: str) -> str:
    return word.upper() if like.isupper() and len(like) > 1 else word.capitalize() if like[0].isupper() else word
