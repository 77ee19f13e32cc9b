"""Running a job: resume, workers, errors, and the merge at the end."""

from __future__ import annotations

import json
import multiprocessing
import platform
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fusion_aug.core.compose import leaves
from fusion_aug.errors import USER_ERRORS, ConfigError, FusionAugError
from fusion_aug.logs.core.files import read_json
from fusion_aug.logs.core.log import find_exporter
from fusion_aug.logs.core.options import absolute
from fusion_aug.logs.core.sample_account import StreamAccount, total_account
from fusion_aug.run.job import WORK, Job, start_worker, work
from fusion_aug.run.scope import check_names
from fusion_aug.sample import Sample
from fusion_aug.sample.manifest import NAME
from fusion_aug.transforms.camera.photometric import gel_refusal_message, gels_to_refuse

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class RunResult:
    """Result of a run.

    Attributes:
        written: samples written. skipped: (source id, reason) of those that could not be read.
        resumed: samples that an earlier, interrupted run had finished.
        seconds: wall time.
        already_done: the output was complete before.
        streams: account of every stream over all samples, as the manifest's first line holds it.
    """

    written: int
    skipped: list[tuple[str, str]]
    resumed: int
    seconds: float
    already_done: bool = False
    streams: Mapping[str, StreamAccount] = field(default_factory=dict)


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
    whole("seed", 0)
    whole("workers", 0)
    whole("copies", 0 if config["keep_original"] else 1)
    whole("limit", 1, nullable=True)
    for key, choices in (("on_error", ("fail", "skip")), ("link", ("copy", "hard"))):
        if config[key] not in choices:
            raise ConfigError(f"{key}: expected {' or '.join(choices)}, got {config[key]!r}")
    if config["output"] not in (None, config["log"]["format"]):
        find_exporter(str(config["output"]))
    for key in ("keep_original", "dry_run", "lossy"):
        if not isinstance(config[key], bool):
            raise ConfigError(f"{key}: expected true or false, got {config[key]!r}")


def check_expressible(job: Job) -> None:
    """Refuse, before the first byte, what the format's own tool would read wrongly.

    Raises:
        ConfigError: naming transform, field, reason and remedy.
    """
    sample = first_sample(job)
    if sample is not None:
        check_names(job.pipeline, sample)
    for leaf in leaves(job.pipeline):
        gels = gels_to_refuse(leaf, sample) if sample is not None and leaf.p > 0 else []
        if gels:
            raise ConfigError(gel_refusal_message(type(leaf).__name__, gels[0]))
    problems = job.writer.can_express(job.pipeline, sample)
    if problems and not job.config["lossy"]:
        raise ConfigError(f"{job.output} cannot hold what the pipeline makes: " + "; ".join(map(str, problems)))


def first_sample(job: Job) -> Sample | None:
    """The first sample that can be read; None if all are to be skipped."""
    for source, _, _ in job.tasks:
        try:
            return job.log.read(source)
        except USER_ERRORS:
            if job.config["on_error"] == "fail":
                raise
    return None


def execute(job: Job, progress: Progress | None = None) -> RunResult:
    """Run a job, or continue an unfinished one.

    Raises:
        FusionAugError: bad input, a foreign output folder, no space; nothing is left half-written but the ``.work``
            folder that the next run goes on from.
    """
    check_options(job.config)
    check_expressible(job)
    total = len(job.tasks)
    if prepare_output(job):
        return RunResult(total, [], total, 0.0, already_done=True)
    start = time.monotonic()
    todo = [i for i in range(total) if not job.done_file(i).is_file()]
    resumed = total - len(todo)
    done = resumed
    try:
        for _ in process_all(job, todo):
            done += 1
            if progress:
                progress(done, total)
    except USER_ERRORS:
        if not (job.out / WORK / "done").exists() and [p.name for p in job.out.iterdir()] == [WORK]:
            shutil.rmtree(job.out)  # nothing that a next run could go on from
        raise
    skipped, streams = merge(job)
    seconds = time.monotonic() - start
    facts = {
        "source_root": str(job.log.root.resolve()),
        **{name: absolute(getattr(job.log.options, name), job.log.root) for name in job.log.format.file_options},
        "workers": job.config["workers"],
        "seconds": round(seconds, 3),
        "host": platform.node(),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "fingerprint": job.fingerprint(),
        "skipped": [list(s) for s in skipped],
    }
    (job.out / "run.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    shutil.rmtree(job.out / WORK)
    return RunResult(total - len(skipped), skipped, resumed, seconds, streams=streams)


def prepare_output(job: Job) -> bool:
    """Make the output folder or continue an unfinished one; True if the same job is finished already.

    Raises:
        ConfigError: it lies inside the input (or the input in it), or holds something else.
    """
    fingerprint = job.fingerprint()  # reads the input, so that what is wrong with it shows before anything is made
    out, root = job.out.resolve(), job.log.root.resolve()
    if out == root or out.is_relative_to(root) or root.is_relative_to(out):
        raise ConfigError(f"out: {job.out} and the input {job.log.root} lie in one another; choose a folder apart")
    plan = job.out / WORK / "plan.json"
    if job.out.exists() and not job.out.is_dir():
        raise ConfigError(f"out: {job.out} is a file")
    if job.out.is_dir() and any(job.out.iterdir()):
        if plan.is_file():
            if read_json(plan).get("fingerprint") != fingerprint:
                raise ConfigError(
                    f"out: {job.out} holds an unfinished run of another job; remove it or choose another folder"
                )
            return False
        facts = job.out / "run.json"
        if facts.is_file() and (job.out / NAME).is_file():
            if read_json(facts).get("fingerprint") == fingerprint:
                return True
            raise ConfigError(
                f"out: {job.out} holds the finished run of another job; remove it or choose another folder"
            )
        raise ConfigError(f"out: {job.out} is not empty and is not a run of ours; choose a new folder")
    plan.parent.mkdir(parents=True, exist_ok=True)
    part = plan.with_suffix(".part")
    part.write_text(json.dumps({"fingerprint": fingerprint}))
    part.replace(plan)
    return False


def process_all(job: Job, todo: list[int]) -> Iterator[int]:
    """Process samples here or in workers; yields the number of each that is finished."""
    workers = int(job.config["workers"])
    if workers == 0:
        for number in todo:
            finish_sample(job, number, None)
            yield number
        return
    context = multiprocessing.get_context("spawn")
    facts = (job.config, job.log.intensity_scales)
    with ProcessPoolExecutor(workers, mp_context=context, initializer=start_worker, initargs=facts) as pool:
        waiting = iter(todo)
        running: dict[Future[None], int] = {}
        try:
            while True:
                for number in waiting:
                    running[pool.submit(work, number)] = number
                    if len(running) >= 2 * workers:
                        break
                if not running:
                    return
                finished, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    number = running.pop(future)
                    finish_sample(job, number, future)
                    yield number
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def finish_sample(job: Job, number: int, future: Future[None] | None) -> None:
    """Take the result of one sample; skip it or stop if it failed."""
    try:
        job.process(number) if future is None else future.result()
    except USER_ERRORS as error:
        if job.config["on_error"] == "skip":
            job.skip(number, str(error))
            return
        raise
    except BrokenProcessPool:
        raise FusionAugError("a worker process died (out of memory?); run the same command again to go on") from None
    except OSError as error:
        raise FusionAugError(f"{error.filename or job.out}: {error.strerror or error}") from None


class StagedRows:
    """Rows of all staged samples in output order, read from disk at every iteration."""

    def __init__(self, job: Job, numbers: list[int]):
        self.job, self.numbers = job, numbers

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for number in self.numbers:
            yield json.loads(self.job.done_file(number).read_text())["rows"]


def merge(job: Job) -> tuple[list[tuple[str, str]], dict[str, StreamAccount]]:
    """Write tables and manifest from the markers, in output order; returns what was skipped, and the account."""
    written, skipped, lines = [], [], []
    for number in range(len(job.tasks)):
        data = json.loads(job.done_file(number).read_text())
        if "skipped" in data:
            skipped.append((job.tasks[number][0], str(data["skipped"])))
        else:
            written.append(number)
            lines.append(data["line"])
    if not written:
        raise FusionAugError(
            f"no sample could be written; the first one: {skipped[0][1] if skipped else 'none was selected'}"
        )
    job.writer.finish(StagedRows(job, written), [(line["id"], line["source"]) for line in lines])
    streams = total_account(line.get("account", {}) for line in lines)
    samples = {"asked": len(job.tasks), "written": len(written), "skipped": len(skipped)}
    account = {"samples": samples, "streams": streams, "reasons": job.loss_reasons, **job.account.to_json()}
    part = job.out / WORK / NAME
    with part.open("w", encoding="utf-8") as file:
        for row in ({**job.header(), "account": account}, *lines):
            file.write(json.dumps(row, sort_keys=True) + "\n")
    part.replace(job.out / NAME)
    return skipped, streams


def output_size(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
