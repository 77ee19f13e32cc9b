"""Hydra configurations: composing them, building pipelines and logs from them."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from yaml import YAMLError

from fusion_aug.core.compose import Compose, pipeline
from fusion_aug.core.registry import TRANSFORMS, find_transform
from fusion_aug.core.transform import Transform
from fusion_aug.errors import ConfigError
from fusion_aug.logs import FORMATS, Log, open_log
from fusion_aug.logs.core.files import user_path
from fusion_aug.logs.core.log import find_exporter
from fusion_aug.logs.remote.address import is_url, refuse_url
from fusion_aug.names import full_name
from fusion_aug.policy import RandAugment  # noqa: F401  (registers what policies hold)
from fusion_aug.run.composing import composed, config_dir, first_sentence, group_folders
from fusion_aug.run.keys import check_keys, did_you_mean, refuse_taken_away, set_figures
from fusion_aug.run.network_files import with_absolute_names
from fusion_aug.run.words import about_lists, quote_names


def compose_config(
    name: str,
    overrides: Sequence[str],
    extra_dir: str | None = None,
    *,
    complete: bool = True,
    figures: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Compose a primary configuration with overrides and resolve it.

    Args:
        name: run, inspect, check, show, replay, synth, synth_arm or preset.
        overrides: Hydra overrides; names of files need no quotes, see ``quote_names``.
        extra_dir: folder with configurations of the user's own.
        complete: whether every option must have a value.
        figures: values of the pipeline's main figures, as Python has them.

    Raises:
        ConfigError: a group, key or value is wrong; the message is one sentence.
    """
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    OmegaConf.register_new_resolver("at", _at, replace=True)
    refuse_taken_away(overrides)
    import_plugins(named_plugins(overrides))  # a format of the user's own must be known before ``log=`` is looked up
    try:
        config = composed(name, quote_names(overrides), extra_dir)
        set_figures(config, figures or {})
        check_keys(config, config_dir() / f"{name}.yaml", group_folders("pipeline", extra_dir))
        missing = sorted(OmegaConf.missing_keys(config))
        if missing and complete:
            raise ConfigError(f"{missing[0]}: is missing; give it as {missing[0]}=...")
        plain = OmegaConf.to_container(config, resolve=True)
    except (HydraException, OmegaConfBaseException) as error:
        key = re.match(r"Could not override '([^']+)'", str(error))
        if key:
            raise ConfigError(_no_such_key(key[1], name, overrides, extra_dir)) from None
        preset = re.search(r"Could not find 'pipeline/([^']+)'", str(error))
        if preset:
            hint = did_you_mean(preset[1], option_names("pipeline", extra_dir))
            raise ConfigError(f"pipeline: there is no preset {preset[1]!r}{hint}") from None
        chosen = re.search(r"Could not find '(log|engine)/([^']+)'", str(error))
        if chosen:
            known = [*FORMATS, *option_names("log", extra_dir)] if chosen[1] == "log" else option_names(chosen[1], None)
            what = "format" if chosen[1] == "log" else chosen[1]
            raise ConfigError(
                f"{chosen[1]}: there is no {what} {chosen[2]!r}{did_you_mean(chosen[2], known)}"
            ) from None
        output = re.search(r"Could not find 'output/([^']+)'", str(error))
        if output:
            find_exporter(output[1])
        raise ConfigError(about_lists(overrides) or first_sentence(error)) from None
    except YAMLError as error:
        raise ConfigError(f"{extra_dir}: a configuration is not valid YAML ({' '.join(str(error).split())})") from None
    assert isinstance(plain, dict)
    if name == "run":
        written = plain.get("output") or {"format": None}
        plain |= {"output": written.pop("format"), "output_options": written}
    if name != "run":
        refuse_url("out", plain.get("out"))
    if plain.get("out") and not is_url(str(plain["out"])):
        plain["out"] = str(user_path(str(plain["out"])))
    if plain.get("storage") and plain["storage"].get("cache"):  # workers may have other current folders
        plain["storage"]["cache"] = str(user_path(str(plain["storage"]["cache"])).absolute())
    return _empty_to_null({k: with_absolute_names(v) if k == "pipeline" else v for k, v in plain.items()})


def named_plugins(overrides: Sequence[str]) -> list[str]:
    """Modules that the overrides name as plugins."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    words = [o for o in overrides if o.lstrip("+").startswith("plugins=")]
    if said := about_lists(words):
        raise ConfigError(said)
    found = OverridesParser.create().parse_overrides(words)
    named = [o.value() for o in found]
    return [str(m) for modules in named for m in (modules if isinstance(modules, list) else [modules]) if m is not None]


def _at(levels: Any, place: Any) -> Any:
    """``${at:${...levels},${...severity}}``: an entry of a list, for presets with severities."""
    if isinstance(place, bool) or not isinstance(place, int) or not 0 <= place < len(levels):
        raise ConfigError(f"pipeline.severity: expected a whole number from 0 to {len(levels) - 1}, got {place!r}")
    return levels[place]


def option_names(group: str, extra_dir: str | None) -> list[str]:
    """Options of a configuration group, ours and the user's, such as ``suite/fog`` of ``pipeline``."""
    folders = group_folders(group, extra_dir)
    return sorted({p.relative_to(f).with_suffix("").as_posix() for f in folders for p in f.rglob("*.yaml")})


def import_plugins(modules: str | Sequence[str] | None, option: str = "plugins") -> None:
    """Import the modules that register transforms, streams and formats of the user's own.

    They are found as ``python -m`` finds modules: in the current folder too.

    Args:
        modules: their names. option: that names them, for messages.

    Raises:
        ConfigError: a module cannot be imported.
    """
    if modules and "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    for module in [modules] if isinstance(modules, str) else modules or ():
        try:
            importlib.import_module(module)
        except Exception as error:  # a plugin is foreign code and may raise anything
            raise ConfigError(f"{option}: {module!r} cannot be imported ({type(error).__name__}: {error})") from error


def build_pipeline(config: Any) -> Compose:
    """A pipeline from its plain configuration.

    ``_target_`` is looked up in our registry only: nothing is imported because a configuration names it.

    Raises:
        ConfigError: a target is not registered, or a parameter is wrong.
    """
    built = _build(config, "pipeline")
    if isinstance(built, Transform):
        return built if isinstance(built, Compose) else Compose([built])
    raise ConfigError("pipeline: expected a mapping with _target_: fusion_aug.pipeline and transforms")


def _build(config: Any, where: str) -> Any:
    if not isinstance(config, dict) or "_target_" not in config:
        raise ConfigError(f"{where}: expected a mapping with _target_, got {config!r}")
    target = str(config["_target_"])
    options = {k: v for k, v in config.items() if k not in ("_target_", "_convert_", "_recursive_")}
    if target == "fusion_aug.pipeline":
        inside = options.pop("transforms", None) or {}
        return pipeline(
            {n: _build(c, f"{where}.transforms.{n}") for n, c in _named_transforms(inside, where)}, **options
        )
    cls = find_transform(target) or _reexported(target)
    if cls is None:
        raise ConfigError(
            f"{where}._target_: {target!r} is not a registered transform; list its module in plugins"
            f"{did_you_mean(target, TRANSFORMS)}"
        )
    if "transforms" in options:
        inside = options.pop("transforms") or {}
        options["transforms"] = {n: _build(c, f"{where}.transforms.{n}") for n, c in _named_transforms(inside, where)}
    try:
        return cls(**options)
    except TypeError as error:
        text = re.sub(r"^.*__init__\(\) ", "", str(error))
        raise ConfigError(f"{where}: {cls.__name__}: {text}") from None
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None


def _reexported(target: str) -> Any:
    """A registered transform under the name of a package that plugins have imported and that hands it on."""
    module, _, name = target.rpartition(".")
    found = getattr(sys.modules.get(module), name, None)
    return found if isinstance(found, type) and TRANSFORMS.get(full_name(found)) is found else None


def _named_transforms(inside: Any, where: str) -> list[tuple[str, Any]]:
    if isinstance(inside, dict):
        return [(str(n), c) for n, c in inside.items() if c is not None]
    if isinstance(inside, list):
        return [(str(c.get("_target_", i)).rpartition(".")[2], c) for i, c in enumerate(inside)]
    raise ConfigError(f"{where}.transforms: expected a mapping of names to transforms, got {inside!r}")


def build_log(config: dict[str, Any], storage: Mapping[str, Any] | None = None) -> Log:
    """The log of a ``log`` group, with the ``storage`` group for one in a store."""
    if config["root"] is None:
        raise ConfigError("log.root: is empty; give the folder of the log")
    options = {k: v for k, v in config.items() if k not in ("format", "root")}
    through = {name: storage[name] for name in ("cache", "listing") if storage and storage.get(name)}
    return open_log(str(config["format"]), str(config["root"]), **through, **options)


def _empty_to_null(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _empty_to_null(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_empty_to_null(v) for v in value]
    return None if value == "" else value


def _no_such_key(key: str, name: str, overrides: Sequence[str], extra_dir: str | None) -> str:
    """The sentence about a key that no file names, with the one that may have been meant."""
    rest = [w for w in overrides if w.lstrip("+~").partition("=")[0] != key]
    config: Any = compose_config(name, rest, extra_dir, complete=False)
    for part in key.split("."):
        if not isinstance(config, dict) or part not in config:
            break
        config = config[part]
    hint = did_you_mean(part, set(config) - {"_target_"}) if isinstance(config, dict) else ""
    more = f"; a parameter that no preset gives is added as +{key}=..." if ".transforms." in key else ""
    return f"{key}: there is no such key{hint}{more}"
