"""Everything of ours that has a name: transforms, presets, formats and sensors, with a line on each."""

from __future__ import annotations

from collections.abc import Iterator
from inspect import isabstract
from pathlib import Path
from typing import Any

from calib.lidar_models import LIDAR_MODELS
from calib.sensor import Sensor
from fusion_aug.core.registry import TRANSFORMS, own_transforms
from fusion_aug.logs import FORMATS
from fusion_aug.run.composing import group_folders
from fusion_aug.run.docstrings import summary
from fusion_aug.streams.families import Family

LIDAR = "a LiDAR whose figures are known by this name, as model in a rig file"


def transforms() -> dict[str, type[Any]]:
    """Name -> class of the transforms that are no containers, those of plugins by their full names."""
    others = {n: c for n, c in sorted(TRANSFORMS.items()) if not n.startswith("fusion_aug.") and issubclass(c, Family)}
    return own_transforms() | others


def presets(extra_dir: str | None = None) -> dict[str, Path]:
    """Name -> file of the presets of pipelines, those of the suite last; one of the user's own hides ours."""
    found = {
        path.relative_to(folder).with_suffix("").as_posix(): path
        for folder in group_folders("pipeline", extra_dir) for path in folder.rglob("*.yaml")
    }  # fmt: skip
    return dict(sorted(found.items(), key=lambda item: ("/" in item[0], item[0])))


def preset_about(path: Path) -> str:
    """What a preset is: the comment that its file begins with, without Hydra's own."""
    lines: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        if not line.lstrip("# ").startswith("@"):
            lines.append(line.lstrip("# "))
    return " ".join(lines)


def sensors() -> dict[str, type[Sensor]]:
    """Name -> class of the sensors that a rig can hold."""

    def below(cls: type[Sensor]) -> Iterator[type[Sensor]]:
        for kind in cls.__subclasses__():
            yield from (kind, *below(kind))

    return {c.__name__: c for c in sorted(below(Sensor), key=lambda c: c.__name__) if not isabstract(c)}


def groups(extra_dir: str | None = None) -> dict[str, dict[str, str]]:
    """Group -> name -> a line on it."""
    return {
        "transforms": {name: summary(cls) for name, cls in transforms().items()},
        "presets": {
            name: preset_about(path).partition(". ")[0].rstrip(".") for name, path in presets(extra_dir).items()
        },
        "formats": {name: format.about for name, format in FORMATS.items()},
        "sensors": {**{n: summary(c) for n, c in sensors().items()}, **dict.fromkeys(LIDAR_MODELS, LIDAR)},
    }
