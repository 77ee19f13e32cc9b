"""What lies in an output: nothing yet, a run that was not finished, or one that is.

``OUT/.work`` is there while a run is not finished::

    lock           held by those at work, sample by sample
    inputs.txt     what was read, see ``input_lines``
    plan.json      the job: its configuration and fingerprint, and the kernels it began with; without it all is to do
    stage-N/       files of a sample that is being made
    done/N.json    markers of finished samples
    told/          what each run and shard tells of its work, for ``run.json``
    samples.jsonl  those of all that were written, in their order, for the last step
    parts/         files that the writer joins at the end

Nothing of it is removed before ``run.json`` is in place, and all of it then.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from fusion_aug.errors import ConfigError, DataError
from fusion_aug.logs.core.files import read_json, write_json
from fusion_aug.logs.core.locks import NAME as LOCK
from fusion_aug.logs.core.sample_account import is_account
from fusion_aug.logs.core.whole import empty
from fusion_aug.logs.core.writer import WORK
from fusion_aug.run.usage import is_used
from fusion_aug.sample.manifest import NAME as MANIFEST

NEW, UNFINISHED, FINISHED = "new", "unfinished", "finished"
REPORT = "report.html"  # of a check, beside run.json
PLAN, INPUTS, SAMPLES, FACTS = "plan.json", "inputs.txt", "samples.jsonl", "run.json"
# places of the lock: before it whole samples, which runs hold; it is for writing the plan; after it samples at work
PLANNING = 2**40
BEFORE_THE_PLAN = {LOCK, INPUTS, f"{INPUTS}.part", f"{PLAN}.part"}


def state(out: Path) -> str:
    """``NEW``, ``UNFINISHED`` or ``FINISHED``.

    Raises:
        ConfigError: there is something at the output that no run of ours left.
    """
    if out.exists() and not out.is_dir():
        raise ConfigError(f"out: {out} is a file")
    names = {p.name for p in out.iterdir()} if out.is_dir() else set()
    if {FACTS, MANIFEST} <= names:
        return FINISHED
    work = out / WORK
    if (work / PLAN).is_file():
        return UNFINISHED
    if not names or (names == {WORK} and work.is_dir() and {p.name for p in work.iterdir()} <= BEFORE_THE_PLAN):
        return NEW
    raise ConfigError(f"out: {out} is not empty and is not a run of ours; choose a new folder")


def is_of_run(folder: Path) -> bool:
    """Whether a folder is the output of a run, finished or not."""
    work = folder / WORK
    return (work / PLAN).exists() or (work / LOCK).exists() or all((folder / n).exists() for n in (FACTS, MANIFEST))


def plan_of(out: Path) -> dict[str, Any]:
    """The plan of an unfinished run.

    Raises:
        DataError: it is damaged.
    """
    plan = read_json(out / WORK / PLAN)
    whole = isinstance(plan, dict) and isinstance(plan.get("kernels", {}), dict)
    if not whole or not isinstance(plan.get("fingerprint"), str):
        raise DataError(f"{out / WORK / PLAN}: is not the plan of a run; remove {out} and begin again")
    return plan


def read_marker(path: Path, out_id: str) -> dict[str, Any]:
    """Marker of a finished sample: ``skipped`` (why), or its ``rows``, ``line`` and ``used``.

    Args:
        path: of the marker. out_id: id of the sample in the output.

    Raises:
        DataError: it is damaged, or that of another sample.
    """
    marker = read_json(path)
    if isinstance(marker, dict) and isinstance(marker.get("skipped"), str):
        return marker
    line, used = (marker.get(key) if isinstance(marker, dict) else None for key in ("line", "used"))
    whole = isinstance(line, dict) and line.get("id") == out_id and isinstance(marker.get("rows"), dict)
    remedy = "remove it, and the sample is made again"
    if not whole or not is_used(used):
        raise DataError(f"{path}: is not the marker of sample {out_id!r}; {remedy}")
    if not is_account(marker["line"].get("account", {})):
        raise DataError(f"{path}: line.account: is not the account of a sample; {remedy}")
    files = marker.get("files", {})
    if not isinstance(files, dict) or not all(isinstance(size, int) for size in files.values()):
        raise DataError(f"{path}: files: are not the names and sizes of files; {remedy}")
    return dict(marker)


def write_plan(out: Path, plan: dict[str, Any]) -> None:
    """Write the plan, from which on the run counts as begun."""
    write_json(plan, out / WORK / PLAN)


def clean(out: Path) -> None:
    """Remove what was there for an unfinished run only; the lock last, so that nobody begins meanwhile."""
    work = out / WORK
    if work.is_dir():
        empty(work, keep=(work / LOCK,))
        (work / LOCK).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # somebody else locks a new one, and will find that all is done
            work.rmdir()


def refuse_unfinished(out: Path) -> None:
    """Raise if a run into a folder was begun and not finished.

    Raises:
        DataError: saying how far it is, and how it goes on.
    """
    work = out / WORK
    if not work.is_dir() or (out / FACTS).is_file():
        return
    total = plan_of(out).get("samples") if (work / PLAN).is_file() else "all"
    done = sum(p.suffix == ".json" for p in (work / "done").iterdir()) if (work / "done").is_dir() else 0
    raise DataError(
        f"{out}: holds an interrupted run ({done} of {total} samples are done); the command that began it goes on, "
        f"fusion-aug merge {out} ends one whose samples are all there"
    )
