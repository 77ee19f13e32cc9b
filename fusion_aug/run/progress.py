"""How far a run is: its rate and the time left, on a terminal as a bar, else a line now and then."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

WINDOW = 120.0  # seconds that a rate looks back, and at least so many samples:
FEWEST = 20
EVERY = 30.0  # seconds between two lines where there is no terminal


Clock = Callable[[], float]


class Rate:
    """Samples per second over the last minutes; those of an earlier run do not count.

    Args:
        clock: gives the time in seconds.
    """

    def __init__(self, clock: Clock = time.monotonic):
        self.clock = clock
        self.seen: deque[tuple[float, int]] = deque()

    def update(self, done: int) -> None:
        """Note how many are done. The first call says how many were done before."""
        now = self.clock()
        self.seen.append((now, done))
        while len(self.seen) > FEWEST and now - self.seen[1][0] > WINDOW:
            self.seen.popleft()

    @property
    def value(self) -> float | None:
        """Samples per second until now, or None before the first one."""
        if len(self.seen) < 2:
            return None
        (start, before), (_, done) = self.seen[0], self.seen[-1]
        return (done - before) / max(self.clock() - start, 1e-9)

    def left(self, total: int) -> float | None:
        """Seconds until all are done; None where no rate is known."""
        rate = self.value
        return None if not rate else (total - self.seen[-1][1]) / rate

    def line(self, total: int) -> str:
        """``2.50 samples/s, 0:12:30 left``."""
        rate, left = self.value, self.left(total)
        return "-" if rate is None or left is None else f"{rate:.2f} samples/s, {duration(left)} left"


def duration(seconds: float) -> str:
    """``1:02:03``."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


@contextmanager
def progress_bar(what: str, console: Console, clock: Clock = time.monotonic) -> Iterator[Callable[[int, int], None]]:
    """Show how far something is; yields a function (done, total), whose first call says how many were done before."""
    rate = Rate(clock)
    if not console.is_terminal:
        said = clock()

        def tell(done: int, total: int) -> None:
            nonlocal said
            rate.update(done)
            if clock() - said >= EVERY and done < total:
                said = clock()
                console.print(f"{what} {done}/{total}: {rate.line(total)}", markup=False, highlight=False)

        yield tell
        return
    columns = (
        TextColumn(what), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"), TimeElapsedColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=None, rate="-")

        def update(done: int, total: int) -> None:
            rate.update(done)
            bar.update(task, completed=done, total=total, rate=rate.line(total))

        yield update
