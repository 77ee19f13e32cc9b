"""Input and output logs of a finished run."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from calib.regular_files import is_there
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.logs.core.files import read_json, user_path
from fusion_aug.logs.core.intensity import KEY, SOURCE_KEY, scales_from_json
from fusion_aug.logs.core.log import Log, find_exporter, find_format
from fusion_aug.logs.core.writer import WORK
from fusion_aug.logs.remote.address import OBJECT_STORES, is_url
from fusion_aug.logs.remote.mirror import open_mirror
from fusion_aug.run.config import build_log, compose_config, import_plugins, named_plugins
from fusion_aug.run.links import refuse_links
from fusion_aug.run.network_files import learn_networks
from fusion_aug.run.unfinished import FACTS, PLAN, refuse_unfinished
from fusion_aug.run.words import value_of
from fusion_aug.sample.manifest import NAME, Manifest, read_manifest


def output_at(word: str, overrides: Sequence[str]) -> Path:
    """Folder or manifest of a run: of a URL in the folder that it is read through, ``storage.cache``.

    Args:
        word: a path, or a URL. overrides: words of the command line.

    Raises:
        ConfigError: there is no cache, or the URL is none that can be read. DataError: nothing is there.
    """
    if not is_url(word):
        return Path(word)
    cache = [str(value_of(w)) for w in overrides if w.startswith("storage.cache=")]
    folder = word.removesuffix(f"/{NAME}")
    files = open_mirror(folder, cache[-1] if cache else None, "OUT").files
    return files if folder == word else files / NAME


def run_manifest(path: Path) -> Manifest:
    """The manifest of a finished run.

    Args:
        path: of the manifest or of its folder.

    Raises:
        DataError: it is missing or damaged, or the run was interrupted; then the message says how it goes on.
    """
    folder, name = (path, NAME) if path.is_dir() else (path.parent, path.name)
    refuse_links(folder, (name, FACTS, WORK, f"{WORK}/{PLAN}", f"{WORK}/done"))
    refuse_unfinished(folder)
    return read_manifest(path)


def source_log(manifest: Manifest, out: Path, overrides: Sequence[str], extra_dir: str | None) -> Log:
    """The input of a run: from ``log.root=``, else from ``run.json`` beside the manifest.

    Its options are those of the run where the overrides name none: files from ``run.json``, all else from the manifest.
    """
    import_named(manifest.header.get("plugins", []), out / NAME, overrides)  # one may have registered the format
    _check_formats(manifest)
    words = list(overrides)
    facts = out / "run.json"
    known = read_json(facts) if is_there(facts) else {}
    if not isinstance(known, dict) or not isinstance(manifest.header.get("log", {}), dict):
        raise DataError(f"{facts}, and log in line 1 of {out / NAME}: expected mappings, as a run writes them")
    if not any(w.startswith("log.root=") for w in words):
        if not isinstance(known.get("source_root"), str):
            raise ConfigError(f"{out}: there is no run.json that names the input; give it as log.root=DIR")
        if is_url(known["source_root"]):
            refuse_odd_store(known["source_root"], facts)
        elif not os.path.isdir(known["source_root"]):  # noqa: PTH112  (Path's own stops at names that are too long)
            raise ConfigError(
                f"{facts}: source_root: there is no folder {known['source_root']!r}; if it moved, give it as "
                f"log.root=DIR"
            )
        words.append("log.root=null")  # set below: text of a file has no meaning in the grammar of words
    words = [w for w in words if not w.startswith("log.select=")]
    config = compose_config("replay", [f"log={manifest.header['format']}", *words], extra_dir)
    learn_networks(known, config["networks"], str(facts))
    if config["log"]["root"] is None:
        config["log"]["root"] = known.get("source_root")
    given = {re.split("[.=]", w.lstrip("+"))[1] for w in words if w.lstrip("+").startswith("log.")}
    for name, option in find_format(manifest.header["format"]).all_options.items():
        of_run = (known if option.is_file else manifest.header.get("log", {})).get(name)
        if of_run is not None and name not in given:
            if option.is_file:
                _refuse_lost_files(name, of_run, str(config["log"]["root"]), facts)
            config["log"][name] = of_run
    log = build_log(config["log"], config["storage"])
    key = SOURCE_KEY if SOURCE_KEY in manifest.header else KEY
    if key in manifest.header:
        log.intensity_scales = scales_from_json(manifest.header[key], str(out / NAME))
    return log


def refuse_odd_store(url: str, facts: str | Path) -> None:
    """Raise unless a URL is one of an object store: a run of somebody else's may name any place.

    Raises:
        ConfigError: it is another.
    """
    if url.partition("://")[0].lower() not in OBJECT_STORES:
        raise ConfigError(f"{facts}: the input is {url}, which is no object store; if you trust it, give log.root=URL")


def _refuse_lost_files(name: str, value: Any, root: str, facts: Path) -> None:
    """Raise unless files that a run was given are there: by full paths, or below the root.

    Args:
        name, value: of the option. root: of the input, a folder or URL. facts: ``run.json``.

    Raises:
        ConfigError: one is not.
    """
    for path in value if isinstance(value, list) else [value]:
        if not isinstance(path, str) or not path or not (is_url(root) or is_there(user_path(root) / path)):
            raise ConfigError(f"{facts}: {name}: there is no file {path!r}; if it moved, give it as log.{name}=FILE")


def _check_formats(manifest: Manifest) -> None:
    """Raise unless the formats of a run are known, and that of its output is written from that of its input."""
    format, output = str(manifest.header["format"]), str(manifest.header["output"])
    try:
        find_format(format)
        if output != format:
            find_exporter(output)
    except ConfigError as error:
        raise DataError(f"{manifest.where}: line 1: {error}") from None


def import_named(modules: Any, manifest: str | Path, overrides: Sequence[str]) -> None:
    """Import the modules of extensions that a run used, of which the user has given the names too.

    A manifest alone imports nothing: it may be somebody else's, and so may a module of that name in the current folder.

    Args:
        modules: names, as the manifest holds them. manifest: its path. overrides: words of the command line.

    Raises:
        ConfigError: the overrides do not name them, and the program has not imported them itself. DataError: they are
            no list of names.
    """
    if not isinstance(modules, list) or not all(isinstance(m, str) for m in modules):
        raise DataError(f"{manifest}: line 1: plugins: expected a list of modules, got {modules!r}")
    named = named_plugins(overrides)
    missing = [m for m in modules if m not in named and m not in sys.modules]
    if missing:
        raise ConfigError(
            f"{manifest}: the run used the modules {', '.join(missing)}, whose code would run now; "
            f"if you trust it, name them too: plugins=[{','.join(dict.fromkeys([*named, *missing]))}]"
        )
    import_plugins(named)


def written_log(manifest: Manifest, out: Path, source: Log) -> Log:
    """Open the output of a run with the options of its input that define the meaning of its numbers."""
    format = str(manifest.header["output"])
    config: dict[str, Any] = {"format": format, "root": str(out)}
    config["air_label"] = getattr(source.options, "air_label", None)
    if format == source.format.name:
        own = {name for name, option in source.format.options.items() if not option.input_only}
        config |= {name: getattr(source.options, name) for name in own}
    return build_log(config)
