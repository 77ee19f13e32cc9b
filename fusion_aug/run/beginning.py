"""How a run begins: in a new folder, where another one stopped, or not at all since it is finished."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from fusion_aug.errors import ConfigError
from fusion_aug.logs.core.files import read_json
from fusion_aug.logs.core.inputs import first_change
from fusion_aug.logs.core.locks import FolderLock, Locked
from fusion_aug.logs.core.options import absolute
from fusion_aug.logs.core.writer import WORK
from fusion_aug.run.job import Job
from fusion_aug.run.kernels import kernel_note, kernels
from fusion_aug.run.unfinished import (
    FACTS,
    FINISHED,
    INPUTS,
    NEW,
    PLANNING,
    UNFINISHED,
    clean,
    plan_of,
    state,
    write_plan,
)  # fmt: skip

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
    # the fingerprint reads the input, so that what is wrong with it shows before anything is made
    fingerprint, found = job.fingerprint(), _state(job)
    if found == FINISHED:
        _finish_cleaning(job, fingerprint)
        yield None
        return
    if found == UNFINISHED:
        _refuse_another(job, fingerprint)
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
            _plan(job, fingerprint)
        lock.release(PLANNING, 1)
        if found == FINISHED:  # meanwhile
            clean(job.out)
            yield None
            return
        if found == UNFINISHED:
            _refuse_another(job, fingerprint)
            refuse_changed(job)
        yield kernel_note(plan_of(job.out).get("kernels", {}), job.place)
    finally:
        lock.close()


def _state(job: Job) -> str:
    """See ``state``; an output that lies inside the input, or around it, is refused."""
    out, root = job.out.resolve(), job.log.root.resolve()
    if out == root or out.is_relative_to(root) or root.is_relative_to(out):
        raise ConfigError(f"out: {job.out} and the input {job.log.root} lie in one another; choose a folder apart")
    return state(job.out)


def _plan(job: Job, fingerprint: str) -> None:
    """Write what is read, and then the plan."""
    part = job.out / WORK / f"{INPUTS}.part"
    with part.open("w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in job.input_lines())
    part.replace(part.with_name(INPUTS))
    config = {**job.config, "out": None, "shard": None}
    options = {n: absolute(getattr(job.log.options, n), job.log.root) for n in job.log.format.file_options}
    config["log"] = {**config["log"], "root": job.log.origin, **options}
    plan: dict[str, Any] = {"fingerprint": fingerprint, "samples": len(job.tasks), "kernels": kernels()}
    write_plan(job.out, plan | {"config": config})


def refuse_changed(job: Job) -> None:
    """Raise if a file that the job reads is not as it was when the run began.

    Raises:
        ConfigError: naming the file.
    """
    if job.log.mirror:
        job.log.mirror.look_again()
    change = first_change(noted_inputs(job), job.input_lines())
    if change is not None:
        raise ConfigError(
            f"out: {job.out} holds an unfinished run of another input: {job.log.root}: {change} since it began; "
            f"{REMEDY}"
        )


def inputs_digest(lines: Iterable[str]) -> str:
    """Digest of what ``refuse_changed`` compares, for a finished run: of the lines without their ends."""
    total = hashlib.blake2b(digest_size=16)
    for line in lines:
        total.update(f"{line}\n".encode())
    return total.hexdigest()


def noted_inputs(job: Job) -> Iterator[str]:
    """What was read when the run began."""
    with (job.out / WORK / INPUTS).open(encoding="utf-8") as lines:
        for line in lines:
            yield line.rstrip("\n")


def _refuse_another(job: Job, fingerprint: str) -> None:
    if plan_of(job.out)["fingerprint"] != fingerprint:
        raise ConfigError(f"out: {job.out} holds an unfinished run of another job; {REMEDY}")


def _finish_cleaning(job: Job, fingerprint: str) -> None:
    """Remove what a process that was killed in its last step left of its work."""
    facts = read_json(job.out / FACTS)
    if not isinstance(facts, dict) or facts.get("fingerprint") != fingerprint:
        raise ConfigError(f"out: {job.out} holds the finished run of another job; {REMEDY}")
    if facts.get("inputs") != inputs_digest(job.input_lines()):
        raise ConfigError(
            f"out: {job.out} holds the finished run of another job, whose input was changed since; {REMEDY}"
        )
    clean(job.out)
