"""``fusion-aug search``: the search of a policy whose objective is a function of the user's own."""

from __future__ import annotations

import functools
import hashlib
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from calib.regular_files import read_regular
from fusion_aug.errors import USER_ERRORS, ConfigError, DataError
from fusion_aug.logs.core.files import read_json, user_path
from fusion_aug.policy.search import ENGINES, Checkpoint, narrowed, search_policy
from fusion_aug.policy.search.journal import first_line
from fusion_aug.policy.search.report import described
from fusion_aug.policy.search.result import FIGURES, PRESET, REPORT, SearchResult
from fusion_aug.policy.space import Space
from fusion_aug.run import report
from fusion_aug.run.config import build_log, build_pipeline, compose_config, import_plugins
from fusion_aug.run.plugin_sources import plugin_files
from fusion_aug.run.progress import progress_bar
from fusion_aug.safe.guard import print_traceback

ARGUMENTS = ("pipeline", "seed", "epochs", "checkpoint")
SOURCES = ("same", "changed")


def search_command(overrides: Sequence[str], extra_dir: str | None) -> int:
    """Search, and print what was found.

    Raises:
        ConfigError: an option or the objective is wrong. DataError: ``out`` is of another search.
    """
    config = compose_config("search", overrides, extra_dir)
    import_plugins(config["plugins"])
    objective = objective_of(config)
    space = Space.of(build_pipeline(config["pipeline"]))
    if config["within"] is not None:
        space = narrowed(space, largest_of(user_path(str(config["within"])), space))
    with telling_of_sources(), progress_bar("training", report.ERR) as update:
        result = search_policy(
            objective, space, config["engine"], config["trials"], config["seed"], out=config["out"],
            epochs=config["epochs"], seeds=config["seeds"], score=config["score"], about=about(config),
            progress=update, **options_of(config),
        )  # fmt: skip
    summary(result, str(config["out"]))
    return 0


@contextmanager
def telling_of_sources() -> Iterator[None]:
    """Context: where a search is refused since the objective was edited, how it goes on all the same."""
    try:
        yield
    except DataError as error:
        if "about.sources." not in str(error):
            raise
        raise DataError(f"{error}; where the scores stay as they were, sources=changed goes on") from None


def options_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """The options of engines that are given; one that the engine does not have is refused by it."""
    known = {name for engine in ENGINES.values() for name in engine.options()}
    return {name: value for name, value in config.items() if name in known and value is not None}


def objective_of(config: Mapping[str, Any]) -> Callable[..., Any]:
    """The objective ``MODULE:FUNCTION``, with the log if one is given.

    Raises:
        ConfigError: it cannot be imported, or takes other arguments.
    """
    name = str(config["objective"])
    module, colon, place = name.partition(":")
    if not colon or not all(part.isidentifier() for part in (*module.split("."), *place.split("."))):
        raise ConfigError(f"objective: expected MODULE:FUNCTION, such as my_training:objective, got {name!r}")
    import_plugins([module], "objective")
    try:
        function = functools.reduce(getattr, place.split("."), sys.modules[module])
    except AttributeError:
        raise ConfigError(f"objective: the module {module} has no {place!r}") from None
    if not callable(function):
        raise ConfigError(f"objective: {name} is no function but {type(function).__name__}")
    more = {} if not config.get("log") else {"log": build_log(config["log"], config["storage"])}
    try:
        inspect.signature(function).bind(*ARGUMENTS, **more)
    except (TypeError, ValueError) as error:
        takes = ", ".join([*ARGUMENTS, *more])
        hint = "" if more else "; a log is given by log=FORMAT log.root=DIR"
        raise ConfigError(f"objective: {name} is called with {takes}, which it does not take ({error}){hint}") from None

    @functools.wraps(function)
    def guarded(pipeline: Any, seed: int, epochs: int, checkpoint: Checkpoint) -> Any:
        try:
            return function(pipeline, seed, epochs, checkpoint, **more)
        except USER_ERRORS:
            raise
        except Exception:  # foreign code, which may raise anything; the search tells of it in one sentence
            print_traceback()
            raise

    guarded.__module__, guarded.__qualname__ = module, place
    return guarded


def about(config: Mapping[str, Any]) -> dict[str, Any]:
    """What decides the scores beside the arguments of a search: the log, and the sources of the objective.

    With ``sources=changed`` the sources are those that the search in ``out`` began with.

    Raises:
        ConfigError: ``sources`` is another word.
    """
    if config["sources"] not in SOURCES:
        raise ConfigError(f"sources: {config['sources']!r} is not one of {', '.join(SOURCES)}")
    begun = first_line(user_path(str(config["out"]))).get("about") if config["sources"] == "changed" else None
    if isinstance(begun, dict) and "sources" in begun:
        return {"log": config.get("log"), "sources": begun["sources"]}
    modules = [str(config["objective"]).partition(":")[0], *(config["plugins"] or [])]
    sources = {
        name: hashlib.blake2b(read_regular(path), digest_size=8).hexdigest()
        for name, path in sorted(plugin_files(modules).items())
    }
    return {"log": config.get("log"), "sources": sources}


def largest_of(folder: Path, space: Space) -> dict[str, float]:
    """The largest magnitudes that a search with ``density`` kept.

    Raises:
        DataError: the folder holds no such search. ConfigError: it was of another pipeline.
    """
    path = folder / FIGURES
    found = read_json(path)
    largest = found.get("largest") if isinstance(found, dict) else None
    if not isinstance(largest, dict) or not all(type(v) is float and 0 <= v <= 1 for v in largest.values()):
        raise DataError(f"within: {path} is not the result of a search with engine=density")
    names = {d.name for d in space.dimensions}
    if set(largest) != names:
        odd = sorted(set(largest) ^ names)[0]
        raise ConfigError(f"within: {folder} is of another pipeline, since only one of the two moves {odd!r}")
    return largest


def summary(result: SearchResult, out: str) -> None:
    """Print the result."""
    count, best = len(result.trials), result.best
    scores = ", ".join(
        f"{name} {best.value(name):.4g}" + (f" ± {s:.2g}" if (s := best.spread(name)) is not None else "")
        for name in best.scores
    )
    print_line = functools.partial(report.OUT.print, markup=False, soft_wrap=True, highlight=False)
    if "largest" in result.facts:
        gone = [name for name, m in result.facts["largest"].items() if m == 0]
        less = [f"{name} to {m:g}" for name, m in result.facts["largest"].items() if 0 < m < 1]
        print_line(f"clean {scores}; thrown out: {', '.join(gone) or 'nothing'}; narrowed: {', '.join(less) or 'none'}")
    else:
        print_line(f"best of {count} trials: trial {best.number}, {scores}")
        print_line(described(best.recipe))
    print_line(f"wrote {Path(out) / PRESET}; use it with pipeline=policy --config-dir {out}")
    print_line(f"the report is {Path(out) / REPORT}")
