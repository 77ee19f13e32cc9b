"""The writer of a run, by its manifest."""

from __future__ import annotations

from pathlib import Path

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
        return log.writer(out, header["output"], lossy=bool(header["lossy"]), options=options)
    except ConfigError as error:
        raise DataError(f"{manifest.where}: {str(error)[:500]}") from None
