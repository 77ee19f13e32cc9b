"""Ray: samples are worked on by tasks of a cluster, a few in each; all that tasks return is how samples ended.

A task whose process or node dies is submitted again, sample by sample, so that one that kills its process is found.
Ray itself is told to try nothing again: then every try is counted, and one rule holds for all engines.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import signal
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from fusion_aug.errors import ConfigError, FusionAugError, MissingPackage
from fusion_aug.run.child import sendable
from fusion_aug.run.workers import Outcome, Outcomes, ProcessDied
from fusion_aug.version import __version__

AHEAD = 2  # tasks that are submitted for each that can run, so that none waits for the driver
LOOK_EVERY = 5.0  # seconds between two looks at how many tasks the cluster can run
LEAST_STORE_MB = 75  # Ray refuses less

_PREPARED: dict[bytes, Callable[[int], Any]] = {}  # in a process of a task: what works on an item


@dataclass(frozen=True, kw_only=True)
class RayOptions:
    """The ``engine`` group of ``engine=ray``.

    Attributes:
        address: of a cluster, as ``ray.init`` takes it; None starts one on this machine that ends with the run.
        cpus_per_task, gpus_per_task: what a task reserves. memory_mb: memory that it reserves (MiB), or None.
        retries: how often a sample whose process or node died is tried again.
        samples_per_task: samples that a task works on, one after another.
        object_store_mb: size of the object store of a cluster that is started here (MiB); only markers travel.

    Raises:
        ConfigError: a value is none that may be.
    """

    address: str | None = None
    cpus_per_task: float = 1
    gpus_per_task: float = 0
    memory_mb: int | None = None
    retries: int = 3
    samples_per_task: int = 1
    object_store_mb: int = 80

    def __post_init__(self) -> None:
        least = {"cpus_per_task": 0, "gpus_per_task": 0, "memory_mb": 1, "retries": 0, "samples_per_task": 1,
                 "object_store_mb": LEAST_STORE_MB}  # fmt: skip
        for name, low in least.items():
            value = getattr(self, name)
            kinds = (int, float) if name.endswith("_per_task") and name != "samples_per_task" else (int,)
            optional = name == "memory_mb" and value is None
            if not optional and (isinstance(value, bool) or not isinstance(value, kinds) or not value >= low):
                what = "a number" if float in kinds else "a whole number"
                raise ConfigError(f"engine.{name}: expected {what} of at least {low}, got {value!r}")
        if self.cpus_per_task == 0 and self.gpus_per_task == 0:
            raise ConfigError("engine.cpus_per_task: a task needs a part of a processor or of a GPU, got 0 of both")
        if self.address is not None and not isinstance(self.address, str):
            raise ConfigError(f"engine.address: expected host:port or auto, got {self.address!r}")

    @classmethod
    def of(cls, config: dict[str, Any]) -> RayOptions:
        """From the configuration's group."""
        known = {f.name for f in fields(cls)}
        for name in config:
            if name not in known | {"name"}:
                raise ConfigError(f"engine.{name}: there is no such option (there are {', '.join(sorted(known))})")
        return cls(**{name: config[name] for name in config if name in known})

    def tasks_at_once(self, resources: dict[str, float]) -> int:
        """Tasks that these resources (Ray's names) can run at a time."""
        wanted = {"CPU": self.cpus_per_task, "GPU": self.gpus_per_task, "memory": (self.memory_mb or 0) * 2**20}
        return int(min(resources.get(name, 0) / part for name, part in wanted.items() if part))


def work_on_ray(
    items: Sequence[int],
    count: int,
    options: RayOptions,
    retried: Counter[int],
    function: Callable[..., Any],
    *arguments: Any,
) -> Outcomes:
    """Work on items in tasks of a Ray cluster; yields each with its exception, or None, as they are finished.

    Args:
        items: numbers. count: most tasks at a time, 0 for as many as the cluster can run. options: of the engine.
        retried: is told of every item that is tried again.
        function, arguments: see ``work_through``.

    Raises:
        ConfigError: Ray is not installed, the cluster is not reached, or can run no task.
        Exception: of the function.
    """
    if not items:
        return
    with _cluster(options, count) as ray:
        setup = pickle.dumps((_Here.now(), pickle.dumps((function, arguments))))
        job = _Tasks(ray, options, count, retried, setup)
        job.submit_all(items)
        while job.flying:
            yield from job.ended()


class _Tasks:
    """The tasks of a run: those that wait, and those that were submitted."""

    def __init__(self, ray: Any, options: RayOptions, count: int, retried: Counter[int], setup: bytes):
        self.ray, self.options, self.count, self.retried = ray, options, count, retried
        self.setup = ray.put(setup)
        needs = {"num_cpus": options.cpus_per_task, "num_gpus": options.gpus_per_task, "max_retries": 0}
        memory = {} if options.memory_mb is None else {"memory": options.memory_mb * 2**20}
        self.task = ray.remote(**needs, **memory)(work_on_group)
        self.waiting: deque[list[int]] = deque()
        self.flying: dict[Any, list[int]] = {}
        self.lost: Counter[int] = Counter()  # how often a task died that had no other item
        self.room, self.looked = 0, float("-inf")

    def submit_all(self, items: Sequence[int]) -> None:
        """Put items into tasks and submit as many of these as there is room for."""
        size = self.options.samples_per_task
        self.waiting.extend(list(items[i : i + size]) for i in range(0, len(items), size))
        self._submit()

    def _submit(self) -> None:
        if time.monotonic() - self.looked > LOOK_EVERY:
            room = self.options.tasks_at_once(self.ray.cluster_resources())
            self.room, self.looked = self.count or max(AHEAD * room, 1), time.monotonic()
        while self.waiting and len(self.flying) < self.room:
            group = self.waiting.popleft()
            self.flying[self.task.remote(self.setup, group)] = group

    def ended(self) -> Iterator[Outcome]:
        """Wait until a task has ended, and hand on how its items did."""
        ready, _ = self.ray.wait(list(self.flying), num_returns=1, timeout=LOOK_EVERY)
        for task in ready:
            group = self.flying.pop(task)
            try:
                outcomes = self.ray.get(task)
            except self.ray.exceptions.RayTaskError:
                raise
            except self.ray.exceptions.RayError as error:
                yield from self._died(group, error)
                continue
            if isinstance(outcomes, Exception):
                raise outcomes
            yield from outcomes
        self._submit()

    def _died(self, group: list[int], error: Exception) -> Iterator[Outcome]:
        """Submit the items of a task that died again, each alone, but one that was tried often enough."""
        if len(group) == 1:
            (item,) = group
            self.lost[item] += 1
            if self.lost[item] > self.options.retries:
                why, tries = str(error).partition("\n")[0].rstrip("."), self.lost[item]
                yield item, ProcessDied(f"its process or node was lost in each of {tries} tries ({why})")
                return
        for item in reversed(group):
            self.retried[item] += 1
            self.waiting.appendleft([item])


@dataclass(frozen=True)
class _Here:
    """What a process of a task must have in common with this one."""

    version: str
    folder: str
    path: tuple[str, ...]

    @classmethod
    def now(cls) -> _Here:
        return cls(__version__, str(Path.cwd()), tuple(map(os.path.abspath, sys.path)))

    def enter(self) -> None:
        """Let modules and relative names be found as in the process that began the run.

        Raises:
            FusionAugError: another version is installed here, or the folder is not there.
        """
        where = os.uname().nodename
        if self.version != __version__:
            raise FusionAugError(f"node {where}: has fusion_aug {__version__}, the run was begun with {self.version}")
        try:
            os.chdir(self.folder)
        except OSError as error:
            raise FusionAugError(
                f"node {where}: {self.folder}: cannot be entered ({error.strerror}); all nodes need the same files"
            ) from None
        sys.path += [p for p in self.path if p not in sys.path]


def work_on_group(setup: bytes, group: list[int]) -> list[Outcome] | Exception:
    """The task: how every item ended; what went wrong before the first one in place of that."""
    if setup not in _PREPARED:
        try:
            here, rest = pickle.loads(setup)
            here.enter()
            function, arguments = pickle.loads(rest)  # whose modules may lie where the run was begun
            _PREPARED.clear()
            _PREPARED[setup] = function(*arguments)
        except Exception as error:
            return sendable(error)
    work = _PREPARED[setup]
    return [(item, _ended(work, item)) for item in group]


def _ended(work: Callable[[int], Any], item: int) -> Exception | None:
    try:
        work(item)
    except Exception as error:
        return sendable(error)
    return None


@contextlib.contextmanager
def _cluster(options: RayOptions, count: int) -> Iterator[Any]:
    """Ray, connected to a cluster or to one that is started here; of Ray nothing is left afterwards."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError:
        raise MissingPackage("engine: ray needs the package ray: pip install '.[ray]'") from None
    if ray.is_initialized():
        raise ConfigError("engine: this process uses Ray already; call ray.shutdown() first")
    own = {"include_dashboard": False, "object_store_memory": options.object_store_mb * 2**20}
    if count:
        own["num_cpus"] = max(1, int(count * options.cpus_per_task))
    handler = signal.getsignal(signal.SIGTERM)  # which Ray replaces
    try:
        where = {"address": options.address} if options.address else {"address": "local", **own}
        with contextlib.chdir(Path(__file__).parents[2]):  # Ray lets workers take modules from the current folder first
            ray.init(**where, log_to_driver=False, logging_level=logging.ERROR, configure_logging=False)
    except Exception as error:
        raise ConfigError(
            f"engine.address: {options.address or 'local'}: no cluster is reached ({str(error).partition(chr(10))[0]})"
        ) from None
    try:
        if handler is not None:
            with contextlib.suppress(ValueError):  # not in the main thread
                signal.signal(signal.SIGTERM, handler)
        if not any(options.tasks_at_once(n["Resources"]) for n in ray.nodes() if n["Alive"]):
            raise ConfigError(
                "engine: no node of the cluster has what engine.cpus_per_task, gpus_per_task and memory_mb ask for"
            )
        yield ray
    finally:
        ray.shutdown()
