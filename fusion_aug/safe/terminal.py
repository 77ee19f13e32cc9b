"""What a command line meets from outside: signals that end it, and standard streams that take nothing more.

It imports nothing of ours, so that it is there before anything that takes long to import.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

STANDARD_OUTPUT = "standard output"  # in place of the name of a file
EXIT_SIGNAL = 128  # and the number of the signal: what shells and schedulers know


class Stoppable:
    """Which signals have told the program to end.

    Attributes:
        came: their numbers.
        waits: whether the first one waits for ``ready``, since an import that is interrupted raises anything, or leaves
            half a module.
    """

    def __init__(self) -> None:
        self.came: list[int] = []
        self.waits = True

    def stop(self, number: int, frame: Any) -> None:
        """Handle a signal.

        Raises:
            KeyboardInterrupt: it does not wait, or is not the first.
        """
        self.came.append(number)
        if not self.waits or len(self.came) > 1:
            raise KeyboardInterrupt

    def ready(self) -> None:
        """What had to be imported is there.

        Raises:
            KeyboardInterrupt: a signal came meanwhile.
        """
        self.waits = False
        if self.came:
            raise KeyboardInterrupt

    @property
    def exit_code(self) -> int:
        """The code of a program that was told to end: 130 after Ctrl-C, 143 after SIGTERM."""
        return EXIT_SIGNAL + (self.came[0] if self.came else signal.SIGINT)


@contextmanager
def stoppable() -> Iterator[Stoppable]:
    """Ctrl-C, and SIGTERM, by which schedulers end a program, raise ``KeyboardInterrupt``.

    Only the main thread can say so. A process that ignores Ctrl-C, as shells let those in the background do,
    goes on doing so.
    """
    state = Stoppable()
    if threading.current_thread() is not threading.main_thread():
        yield state
        return
    numbers = [signal.SIGTERM]
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        numbers.append(signal.SIGINT)
    before = {number: signal.signal(number, state.stop) for number in numbers}
    try:
        yield state
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Output:
    """A standard stream whose errors are named, or dropped where nobody could be told."""

    def __init__(self, file: Any, name: str | None):
        self._file, self._name = file, name

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def write(self, text: str) -> int:
        with self._named():
            return int(self._file.write(text))
        return len(text)

    def flush(self) -> None:
        with self._named():
            self._file.flush()

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if self._name is not None:
                raise OSError(error.errno, error.strerror or str(error), self._name) from None

    def drop(self) -> None:
        """Let nothing be left that cannot be written, which Python would try, and tell, at its end."""
        try:
            self._file.flush()
        except OSError:
            with contextlib.suppress(OSError, ValueError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self._file.fileno())
                os.close(nowhere)


@contextmanager
def named_streams() -> Iterator[None]:
    """In the block, standard output raises errors that name it, and what standard error does not take is dropped."""
    before = sys.stdout, sys.stderr
    ours = [_Output(before[0], STANDARD_OUTPUT), _Output(before[1], None)]
    sys.stdout, sys.stderr = ours
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
        for output in ours:
            output.drop()
