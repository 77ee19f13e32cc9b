"""The index of donors: scene, classes, weather and time of day of every sample."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from calib.regular_files import open_regular
from fusion_aug.errors import DataError
from fusion_aug.ops.random import digest
from fusion_aug.sample import Sample
from fusion_aug.streams import Boxes3D

CONDITIONS = ("scene", "weather", "time_of_day")
MAX_BYTES = 2**30
VERSION = 1


@dataclass(frozen=True)
class Facts:
    """What the index knows of a sample.

    Attributes:
        scene: its id. classes: category -> number of boxes. weather, time_of_day: words of the log; empty where it
            says nothing.
    """

    scene: str
    classes: Mapping[str, int] = field(default_factory=dict)
    weather: str = ""
    time_of_day: str = ""

    def fits(self, receiver: Facts, same: Sequence[str], classes: Sequence[str]) -> bool:
        """Whether a donor with these facts is one for a receiver; what either does not know parts nobody."""
        pairs = [(getattr(self, s), getattr(receiver, s)) for s in same]
        return all(a == b or not a or not b for a, b in pairs) and (
            not classes or any(self.classes.get(c) for c in classes)
        )

    def to_json(self) -> dict[str, Any]:
        """A JSON-able dictionary."""
        conditions = {"scene": self.scene, "weather": self.weather, "time_of_day": self.time_of_day}
        return conditions | {"classes": dict(self.classes)}


def facts_of(
    log: Sequence[Sample], sample_id: str, read: Callable[[str], Sample], conditions: Facts | None = None
) -> Facts:
    """The facts of one sample; of a log only its boxes are read.

    Args:
        log: it belongs to; ``log.conditions(id)`` tells weather and time of day, where it has that. sample_id: of it.
        read: reads it. conditions: of it where they are known already.
    """
    boxes_alone = getattr(log, "boxes_and_ego", None)
    sample = read(sample_id) if boxes_alone is None else boxes_alone(sample_id)
    counted: Counter[str] = Counter()
    for stream in sample.of_type(Boxes3D).values():
        counted.update(np.asarray(stream.loaded().values.get("category", ())).reshape(-1).tolist())
    told = getattr(log, "conditions", None)
    known = told(sample_id) if told is not None else {}
    if conditions is not None:
        known = {"weather": conditions.weather, "time_of_day": conditions.time_of_day}
    return Facts(sample.meta.scene, dict(sorted(counted.items())), **known)


def read_index(path: Path, ids: Sequence[str]) -> dict[str, Facts] | None:
    """The index in a file, None where there is none, or one of other samples.

    Raises:
        DataError: the file is no index.
    """
    if not path.exists():
        return None
    if path.stat().st_size > MAX_BYTES:
        raise DataError(f"{path}: an index of donors has at most {MAX_BYTES} bytes")
    try:
        with open_regular(path) as file:
            data = json.load(file)
        if data["version"] != VERSION or data["ids"] != digest(*ids):
            return None
        return {i: Facts(**data["donors"][i]) for i in ids}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path}: is no index of donors ({type(error).__name__}); delete it, and it is made anew"
        ) from None


def write_index(path: Path, facts: Mapping[str, Facts]) -> None:
    """Write an index; it appears whole."""
    data = {"version": VERSION, "ids": digest(*facts), "donors": {i: f.to_json() for i, f in facts.items()}}
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)
    with part.open("x", encoding="utf-8") as file:  # which follows no link
        json.dump(data, file, sort_keys=True)
    part.replace(path)
