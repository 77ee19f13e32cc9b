"""What a case by hand is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Hand:
    """A case that is made by hand.

    Attributes:
        base: the log or output that is changed.
        make: changes a copy of it, given its folder and one outside of it that nobody may touch.
        words: command that reads it, with ``{out}`` for its folder; none reads it as a log.
        may_be_read: whether it may be read instead of refused.
        may_follow: whether a file outside may be opened: what a user names may be a link.
    """

    base: str
    make: Callable[[Path, Path], None]
    words: tuple[str, ...] = ()
    may_be_read: bool = False
    may_follow: bool = False


def first(root: Path, pattern: str) -> Path:
    """The first file of a name below a folder."""
    return min(root.rglob(pattern))
