"""Points of clouds by their class, counted from the raw files of a log."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fusion_aug.names import Registry

# stream -> class number -> points of it, of the clouds that have classes of points
ByClass = Mapping[str, Mapping[int, int]]
# sample -> function that counts its points by class
CountedByClass = Mapping[str, Callable[[], ByClass]]
ClassCounter = Callable[[Path, Mapping[str, Any]], CountedByClass]

CLASS_COUNTERS: Registry[ClassCounter] = Registry("counter by class")


def class_counter(format: str) -> Callable[[ClassCounter], ClassCounter]:
    """Register the function that counts points by class in a format, of the same arguments as a counter.

    Raises:
        ConfigError: another function counts them.
    """

    def register(function: ClassCounter) -> ClassCounter:
        return CLASS_COUNTERS.add(format, function, module=sys._getframe(1).f_globals["__name__"])

    return register
