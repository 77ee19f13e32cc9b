"""Keys of a composed configuration: what nothing reads is refused, and the main figures of presets are set."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from calib.yaml_text import load_yaml
from fusion_aug.core.compose import Compose
from fusion_aug.errors import ConfigError

MOST_TOLD = 3  # settings that are named where two configurations differ
LONGEST_VALUE = 60  # characters of one, which may be of a file of others
DEEPEST = 20  # mappings in one another
_UNSET = object()
# settings of a run that decide where, when and by whom its samples are made, and no byte of them
HOW_ONLY = frozenset(
    ("out", "workers", "shard", "engine", "storage", "dry_run", "on_error", "sample_seconds", "link")
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
    own = set(load_yaml(primary.read_text(encoding="utf-8"))) - {"defaults"}
    known = own | {"log", "pipeline", "engine", "output"}
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


def differences(there: Any, now: Any, ignored: Collection[str] = ()) -> str:
    """What is set otherwise in two configurations: ``seed: 0 there, 1 now``, of many the first and how many more.

    Args:
        there: of a file, which may hold anything; nothing is said of what is no mapping.
        now: of the command. ignored: keys that are not compared.
    """
    if not isinstance(there, dict):
        return ""
    both = (there, json.loads(json.dumps(now)))
    flat = [_flat({k: v for k, v in config.items() if k not in ignored}) for config in both]
    apart = [k for k in dict.fromkeys([*flat[0], *flat[1]]) if flat[0].get(k, _UNSET) != flat[1].get(k, _UNSET)]
    told = [f"{k[:LONGEST_VALUE]}: {_short(flat[0], k)} there, {_short(flat[1], k)} now" for k in apart[:MOST_TOLD]]
    return "; ".join([*told, f"and {len(apart) - MOST_TOLD} more"] if len(apart) > MOST_TOLD else told)


def _flat(config: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Every value by its key with dots; mappings deeper than any of ours are values."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        name = f"{above}{key}"
        if isinstance(value, dict) and value and name.count(".") < DEEPEST:
            found |= _flat(value, f"{name}.")
        else:
            found[name] = value
    return found


def _short(flat: Mapping[str, Any], key: str) -> str:
    if key not in flat:
        return "not set"
    value = flat[key]
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)  # true and null, as in YAML
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 3]}..."
