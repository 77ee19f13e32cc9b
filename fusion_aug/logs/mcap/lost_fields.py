"""Fields that ``log.fields`` tells the meaning of and no cloud has: a name that is written wrongly."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fusion_aug.errors import ConfigError, DataError
from fusion_aug.logs.mcap.cloud_fields import names_fields_of, told_fields
from fusion_aug.logs.mcap.cloud_layout import packed_rows
from fusion_aug.logs.mcap.clouds import CLOUD
from fusion_aug.logs.mcap.file import decode
from fusion_aug.logs.mcap.recording import Recording


def refuse_lost_fields(option: Mapping[str, Mapping[str, str]], recordings: Iterable[Recording]) -> None:
    """Stop at what ``log.fields`` says of fields that no cloud has whose topic it names.

    The first cloud of every topic tells its fields; where one cannot be read, nothing is said of its pattern.

    Args:
        option: {topic or pattern: {field: meaning}}. recordings: of the log.

    Raises:
        ConfigError: naming the field, and those that the clouds have.
    """
    lost = {(pattern, str(field)): str(word) for pattern, told in option.items() for field, word in told.items()}
    seen: dict[str, list[str]] = {pattern: [] for pattern in option}
    for topic, kinds in _first_clouds(recordings):
        mine = [key for key in lost if told_fields({key[0]: option[key[0]]}, topic)]
        for pattern, field in mine:
            if kinds is None or names_fields_of(field, lost[pattern, field], kinds):
                del lost[pattern, field]
            else:
                seen[pattern] += [n for n in kinds if n not in seen[pattern]]
        if not lost:
            return
    for (pattern, field), _ in lost.items():
        if seen[pattern]:  # else no topic is of this pattern
            raise ConfigError(
                f"log.fields: {pattern}: {field!r} is no field of these clouds; they have {', '.join(seen[pattern])}"
            )


def _first_clouds(recordings: Iterable[Recording]) -> Iterator[tuple[str, Mapping[str, np.dtype] | None]]:
    """Topic and fields with their types of the first cloud of every topic of every recording; None where unreadable."""
    for file in recordings:
        for topic in dict.fromkeys(c.topic for c in file.summary()[0] if c.kind == CLOUD):
            raw: Any = next(iter(file.messages(topics=[topic])), None)
            if raw is not None:
                yield topic, _fields_of(raw, file.path)


def _fields_of(raw: Any, path: Path) -> Mapping[str, np.dtype] | None:
    where = f"{path}: topic {raw.topic}"
    try:
        rows = packed_rows(decode(raw.data, raw.kind, raw.definition, where), where)
    except DataError:
        return None
    return {n: rows.dtype[n] for n in rows.dtype.names or ()}
