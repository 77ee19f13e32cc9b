"""What is lost where presets are combined: Hydra merges them key by key, and the later value wins.

That is meant for figures: of two transforms of one name and kind, the later preset's figures hold. A later kind that is
a special case of the earlier one (``MirrorRobot`` of ``MirrorScene``) takes its place and its figures. Of any other two
kinds under one name, or of two lists, one would vanish.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from calib.yaml_text import load_yaml
from fusion_aug.core.registry import find_transform
from fusion_aug.errors import ConfigError


def chosen_presets(primary: str, overrides: Sequence[str], folders: Sequence[Path]) -> list[str]:
    """Presets that a configuration is made of, in the order of their merging. Hydra must be set up.

    Args:
        primary: name of the primary configuration.
        overrides: as Hydra takes them.
        folders: where presets lie.
    """
    choices = [w.removeprefix("pipeline=") for w in overrides if re.match(r"[+~]*pipeline(@|=|$)", w)]
    if len(choices) == 1 and _stands_alone(choices[0], folders):
        return choices  # Hydra's list takes as long as half of all the rest
    from hydra.core.global_hydra import GlobalHydra
    from hydra.types import RunMode

    hydra = GlobalHydra.instance().hydra
    assert hydra is not None
    found = hydra.config_loader.compute_defaults_list(primary, list(overrides), RunMode.RUN).defaults
    paths = [d.config_path for d in found if d.config_path and d.config_path.startswith("pipeline/")]
    return [p.removeprefix("pipeline/") for p in paths]


def _stands_alone(word: str, folders: Sequence[Path]) -> bool:
    """Whether a word is the name of a preset that is made of no other."""
    files = [f / f"{word}.yaml" for f in folders]
    found = [f for f in files if "/" not in word and f.is_file()]
    return bool(found) and not any(re.search(r"^defaults\s*:", f.read_text(encoding="utf-8"), re.M) for f in found)


def refuse_lost_transforms(presets: Sequence[str], folders: Sequence[Path]) -> None:
    """Refuse presets of which one hides another, or a transform of another.

    Args:
        presets: in the order of their merging.
        folders: where presets lie.

    Raises:
        ConfigError: naming both presets, the transform and the remedy.
    """
    seen: dict[str, tuple[str, str]] = {}
    for preset in dict.fromkeys(presets):
        files = [f / f"{preset}.yaml" for f in folders if (f / f"{preset}.yaml").is_file()]
        if len(files) > 1:
            raise ConfigError(f"pipeline={preset}: {files[1]} has the name of a preset that is there; rename the file")
        content = load_yaml(files[0].read_text(encoding="utf-8")) if files else None
        for name, kind in _kinds(content.get("transforms") if isinstance(content, dict) else None):
            other, before = seen.get(name, (preset, kind))
            if other != preset and (kind == "a list" or not _holds_both(kind, before)):
                what = f"a transform {name!r}" if name else "their transforms"
                remedy = "give it another name in one of them" if name else "give each a name"
                if kind != before and _holds_both(before, kind):
                    remedy = f"name {preset!r} before {other!r}"
                raise ConfigError(
                    f"pipeline: the presets {other!r} and {preset!r} both give {what} ({before} and {kind}), of which "
                    f"one would be lost; {remedy}"
                )
            seen[name] = preset, kind


def _holds_both(kind: str, other: str) -> bool:
    """Whether a kind of transform is another one or a special case of it, which does its work with its figures."""
    special, general = find_transform(kind), find_transform(other)
    return kind == other or (special is not None and general is not None and issubclass(special, general))


def _kinds(transforms: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Path and kind of every transform, and of what holds several; nothing of one that is only changed or removed."""
    if not isinstance(transforms, dict):
        if transforms:
            yield path, "a list"
        return
    yield path, "names"
    for name, config in transforms.items():
        own = f"{path}.{name}" if path else str(name)
        if isinstance(config, dict):
            if "_target_" in config:
                yield own, str(config["_target_"])
            if "transforms" in config:
                yield from _kinds(config["transforms"], f"{own}.transforms")
