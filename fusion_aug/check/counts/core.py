"""Counting what a log on disk holds, by the public rules of its format and without any reader of this package."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache, wraps
from pathlib import Path
from typing import Any, TypeVar

from calib.regular_files import open_regular, read_regular, read_regular_text
from calib.yaml_text import load_yaml
from fusion_aug.errors import DataError
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

T = TypeVar("T")
COUNTERS: Registry[Counter] = Registry("counter")
MAX_JSON_BYTES = 4 * 2**30
PICTURE_ENDINGS = (".jpg", ".jpeg", ".png")
TAIL = 64  # bytes at the end of a picture in which its end is looked for


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


def once_per_file(function: Callable[[Path], T]) -> Callable[[Path], T]:
    """Keep what a function made of the last files, as long as they do not change."""

    @lru_cache(maxsize=16)
    def kept(path: Path, changed: int, size: int) -> T:
        return function(path)

    @wraps(function)
    def call(path: Path) -> T:
        try:
            found = path.stat()
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror})") from None
        return kept(path, found.st_mtime_ns, found.st_size)

    return call


@once_per_file
def read_json(path: Path) -> Any:
    """Content of a JSON file.

    Raises:
        DataError: it is missing, too large or no JSON.
    """
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise DataError(f"{path}: is larger than {MAX_JSON_BYTES >> 30} GiB")
        return json.loads(read_regular(path))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError:
        raise DataError(f"{path}: is not JSON") from None


def size_of(path: Path) -> int:
    """Bytes of a file; 0 where there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def is_whole_picture(path: Path) -> bool:
    """Whether a file begins and ends as a JPEG or PNG file does."""
    try:
        with open_regular(path) as file:
            start = file.read(8)
            file.seek(-min(TAIL, size_of(path)), os.SEEK_END)
            end = file.read()
    except OSError:
        return False
    return is_whole(start, end)


def is_whole(start: bytes, end: bytes) -> bool:
    """Whether the first 8 and the last bytes are those of a whole JPEG (SOI to EOI) or PNG (to IEND) picture.

    Cameras pad their JPEG files behind the end.
    """
    if start[:2] == b"\xff\xd8":
        return b"\xff\xd9" in end
    return start == b"\x89PNG\r\n\x1a\n" and b"IEND" in end


def pictures_by_stem(folder: Path) -> dict[str, Path]:
    """Stem -> file, of the pictures in a folder, whatever the case of their endings."""
    if not folder.is_dir():
        return {}
    return {p.stem: p for p in sorted(folder.iterdir()) if p.suffix.lower() in PICTURE_ENDINGS}


def files_below(root: Path, options: Mapping[str, Any], folder: str = "", above: tuple[str, ...] = ()) -> Iterator[str]:
    """Paths of all files from a root, by name, with slashes.

    Links to folders are followed below the root and below ``log.follow_links``, but not into a folder that they lie in.
    """
    given = options.get("follow_links") or ()
    allowed = [root, *(Path(p).expanduser() for p in ([given] if isinstance(given, str | Path) else given))]
    here = Path(os.path.realpath(root / folder))
    if str(here) in above or not any(here.is_relative_to(os.path.realpath(p)) for p in allowed):
        return
    with os.scandir(root / folder) as entries:
        for entry in sorted(entries, key=lambda e: e.name):
            path = f"{folder}/{entry.name}" if folder else entry.name
            if entry.is_dir():
                yield from files_below(root, options, path, (*above, str(here)))
            else:
                yield path


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
    parts = options.get("parts")
    if parts is None and options.get("rig"):
        rig = load_yaml(read_regular_text(Path(options["rig"])))
        parts = rig.get("parts") if isinstance(rig, dict) else None
    declared = parts.get(feature) if isinstance(parts, Mapping) else None
    is_window = isinstance(declared, Mapping) and "window" in declared and len(shape) == 2
    return int(shape[0]) if is_window else 1
