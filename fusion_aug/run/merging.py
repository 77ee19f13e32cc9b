"""``fusion-aug merge OUT``: the last step of a run whose samples were made shard by shard."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fusion_aug.errors import ConfigError, DataError
from fusion_aug.logs.core.locks import FolderLock, Locked
from fusion_aug.logs.core.writer import WORK
from fusion_aug.run import report
from fusion_aug.run.beginning import refuse_changed
from fusion_aug.run.ending import end
from fusion_aug.run.execute import as_told
from fusion_aug.run.inputs import import_named
from fusion_aug.run.job import Job
from fusion_aug.run.kernels import kernel_note
from fusion_aug.run.links import refuse_links
from fusion_aug.run.unfinished import FINISHED, NEW, PLAN, PLANNING, clean, plan_of, state
from fusion_aug.safe.guard import reads_file


def merge_command(out: Path, overrides: Sequence[str]) -> int:
    """Finish a run whose samples are all staged; what is finished already is left as it is.

    Raises:
        ConfigError: it is no unfinished run, a run is still at work on it, or samples are missing.
        DataError: its plan is damaged.
    """
    others = [w for w in overrides if not w.startswith("plugins=")]
    if others:
        raise ConfigError(f"{others[0].partition('=')[0]}: merge takes the settings of the run, and plugins= only")
    found = state(out)
    if found == NEW:
        raise ConfigError(f"{out}: holds no run; its shards come first: fusion-aug run ... out={out} shard=1/2")
    refuse_links(out)
    lock = FolderLock(out / WORK) if (out / WORK).is_dir() else None
    try:
        if lock is not None:
            lock.hold(0, PLANNING)
        if state(out) == FINISHED:
            clean(out)
            report.OUT.print(f"{out} holds a finished run: nothing to merge", markup=False)
            return 0
        return _merge(out, overrides)
    except Locked:
        raise ConfigError(f"{out}: a run is still writing it; merge when all shards have ended") from None
    except OSError as error:
        raise as_told(error, out) from None
    finally:
        if lock is not None:
            lock.close()


@reads_file
def _planned(path: Path, config: dict[str, Any]) -> tuple[Job, str]:
    """The job of a plan, which may be damaged, and its fingerprint."""
    job = Job(config)
    return job, job.fingerprint()


def _merge(out: Path, overrides: Sequence[str]) -> int:
    start, plan = time.monotonic(), plan_of(out)
    config = plan.get("config")
    if not isinstance(config, dict):
        raise DataError(f"{out / WORK / PLAN}: config: expected the settings of a run")
    import_named(config.get("plugins") or [], out / WORK / PLAN, overrides)
    job, fingerprint = _planned(out / WORK / PLAN, {**config, "out": str(out)})
    if fingerprint != plan["fingerprint"]:
        refuse_changed(job)
        raise ConfigError(f"{out}: its shards were made of another input or by another version; run them again")
    missing = [i for i in range(len(job.tasks)) if not job.done_file(i).is_file()]
    if missing:
        raise ConfigError(
            f"{out}: {len(missing)} of {len(job.tasks)} samples are missing, first {job.tasks[missing[0]][0]!r}; "
            f"run the shards that were interrupted again, or the whole without shard="
        )
    notes = kernel_note(plan.get("kernels", {}), str(out))
    report.run_summary(job, end(job, start, len(job.tasks), notes), ())
    return 0
