"""What ``features.json`` of TensorFlow Datasets says: names, types and shapes of an episode's steps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fusion_aug.errors import DataError
from fusion_aug.logs.core.files import read_json

STEPS = "steps"
MAX_DEPTH = 16  # dictionaries within dictionaries
EVENTS = ("is_first", "is_last", "is_terminal", "reward", "discount")  # of RLDS, which mean what they are called


@dataclass(frozen=True)
class Feature:
    """A value of every step.

    Attributes:
        name: its path within a step, ``observation/image``.
        kind: ``picture``, ``raw picture`` (numbers), ``vector``, ``event``, ``text``, or "" for one that is not read.
        shape: of a step; of a picture (height, width, channels), a size of 0 where it differs.
        dtype: of its numbers.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def key(self) -> str:
        """Name in an example."""
        return f"{STEPS}/{self.name}"

    @property
    def size(self) -> int:
        """Numbers of a step."""
        return int(np.prod(self.shape, dtype=object))


def read_features(path: Path) -> tuple[dict[str, Feature], list[str]]:
    """Features of a step by name, and the names of those of an episode.

    Raises:
        DataError: the file is damaged, of another layout, or describes no steps.
    """
    top = _members(read_json(path), str(path))
    if top is None or STEPS not in top:
        raise DataError(f"{path}: describes no steps of episodes as RLDS has them (features {', '.join(top or {})})")
    steps = top[STEPS].get("sequence") if isinstance(top[STEPS], dict) else None
    inner = steps.get("feature") if isinstance(steps, dict) else None
    leaves: dict[str, dict[str, Any]] = {}
    _collect(inner, "", leaves, f"{path}: {STEPS}", 0)
    about: dict[str, dict[str, Any]] = {}
    for name in (n for n in top if n != STEPS):
        _collect(top[name], f"{name}/", about, f"{path}: {name}", 0)
    return {name: _feature(name, leaf, f"{path}: {name}") for name, leaf in leaves.items()}, list(about)


def _members(found: Any, where: str) -> dict[str, Any] | None:
    """Members of a dictionary of features; None of another feature."""
    if not isinstance(found, dict) or not isinstance(found.get("pythonClassName"), str):
        raise DataError(f"{where}: expected a feature with its pythonClassName, as tensorflow-datasets 4 writes it")
    held = found.get("featuresDict")
    if held is None:
        return None
    members = held.get("features") if isinstance(held, dict) else None
    if not isinstance(members, dict):
        raise DataError(f"{where}: featuresDict: expected a mapping of features, got {members!r:.100}")
    return {str(n): v for n, v in members.items()}


def _collect(found: Any, name: str, leaves: dict[str, dict[str, Any]], where: str, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise DataError(f"{where}: lies in more than {MAX_DEPTH} features")
    members = _members(found, where)
    if members is None:
        leaves[name.removesuffix("/")] = found
    for member, inner in (members or {}).items():
        _collect(inner, f"{name}{member}/", leaves, f"{where}/{member}", depth + 1)


def _feature(name: str, leaf: dict[str, Any], where: str) -> Feature:
    tensor, image = (leaf.get(word) if isinstance(leaf.get(word), dict) else None for word in ("tensor", "image"))
    held: dict[str, Any] = image or tensor or {}
    shape, dtype = _shape(held.get("shape"), where), str(held.get("dtype", "string" if "text" in leaf else ""))
    if "text" in leaf or (tensor is not None and dtype == "string" and not shape):
        return Feature(name, "text", (), np.dtype(object))
    try:
        numbers = np.dtype(dtype)
    except TypeError:
        numbers = np.dtype(object)
    coded = str(held.get("encoding", "none")).lower() not in ("none", "")
    is_picture = len(shape) == 3 and shape[2] in (1, 3) and numbers == np.uint8
    if image is not None:
        return Feature(name, "picture" if is_picture else "", shape, numbers)
    if tensor is None or coded or numbers.kind not in "biuf" or 0 in shape:
        return Feature(name, "", shape, numbers)
    if is_picture:
        return Feature(name, "raw picture", shape, numbers)
    return Feature(name, "event" if name in EVENTS and not shape else "vector", shape, numbers)


def _shape(found: Any, where: str) -> tuple[int, ...]:
    """Sizes of a shape; 0 of one that differs from step to step."""
    sizes = found.get("dimensions", []) if isinstance(found, dict) else []
    try:
        numbers = [int(n) for n in sizes]
    except (TypeError, ValueError):
        raise DataError(f"{where}: shape: expected whole numbers, got {sizes!r:.100}") from None
    if len(numbers) > 8 or any(n > 2**31 for n in numbers):
        raise DataError(f"{where}: shape: {numbers} is out of bounds")
    return tuple(max(n, 0) for n in numbers)
