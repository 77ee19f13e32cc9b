"""Formats that are read and not written: their samples are written in other formats."""

from __future__ import annotations

from typing import Any

from fusion_aug.errors import ConfigError
from fusion_aug.logs.core.formats import FORMATS
from fusion_aug.logs.core.writer import Writer


class ReadOnly(Writer):
    """In place of a writer: says what is written instead.

    Raises:
        ConfigError: always.
    """

    def __init__(self, log: Any, *_: Any, **__: Any):
        *others, last = (f"output={f.name}" for f in FORMATS.values() if f.exporter is not None)
        raise ConfigError(
            f"output: logs of the format {log.format.name!r} are read here, not written; say what is to be written: "
            f"{', '.join(others)} or {last}"
        )

    def stage(self, *_: Any, **__: Any) -> dict[str, Any]:
        """Nothing is written."""
        raise NotImplementedError
