"""Scheduling of a process that encodes videos.

Where root runs it, as in most containers, SVT-AV1 gives the whole process and its own threads the highest real-time
priority (SCHED_FIFO 99) as soon as an encoder is opened, and it stays. Whatever the process starts then, workers too,
keeps all others from the processors while it computes or waits actively.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

THREADS = Path("/proc/self/task")


class Scheduling:
    """The scheduling that a process has now, to be given back to it; nothing on systems that do not tell."""

    def __init__(self) -> None:
        self.known = hasattr(os, "sched_getscheduler") and THREADS.is_dir()
        if self.known:
            self.policy, self.param = os.sched_getscheduler(0), os.sched_getparam(0)

    def restore(self) -> None:
        """Give it to every thread of the process that has another one."""
        for thread in THREADS.iterdir() if self.known else ():
            with suppress(OSError):  # it has ended
                if os.sched_getscheduler(int(thread.name)) != self.policy:
                    os.sched_setscheduler(int(thread.name), self.policy, self.param)
