"""Donors of a run: ``donors=self``, or the folder of another log of the same format."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from calib.regular_files import is_there
from fusion_aug.core.compose import named_leaves
from fusion_aug.core.mixing.donors import Donors
from fusion_aug.core.mixing.transform import DONORS
from fusion_aug.core.transform import Transform
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.logs import Log, open_log
from fusion_aug.logs.core.files import read_json, user_path
from fusion_aug.logs.core.inputs import input_lines
from fusion_aug.logs.remote.address import is_url
from fusion_aug.run.inputs import refuse_odd_store
from fusion_aug.run.unfinished import FACTS
from fusion_aug.run.words import value_of
from fusion_aug.sample.manifest import Manifest
from fusion_aug.streams.families import Mix

SELF = "self"


def donor_log(word: Any, log: Log) -> Log | None:
    """The log that donors come from: None without donors, the log itself for ``self``, else the one in a folder.

    That is a log of the same format, or a bank of objects.

    Args:
        word: what ``donors`` says. log: that is augmented; the other one is opened with its options.

    Raises:
        ConfigError: the word is none. DataError: the folder is no such log.
    """
    if word is None:
        return None
    if not isinstance(word, str) or not word:
        raise ConfigError(f"donors: expected self, or the folder of a log, got {word!r}")
    if word == SELF:
        return log
    if not is_url(word) and not user_path(word).is_dir():
        raise ConfigError(f"donors: there is no folder {word!r}; give self, or that of a log as donors=DIR")
    if not is_url(word) and is_bank(user_path(word)):
        return open_log("folder", user_path(word))
    options = {n: getattr(log.options, n) for n, option in log.format.all_options.items() if not option.is_file}
    return open_log(
        log.format.name,
        word if is_url(word) else user_path(word),
        **{k: v for k, v in options.items() if k != "select"},
    )


def is_bank(folder: Path) -> bool:
    """Whether a folder is a log of the project's own format, as ``fusion-aug bank`` writes objects."""
    return is_there(folder / "log.json") and is_there(folder / "samples")


def donor_resources(donors: Log | None) -> dict[str, Any]:
    """What transforms of a run find by name."""
    return {} if donors is None else {DONORS: Donors(donors)}


def donor_lines(donors: Log | None, log: Log) -> Iterator[str]:
    """One line for every file of donors that are another log, as ``input_lines`` has them."""
    for line in () if donors is None or donors is log else input_lines(donors):
        size, date, ctime, name = line.split(" ", 3)
        yield f"{size} {date} {ctime} donors/{name}"


def check_donors(pipeline: Transform, donors: Log | None) -> None:
    """Raise where a pipeline mixes and has no donors, or has donors and does not mix.

    Raises:
        ConfigError: naming the transforms.
    """
    mixing = [path for path, leaf in named_leaves(pipeline) if isinstance(leaf, Mix) and leaf.p > 0]
    if mixing and donors is None:
        raise ConfigError(f"donors: {', '.join(mixing)} mixes samples; give donors=self, or donors=DIR of another log")
    if donors is not None and not mixing:
        raise ConfigError("donors: nothing in the pipeline mixes samples; leave it out")


def resources_of_run(manifest: Manifest, log: Log, out: Path, overrides: Sequence[str]) -> dict[str, Any]:
    """What transforms of a finished run find by name, to replay it.

    Args:
        manifest: of the run. log: its input. out: its folder, whose ``run.json`` tells where other donors lay.
        overrides: words of the command line; ``donors=DIR`` tells where they lie now.

    Raises:
        DataError: nothing tells where they are. ConfigError: ``run.json``, which may be anybody's, names some server.
    """
    kind = manifest.header.get(DONORS)
    if kind is None or kind == SELF:
        return donor_resources(log if kind else None)
    facts = out / FACTS
    told = read_json(facts) if is_there(facts) else {}
    given = [value_of(w) for w in overrides if w.startswith("donors=")]
    place = given[-1] if given else told.get(DONORS) if isinstance(told, dict) else None
    if isinstance(place, str) and not given and is_url(place):
        refuse_odd_store(place, facts)
    if not isinstance(place, str):
        raise DataError(f"{out}: nothing tells where the donors of the run are; give them as donors=DIR")
    return donor_resources(donor_log(place, log))
