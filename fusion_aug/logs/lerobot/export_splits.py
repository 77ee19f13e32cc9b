"""Splits of a new LeRobotDataset, which are ranges of episodes: the lists of another log need an order for them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import permutations

from fusion_aug.errors import ConfigError

MOST_GROUPS = 7  # of episodes that are in the same lists, whose every order is tried
Lists = Mapping[str, frozenset[str]]


def episode_order(sources: Sequence[str], lists: Lists) -> list[int]:
    """An order of episodes in which those of each list are neighbours: that of the log where it is one.

    Args:
        sources: id in the source of every episode that is written, copies with that of their source.
        lists: name -> ids of the source.

    Returns:
        place in ``sources`` of the first episode, of the second, ...

    Raises:
        ConfigError: there is none, or the lists cut the episodes into more than ``MOST_GROUPS`` groups.
    """
    for order in _orders(sources, lists):
        if all(_is_range(sources, order, members) for members in lists.values()):
            return order
    raise ConfigError(
        f"log: LeRobot's splits are ranges of episodes, and no order makes ranges of all of {', '.join(lists)}; write "
        f"the episodes of one of them at a time with log.select, or keep the format of the log (without output)"
    )


def _orders(sources: Sequence[str], lists: Lists) -> Iterator[list[int]]:
    """The order of the log, then those of whole groups of episodes that are in the same lists."""
    yield list(range(len(sources)))
    groups: dict[frozenset[str], list[int]] = {}
    for k, source in enumerate(sources):
        groups.setdefault(frozenset(n for n, members in lists.items() if source in members), []).append(k)
    if len(groups) <= MOST_GROUPS:
        for order in permutations(groups.values()):
            yield [k for group in order for k in group]


def _places(sources: Sequence[str], order: Iterable[int], members: frozenset[str]) -> list[int]:
    return [place for place, k in enumerate(order) if sources[k] in members]


def _is_range(sources: Sequence[str], order: Sequence[int], members: frozenset[str]) -> bool:
    places = _places(sources, order, members)
    return not places or places[-1] - places[0] == len(places) - 1


def splits_in_order(sources: Sequence[str], order: Sequence[int], lists: Lists) -> dict[str, str]:
    """``splits`` of info.json: START:STOP of each list with episodes; all in ``train`` where there is no list."""
    places = {name: _places(sources, order, members) for name, members in lists.items()}
    found = {name: f"{own[0]}:{own[-1] + 1}" for name, own in places.items() if own}
    return found or {"train": f"0:{len(sources)}"}
