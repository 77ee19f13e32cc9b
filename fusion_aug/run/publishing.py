"""A run into a store: it is done in a folder of this computer, and what is finished is put into the store.

The store holds of a run that is not finished, in ``.work``::

    claims/, beats/  who writes, see ``claims``
    inputs.txt, plan.json   as in a folder; the plan is made by one writer only
    done/            markers of finished samples, up to a hundred in an object
    parts/           files that the writer joins at the end
    told/            what each run and shard tells of its work

``run.json`` is made last and by one writer only; then ``.work`` is removed. Nothing is renamed.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from calib.mirrored import register_mirror
from fusion_aug.errors import ConfigError, DataError, FusionAugError
from fusion_aug.logs.core.files import user_path
from fusion_aug.logs.core.locks import FolderLock, Locked
from fusion_aug.logs.core.writer import WORK
from fusion_aug.logs.remote.address import address_of
from fusion_aug.logs.remote.store import StoreError
from fusion_aug.run.claims import Claim
from fusion_aug.run.job import Job
from fusion_aug.run.store_files import DONE, SampleFiles
from fusion_aug.run.told import FOLDER as TOLD
from fusion_aug.run.told import is_told
from fusion_aug.run.unfinished import FACTS, FINISHED, INPUTS, PLAN, UNFINISHED, plan_of, state

GROUP = 100  # markers of one object at most
GROUP_SECONDS = 30.0  # that a marker waits for others at most


class Publisher:
    """What a run does beside the work on its samples; of one into a folder nothing."""

    def begun(self) -> None:
        """The plan is written, or was there."""

    def done(self, number: int) -> None:
        """A sample is finished."""

    def told(self, path: Path) -> None:
        """What this run tells of itself was written.

        Args:
            path: of the file, in ``.work/told``.
        """

    def all_done(self) -> None:
        """All samples of this run are finished."""

    def lost(self) -> list[int]:
        """Samples whose files are not all there, which are to be made again."""
        return []

    def ready(self) -> None:
        """All samples are there; what the last step needs is brought here."""

    def finish(self, facts: Path) -> None:
        """All but ``run.json`` is written here.

        Args:
            facts: file that becomes it.
        """


class StorePublisher(Publisher):
    """The same of a run into a store.

    Args:
        job: whose ``out`` is a folder of this computer. files: of its samples. claim: which it holds.
    """

    def __init__(self, job: Job, files: SampleFiles, claim: Claim):
        self.job, self.files, self.claim, self.store = job, files, claim, files.store
        self.waiting: list[tuple[int, Any]] = []
        self.groups, self.since = 0, 0.0
        self.had_plan = self.finished = False

    def take_up(self) -> None:
        """Bring here what the store holds of the run.

        Raises:
            StoreError: the store does not answer. DataError: a marker is damaged.
        """
        out = self.job.out
        (out / WORK).mkdir(parents=True)
        names = set(self.store.names())
        self.had_plan = FACTS not in names and self._take(f"{WORK}/{PLAN}")
        if not self.had_plan:  # it is finished, new, or none of ours, which the names tell
            for name in names - {WORK, FACTS}:
                (out / name).touch()
            if FACTS in names:
                self._take(FACTS)
            return
        self._take(f"{WORK}/{INPUTS}")
        for name in filter(is_told, self.store.names(TOLD)):
            self._take(f"{TOLD}/{name}")
        groups = [f"{DONE}/{n}" for n in self.store.names(DONE) if n.endswith(".json")]
        for name, data in self.store.contents(groups):
            try:
                found = json.loads(data)
                markers = found if isinstance(found, list) else [[int(Path(name).stem), found]]
                for number, marker in markers:
                    self.job.write_marker(number, marker, put=False)
            except (ValueError, TypeError, AttributeError):
                place = f"{self.store.address.url}/{name}"
                raise DataError(f"{place}: is damaged; remove it and give the command again") from None

    def _take(self, name: str) -> bool:
        """Bring a file here; whether there is one."""
        try:
            data = self.store.content(name)
        except FileNotFoundError:
            return False
        path = self.job.out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return True

    def begun(self) -> None:
        if self.had_plan:
            return
        work = self.job.out / WORK
        self.store.put_surely(f"{WORK}/{INPUTS}", work / INPUTS)
        plan = {**json.loads((work / PLAN).read_text(encoding="utf-8")), "token": uuid.uuid4().hex}
        if not self.store.create(f"{WORK}/{PLAN}", json.dumps(plan).encode()):
            self._take(f"{WORK}/{PLAN}")
            if plan_of(self.job.out)["fingerprint"] != plan["fingerprint"]:
                raise ConfigError(f"out: {self.store.address.url} holds an unfinished run of another job")
        self.had_plan = True

    def done(self, number: int) -> None:
        self.claim.refuse_lost()
        if not self.job.done_file(number).is_file():  # made on another computer
            self._take(f"{DONE}/{number:08d}.json")
        else:
            self.since = self.since if self.waiting else time.monotonic()
            self.waiting.append((number, self.job.marker(number)))
        if len(self.waiting) >= GROUP or (self.waiting and time.monotonic() - self.since > GROUP_SECONDS):
            self.put_markers()

    def told(self, path: Path) -> None:
        self.claim.refuse_lost()
        self.store.put(f"{TOLD}/{path.name}", path.read_bytes())

    def put_markers(self) -> None:
        """Put the markers that wait, in one object."""
        if self.waiting:
            self.groups += 1
            name = f"{DONE}/{self.claim.name.text.removesuffix('.json')}-{self.groups:06d}.json"
            self.store.put(name, json.dumps(self.waiting).encode())
        self.waiting = []

    def all_done(self) -> None:
        self.put_markers()

    def lost(self) -> list[int]:
        there = (n for n in range(len(self.job.tasks)) if self.job.done_file(n).is_file())
        markers = ((n, self.job.marker(n)) for n in there)
        lost = list(self.files.lost(markers, self.job.out / WORK / "listing"))
        for number in lost:
            self.job.done_file(number).unlink()
        return lost

    def ready(self) -> None:
        self.files.fetch_parts(self.job.out, (self.job.marker(n) for n in range(len(self.job.tasks))))

    def finish(self, facts: Path) -> None:
        out = self.job.out
        for path in sorted(p for p in out.rglob("*") if p.is_file() and p.relative_to(out).parts[0] != WORK):
            self.store.put_surely(path.relative_to(out).as_posix(), path)
        self.claim.refuse_lost(look=True)
        if not self.store.create(FACTS, facts.read_bytes()):
            self.claim.lost = True
            raise FusionAugError(f"out: {self.store.address.url}: another run has finished it; it holds the same bytes")
        self.finished = True

    def end(self) -> None:
        """Put what waits, and let others write."""
        if self.finished:
            self.claim.release(finished=True)
            self.store.delete_below(WORK)
            return
        with contextlib.suppress(StoreError):
            self.put_markers()
        out, found = self.job.out, ""
        with contextlib.suppress(ConfigError):  # it is none of ours
            found = state(out)
        if found == UNFINISHED:
            self.claim.release()
        elif found == FINISHED or (self.had_plan and not (out / WORK).exists()):  # or there is nothing to go on from
            self.claim.release(finished=True)
            self.store.delete_below(WORK)
        else:
            self.claim.withdraw()


@contextlib.contextmanager
def published(job: Job) -> Iterator[Publisher]:
    """What publishes a job: for an output in a store with the claim to write it, and what is there of the run.

    Raises:
        ConfigError: another run holds the claim, or the store cannot be written. FusionAugError: it does not answer.
    """
    files = job.sample_files
    if files is None:
        yield Publisher()
        return
    url = files.store.address.url
    refuse_nested(url, job.log.origin)
    held = FolderLock(job.out.parent)
    claim = Claim(files.store, job.config["shard"], float(job.config["storage"]["claim_seconds"]))
    register_mirror(Path(os.path.realpath(job.out)), url, no_placeholders)
    try:
        held.hold()
        claim.take()
        publisher = StorePublisher(job, files, claim)
        try:
            publisher.take_up()
            yield publisher
        finally:
            publisher.end()
    except StoreError as error:
        raise FusionAugError(f"{url}: {error.strerror}") from None
    finally:
        shutil.rmtree(job.out.parent, ignore_errors=True)
        held.close()


def with_stage(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration of a run into a store: its output is a folder in the cache, of this run alone.

    Raises:
        ConfigError: there is no cache.
    """
    address = address_of(str(config["out"]), "out")
    cache = config["storage"]["cache"]
    if not cache:
        raise ConfigError(f"out: {address.url} is written through a folder of this computer; give storage.cache=DIR")
    home = Path(os.path.realpath(user_path(cache))) / address.folder_name
    _remove_left(home)
    stage = home / f"stage-{uuid.uuid4().hex[:12]}" / "out"
    return {**config, "out": str(stage), "storage": {**config["storage"], "out": address.url}}


def _remove_left(home: Path) -> None:
    """Remove the folders of runs that were killed."""
    for folder in home.glob("stage-*"):
        lock = FolderLock(folder)
        with contextlib.suppress(Locked):
            lock.hold()
            shutil.rmtree(folder, ignore_errors=True)
        lock.close()


def refuse_nested(out: str, root: str) -> None:
    """Raise if the URLs of output and input lie in one another."""
    if f"{out}/".startswith(f"{root}/") or f"{root}/".startswith(f"{out}/"):
        raise ConfigError(f"out: {out} and the input {root} lie in one another; choose a prefix apart")


def no_placeholders(path: Path) -> None:
    """Say of every file that is not there that it is nowhere else."""
    raise StoreError(2, "there is no such file")
