"""Input and output logs of a finished run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fusion_aug.errors import ConfigError
from fusion_aug.logs.core.files import read_json
from fusion_aug.logs.core.intensity import KEY, SOURCE_KEY, scales_from_json
from fusion_aug.logs.core.log import Log, find_format
from fusion_aug.run.config import build_log, compose_config, import_plugins
from fusion_aug.run.words import quoted
from fusion_aug.sample.manifest import NAME, Manifest


def source_log(manifest: Manifest, out: Path, overrides: Sequence[str], extra_dir: str | None) -> Log:
    """The input of a run: from ``log.root=``, else from ``run.json`` beside the manifest.

    Its options are those of the run where the overrides name none: files from ``run.json``, all else from the manifest.
    """
    import_plugins(manifest.header.get("plugins", []))  # one of them may have registered the format
    words = list(overrides)
    facts = out / "run.json"
    known = read_json(facts) if facts.is_file() else {}
    if not any(w.startswith("log.root=") for w in words):
        if "source_root" not in known:
            raise ConfigError(f"{out}: there is no run.json that names the input; give it as log.root=DIR")
        if not Path(known["source_root"]).is_dir():
            raise ConfigError(
                f"{known['source_root']}: the input of the run is gone; if it moved, give it as log.root=DIR"
            )
        words.append(f"log.root={quoted(known['source_root'])}")
    words = [w for w in words if not w.startswith("log.select=")]
    config = compose_config("replay", [f"log={manifest.header['format']}", *words], extra_dir)
    given = {re.split("[.=]", w.lstrip("+"))[1] for w in words if w.lstrip("+").startswith("log.")}
    for name, option in find_format(manifest.header["format"]).all_options.items():
        of_run = (known if option.is_file else manifest.header.get("log", {})).get(name)
        if of_run is not None and name not in given:
            config["log"][name] = of_run
    log = build_log(config["log"])
    key = SOURCE_KEY if SOURCE_KEY in manifest.header else KEY
    if key in manifest.header:
        log.intensity_scales = scales_from_json(manifest.header[key], str(out / NAME))
    return log


def written_log(manifest: Manifest, out: Path, source: Log) -> Log:
    """Open the output of a run with the options of its input that define the meaning of its numbers."""
    format = manifest.header["output"]
    config: dict[str, Any] = {"format": format, "root": str(out)}
    if format == source.format.name:
        own = {name for name, option in source.format.options.items() if not option.input_only}
        config |= {name: getattr(source.options, name) for name in own}
    return build_log(config)
