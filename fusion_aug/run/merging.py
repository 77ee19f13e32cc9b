"""``fusion-aug merge OUT``: the last step of a run whose samples were made shard by shard."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fusion_aug.errors import ConfigError, DataError, FusionAugError, MissingPackage
from fusion_aug.logs.core.files import user_path
from fusion_aug.logs.core.locks import FolderLock, Locked
from fusion_aug.logs.core.writer import WORK
from fusion_aug.logs.remote.address import address_of, is_url
from fusion_aug.logs.remote.store import StoreError
from fusion_aug.logs.remote.writing import WritableStore
from fusion_aug.run import report
from fusion_aug.run.beginning import refuse_changed
from fusion_aug.run.ending import end
from fusion_aug.run.execute import as_told, check_options
from fusion_aug.run.inputs import import_named, refuse_odd_store
from fusion_aug.run.job import Job
from fusion_aug.run.kernels import kernel_note
from fusion_aug.run.links import refuse_links
from fusion_aug.run.publishing import Publisher, published, with_stage
from fusion_aug.run.unfinished import FACTS, FINISHED, NEW, PLAN, PLANNING, clean, plan_of, state
from fusion_aug.run.words import value_of
from fusion_aug.safe.guard import reads_file

TAKEN = ("plugins=", "storage.cache=", "log.root=")
CLAIM_SECONDS = 600.0  # where a plan does not say


def merge_command(word: str, overrides: Sequence[str]) -> int:
    """Finish a run whose samples are all staged; what is finished already is left as it is.

    Args:
        word: folder of the output, or its URL. overrides: words of the command line.

    Raises:
        ConfigError: it is no unfinished run, a run is still at work on it, or samples are missing.
        DataError: its plan is damaged.
    """
    others = [w for w in overrides if not w.startswith(TAKEN)]
    if others:
        raise ConfigError(
            f"{others[0].partition('=')[0]}: merge takes the settings of the run, and plugins=, storage.cache= and the "
            f"log.root= of the run only"
        )
    return _merge_store(word, overrides) if is_url(word) else _merge_folder(Path(word), overrides)


def _merge_store(url: str, overrides: Sequence[str]) -> int:
    """The same in a store."""
    store = WritableStore(address_of(url, "OUT"))
    try:
        names = store.names()
        if PLAN not in store.names(WORK):
            if FACTS not in names:
                raise ConfigError(f"{url}: holds no run; its shards come first: fusion-aug run ... out={url} shard=1/2")
            report.OUT.print(f"{url} holds a finished run: nothing to merge", markup=False)
            return 0
        config = _settings(f"{url}/{WORK}/{PLAN}", json.loads(store.content(f"{WORK}/{PLAN}")), overrides)
    except StoreError as error:
        raise DataError(f"{url}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise error if isinstance(error, FusionAugError) else DataError(f"{url}/{WORK}/{PLAN}: is no plan") from None
    job, fingerprint = _planned(f"{url}/{WORK}/{PLAN}", {**config, "out": url})
    with published(job) as place:
        try:
            return _merge(job, fingerprint, plan_of(job.out), place)
        except OSError as error:
            raise as_told(error, job.out) from None


def _merge_folder(out: Path, overrides: Sequence[str]) -> int:
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
        plan = plan_of(out)
        config = _settings(str(out / WORK / PLAN), plan, overrides)
        job, fingerprint = _planned(str(out / WORK / PLAN), {**config, "out": str(out)})
        return _merge(job, fingerprint, plan, Publisher())
    except Locked:
        raise ConfigError(f"{out}: a run is still writing it; merge when all shards have ended") from None
    except OSError as error:
        raise as_told(error, out) from None
    finally:
        if lock is not None:
            lock.close()


@reads_file
def _planned(where: str, config: dict[str, Any]) -> tuple[Job, str]:
    """The job of a plan, which may be damaged, and its fingerprint; see ``with_stage`` for an output in a store.

    Raises:
        DataError: a setting is wrong; the message names the plan.
    """
    try:
        check_options(config)
        job = Job(with_stage(config) if is_url(config["out"]) else config)
        fingerprint = job.fingerprint()
        job.tasks  # noqa: B018  (what is wrong with their number is told here)
    except MissingPackage:
        raise
    except ConfigError as error:
        raise DataError(f"{where}: config: {error}") from None
    return job, fingerprint


@reads_file
def _settings(where: str, plan: Any, overrides: Sequence[str]) -> dict[str, Any]:
    """The configuration that a plan holds, with its plugins imported.

    The plan may be somebody else's: where the files of a store go says the user alone, and no store is opened without.

    Raises:
        DataError: the plan is damaged. ConfigError: it names a store that the user does not trust, or modules.
    """
    config = plan.get("config") if isinstance(plan, dict) else None
    log = config.get("log") if isinstance(config, dict) else None
    if not isinstance(config, dict) or not isinstance(log, dict) or not isinstance(log.get("root"), str):
        raise DataError(f"{where}: config: expected the settings of a run")
    import_named(config.get("plugins") or [], where, overrides)
    trusted = [str(value_of(w)) for w in overrides if w.startswith("log.root=")]
    if trusted and trusted[-1] != log["root"]:
        raise ConfigError(f"log.root: the shards of {where} were made of {log['root']}; run them again")
    if not is_url(log["root"]) and not os.path.isdir(log["root"]):  # noqa: PTH112  (whatever the name)
        raise DataError(f"{where}: config: log.root: there is no folder {log['root']!r}; it lay there for the shards")
    if is_url(log["root"]) and not trusted:
        refuse_odd_store(log["root"], where)
    given = [str(value_of(w)) for w in overrides if w.startswith("storage.cache=")]
    cache = str(user_path(given[-1]).absolute()) if given else None
    if is_url(log["root"]) and cache is None:
        raise ConfigError(
            f"{where}: the input is {log['root']}; give storage.cache=DIR, a folder that it is read through"
        )
    storage = config.get("storage")
    lapse = storage["claim_seconds"] if isinstance(storage, dict) and "claim_seconds" in storage else CLAIM_SECONDS
    return {**config, "shard": None, "storage": {"cache": cache, "claim_seconds": lapse}}


def _merge(job: Job, fingerprint: str, plan: dict[str, Any], place: Publisher) -> int:
    start, out = time.monotonic(), job.out
    if fingerprint != plan["fingerprint"]:
        refuse_changed(job)
        raise ConfigError(f"{out}: its shards were made of another input or by another version; run them again")
    place.lost()  # they are missing as those that were never made
    done, total = job.done_numbers(), len(job.tasks)
    if len(done) < total:
        first = next(i for i in range(total) if i not in done)
        raise ConfigError(
            f"{out}: {total - len(done)} of {total} samples are missing, first {job.tasks[first][0]!r}; "
            f"run the shards that were interrupted again, or the whole without shard="
        )
    notes = kernel_note(plan.get("kernels", {}), job.place)
    report.run_summary(job, end(job, start, len(job.tasks), notes, place), ())
    return 0
