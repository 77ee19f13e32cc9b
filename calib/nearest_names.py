"""How messages list the names that there are beside one that there is not."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

MOST_NAMES = 20  # that a message lists


def listed(word: str, names: Iterable[str]) -> str:
    """Names with commas between, those nearest to a word first, and how many more there are; "none" without any."""
    known = sorted(set(names))
    near = difflib.get_close_matches(word, known, 3)
    order = [*near, *(n for n in known if n not in near)]
    more = f" and {len(order) - MOST_NAMES} more" if len(order) > MOST_NAMES else ""
    return f"{', '.join(order[:MOST_NAMES]) or 'none'}{more}"
