"""Where in the code an operation was asked for: the innermost line that is neither torch's nor this package's."""

from __future__ import annotations

import sys
import sysconfig
from functools import lru_cache
from pathlib import Path
from types import FrameType
from typing import NamedTuple

import numpy as np
import torch

DEEP = 16  # frames that a place keeps

# code of torch, NumPy, Python itself and the mock device counts as the line that called it
_CALLED = tuple(
    f"{Path(folder).resolve()}/"
    for folder in (
        Path(torch.__file__).parent,
        Path(np.__file__).parent,
        Path(__file__).parent,
    )
)
_STDLIB = f"{Path(sysconfig.get_path('stdlib')).resolve()}/"


class Place(NamedTuple):
    """A line of code that asked for something.

    Attributes:
        file: absolute path, or what Python calls code that is in no file. line: number, from 1.
        function: that the line is in.
    """

    file: str
    line: int
    function: str

    def __str__(self) -> str:
        return f"{short(self.file)}:{self.line} {self.function}"


NOWHERE = Place("?", 0, "?")


def places() -> tuple[Place, ...]:
    """The lines that are at work, innermost first, at most ``DEEP``; never empty."""
    found: list[Place] = []
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and len(found) < DEEP:
        code = frame.f_code
        if not _passed_over(code.co_filename, code.co_name):
            found.append(Place(code.co_filename, frame.f_lineno, code.co_name))
        frame = frame.f_back
    return tuple(found) or (NOWHERE,)


@lru_cache(maxsize=4096)
def _passed_over(file: str, function: str) -> bool:
    if file.startswith("<"):  # the start of Python, and what dataclasses write for themselves
        return file.startswith("<frozen") or function in ("__init__", "__create_fn__")
    path = str(Path(file).resolve())
    in_library = path.startswith(_STDLIB) and "/site-packages/" not in path
    return in_library or path.startswith(_CALLED)


@lru_cache(maxsize=4096)
def short(file: str) -> str:
    """A path as it is read best: from the current folder, or from where Python finds the module."""
    path = Path(file)
    for folder in (Path.cwd(), *map(Path, sorted(filter(None, sys.path), key=len, reverse=True))):
        if path.is_relative_to(folder):
            return str(path.relative_to(folder))
    return file
