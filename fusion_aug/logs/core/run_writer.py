"""The writer of a run, by its manifest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fusion_aug.errors import ConfigError, DataError
from fusion_aug.logs.core.log import Log
from fusion_aug.logs.core.writer import Writer
from fusion_aug.sample.manifest import Manifest


def writer_of_run(log: Log, manifest: Manifest, out: Path) -> Writer:
    """The writer that a run wrote with, its format and options as the manifest says.

    Args:
        log: of the input. manifest: of the run. out: folder that is written to, if anything is.

    Raises:
        DataError: the manifest names options that its format does not have, or not such values.
    """
    header = manifest.header
    options = header.get("output_options") or {}
    if not isinstance(options, dict):
        raise DataError(f"{manifest.where}: output_options: expected a mapping, got {str(options)[:100]!r}")
    try:
        how: dict[str, Any] = {"lossy": bool(header["lossy"]), "options": options, "mixed": "donors" in header}
        return log.writer(out, header["output"], **how)
    except ConfigError as error:
        raise DataError(f"{manifest.where}: {str(error)[:500]}") from None


def is_made_anew(writer: Writer) -> bool:
    """Whether a writer makes all files anew, and does not mirror the tree of the log that its samples are from."""
    return not isinstance(writer, writer.log.format.writer)
