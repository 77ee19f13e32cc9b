"""``search_policy``: which pipeline, how strong and how often, a training gets best with."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from fusion_aug.core.random import whole_number
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.logs.core.files import user_path
from fusion_aug.logs.core.full_disk import naming_output
from fusion_aug.logs.core.locks import FolderLock, Locked
from fusion_aug.logs.core.writer import WORK
from fusion_aug.policy.search.checkpoints import FOLDER, Checkpoints
from fusion_aug.policy.search.engine import ENGINES, Engine, Task, make_engine, whole
from fusion_aug.policy.search.journal import NAME, Journal, is_json
from fusion_aug.policy.search.objective import Objective, name_of
from fusion_aug.policy.search.recipes import pipeline_of
from fusion_aug.policy.search.result import PRESET, SearchResult, found, space_facts, write_result
from fusion_aug.policy.search.trainings import Trainings
from fusion_aug.policy.search.trials import Trial
from fusion_aug.policy.space import Space


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
        FusionAugError: the objective raised something, which is its cause. The same call goes on with that training.
    """
    name = name_of(objective)
    if about is not None and not is_json(about):
        raise ConfigError(f"about: expected what JSON can hold, numbers, texts, lists and mappings, got {about!r}")
    if not isinstance(space, Space):
        raise ConfigError(f"space: expected a Space, as of fa.Space.of(pipeline), got {type(space).__name__}")
    given = None if trials is None else whole(trials, "trials", 1)
    task = Task(space, given, whole_number(seed, "seed"), whole(epochs, "epochs", 1), _scores(score, engine))
    runs, searcher = _seeds(seeds, task.seed), make_engine(engine, task, options)
    chosen = {option: value for option in searcher.options() if (value := getattr(searcher, option)) is not None}
    header = {
        "engine": engine, "options": chosen, "trials": searcher.trials,
        "seed": task.seed, "seeds": runs, "epochs": task.epochs, "score": task.scores, "objective": name,
        "about": about or {}, "space": space_facts(space),
    }  # fmt: skip
    with _held(user_path(out).absolute()) as folder, naming_output(folder):
        checkpoints, total = Checkpoints(folder, searcher.needs_checkpoints), searcher.trials * len(runs)

        def told(done: int) -> None:
            if progress is not None:
                progress(done, total)

        with closing(Journal(folder, header)) as journal:
            made = _trials(searcher, Trainings(objective, runs, journal, checkpoints, task.scores, told))
        result = found(searcher, made, pipeline_of(space, searcher.best(made).recipe), folder)
        write_result(result, header)
    return result


def _trials(engine: Engine, trainings: Trainings) -> list[Trial]:
    """All trials: each is asked for after the ones before were told."""
    made: list[Trial] = []
    for number in range(engine.trials):
        proposal = engine.ask(number)
        made.append(trainings.trial(number, proposal, pipeline_of(engine.task.space, proposal.recipe)))
        engine.tell(made[-1])
        trainings.checkpoints.discard(engine.dispensable(number), trainings.seeds)
    return made


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
    for folder in (out / WORK, out / FOLDER, (out / PRESET).parent):
        if folder.is_symlink():
            raise DataError(f"{folder}: is a link, which no search makes; remove it, or choose another folder")
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


__all__ = ["search_policy"]
