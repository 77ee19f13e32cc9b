"""What worker processes do with numbers, some of which fail, kill or hang them; light to import, since each does."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import fusion_aug
from fusion_aug.errors import DataError

BAD, KILLED, ABORTED, LONE, SLEEPS = 2, 4, 5, 6, 9


def started(folder: str) -> object:
    """What works on the numbers of these tests; every number that was begun leaves a file."""

    def work(number: int) -> None:
        began = Path(folder, f"{number}-{len(list(Path(folder).glob(f'{number}-*')))}")
        began.touch()
        if number == BAD:
            raise DataError("this one is damaged")
        if number == KILLED:
            os.kill(os.getpid(), signal.SIGKILL)
        if number == SLEEPS:
            time.sleep(600)
        if number == ABORTED:
            os.abort()
        if number == LONE and began.name == f"{LONE}-0":
            os.kill(os.getpid(), signal.SIGKILL)  # once, as where memory was short for a moment

    return work


def not_started() -> None:
    raise DataError("there is no log")


def tells_what_it_sees() -> None:
    raise DataError(f"{fusion_aug.__file__} at {os.environ['OF_THE_MOMENT']}")


def dies_at_once() -> None:
    os._exit(3)
