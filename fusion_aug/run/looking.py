"""What lies at the output of a run, for a dry run: what the run would refuse is refused, and nothing is changed."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from calib.mirrored import register_mirror
from fusion_aug.errors import ConfigError, FusionAugError
from fusion_aug.logs.remote.store import StoreError
from fusion_aug.run.beginning import refuse_changed, refuse_occupied
from fusion_aug.run.claims import Claim
from fusion_aug.run.job import Job
from fusion_aug.run.publishing import StorePublisher, no_placeholders, refuse_nested
from fusion_aug.run.unfinished import NEW, UNFINISHED


def look(job: Job) -> str:
    """Look at the output of a job, a folder or a store.

    Returns:
        its state: ``NEW``, or ``UNFINISHED`` or ``FINISHED`` of a run of the same job.

    Raises:
        FusionAugError: the run would be refused, see ``begun``. ConfigError: its folder cannot be made.
    """
    with _brought(job):
        _, found = refuse_occupied(job)
        if found == UNFINISHED:
            refuse_changed(job)
    if found == NEW and job.sample_files is None:
        _refuse_unmakeable(job.out)
    return found


@contextlib.contextmanager
def _brought(job: Job) -> Iterator[None]:
    """What is there of a job, for a look: of an output in a store it is brought here, and nothing is put there.

    Raises:
        FusionAugError: see ``published``.
    """
    files = job.sample_files
    if files is None:
        yield
        return
    url = files.store.address.url
    refuse_nested(url, job.log.origin)
    register_mirror(Path(os.path.realpath(job.out)), url, no_placeholders)
    try:
        StorePublisher(job, files, Claim(files.store, job.config["shard"], 1.0)).take_up()
        yield
    except StoreError as error:
        raise FusionAugError(f"{url}: {error.strerror}") from None
    finally:
        shutil.rmtree(job.out.parent, ignore_errors=True)


def _refuse_unmakeable(out: Path) -> None:
    """Raise if a folder cannot be made or written; only trying it tells that of every file system."""
    nearest = next(p for p in (out, *out.absolute().parents) if os.path.lexists(p))
    if not nearest.is_dir():
        raise ConfigError(f"out: {out} cannot be made, since {nearest} is no folder; choose another folder")
    try:
        Path(tempfile.mkdtemp(prefix=".fusion_aug-", dir=nearest)).rmdir()
    except OSError as error:
        raise ConfigError(f"out: {out} cannot be written ({error.strerror}); choose another folder") from None
