"""``search_policy``: which pipeline, how strong and how often, a training gets best with."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

from fusion_aug.core.compose import Compose
from fusion_aug.core.random import whole_number
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.logs.core.files import user_path
from fusion_aug.logs.core.full_disk import naming_output
from fusion_aug.logs.core.locks import FolderLock, Locked
from fusion_aug.logs.core.writer import WORK
from fusion_aug.policy.search.engine import ENGINES, Engine, Task, make_engine, whole
from fusion_aug.policy.search.journal import NAME, Journal, sync_folder
from fusion_aug.policy.search.objective import Checkpoint, Objective, checked_scores, name_of
from fusion_aug.policy.search.recipes import pipeline_of
from fusion_aug.policy.search.result import SearchResult, found, space_facts, write_result
from fusion_aug.policy.search.trials import Proposal, Trial
from fusion_aug.policy.space import Space

CHECKPOINTS = "checkpoints"


def search_policy(
    objective: Objective,
    space: Space,
    engine: str = "grid",
    trials: int | None = None,
    seed: int = 0,
    *,
    out: str | Path,
    epochs: int = 1,
    seeds: int | Sequence[int] = 1,
    score: str | Sequence[str] | None = None,
    about: Mapping[str, Any] | None = None,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> SearchResult:
    """Search a space for the pipeline that an objective scores highest.

    Every finished training is on the disk before the next one begins. The same call goes on with a search that was
    killed, and ends with the same files, byte for byte, as far as the objective gives the same numbers again.

    Args:
        objective: ``objective(pipeline, seed, epochs, checkpoint)`` trains and returns scores by name, higher is better
            (of ``density``: ``loss`` of a frozen model). ``checkpoint`` says where it goes on from, see ``Checkpoint``.
        space: what is searched. engine: grid, random, pbt, optuna, density or reinforce; docs/search.md tells them
            apart.
        trials: how many pipelines are tried; 9 by default, and of ``density`` as many as its levels ask for.
        seed: of the search. out: folder, new, or of the same search.
        epochs: of one training, as the objective counts them.
        seeds: of the trainings of every trial: how many, counted from ``seed`` on, or which. All trials get the same.
        score: the name that counts, or ``mean`` of all names, the default; ``optuna`` takes two or more names.
        about: what else decides the scores, JSON-able, such as a hash of the data; a search with another is refused.
        progress: is told how many trainings are done, and of how many.
        options: of the engine.

    Returns:
        the best pipeline, every trial, and the folder of the files.

    Raises:
        ConfigError: an argument is wrong, or the objective returned something else than scores.
        DataError: ``out`` holds something else, or another search; the message says what differs.
    """
    name = name_of(objective)
    if not isinstance(space, Space):
        raise ConfigError(f"space: expected a Space, as of fa.Space.of(pipeline), got {type(space).__name__}")
    given = None if trials is None else whole(trials, "trials", 1)
    runs = _seeds(seeds, whole_number(seed, "seed"))
    task = Task(space, given, whole_number(seed, "seed"), whole(epochs, "epochs", 1), _scores(score, engine))
    searcher = make_engine(engine, task, options)
    chosen = {name: value for name in searcher.options() if (value := getattr(searcher, name)) is not None}
    header = {
        "engine": engine, "options": chosen, "trials": searcher.trials,
        "seed": task.seed, "seeds": runs, "epochs": task.epochs, "score": task.scores, "objective": name,
        "about": dict(about or {}), "space": space_facts(space),
    }  # fmt: skip
    with _held(user_path(out).absolute()) as folder, naming_output(folder):
        journal = Journal(folder, header)
        try:
            made = _trials(searcher, journal, objective, runs, folder, progress)
        finally:
            journal.close()
        result = found(searcher, made, pipeline_of(space, searcher.best(made).recipe), folder)
        write_result(result, header)
    return result


def _scores(score: Any, engine: str) -> tuple[str, ...]:
    """The names that count."""
    if score is None:
        return (ENGINES[engine].default_score,) if engine in ENGINES else ()
    names = (score,) if isinstance(score, str) else tuple(score) if isinstance(score, Sequence) else ()
    if not names or not all(isinstance(n, str) and n for n in names) or len(set(names)) < len(names):
        raise ConfigError(f"score: expected the name of a score, mean, or a list of names, got {score!r}")
    return names


def _seeds(seeds: Any, first: int) -> list[int]:
    """The seeds of every trial."""
    if isinstance(seeds, Sequence) and not isinstance(seeds, str):
        given = [whole_number(s, "seeds") for s in seeds]
        if not given or len(set(given)) < len(given):
            raise ConfigError(f"seeds: expected how many, or a list of whole numbers, each once, got {seeds!r}")
        return given
    return [first + i for i in range(whole(seeds, "seeds", 1))]


@contextmanager
def _held(out: Path) -> Iterator[Path]:
    """The folder of a search, which no other process searches into meanwhile.

    Raises:
        DataError: something else is there, it cannot be made, or another process is at work in it.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{out}: cannot be made ({error.strerror})") from None
    if any(p.name != WORK for p in out.iterdir()) and not (out / NAME).is_file():
        raise DataError(f"{out}: is not empty and holds no search; choose another folder")
    lock = FolderLock(out / WORK)
    try:
        lock.hold()
    except Locked:
        lock.close()
        raise DataError(f"{out}: another process is searching into it") from None
    try:
        yield out
    finally:
        shutil.rmtree(out / WORK)
        lock.close()


def _trials(
    engine: Engine,
    journal: Journal,
    objective: Objective,
    seeds: Sequence[int],
    folder: Path,
    progress: Callable[[int, int], None] | None,
) -> list[Trial]:
    """All trials, those that the journal knows taken from it."""
    trials: list[Trial] = []
    names: list[str] | None = None
    for number in range(engine.trials):
        proposal = engine.ask(number)
        pipeline = pipeline_of(engine.task.space, proposal.recipe)
        rows: list[dict[str, float]] = []
        for run, seed in enumerate(seeds):
            where = f"trial {number}, seed {seed}"
            asked = {"trial": number, "seed": seed, **{f.name: getattr(proposal, f.name) for f in fields(Proposal)}}
            known = journal.known(asked)
            if known is None:
                scores = _train(objective, pipeline, seed, proposal, number, folder, engine.needs_checkpoints, where)
                known = checked_scores(scores, where, names)
                journal.append(asked | {"scores": known})
            rows.append(checked_scores(known, where, names))
            names = list(rows[-1])
            for score in engine.task.scores:
                Trial(number, proposal, {n: (row,) for n, row in rows[-1].items()}).per_seed(score)  # or say so now
            if progress is not None:
                progress(number * len(seeds) + run + 1, engine.trials * len(seeds))
        trials.append(Trial(number, proposal, {n: tuple(row[n] for row in rows) for n in names or ()}))
        engine.tell(trials[-1])
        for old in engine.dispensable(number):
            for seed in seeds:
                remove(checkpoint_path(folder, old, seed))
    return trials


def checkpoint_path(folder: Path, trial: int, seed: int) -> Path:
    """Where a training may leave its checkpoint."""
    return folder / CHECKPOINTS / f"trial{trial:06d}-seed{seed}"


def _train(
    objective: Objective, pipeline: Compose, seed: int, proposal: Proposal, number: int, folder: Path, needed: bool,
    where: str,
) -> Any:  # fmt: skip
    """One training; what an interrupted one left of its checkpoint is removed first."""
    before = None if proposal.parent is None else checkpoint_path(folder, proposal.parent, seed)
    if before is not None and not before.exists():
        raise DataError(f"{before}: is missing, from which {where}, goes on; search anew in another folder")
    after = checkpoint_path(folder, number, seed)
    after.parent.mkdir(exist_ok=True)
    remove(after)
    scores = objective(pipeline, seed, proposal.epochs, Checkpoint(before, after, proposal.start))
    if needed and not after.exists():
        raise ConfigError(f"objective: {where}, left nothing at checkpoint.after ({after}), from which pbt goes on")
    sync(after)
    return scores


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there; no link is followed."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Wait until a file, or all files of a folder, are on the disk, if there are any."""
    for part in [path, *sorted(path.rglob("*"))] if path.exists() else ():
        with suppress(OSError):  # a pipe, or a link that leads nowhere
            handle = os.open(part, os.O_RDONLY | os.O_NONBLOCK)
            os.fsync(handle)
            os.close(handle)
    if path.parent.is_dir():
        sync_folder(path.parent)


__all__ = ["search_policy"]
