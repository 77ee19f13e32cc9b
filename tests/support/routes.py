"""The way that some work takes through the package: which of its lines run."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

import calib
import fusion_aug

T = TypeVar("T")
FOLDERS = tuple(f"{Path(package.__file__).parent}/" for package in (calib, fusion_aug))


def routed(work: Callable[[], T]) -> tuple[T, frozenset[str]]:
    """What some work gives, and every line ``file:number`` of the package that it runs, in functions of any depth.

    Lines rather than functions: a branch within a function is a decision too.
    """
    lines: set[tuple[str, int]] = set()

    def line(frame: FrameType, event: str, _: Any) -> Any:
        lines.add((frame.f_code.co_filename, frame.f_lineno))
        return line

    def call(frame: FrameType, event: str, _: Any) -> Any:
        return line(frame, event, None) if frame.f_code.co_filename.startswith(FOLDERS) else None

    before = sys.gettrace()
    sys.settrace(call)
    try:
        result = work()
    finally:
        sys.settrace(before)
    return result, frozenset(f"{file}:{number}" for file, number in lines)
