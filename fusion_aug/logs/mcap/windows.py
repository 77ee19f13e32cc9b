"""Windows of recordings: what of a file a sample is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fusion_aug.errors import ConfigError, DataError
from fusion_aug.logs.mcap.file import McapFile

MOST_WINDOWS = 10**6  # of a recording: its summary may say that it lasts for centuries


@dataclass(frozen=True)
class Window:
    """A part of a recording: file, and log times [start, end) in ns."""

    file: McapFile
    start: int
    end: int


def windows_of(root: Path, paths: Iterable[Path], length: Any) -> dict[str, Window]:
    """Id of every sample -> its window. A recording that cannot be read is one sample, whose reading says why.

    Args:
        root: of the log. paths: of its recordings.
        length: of a window, seconds (``log.window``); None makes one of a whole recording.

    Raises:
        ConfigError: the length is no such number. DataError: there is no recording, or one lasts for too many windows.
    """
    number = isinstance(length, int | float) and not isinstance(length, bool)
    if length is not None and not (number and length >= 1e-3):
        raise ConfigError(f"log.window: expected seconds, at least 0.001, got {length!r}")
    found: dict[str, Window] = {}
    for path in paths:
        file = McapFile(path)
        name = path.relative_to(root).with_suffix("").as_posix()
        _, first, last = file.summary() if is_readable(file) else ([], 0, 0)
        if length is None:
            found[name] = Window(file, first, last + 1)
            continue
        step = round(length * 1e9)
        count = (last - first) // step + 1
        if count > MOST_WINDOWS:
            lasts = (last - first) / 1e9
            raise DataError(f"{path}: lasts {lasts:.0f} s by its summary, {count:,} windows; give a longer log.window")
        for k in range(count):
            found[f"{name}/{k:05d}"] = Window(file, first + k * step, min(first + (k + 1) * step, last + 1))
    if not found:
        raise DataError(f"{root}: log.root: holds no .mcap file")
    return found


def is_readable(file: McapFile) -> bool:
    """Whether a recording has a summary to be read by."""
    try:
        file.summary()
    except DataError:
        return False
    return True
