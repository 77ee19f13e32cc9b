"""How a run begins: in a new folder, where another one stopped, or not at all since it is finished."""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from calib.regular_files import open_regular
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.logs.core.differences import differences
from fusion_aug.logs.core.files import read_json
from fusion_aug.logs.core.full_disk import naming_output
from fusion_aug.logs.core.inputs import difference, without_ctime
from fusion_aug.logs.core.locks import FolderLock, Locked
from fusion_aug.logs.core.new_files import new_file
from fusion_aug.logs.core.options import absolute
from fusion_aug.logs.core.writer import WORK
from fusion_aug.run.job import Job
from fusion_aug.run.kernels import kernel_note, kernels
from fusion_aug.run.keys import HOW_ONLY
from fusion_aug.run.links import refuse_links
from fusion_aug.run.unfinished import (
    FACTS,
    FINISHED,
    INPUTS,
    NEW,
    PLANNING,
    UNFINISHED,
    clean,
    is_of_run,
    plan_of,
    state,
    write_plan,
)  # fmt: skip
from fusion_aug.safe.guard import guarded
from fusion_aug.sample.manifest import read_manifest

REMEDY = "remove it or choose another folder"


@contextmanager
def begun(job: Job) -> Iterator[list[str] | None]:
    """The output of a job, begun and locked: for a shard its samples, else all of them.

    Yields:
        what to tell of it, or None where the same job is finished already.

    Raises:
        ConfigError: the output lies inside the input (or the input in it), holds something else, or another process
            is at work on it.
    """
    fingerprint, found = refuse_occupied(job)
    if found == FINISHED:
        clean(job.out)  # a process that was killed in its last step left it
        yield None
        return
    with naming_output(job.out / WORK, job.out):
        lock = FolderLock(job.out / WORK)
    try:
        try:
            if len(job.numbers):
                lock.hold(job.numbers.start, len(job.numbers) if job.config["shard"] else PLANNING)
        except Locked:
            raise ConfigError(f"out: another run is writing {job.out}; wait until it ends, or stop it") from None
        lock.hold(PLANNING, 1, wait=True)
        found = _state(job)
        if found == NEW:
            cache = [job.log.mirror.home] if job.log.mirror else []  # it may be the disk that is full
            with naming_output(job.out / WORK, job.out, *cache):
                _plan(job, fingerprint)
        lock.release(PLANNING, 1)
        notes: list[str] = []
        if found == FINISHED:  # meanwhile
            clean(job.out)
            yield None
            return
        if found == UNFINISHED:
            _refuse_another(job, fingerprint)
            notes = refuse_changed(job)
        yield [*notes, *kernel_note(plan_of(job.out).get("kernels", {}), job.place)]
    finally:
        lock.close()


def refuse_occupied(job: Job) -> tuple[str, str]:
    """Look at what lies at the output of a job, and change nothing.

    Returns:
        fingerprint of the job, and the state of its output: nothing, or a run of the same job.

    Raises:
        ConfigError: see ``begun``.
    """
    # the fingerprint reads the input, so that what is wrong with it shows before anything is made
    fingerprint, found = job.fingerprint(), _state(job)
    refuse_links(job.out)
    if found == FINISHED:
        _refuse_another_finished(job, fingerprint)
    if found == UNFINISHED:
        _refuse_another(job, fingerprint)
    return fingerprint, found


def _state(job: Job) -> str:
    """See ``state``; an output that lies inside the input, around it, or inside the output of a run, is refused."""
    out, root = job.out.resolve(), job.log.root.resolve()
    if out == root or out.is_relative_to(root) or root.is_relative_to(out):
        raise ConfigError(f"out: {job.out} and the input {job.log.root} lie in one another; choose a folder apart")
    around = next((folder for folder in out.parents if is_of_run(folder)), None)
    if around is not None:
        raise ConfigError(f"out: {job.out} lies in {around}, the output of another run; choose a folder apart")
    return state(job.out)


def _plan(job: Job, fingerprint: str) -> None:
    """Write what is read, and then the plan."""
    part = job.out / WORK / f"{INPUTS}.part"
    with new_file(part) as file:
        file.writelines(f"{line}\n" for line in job.input_lines())
    part.replace(part.with_name(INPUTS))
    plan: dict[str, Any] = {"fingerprint": fingerprint, "samples": len(job.tasks), "kernels": kernels()}
    write_plan(job.out, plan | {"config": _settings(job)})


def _settings(job: Job) -> dict[str, Any]:
    """The configuration that the plan holds."""
    return {**job.config, "out": None, "shard": None, "log": _log_settings(job)}


def _log_settings(job: Job) -> dict[str, Any]:
    """Settings of the input, which mean the same in another current folder."""
    options = {n: absolute(getattr(job.log.options, n), job.log.root) for n in job.log.format.file_options}
    return {**job.config["log"], "root": job.log.origin, **options}


@partial(guarded, where=lambda job: str(job.out / WORK / INPUTS))
def refuse_changed(job: Job) -> list[str]:
    """Raise if a file that the job reads is not as it was when the run began.

    Returns:
        what is told of files that seem to be the same; nothing where the run links to them, which shows as well.

    Raises:
        ConfigError: naming the file.
    """
    if job.log.mirror:
        job.log.mirror.look_again()
    found = difference(noted_inputs(job), job.input_lines())
    if found.change is not None:
        raise ConfigError(
            f"out: {job.out} holds an unfinished run of another input: {job.log.root}: {found.change} since it began; "
            f"{REMEDY}"
        )
    if not found.touched or job.config["link"] == "hard":
        return []
    return [
        f"{job.log.root}: {found.touched} files, first {found.example}, were copied, linked, given other rights, or "
        f"written with their old date since the run began; size and date of each are the same, so it went on"
    ]


def inputs_digest(lines: Iterable[str]) -> str:
    """Digest of what ``refuse_changed`` compares, for a finished run: of the lines without their ends."""
    total = hashlib.blake2b(digest_size=16)
    for line in lines:
        total.update(f"{without_ctime(line)}\n".encode())
    return total.hexdigest()


def noted_inputs(job: Job) -> Iterator[str]:
    """What was read when the run began."""
    with io.TextIOWrapper(open_regular(job.out / WORK / INPUTS), encoding="utf-8") as lines:
        for line in lines:
            yield line.rstrip("\n")


def _refuse_another(job: Job, fingerprint: str) -> None:
    """Raise if the unfinished run is not that of the job; the settings or the file that make it so are named."""
    plan = plan_of(job.out)
    if plan["fingerprint"] == fingerprint:
        return
    there, now = plan.get("config"), _settings(job)
    if isinstance(there, dict) and not differences({"log": there.get("log")}, {"log": now["log"]}):
        refuse_changed(job)  # with a file come and go samples and the scale of intensities
    apart = differences(there, now, HOW_ONLY)
    why = apart or "begun by another version of fusion_aug"
    raise ConfigError(f"out: {job.out} holds an unfinished run of another job ({why}); {REMEDY}")


def _refuse_another_finished(job: Job, fingerprint: str) -> None:
    """Raise if the finished run is not that of the job."""
    facts = read_json(job.out / FACTS)
    facts = facts if isinstance(facts, dict) else {}
    if facts.get("fingerprint") != fingerprint:
        there: dict[str, Any] = {}
        with contextlib.suppress(DataError):  # what it says is for the message only
            there = {**read_manifest(job.out).header, "source_root": facts.get("source_root")}
        apart = differences(there, {**job.header(), "source_root": job.log.origin}, ("account",))
        told = f" ({apart})" if there and apart else ""
        raise ConfigError(f"out: {job.out} holds the finished run of another job{told}; {REMEDY}")
    if facts.get("inputs") != inputs_digest(job.input_lines()):
        raise ConfigError(
            f"out: {job.out} holds the finished run of another job, whose input was changed since; {REMEDY}"
        )
