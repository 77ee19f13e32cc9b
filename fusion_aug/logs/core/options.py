"""Options of logs: what is given as ``log.NAME=VALUE``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

from fusion_aug.logs.core.files import user_path

LogOptions = SimpleNamespace  # an attribute for every option of the format


class Option(NamedTuple):
    """An option of a log, given as ``log.NAME=VALUE``.

    Attributes:
        help: what it means, one line.
        default: its value where none is given.
        is_file: whether it names files or folders of the user's: a change of a file is a change of the log, and the
            paths go to ``run.json`` instead of the manifest.
        input_only: whether it says how a log is cut into samples, and so nothing of what a run writes.
        many: whether it takes a list of them, too.
        or_file: whether a file may be named that holds its value.
    """

    help: str
    default: Any = None
    is_file: bool = False
    input_only: bool = False
    many: bool = False
    or_file: bool = False


EVERY_LOG = {
    "select": Option("ids, shell patterns of ids, or a split or scene of the format", input_only=True),
    "rig": Option("rig file (YAML) that adds or replaces sensors and frames", is_file=True),
    "classes": Option(
        "[car, ...]: boxes to keep, or {car: [Car, Van], ...}: their new names; other boxes are left out, other points "
        "stay as unlabelled"
    ),
    "air_label": Option(
        "class number of returns from the air (fog, spray, ghosts) in clouds with classes of points; by default the "
        "format's own class for them, else -1, unlabelled"
    ),
    "unlabelled": Option(
        "class number that points without a class (-1) are written as, where the files have no number for them"
    ),
    "intensity_scale": Option(
        "largest intensity that a return can have in the clouds (1, 255, 65535), or {STREAM: number}; found by default"
    ),
    "past": Option("seconds before a sample of which its boxes and the vehicle get a trajectory (stream waypoints)"),
    "future": Option("seconds after a sample of which its boxes and the vehicle get a trajectory (stream waypoints)"),
    "bad_boxes": Option("boxes with NaN or a size not above 0: refuse, or leave_out", "refuse"),
    "follow_links": Option(
        "[DIR, ...]: folders outside the root to which links in it may lead", is_file=True, many=True
    ),
}


def at_home(names: Any) -> Any:
    """Names of files with ``~`` as the user's home."""
    if isinstance(names, list | tuple):
        return [at_home(n) for n in names]
    return str(user_path(names)) if isinstance(names, str | Path) else names


def absolute(names: Any, root: Path) -> Any:
    """Names of files as another current folder finds them; those of files below the root of a log hold anywhere."""
    if isinstance(names, list | tuple):
        return [absolute(n, root) for n in names]
    if not isinstance(names, str | Path) or (not Path(names).is_absolute() and (root / names).exists()):
        return names
    return str(user_path(names).absolute())


def named_files(options: LogOptions, known: Mapping[str, Option]) -> list[Path]:
    """Files that the values of options name.

    Args:
        options: values. known: name -> option.
    """
    values = [getattr(options, name) for name, o in known.items() if o.is_file or o.or_file]
    names = [n for value in values for n in (value if isinstance(value, list | tuple) else [value])]
    return [Path(n) for n in names if isinstance(n, str | Path) and Path(n).is_file()]
