"""Worker processes, each with one item at a time, so that it is known what was at work when one of them died."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from fusion_aug.errors import FusionAugError
from fusion_aug.run.child import READY, serve

HIDES, FOUND_IN = "PYTHONSAFEPATH", "PYTHONPATH"
IMPORTED_ONCE = ["fusion_aug.run.job"]
PATIENCE = 5  # seconds for a worker to end by itself
Outcome = tuple[int, Exception | None]
Outcomes = Generator[Outcome, None, None]


class ProcessDied(Exception):
    """A process ended in the middle of its work, or was ended since that took too long, however often it was tried."""


def cause(code: int | None) -> str:
    """What an exit code says: ``signal 9 (SIGKILL; out of memory?)``."""
    if code is None or code >= 0:
        return f"exit code {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else "unknown"
    return f"signal {-code} ({name}{'; out of memory?' if -code == signal.SIGKILL else ''})"


@contextlib.contextmanager
def current_folder_hidden() -> Iterator[None]:
    """Let the Python processes that are started meanwhile take no module from the current folder by themselves.

    ``multiprocessing`` starts them, and its tracker of resources, as ``python -c``, which looks there first: a
    ``multiprocessing.py`` beside a log of others would run. Plugins are found all the same: after its start a worker
    has the ``sys.path`` of its parent. Until then it has what that has beside the current folder, so that a copy of us
    that is installed besides is not taken.
    """
    ours, own = str(Path(__file__).parents[2]), [p for p in sys.path if p not in ("", str(Path.cwd()))]
    hidden = {HIDES: "1", FOUND_IN: os.pathsep.join(own if ours in own else [ours, *own])}
    before = {name: os.environ.get(name) for name in hidden}
    os.environ.update(hidden)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextlib.contextmanager
def interruptions_blocked() -> Iterator[None]:
    """Let the processes that are started meanwhile begin without Ctrl-C, which reaches the whole group.

    ``serve`` ignores it from then on. This process is told of one afterwards.
    """
    resource_tracker.ensure_running()  # at its start it lets them through
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def fresh_processes() -> Any:
    """The context that starts workers: none has any state of this process.

    On Linux one process, which lives as long as this, imports once and forks each of them; it runs nothing else, so
    that no thread of it is in the middle of something. Elsewhere libraries do not bear a fork, and each imports.
    """
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([] if sys.flags.ignore_environment else IMPORTED_ONCE)
    with current_folder_hidden(), interruptions_blocked():
        forkserver.ensure_running()
    return context


@dataclass(eq=False)
class Worker:
    """One process.

    Attributes:
        setup: see ``serve``. item: what it works on, and since when. ready: whether it has begun to take items.
    """

    setup: bytes
    item: int | None = None
    since: float = 0.0
    ready: bool = False
    process: Any = field(init=False)
    connection: Any = field(init=False)

    def __post_init__(self) -> None:
        context = fresh_processes()
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs, {**os.environ, HIDES: "1"}, self.setup))
        with current_folder_hidden(), interruptions_blocked():
            self.process.start()
        theirs.close()

    def give(self, item: int) -> None:
        """Hand over an item; a process that has just died is found by ``take``."""
        self.item, self.since = item, time.monotonic()
        with contextlib.suppress(OSError):
            self.connection.send(item)

    def take(self) -> Exception | None:
        """What the process sent: the outcome of its item, which it is then rid of, or None where it is ready.

        Raises:
            EOFError: it died. FusionAugError: before it was ready.
        """
        try:
            sent = self.connection.recv()
        except (EOFError, OSError):
            self.process.join()
            if not self.ready:
                how = cause(self.process.exitcode)
                raise FusionAugError(f"a worker process was ended by {how} before it had a sample") from None
            raise EOFError from None
        if self.ready:
            self.item = None
        elif sent == READY:
            self.ready, sent = True, None
        else:
            raise sent
        return sent

    def end(self, patience: float = 0) -> None:
        """End the process; with patience it may end by itself."""
        self.connection.close()
        if patience:
            self.process.join(patience)
        self.process.kill()
        self.process.join()
        self.process.close()


def work_through(
    items: Sequence[int],
    count: int,
    retried: Counter[int],
    function: Callable[..., Any],
    *arguments: Any,
    seconds: float | None = None,
) -> Outcomes:
    """Work on items in processes of their own; yields each with its exception, or None, as they are finished.

    An item whose process dies, or is ended since it took too long, is tried again when all others are done, alone in a
    fresh process; if that dies too, its exception is ``ProcessDied``.

    Args:
        items: numbers. count: of processes. retried: is told of every item that is tried again.
        function, arguments: what makes the function that works on an item, called once in every process.
        seconds: that an item may take; None is as long as it likes.

    Raises:
        FusionAugError: a process died before its first item.
        Exception: of the function; what it works on then is left as if it had been killed.
    """
    setup = pickle.dumps((function, arguments))
    crew: list[Worker] = []
    suspects: list[int] = []
    try:
        yield from _together(items, count, setup, crew, suspects, seconds)
        while crew:
            crew.pop().end(PATIENCE)
        for item in suspects:
            retried[item] += 1
            crew.append(Worker(setup))
            yield _alone(item, crew[0], seconds)
            crew.pop().end()
    finally:
        for worker in crew:
            worker.end()


def _together(
    items: Sequence[int], count: int, setup: bytes, crew: list[Worker], suspects: list[int], seconds: float | None
) -> Iterator[Outcome]:
    """All items, but those whose process died, which become suspects."""
    left = list(reversed(items))
    while left or any(w.item is not None for w in crew):
        missing = min(count, len(left)) - len(crew)
        crew += [Worker(setup) for _ in range(missing)]
        for worker in crew:
            if left and worker.ready and worker.item is None:
                worker.give(left.pop())
        waiting = {w.connection: w for w in crew if w.item is not None or not w.ready}
        for connection in wait(list(waiting), _until_late(crew, seconds)):
            worker = waiting[connection]
            item, was_ready = worker.item, worker.ready
            try:
                error = worker.take()
            except EOFError:
                crew.remove(worker)
                worker.end()
                suspects += [] if item is None else [item]
                continue
            if was_ready and item is not None:
                yield item, error


def _until_late(crew: Sequence[Worker], seconds: float | None) -> float | None:
    """Seconds until the first item will have taken too long; workers whose item has are ended, which shows next."""
    if seconds is None:
        return None
    left = [(w.since + seconds - time.monotonic(), w) for w in crew if w.item is not None]
    for rest, worker in left:
        if rest <= 0:
            worker.process.kill()
    return min((rest for rest, _ in left if rest > 0), default=None)


def _alone(item: int, worker: Worker, seconds: float | None) -> Outcome:
    """One item in a fresh process."""
    worker.take()
    worker.give(item)
    if not worker.connection.poll(seconds):
        return item, ProcessDied(f"it took more than {seconds:g} s, and again when it was tried alone")
    try:
        return item, worker.take()
    except EOFError:
        how = cause(worker.process.exitcode)
        return item, ProcessDied(f"its process was ended by {how}, and again when it was tried alone")
