"""The input of a finished run, found again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fusion_aug.errors import ConfigError
from fusion_aug.logs.base import Log
from fusion_aug.logs.files import read_json
from fusion_aug.run.config import build_log, compose_config, import_plugins
from fusion_aug.run.manifest import Manifest


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
    if known.get("rig") and not any(w.startswith("log.rig=") for w in words):
        words.append(f"log.rig={quoted(known['rig'])}")
    words = [w for w in words if not w.startswith("log.select=")]
    config = compose_config("replay", [f"log={manifest.header['format']}", *words], extra_dir)
    import_plugins([*manifest.header.get("plugins", []), *(config["plugins"] or [])])
    return build_log(config["log"])


def quoted(text: str) -> str:
    """A value that Hydra's grammar takes as it is."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
