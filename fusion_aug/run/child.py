"""A worker process. It imports and opens nothing before it is sure to end with its parent, however that ends."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import traceback
from multiprocessing.connection import Connection, wait
from typing import Any

PR_SET_PDEATHSIG = 1
READY = "ready"


def serve(connection: Connection, environment: dict[str, str], setup: bytes) -> None:
    """Work on what the parent sends until it closes the connection.

    Sends ``READY``, and of every item None, or the exception that it ended with.

    Args:
        connection: to the parent.
        environment: of the parent at this moment; what forks this process has that of an earlier one.
        setup: pickled (function, arguments), which returns what works on an item. An exception of it is sent in place
            of ``READY``.
    """
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent ends its workers
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # as which this process was started
    os.environ.clear()
    os.environ.update(environment)
    try:
        function, arguments = pickle.loads(setup)
        work = function(*arguments)
    except Exception as error:
        connection.send(sendable(error))
        return
    connection.send(READY)
    while True:
        try:
            item = connection.recv()
        except EOFError:
            return
        try:
            work(item)
            outcome = None
        except Exception as error:
            outcome = sendable(error)
        connection.send(outcome)


def end_with_parent() -> None:
    """End this process as soon as its parent does, also where that is killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_watch, args=(parent.sentinel,), daemon=True).start()  # and it may be gone already


def _watch(sentinel: Any) -> None:
    wait([sentinel])
    os.kill(os.getpid(), signal.SIGKILL)


def sendable(error: Exception) -> Exception:
    """An exception that the parent can read, with the traceback as a note."""
    text = traceback.format_exc()
    try:
        copy: Exception = pickle.loads(pickle.dumps(error))
    except Exception:  # an exception of others may hold anything
        copy = RuntimeError(f"{type(error).__name__}: {error}")
    copy.add_note(text)
    return copy
