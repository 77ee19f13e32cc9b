"""What the sidecar says of a set of episodes that was made from another log.

``fusion_aug/episodes.json`` holds what vectors mean, so that no ``log.parts`` has to be given, and the frames that they
are in; ``episode.json`` in the sidecar of an episode holds the time at which it begins, since its table begins at 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from calib.regular_files import is_there
from fusion_aug.errors import DataError
from fusion_aug.logs.core.files import read_json, write_json
from fusion_aug.logs.core.sidecar import FOLDER, sidecar_of
from fusion_aug.logs.core.tree import Tree

FACTS = "episodes.json"
EPISODE = "episode.json"
MOST_NS = 2**62  # of a start, so that times after it stay within 64 bits


@dataclass(frozen=True, kw_only=True)
class EpisodeFacts:
    """Facts of all episodes.

    Attributes:
        base: frame of streams of which nothing else is said. reference: reference frame of the samples.
        parts: feature -> meaning of its numbers, as ``log.parts`` has it.
    """

    base: str
    reference: str
    parts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def write_facts(facts: EpisodeFacts, out: Path) -> None:
    """Write the facts below the root of an output."""
    path = out / FOLDER / FACTS
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(asdict(facts), path)


def read_facts(tree: Tree) -> EpisodeFacts | None:
    """Facts of a log; None where it has none.

    Raises:
        DataError: the file is damaged.
    """
    path = tree.path(f"{FOLDER}/{FACTS}", "sidecar")
    if not is_there(path):
        return None
    found = read_json(path)
    found = found if isinstance(found, dict) else {}
    base, reference, parts = (found.get(n) for n in ("base", "reference", "parts"))
    if not isinstance(base, str) or not isinstance(reference, str) or not isinstance(parts, dict):
        raise DataError(f"{path}: expected base and reference, names of frames, and parts, a mapping")
    return EpisodeFacts(base=base, reference=reference, parts=parts)


def write_start(start: int, out_id: str, folder: Path) -> None:
    """Write when an episode begins (ns), below the root of an output or of its stage; nothing for 0."""
    if start:
        path = folder / FOLDER / "samples" / out_id / EPISODE
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json({"start": start}, path)


def read_start(tree: Tree, sample_id: str) -> int:
    """When an episode begins, ns; 0 where nothing says so.

    Raises:
        DataError: the file is damaged.
    """
    folder = sidecar_of(tree, sample_id)
    path = tree.path(EPISODE, str(folder), folder)
    if not is_there(path):
        return 0
    found = read_json(path)
    start = found.get("start") if isinstance(found, dict) else None
    if type(start) is not int or abs(start) > MOST_NS:
        raise DataError(f"{path}: start: expected nanoseconds, got {start!r:.100}")
    return start
