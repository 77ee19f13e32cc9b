"""Composing with Hydra in two steps: files are put together for the groups that were chosen, then values are set.

The first step takes nearly all of the time. What it made of our own files is remembered, so that many runs of one
process, a sweep or presets asked for in Python, pay for it once.
"""

from __future__ import annotations

import copy
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from yaml import YAMLError

from fusion_aug.errors import ConfigError
from fusion_aug.logs import FORMATS, Format
from fusion_aug.logs.core.files import user_path
from fusion_aug.run.combining import chosen_presets, refuse_lost_transforms
from fusion_aug.run.keys import own_keys
from fusion_aug.run.words import quoted
from fusion_aug.safe.guard import print_traceback

_STORED: dict[str, Format] = {}  # by name, those whose options Hydra's store holds: to tell it takes as long as a file


def config_dir() -> Path:
    """Folder of the configurations: inside the package where it is installed, beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "configs", package.parent / "configs"):
        if (folder / "run.yaml").is_file():
            return folder
    raise ConfigError(f"{package}: the configurations are missing from this installation")


def group_folders(group: str, extra_dir: str | None) -> list[Path]:
    """Folders of a configuration group, ours and the user's."""
    return [config_dir() / group, *([user_path(extra_dir) / group] if extra_dir else [])]


def composed(name: str, words: Sequence[str], extra_dir: str | None) -> Any:
    """What Hydra makes of a configuration and overrides.

    Args:
        name: of the primary configuration. words: as Hydra takes them.
        extra_dir: folder with configurations of the user's own.

    Raises:
        HydraException, OmegaConfBaseException, YAMLError: an override or a file is wrong.
        ConfigError: so says another error of Hydra's, or a preset hides one of another.
    """
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    _store_formats()
    try:
        with _own_hydra():
            choices, values = _parted(name, words, extra_dir)
            # a folder of the user's own may hold anything and be of any size: its state is not looked up
            others = extra_dir or any("hydra" in word for word in choices)
            make = _put_together.__wrapped__ if others else _put_together
            config = copy.deepcopy(make(name, choices, extra_dir, _state(config_dir())))
            hydra = GlobalHydra.instance().hydra
            assert hydra is not None
            hydra.config_loader._apply_overrides_to_config(values, config)  # type: ignore[attr-defined]
            return config
    except (HydraException, OmegaConfBaseException, ConfigError, YAMLError):
        raise
    except Exception as error:  # a library's many
        print_traceback()
        raise ConfigError(f"{' '.join(words)[:300]}: a word is not understood ({first_sentence(error)})") from None


def _parted(name: str, words: Sequence[str], extra_dir: str | None) -> tuple[tuple[str, ...], list[Any]]:
    """The words that choose files, or that Hydra itself reads, and all others, parsed.

    A key of the primary configuration's own is no group, also where those of another have a group of that name.
    """
    from hydra.core.config_store import ConfigStore
    from hydra.core.override_parser.overrides_parser import OverridesParser

    choices, values = [], []
    for word, parsed in zip(words, OverridesParser.create().parse_overrides(list(words)), strict=True):
        key = parsed.key_or_group
        is_group = key in ConfigStore.instance().repo or any(f.is_dir() for f in group_folders(key, extra_dir))
        is_group = is_group and key not in own_keys(config_dir() / f"{name}.yaml")
        for_hydra = parsed.package is not None or parsed.is_sweep_override() or key.startswith("hydra")
        if for_hydra or (is_group and not isinstance(parsed.value(), dict)):
            choices.append(word)
        else:
            values.append(parsed)
    return tuple(choices), values


@lru_cache(maxsize=64)
def _put_together(name: str, choices: tuple[str, ...], extra_dir: str | None, state: Hashable) -> Any:
    """The configuration of the files that were chosen, none of which hides a transform of another.

    Args:
        name, choices, extra_dir: of what. state: of our files, which stand for what is remembered.
    """
    from hydra import compose

    words = list(choices)
    if extra_dir:
        words.append(f"hydra.searchpath=[{quoted(f'file://{user_path(extra_dir).resolve()}')}]")
    config, folders = compose(name, words), group_folders("pipeline", extra_dir)
    refuse_lost_transforms(chosen_presets(name, words, folders), folders)
    return config


def _state(folder: Path) -> Hashable:
    """What another state of a folder's files differs in, as someone may be writing presets while Python runs."""
    facts = ((path, path.stat()) for path in sorted(folder.rglob("*.yaml")))
    return tuple((str(path), fact.st_mtime_ns, fact.st_size) for path, fact in facts)


def _store_formats() -> None:
    """Let Hydra know the options of every format."""
    from hydra.core.config_store import ConfigStore

    for format in FORMATS.values():
        if _STORED.get(format.name) is format:
            continue
        options = {n: o.default for n, o in format.all_options.items()}
        node = {"format": format.name, "root": "???", **options}
        ConfigStore.instance().store(group="log", name=format.name, node=node)
        written = {"format": format.name, **{n: o.default for n, o in format.output_options.items()}}
        ConfigStore.instance().store(group="output", name=format.name, node=written)
        _STORED[format.name] = format
        _put_together.cache_clear()


@contextmanager
def _own_hydra() -> Iterator[None]:
    """Hydra over our configurations. A program that runs under Hydra itself has its own back afterwards."""
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    theirs = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(config_dir()), version_base="1.3", job_name="fusion-aug"):
            yield
    finally:
        GlobalHydra.instance().hydra = theirs


def first_sentence(error: BaseException) -> str:
    """Return the first informative line of a Hydra error."""
    cause = error.__cause__
    text = str(error)
    if cause is not None and str(cause) and text.startswith("Error merging"):
        text = f"{text.splitlines()[0]}: {str(cause).splitlines()[0]}"
    lines = [
        line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("Config search")
    ]
    if any("Available options" in line for line in lines):
        listed = [line for line in lines if ":" not in line and "'" not in line and "log=" not in line]
        return f"{lines[0]} (there are {', '.join(listed)})"
    # messages of our own resolvers need no prefix
    return lines[0].removeprefix("ConfigError raised while resolving interpolation: ") if lines else "wrong override"
