"""Records of what was done to a sample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fusion_aug.errors import DataError


@dataclass(frozen=True)
class Record:
    """One transform on one sample.

    Attributes:
        path: the random path: names joined by "/".
        name: class of the transform in the registry.
        version: of the transform's meaning; a replay refuses another one.
        params: instance ("", a sensor's name or the start of a timestep) -> drawn parameters; empty where not applied.
        applied: whether its gate let it run.
        before: what an inversion needs to know of the sample as it was: canvas sizes, anchor, names; and at what size
            its files are decoded for an image map, which a replay obeys.
    """

    path: str
    name: str
    version: int
    params: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    applied: bool = True
    before: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """A JSON-able dictionary."""
        return {
            "path": self.path,
            "name": self.name,
            "version": self.version,
            "params": {k: dict(v) for k, v in self.params.items()},
            "applied": self.applied,
            "before": dict(self.before),
        }

    @staticmethod
    def from_json(data: Any, where: str = "history") -> Record:
        """Read what ``to_json`` gave.

        Raises:
            DataError: a field is missing, unknown, or of another type.
        """
        types = {"path": str, "name": str, "version": int, "params": dict, "applied": bool, "before": dict}
        if not isinstance(data, dict) or set(data) != set(types):
            raise DataError(f"{where}: a record needs exactly the fields {', '.join(types)}")
        for key, kind in types.items():
            if not isinstance(data[key], kind):
                raise DataError(f"{where}: {key}: expected {kind.__name__}, got {type(data[key]).__name__}")
        return Record(**data)

    def name_before(self, name: str) -> str:
        """What a stream or sensor was called before the transform; streams of a camera (``CAMERA/depth``) follow it."""
        names = self.before.get("names", {})
        head, slash, tail = name.partition("/")
        return str(names.get(name, names.get(head, head) + slash + tail))


History = tuple[Record, ...]


def source_name(name: str, history: History) -> str:
    """What a stream or sensor was called before the records of a history, where mirrors swap names."""
    for record in reversed(history):
        name = record.name_before(name) if record.applied else name
    return name


def history_to_json(history: History) -> list[dict[str, Any]]:
    """A history as a JSON-able list."""
    return [r.to_json() for r in history]


def history_from_json(data: Any, where: str = "history") -> History:
    """Read what ``history_to_json`` gave."""
    if not isinstance(data, list):
        raise DataError(f"{where}: expected a list of records")
    return tuple(Record.from_json(r, f"{where}[{i}]") for i, r in enumerate(data))
