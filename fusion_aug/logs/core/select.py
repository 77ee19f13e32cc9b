"""Selection of samples by ``log.select``."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from fusion_aug.errors import ConfigError
from fusion_aug.sample.sensors import matches


def select_ids(everything: Sequence[str], select: Any, names: Callable[[str], Sequence[str]], where: str) -> list[str]:
    """The ids that ``log.select`` asks for, in log order.

    Args:
        everything: all ids.
        select: a word or a list of words: names, shell patterns of names, or the numbers that names end in (3 is
            ``episode_000003``); None for everything.
        names: names by which a sample can be selected.
        where: the log, for messages.

    Raises:
        ConfigError: a word matches nothing.
    """
    if select is None:
        return list(everything)
    words = [_word(s) for s in (select if isinstance(select, list | tuple) else [select])]
    called = {i: tuple(names(i)) for i in everything}
    exact: dict[str, list[str]] = {}
    for i, own in called.items():
        for name in own:
            exact.setdefault(name, []).append(i)
    chosen: set[str] = set()
    for word in words:
        found = exact.get(word, [])
        if not found and word.isdecimal():
            found = [i for name, own in exact.items() if _number(name) == int(word) for i in own]
        if not found and any(c in word for c in "*?["):
            found = [i for i, own in called.items() if any(matches(n, [word]) for n in own)]
        if not found:
            example = ", ".join(called[everything[0]][:2]) if everything else "none"
            raise ConfigError(f"log.select: {word!r} matches nothing in {where} (a sample there is called {example})")
        chosen |= set(found)
    return [i for i in everything if i in chosen]


def _word(given: Any) -> str:
    if isinstance(given, bool | float) or not isinstance(given, str | int):  # an id such as 1e10 is no number
        raise ConfigError(f"log.select: expected names or whole numbers, got {given!r}; quote an id, as in \"'1e10'\"")
    return str(given)


def _number(name: str) -> int | None:
    """The number that a name ends in, or is."""
    found = re.search(r"(?:^|[/_-])([0-9]+)$", name)
    return int(found[1]) if found else None
