"""``fusion-aug list`` and ``fusion-aug explain``: what there is, and one of it in full."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import MISSING, fields
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import yaml

from calib.figures import Figure
from calib.lidar_models import LIDAR_MODELS
from fusion_aug.core.registry import family_of
from fusion_aug.core.strength import Strength
from fusion_aug.core.transform import Transform
from fusion_aug.errors import ConfigError, UnhandledStream
from fusion_aug.logs import FORMATS
from fusion_aug.run import report
from fusion_aug.run.config import import_plugins, named_plugins
from fusion_aug.run.docstrings import about, meanings
from fusion_aug.run.effects import BUILT_IN, CHANGES, INVARIANT, LEAVES_OUT, NOTHING, effect
from fusion_aug.run.helping import format_lines
from fusion_aug.run.keys import did_you_mean
from fusion_aug.run.named_things import LIDAR, groups, presets, sensors, transforms
from fusion_aug.streams import Stream

REFUSES = "refuses, as it has no rule for them"
RUN_KEYS = ("name", "per_scene")  # fields that a run or a preset sets


def list_command(positionals: Sequence[str], overrides: Sequence[str], extra_dir: str | None) -> int:
    """Print the names of a group, or of all, with a line on each."""
    import_plugins(_plugins(overrides))
    there = groups(extra_dir)
    wanted = positionals or list(there)
    for group in wanted:
        if group not in there:
            raise ConfigError(f"list: there is no group {group!r}{did_you_mean(group, there)}")
    for group in wanted:
        _say(f"{group} ({len(there[group])})")
        for name, line in there[group].items():
            _say(f"  {name:28}  {line}".rstrip())
    _say("fusion-aug explain NAME tells all of one")
    return 0


def explain_command(positionals: Sequence[str], overrides: Sequence[str], extra_dir: str | None) -> int:
    """Print everything about what has a name; where several have it, about each."""
    import_plugins(_plugins(overrides))
    name = positionals[0]
    explained: dict[str, tuple[Any, Callable[[str, Any], Iterator[str]]]] = {
        "transform": (transforms(), _transform),
        "preset": (presets(extra_dir), _preset),
        "format": (FORMATS, lambda n, _: iter(format_lines(n))),
        "sensor": (sensors(), _sensor),
        "model of a LiDAR": (LIDAR_MODELS, _lidar_model),
    }
    found = [(kind, known[name], tell) for kind, (known, tell) in explained.items() if name in known]
    if not found:
        everything = [n for known, _ in explained.values() for n in known]
        same = [n for n in everything if n.lower() == name.lower()]
        hint = f"; did you mean {same[0]}?" if same else did_you_mean(name, everything)
        raise ConfigError(f"explain: nothing is called {name!r}{hint}; fusion-aug list tells all names")
    for kind, thing, tell in found:
        _say(f"{name}: {kind}")
        for line in tell(name, thing):
            _say(line)
    return 0


def _plugins(overrides: Sequence[str]) -> list[str]:
    other = [w for w in overrides if not w.lstrip("+").startswith("plugins=")]
    if other:
        raise ConfigError(f"{other[0].partition('=')[0]}: there is no such option; plugins=[MODULE] is the only one")
    return named_plugins(overrides)


def _say(line: str) -> None:
    report.OUT.print(line, markup=False, highlight=False, soft_wrap=True)


# --- transforms ------------------------------------------------------------------------------------------------------
def _transform(name: str, cls: type[Transform]) -> Iterator[str]:
    yield about(cls)
    yield from ("", f"family {family_of(cls).__name__}; inverse from the history: {cls.inverse}", "", "fields")
    known = meanings(cls)
    for f in fields(cls):
        if f.name not in RUN_KEYS:
            yield from _field(f.name, _default(f), known.get(f.name, ""), _figures(cls, f.name))
    yield from ("", "data")
    words = {kind.__name__: _effect(cls, kind) for kind in BUILT_IN}
    for word in (CHANGES, LEAVES_OUT, REFUSES, INVARIANT, NOTHING):
        kinds = [kind for kind, own in words.items() if own == word]
        if kinds:
            yield f"  {word}: {', '.join(kinds)}"
    if cls.exemptions:
        yield from ("", "promises that it does not make", *(f"  {p}: {why}" for p, why in cls.exemptions.items()))
    yield from ("", "in a preset, or as +pipeline.transforms.NAME=...", f"  {_example(name, cls)}")


def _effect(cls: type[Transform], kind: type[Stream]) -> str:
    try:
        return effect(cls, kind)
    except UnhandledStream:  # of a plugin; each of ours has a rule for everything of ours
        return REFUSES


def _field(name: str, default: str, meaning: str, figures: str) -> Iterator[str]:
    yield f"  {name} = {default}".rstrip(" =") + (f"    {meaning}" if meaning else "")
    if figures:
        yield f"      {figures}"


def _default(f: Any) -> str:
    if f.default is not MISSING:
        value = f.default
        return json.dumps(value) if isinstance(value, tuple | list | str | bool) or value is None else str(value)
    return "" if f.default_factory is MISSING else str(f.default_factory())


def _figures(cls: type[Transform], name: str) -> str:
    """Values that a field of a transform can have, and how strong they are."""
    low, high = cls.limits.get(name, (-math.inf, math.inf))
    words = [f"from {low:g}" if math.isfinite(low) else "", f"to {high:g}" if math.isfinite(high) else ""]
    if name == "scope":
        words = [f"one of {', '.join(cls.scopes)}"]
    strength = cls.strengths.get(name)
    if isinstance(strength, Strength):
        neutral = "empty" if strength.neutral is None else f"{strength.neutral:g}"
        sides = " or ".join(f"{s:g}" for s in strength.sides)
        words.append(f"(magnitude 0: {neutral}, 1: {sides}{f' {strength.unit}' if strength.unit else ''})")
    return " ".join(filter(None, words))


def _example(name: str, cls: type[Transform]) -> str:
    target = name if "." in name else f"fusion_aug.{name}"
    config = {"_target_": target, **cls.example}
    return yaml.safe_dump(config, default_flow_style=True, sort_keys=False, width=10**6).strip()


# --- all others ------------------------------------------------------------------------------------------------------
def _preset(name: str, path: Any) -> Iterator[str]:
    yield from (f"pipeline={name}", "", *(f"  {line}" for line in path.read_text(encoding="utf-8").splitlines()))


def _sensor(name: str, cls: type[Any]) -> Iterator[str]:
    yield about(cls)
    yield from ("", "fields")
    known, hints = meanings(cls), get_type_hints(cls, include_extras=True)
    for f in fields(cls):
        yield from _field(f.name, _default(f), known.get(f.name, ""), _figure(hints[f.name]))


def _figure(hint: Any) -> str:
    """What a field may hold, where its annotation says so."""
    if get_origin(hint) is Annotated:
        return next((str(a) for a in get_args(hint) if isinstance(a, Figure)), "")
    return next(filter(None, map(_figure, get_args(hint))), "")


def _lidar_model(name: str, model: Any) -> Iterator[str]:
    yield LIDAR
    yield from (f"  {key} = {known.value}    {known.origin.value}: {known.source}" for key, known in model.items())
