"""Counting what a log on disk holds, by the public rules of its format and without any reader of this package."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from calib.regular_files import read_regular_text
from calib.yaml_text import load_yaml
from fusion_aug.names import Registry

# stream -> what it holds -> how many of it. ``points``, ``boxes`` and ``rows`` are parts of items; all other words
# (pictures, sweeps, messages, frames, poses, ...) are items.
Counts = Mapping[str, Mapping[str, int]]
ROW_WORDS = ("points", "boxes", "rows")
CALIBRATIONS = "calibrations"  # messages that say where sensors are, which other formats hold with the rig
# id of a sample, as the log has it -> function that counts the sample when it is called
Counted = Mapping[str, Callable[[], Counts]]
# function of the root of a log and of the options with which it is read (``log.window`` is options["window"])
Counter = Callable[[Path, Mapping[str, Any]], Counted]

COUNTERS: Registry[Counter] = Registry("counter")


def counter(format: str) -> Callable[[Counter], Counter]:
    """Register the function that counts the samples of a format, for ``fusion-aug check OUT``.

    It reads the raw files with libraries that everybody has and none of the format's own reader, so that what reader
    and writer both leave out is found.

    Args:
        format: its name.

    Raises:
        ConfigError: another function counts this format.
    """

    def register(function: Counter) -> Counter:
        return COUNTERS.add(format, function, module=sys._getframe(1).f_globals["__name__"])

    return register


def is_excluded(name: str, options: Mapping[str, Any]) -> bool:
    """Whether ``log.exclude``, a name or list of shell patterns, leaves a topic, feature or data set out."""
    patterns = options.get("exclude") or ()
    return any(fnmatchcase(name, p) for p in ([patterns] if isinstance(patterns, str) else patterns))


def chosen_width(options: Mapping[str, Any], default: int) -> int:
    """Numbers per point of flat files: those of ``log.columns``, else those of the format."""
    columns = options.get("columns")
    return len(columns) if isinstance(columns, list | tuple) and columns else default


def samples_per_frame(feature: str, shape: Sequence[int], options: Mapping[str, Any]) -> int:
    """Samples of a faster clock in every frame of a feature of episodes, where ``log.parts`` declares a window of it.

    Args:
        feature: its name. shape: of a frame: (samples, numbers) where it is such a window.
        options: ``parts``, or a rig file that holds them.
    """
    is_window = "window" in declared_parts(feature, options) and len(shape) == 2
    return int(shape[0]) if is_window else 1


def streams_of(name: str, feature: str, options: Mapping[str, Any]) -> list[str]:
    """Names of the streams of a feature of episodes: one, or those of the hands that ``log.parts`` declares in it.

    Args:
        name: of the stream of the whole feature. feature: its name. options: as above.
    """
    declared = declared_parts(feature, options)
    hands = [f"{name}:{hand}" for hand, parts in declared.items() if isinstance(parts, Mapping)]
    others = [w for w, part in declared.items() if isinstance(part, list | tuple) and w not in ("window", "joints")]
    return [name, *hands] if others or not hands else hands


def declared_parts(feature: str, options: Mapping[str, Any]) -> Mapping[str, Any]:
    """What ``log.parts``, or the rig file, tells of a feature."""
    parts = options.get("parts")
    if parts is None and options.get("rig"):
        rig = load_yaml(read_regular_text(Path(options["rig"])))
        parts = rig.get("parts") if isinstance(rig, dict) else None
    declared = parts.get(feature) if isinstance(parts, Mapping) else None
    return declared if isinstance(declared, Mapping) else {}
