"""Running a job: taking up what an earlier run left, the samples, and the last step."""

from __future__ import annotations

import contextlib
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from fusion_aug.core.compose import leaves
from fusion_aug.errors import USER_ERRORS, ConfigError, FusionAugError, MissingPackage
from fusion_aug.logs.core.log import find_exporter
from fusion_aug.logs.core.writer import WORK
from fusion_aug.logs.remote.address import is_url
from fusion_aug.run.beginning import begun
from fusion_aug.run.donating import check_donors
from fusion_aug.run.ending import RunResult, end
from fusion_aug.run.job import Job, start_job
from fusion_aug.run.obstacles import refuse_obstacles
from fusion_aug.run.publishing import Publisher, published
from fusion_aug.run.ray_engine import RayOptions, work_on_ray
from fusion_aug.run.scope import check_names
from fusion_aug.run.tasks import shard_of
from fusion_aug.run.told import Told
from fusion_aug.run.unfinished import clean
from fusion_aug.run.workers import Outcomes, ProcessDied, work_through
from fusion_aug.sample import Sample
from fusion_aug.transforms.camera.photometric import gel_refusal_message, gels_to_refuse
from fusion_aug.transforms.scene.grids import grids_to_refuse

Progress = Callable[[int, int], None]
ROUNDS = 2  # in which samples are made again that a store has lost


def check_options(config: dict[str, Any]) -> None:
    """Raise where an option of ``fusion-aug run`` has a wrong value.

    Raises:
        ConfigError: naming the option.
    """

    def whole(key: str, low: int, nullable: bool = False) -> None:
        value = config[key]
        if nullable and value is None:
            return
        if type(value) is not int or value < low:
            raise ConfigError(f"{key}: expected a whole number of at least {low}, got {value!r}")

    if config["out"] is None:
        raise ConfigError("out: is empty; give a folder")
    shard_of(config["shard"])
    whole("seed", 0)
    if is_url(config["out"]):
        lapse = config["storage"]["claim_seconds"]
        if isinstance(lapse, bool) or not isinstance(lapse, int | float) or not lapse >= 1:
            raise ConfigError(f"storage.claim_seconds: expected a number of at least 1, got {lapse!r}")
    whole("workers", 0)
    whole("copies", 0 if config["keep_original"] else 1)
    whole("limit", 1, nullable=True)
    if config["engine"].get("name") == "ray":
        RayOptions.of(config["engine"])
    elif config["engine"] != {"name": "local"}:
        raise ConfigError(f"engine: expected local, which has no options, or ray, got {config['engine']!r}")
    seconds = config["sample_seconds"]
    if seconds is not None and (isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds > 0):
        raise ConfigError(f"sample_seconds: expected seconds above 0, or null for no limit, got {seconds!r}")
    if seconds is not None and config["engine"]["name"] == "ray":
        raise ConfigError("sample_seconds: tasks of Ray have no such limit; leave it out")
    if seconds is not None and not config["workers"]:
        raise ConfigError("sample_seconds: only a process of its own can be ended; give workers=1 or more as well")
    for key, choices in (("on_error", ("fail", "skip")), ("link", ("copy", "hard"))):
        if config[key] not in choices:
            raise ConfigError(f"{key}: expected {' or '.join(choices)}, got {config[key]!r}")
    if config["output"] not in (None, config["log"]["format"]):
        find_exporter(str(config["output"]))
    for key in ("keep_original", "dry_run", "lossy", "report"):
        if not isinstance(config[key], bool):
            raise ConfigError(f"{key}: expected true or false, got {config[key]!r}")
    if config["report"] and (config["shard"] or is_url(config["out"])):
        what = "a shard is no whole run" if config["shard"] else "an output in a store is checked where it can be read"
        raise ConfigError(
            f"report: {what}; leave it out and say fusion-aug check OUT --html FILE when the run has ended"
        )


def check_expressible(job: Job) -> None:
    """Refuse, before the first byte, what the format's own tool would read wrongly.

    The first sample that can be read is asked. A writer may look into its files for that, where reading did not.

    Raises:
        ConfigError: naming transform, field, reason and remedy.
        FusionAugError: a sample cannot be read, and such are not skipped.
    """
    check_donors(job.planned, job.donors)
    skips = job.config["on_error"] == "skip"
    for source in job.tasks.ids:
        is_read = False
        try:
            sample = job.log.read(source)
            is_read = True
            return check_sample(job, sample)
        except USER_ERRORS as error:
            of_the_run = MissingPackage if not is_read else ConfigError  # the same for every sample
            if not skips or isinstance(error, of_the_run):
                raise
    check_sample(job, None)


def check_sample(job: Job, sample: Sample | None) -> None:
    """Refuse what the output cannot hold of the pipeline, for a sample of the log or, without one, for any."""
    if sample is not None:
        refuse_unfit(job, sample)
    problems = job.writer.can_express(job.planned, sample)
    if problems and not job.config["lossy"]:
        raise ConfigError(f"{job.output} cannot hold what the pipeline makes: " + "; ".join(map(str, problems)))


def refuse_unfit(job: Job, sample: Sample) -> None:
    """Raise if a pipeline names sensors that a sample lacks, would change gels as pictures of light, or tilt grids."""
    check_names(job.planned, sample)
    if grids := grids_to_refuse(job.planned, sample):
        raise ConfigError(grids)
    for leaf in leaves(job.planned):
        gels = gels_to_refuse(leaf, sample) if leaf.p > 0 else []
        if gels:
            raise ConfigError(gel_refusal_message(type(leaf).__name__, gels[0]))


def execute(job: Job, progress: Progress | None = None) -> RunResult:
    """Run a job, or continue an unfinished one; of a shard the samples only.

    Raises:
        FusionAugError: bad input, a foreign output folder, no space; nothing is left half-written but the ``.work``
            folder that the next run goes on from.
    """
    check_options(job.config)
    refuse_obstacles(job.planned, job.log)
    check_expressible(job)
    start, total, was_there = time.monotonic(), len(job.numbers), os.path.lexists(job.out)
    with published(job) as place, begun(job) as notes:
        if notes is None:
            return RunResult(total, [], total, 0.0, already_done=True)
        place.begun()
        todo = [i for i in job.numbers if not job.done_file(i).is_file()]
        resumed = done = total - len(todo)
        try:
            told = Told(job.out, job.config["shard"], notes)
            tell(told, place)
            if progress:
                progress(done, total)
            for number in process_all(job, todo, told.retried):
                tell(told, place)
                place.done(number)
                done += 1
                if progress:
                    progress(done, total)
            place.all_done()
            if not job.config["shard"]:
                make_again(job, place, told)
                return end(job, start, resumed, notes, place)
        except USER_ERRORS:
            forget(job, was_there)
            raise
        except OSError as error:
            raise as_told(error, job.out) from None
        skipped = [(job.tasks[i][0], str(m["skipped"])) for i in job.numbers if "skipped" in (m := job.marker(i))]
        seconds = time.monotonic() - start
        return RunResult(total - len(skipped), skipped, resumed, seconds, is_shard=True, notes=tuple(told.notes))


def tell(told: Told, place: Publisher) -> None:
    """Keep what a run tells where the last step finds it."""
    if told.save():
        place.told(told.path)


def make_again(job: Job, place: Publisher, told: Told) -> None:
    """Make samples again whose files the place of the output does not hold, though it said so.

    Raises:
        FusionAugError: it does so again and again.
    """
    for _ in range(ROUNDS):
        lost = place.lost()
        if not lost:
            return
        for number in process_all(job, lost, told.retried):
            told.retried[number] += 1
            tell(told, place)
            place.done(number)
        place.all_done()
    if lost := place.lost():
        name = job.tasks[lost[0]][0]
        raise FusionAugError(
            f"{job.out}: files of {len(lost)} samples, first {name!r}, are not there though the store said that they "
            f"were written; give the command again"
        )


def forget(job: Job, was_there: bool) -> None:
    """Remove what a run that failed has made, where there is nothing in it that a next run could go on from.

    Args:
        job: of the run. was_there: whether its folder was, which is another's then and stays.
    """
    with contextlib.suppress(OSError):  # then it stays; what is to be told is why the run failed
        if (
            not job.config["shard"]
            and not (job.out / WORK / "done").exists()
            and [p.name for p in job.out.iterdir()] == [WORK]
        ):
            clean(job.out)
            if not was_there:
                job.out.rmdir()


def process_all(job: Job, todo: list[int], retried: Counter[int]) -> Iterator[int]:
    """Process samples here, in workers or on a cluster; yields the number of each that is finished.

    ``retried`` is told of every one that is tried again.
    """
    workers, engine = int(job.config["workers"]), job.config["engine"]
    outcomes: Outcomes
    if engine["name"] == "ray":
        setup = (start_job, job.config_of_workers, job.log.intensity_scales)
        outcomes = work_on_ray(todo, workers, RayOptions.of(engine), retried, *setup)
    elif workers:
        setup = (start_job, job.config_of_workers, job.log.intensity_scales)
        outcomes = work_through(todo, workers, retried, *setup, seconds=job.config["sample_seconds"])
    else:
        outcomes = ((number, _outcome(job, number)) for number in todo)
    with contextlib.closing(outcomes):
        for number, error in outcomes:
            if error is not None:
                skip_or_raise(job, number, error)
            yield number


def _outcome(job: Job, number: int) -> Exception | None:
    try:
        job.process(number)
    except SystemExit as error:  # in a worker it would end that alone
        return ProcessDied(f"its code ended the program (sys.exit({error.code!r}))")
    except Exception as error:
        return error
    return None


def skip_or_raise(job: Job, number: int, error: Exception) -> None:
    """Note that a sample failed where such are skipped, else raise what says so."""
    if isinstance(error, ProcessDied | MemoryError):
        why = error if isinstance(error, ProcessDied) else "needs more memory than there is"
        error = FusionAugError(f"sample {job.tasks[number][0]!r}: {why}; on_error=skip goes on without it")
    if isinstance(error, USER_ERRORS) and not isinstance(error, MissingPackage) and job.config["on_error"] == "skip":
        job.skip(number, str(error))
        return
    raise error


def as_told(error: OSError, out: Path) -> FusionAugError:
    """One sentence of an error of the system."""
    return FusionAugError(f"{error.filename or out}: {error.strerror or error}")


def output_size(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
