"""Keys of a composed configuration: what nothing reads is refused, and the main figures of presets are set."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from calib.yaml_text import load_yaml
from fusion_aug.core.compose import Compose
from fusion_aug.errors import ConfigError

# settings of a run that decide where, when and by whom its samples are made, and no byte of them
HOW_ONLY = frozenset(
    ("out", "workers", "shard", "engine", "storage", "dry_run", "on_error", "sample_seconds", "link", "report")
)  # fmt: skip


def refuse_taken_away(words: Iterable[str]) -> None:
    """Refuse words by which a configuration would lack a part; those of a pipeline may be taken away.

    Args:
        words: of a command line.

    Raises:
        ConfigError: naming the key and the remedy.
    """
    for word in words:
        key, _, value = word.lstrip("~").partition("=")
        deleted = word.startswith("~") and not key.startswith("pipeline.")
        if deleted or (key in ("log", "pipeline", "engine") and value.strip() == "[]"):
            raise ConfigError(f"{key}: cannot be taken away; leave out {word} and give it a value, {key}=...")


def own_keys(primary: Path) -> set[str]:
    """Keys that a primary configuration gives values to itself."""
    return set(load_yaml(primary.read_text(encoding="utf-8"))) - {"defaults"}


def check_keys(config: Any, primary: Path, preset_folders: Sequence[Path]) -> None:
    """Refuse keys that nothing reads: with ``+`` Hydra adds any.

    Args:
        config: the composed configuration.
        primary: file of the primary configuration.
        preset_folders: where presets of pipelines lie.

    Raises:
        ConfigError: naming the key, and the one that may have been meant.
    """
    from omegaconf import OmegaConf

    plain = OmegaConf.to_container(config, resolve=False)
    assert isinstance(plain, dict)
    known = own_keys(primary) | {"log", "pipeline", "engine", "output"}
    for key in plain:
        if key not in known:
            raise ConfigError(f"{key!s}: there is no such option{did_you_mean(str(key), known)}")
    pipeline_keys = plain.get("pipeline") or {}
    if not isinstance(pipeline_keys, dict) or pipeline_keys.get("_target_") != "fusion_aug.pipeline":
        return
    used = set(re.findall(r"\$\{\.*([A-Za-z_]\w*)", json.dumps(pipeline_keys)))
    figures = figure_names(pipeline_keys)
    unused = figures - used
    if unused:  # a preset's own value may be, after one of its transforms was removed
        files = [path for folder in preset_folders for path in folder.rglob("*.yaml")]
        unused -= {str(k) for path in files for k in load_yaml(path.read_text(encoding="utf-8")) or ()}
    for key in sorted(unused):
        raise ConfigError(f"pipeline.{key}: nothing in the pipeline uses it{did_you_mean(key, figures & used)}")


def figure_names(pipeline_keys: Iterable[Any]) -> set[str]:
    """Names of the main figures among the keys of a pipeline's configuration."""
    return {str(k) for k in pipeline_keys} - {"_target_", "transforms", *(f.name for f in fields(Compose))}


def set_figures(config: Any, values: Mapping[str, Any]) -> None:
    """Give main figures of a composed pipeline other values.

    Raises:
        ConfigError: there is no such figure, or a value is of a type that no configuration holds.
    """
    for key, value in values.items():
        known = figure_names(config.pipeline)
        if key not in known:
            raise ConfigError(f"pipeline.{key}: there is no such figure{did_you_mean(key, known)}")
        try:
            config.pipeline[key] = value
        except ValueError as error:
            raise ConfigError(f"pipeline.{key}: {str(error).splitlines()[0]}") from None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a hint: the nearest known word, or all of them."""
    near = difflib.get_close_matches(word, sorted(known), 1)
    return f"; did you mean {near[0]}?" if near else f" (there are {', '.join(sorted(known))})"
