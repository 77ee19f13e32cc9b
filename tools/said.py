"""A command of ours in a forked child: how it ended and what it said."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Sequence

from kill_watch import in_child

# begins a line of every half minute on a slow machine, and of what libpng prints itself of a damaged picture
OF_OTHERS = ("augmenting ", "libpng ")


def said(words: Sequence[str], before: Callable[[], None] = lambda: None) -> tuple[int, list[str]]:
    """Exit code of a command, and its lines on standard error but for progress and libraries' own.

    Args:
        words: of the command line. before: done in the child first.
    """
    with tempfile.TemporaryFile("w+") as text:

        def run() -> None:
            from fusion_aug.cli import main

            os.dup2(text.fileno(), 2)
            before()
            code = main(list(words))
            sys.stderr.flush()
            os._exit(code)

        code = os.waitstatus_to_exitcode(in_child(run))
        text.seek(0)
        return code, [line for line in text.read().splitlines() if not line.startswith(OF_OTHERS)]
