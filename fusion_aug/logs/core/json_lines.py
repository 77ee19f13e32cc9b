"""Values in a file, one on each line, so that as many as there are need no memory."""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any


class JsonLines(Sequence[Any]):
    """The values of a file that we wrote ourselves, each read when it is asked for.

    Args:
        path: of the file, JSON without line breaks on each line.
        part: takes of every value what is asked for; all of it by default.
    """

    def __init__(self, path: Path, part: Callable[[Any], Any] = lambda value: value):
        self.path, self.part = path, part

    @cached_property
    def _starts(self) -> array[int]:
        """Where each line starts, and where the file ends."""
        starts = array("q", [0])
        with self.path.open("rb") as file:
            for line in file:
                starts.append(starts[-1] + len(line))
        return starts

    def __len__(self) -> int:
        return len(self._starts) - 1

    def __getitem__(self, place: Any) -> Any:
        with self.path.open("rb") as file:
            file.seek(self._starts[range(len(self))[place]])
            return self.part(json.loads(file.readline()))

    def __iter__(self) -> Iterator[Any]:
        with self.path.open("rb") as file:
            for line in file:
                yield self.part(json.loads(line))
