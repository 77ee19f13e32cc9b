"""The input of a finished run, found again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fusion_aug.errors import ConfigError
from fusion_aug.logs.core.files import read_json
from fusion_aug.logs.core.log import Log
from fusion_aug.run.config import build_log, compose_config, import_plugins
from fusion_aug.sample.manifest import Manifest

MEANING = ("joint_map", "parts", "window", "exclude", "rate")  # options that say what a log's numbers are


def source_log(manifest: Manifest, out: Path, overrides: Sequence[str], extra_dir: str | None) -> Log:
    """The input of a run: from ``log.root=``, else from ``run.json`` beside the manifest."""
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
    for key in ("rig", "urdf"):
        if known.get(key) and not any(w.startswith(f"log.{key}=") for w in words):
            words.append(f"log.{key}={quoted(known[key])}")
    words = [w for w in words if not w.startswith("log.select=")]
    config = compose_config("replay", [f"log={manifest.header['format']}", *words], extra_dir)
    import_plugins([*manifest.header.get("plugins", []), *(config["plugins"] or [])])
    told = manifest.header.get("log", {})
    for key in MEANING:
        if told.get(key) is not None and config["log"].get(key) is None:
            config["log"][key] = told[key]
    return build_log(config["log"])


def written_log(manifest: Manifest, out: Path, source: Log) -> Log:
    """The output of a run, read with what the user said of its input."""
    format = manifest.header["output"]
    config: dict[str, Any] = {"format": format, "root": str(out)}
    if format != "folder":
        own = source.format.options
        config |= {k: getattr(source.options, k) for k in ("rig", "urdf", *MEANING) if k in own and k != "window"}
    return build_log(config)


def quoted(text: str) -> str:
    """A value that Hydra's grammar takes as it is."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
