"""Fields of info files: which occur, which a pipeline would make wrong, and taking fields out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from fusion_aug.core.compose import named_leaves
from fusion_aug.core.ranges import can_differ_from
from fusion_aug.core.transform import Transform
from fusion_aug.errors import ConfigError
from fusion_aug.logs.core.contents import CHANGED, REFUSED
from fusion_aug.logs.mmdet3d.contents import EVERYTHING, FIELDS, MIRROR, MOUNT, PICTURES, SCALE, SCENE, STEPS, TIME
from fusion_aug.logs.mmdet3d.infos import InfoRow, are_steps, has_picture, is_rectangle, rectangle_of
from fusion_aug.streams.families import ImagePlane, Kinematic, Mount, Scene, Temporal
from fusion_aug.transforms.mount import Miscalibrate
from fusion_aug.transforms.scene import MirrorScene, RotateScene, ScaleScene, TranslateScene

LISTS, CAMERAS, SINGLE = ("instances", "lidar_sweeps", "sweeps"), ("images", "cams"), ("lidar_points",)
INNER = {"": (*LISTS, *CAMERAS, *SINGLE), "lidar_sweeps": SINGLE, "sweeps": SINGLE}
RECTANGLE = "instances.bbox"
# motions that are none with these values
AT_REST: Mapping[type, Mapping[str, float]] = {
    RotateScene: dict.fromkeys(("yaw_deg", "pitch_deg", "roll_deg"), 0.0),
    TranslateScene: dict.fromkeys("xyz", 0.0),
    ScaleScene: {"scale": 1.0},
}


def dicts_of(row: InfoRow) -> Iterator[tuple[str, InfoRow]]:
    """Level and content of every dictionary of a sample whose fields have names, see ``contents``."""
    yield "", row
    for level in SINGLE:
        if isinstance(row.get(level), dict):
            yield level, row[level]
    for level in CAMERAS:
        cameras = _cameras(row, level)
        yield level, cameras
        yield from ((level, c) for c in cameras.values() if _is_camera(c))
    for level in LISTS:
        for entry in _entries(row, level):
            if isinstance(entry, dict):
                yield level, entry
                if isinstance(entry.get("lidar_points"), dict):
                    yield f"{level}.lidar_points", entry["lidar_points"]


def _entries(row: InfoRow, name: str) -> Any:
    held = row.get(name)
    return held if isinstance(held, list | tuple) else ()


def _cameras(row: InfoRow, name: str) -> dict[str, Any]:
    held = row.get(name)
    return held if isinstance(held, dict) else {}


def _is_full(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return value.size > 0
    return value is not None and not (isinstance(value, str | dict | list | tuple | set) and len(value) == 0)


def _is_camera(entry: Any) -> bool:
    return has_picture(entry) or (isinstance(entry, dict) and "data_path" in entry)


def names_in(rows: Sequence[InfoRow]) -> dict[str, bool]:
    """Every field of some samples -> whether it holds anything, in any of them."""
    levels: dict[str, dict[str, bool]] = {}
    for row in rows:
        for level, content in dicts_of(row):
            known = levels.setdefault(level, {})
            for name, value in content.items():
                if not known.get(name):
                    known[name] = _is_full(value)
    cameras = {n for row in rows for level in CAMERAS for n, c in _cameras(row, level).items() if _is_camera(c)}
    out: dict[str, bool] = {}
    for level, names in levels.items():
        inner = INNER.get(level, cameras if level in CAMERAS else ())
        out |= {f"{level}.{n}" if level else str(n): full for n, full in names.items() if n not in inner}
    return out


def without_rule(rows: Iterable[InfoRow]) -> dict[str, tuple[str, ...]]:
    """Fields that a rule would move, but not as they are here -> the changes that make them wrong.

    That are rectangles of which nothing says in which picture they are, and paths that are not made of steps (x, y).
    """
    out: dict[str, tuple[str, ...]] = {}
    for row in rows:
        cameras = [n for n, c in _cameras(row, "images").items() if has_picture(c)]
        for instance in _entries(row, "instances") if RECTANGLE not in out else ():
            bbox = instance.get("bbox")
            if bbox is not None and is_rectangle(bbox) and rectangle_of(instance, cameras) is None:
                out[RECTANGLE] = (MIRROR, PICTURES, MOUNT)
        out |= {n: (SCENE, SCALE, MIRROR, TIME) for n in STEPS if _is_full(row.get(n)) and not are_steps(n, row[n])}
    return out


def changes_of(pipeline: Transform) -> dict[str, str]:
    """What a pipeline changes of the geometry (of ``EVERYTHING``) -> path of the transform that does."""
    out: dict[str, str] = {}
    for path, leaf in named_leaves(pipeline):
        for kind in _changes(leaf) if leaf.p > 0 else ():
            out.setdefault(kind, path or type(leaf).__name__)
    return out


def _changes(leaf: Transform) -> tuple[str, ...]:
    if isinstance(leaf, Scene):
        at_rest = AT_REST.get(type(leaf))
        if at_rest is None:
            return (SCENE, MIRROR, PICTURES) if isinstance(leaf, MirrorScene) else EVERYTHING
        if all(not can_differ_from(getattr(leaf, n), v) for n, v in at_rest.items()):
            return ()
        return (SCENE, SCALE) if isinstance(leaf, ScaleScene) else (SCENE,)
    if isinstance(leaf, Miscalibrate):
        return (MOUNT,)
    if isinstance(leaf, Mount | Kinematic):
        return (MOUNT, PICTURES)
    if isinstance(leaf, Temporal):
        return (TIME, PICTURES)
    if isinstance(leaf, ImagePlane):
        return (PICTURES,)
    return (MOUNT,) if leaf.changes_calibration else ()


def wrong_fields(
    names: Mapping[str, bool], changes: Collection[str], unruled: Mapping[str, tuple[str, ...]]
) -> list[str]:
    """Fields that would be wrong after changes, and that nobody knows how to change along.

    Args:
        names: fields -> whether they hold anything. changes: of ``changes_of``. unruled: of ``without_rule``.
    """
    out = []
    for name in (n for n, full in names.items() if full):
        field = FIELDS.get(name)
        touched = EVERYTHING if field is None else field.touched if field.fate == REFUSED else ()
        if set(unruled.get(name, touched)) & set(changes):
            out.append(name)
    return sorted(out)


def as_list(given: Any) -> list[Any]:
    """The words of an option that takes one or several."""
    return [given] if isinstance(given, str) else list(given or ())


def listed_fields(option: str, given: Any, names: Collection[str]) -> list[str]:
    """The fields that ``log.leave_out`` or ``log.keep`` names.

    Raises:
        ConfigError: one does not occur, or is what a run writes anew and training needs.
    """
    listed = as_list(given)
    for name in listed:
        if name not in names:
            near = [n for n in sorted(names) if n.rpartition(".")[2] == str(name).rpartition(".")[2]]
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(names))}"
            raise ConfigError(f"{option}: the info files have no field {name!r}; {hint}")
        field = FIELDS.get(name)
        if field is not None and field.fate == CHANGED and not field.optional:
            raise ConfigError(f"{option}: {name} is written anew by every run, and readers need it")
    return listed


def take_out(row: InfoRow, names: Collection[str]) -> InfoRow:
    """A row of its own, or other dictionaries of it, without some fields."""
    for level, content in list(dicts_of(row)):
        prefix = f"{level}." if level else ""
        for name in [n for n in content if f"{prefix}{n}" in names]:
            del content[name]
    return row
