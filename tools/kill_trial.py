"""One case of ``make kill`` in a folder of its own: counted once, then killed at every point."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from kill_cases import RUN, Case, Words
from kill_watch import Events, Point, Written, command, contents, difference, in_child, started


def options_of(name: str, case: Case, folder: Path) -> Words:
    """Make the log of a case, in a process of its own; returns the words of a run of it, but ``out``."""
    root = folder / "root.txt"

    def make() -> None:
        root.write_text(str(case.make(folder / "log")))

    if in_child(make):
        sys.exit(f"{name}: its log could not be made")
    return [*case.words, f"log.root={root.read_text()}", "pipeline=identity", "seed=3"]


class Trial:
    """A case that has been run to its end.

    Args:
        name, case: what. folder: for its log and all else.

    Attributes:
        options: of its run, but ``out``. expected: what lies in the output at the end.
        events, files: what happened to files below it meanwhile. first: number of the first event of every command.
    """

    def __init__(self, name: str, case: Case, folder: Path):
        self.name, self.case, self.folder = name, case, folder
        self.options = options_of(name, case, folder)
        if case.of_run and in_child(lambda: command(["run", *self.options, f"out={folder / 'ahead' / RUN}"])):
            sys.exit(f"{name}: the run before it failed")
        self._count()

    def commands(self, out: Path) -> list[Words]:
        """What is done, with an output."""
        return self.case.commands(self.options, out)

    def laid(self, out: Path) -> None:
        """Put what is there before the first command."""
        if self.case.of_run:
            shutil.copytree(self.folder / "ahead", out)

    def _count(self) -> None:
        """Run all to its end, and note what happened."""
        notes, out = self.folder / "events.json", self.folder / "out"

        def count() -> None:
            events, first = Events(out, reads=self.case.reads), []
            events.install()
            for words in commands:
                first.append(len(events.seen))
                command(words)
            events.measure()
            files = [f._replace(path=os.path.relpath(f.path, events.below)) for f in events.files]
            notes.write_text(json.dumps([events.seen, files, first]))

        self.laid(out)
        commands = self.commands(out)
        if in_child(count):
            sys.exit(f"{self.name}: failed, though nobody killed it")
        self.events, files, self.first = json.loads(notes.read_text())
        self.files = [Written(*file) for file in files]
        self.expected = contents(out)
        if self.case.reads and not all(event.startswith("read ") for event in self.events):
            sys.exit(f"{self.name}: writes into what it should only read")
        if self.case.as_run:
            wrong = difference(self.expected, self._of_one_run())
            if wrong is not None:
                sys.exit(f"{self.name}: though nobody killed it, it {wrong}")
        shutil.rmtree(out)

    def _of_one_run(self) -> dict[str, str]:
        """What a run by one command writes."""
        whole = self.folder / "whole"
        if in_child(lambda: command(["run", *self.options, f"out={whole}"])):
            sys.exit(f"{self.name}: the run by one command failed")
        return contents(whole)

    def points(self, thin: int = 1) -> list[Point]:
        """Where to kill: every so many events, and in the middle of as many files."""
        events = [Point(what, self._command(i), event=i) for i, what in enumerate(self.events)]
        files = [
            Point(f"half of {file.path}", self._command(file.event), file=number, half=file.size // 2)
            for number, file in enumerate(self.files)
            if file.size > 1
        ]
        return [*events[::thin], *files[::thin]]

    def _command(self, event: int) -> int:
        """Number of the command in whose course an event is."""
        return max(k for k, first in enumerate(self.first) if first <= event)

    def killed_at(self, point: Point, out: Path) -> str | None:
        """Kill at a point, and give that command and those after it again; returns what is wrong, or None.

        What lies under its own name after the kill has to be whole already, but for a run that says it is unfinished.
        """

        def run() -> None:
            Events(out, point, self.case.reads).install()
            for words in commands:
                command(words)

        def again() -> None:
            for words in commands[point.command :]:
                command(words)

        try:
            self.laid(out)
            commands = self.commands(out)
            code = os.waitstatus_to_exitcode(in_child(run))
            if code not in (-signal.SIGKILL, -signal.SIGXFSZ):
                return f"was not killed but ended with {code}"
            halves = [n for n, had in contents(out).items() if had != self.expected.get(n, had)]
            if halves and not (out / ".work").is_dir():
                return f"was half-written under its own name: {', '.join(halves[:5])}"
            if in_child(again):
                return "the same command failed"
            return difference(contents(out), self.expected)
        finally:
            shutil.rmtree(out, ignore_errors=True)

    def killed_at_all(self, points: Sequence[Point], jobs: int) -> list[tuple[str, str]]:
        """Kill at points, several at once; returns what happens at those that fail, and what is wrong."""

        def lane(number: int) -> None:
            out = self.folder / f"lane-{number}" / "out"
            wrong = [(p.what, said) for p in points[number::jobs] if (said := self.killed_at(p, out)) is not None]
            out.with_name("wrong.json").write_text(json.dumps(wrong))

        for number in range(jobs):
            (self.folder / f"lane-{number}").mkdir()
        children = [started(lambda n=number: lane(n)) for number in range(jobs)]
        statuses = [os.waitpid(child, 0)[1] for child in children]
        if any(statuses):
            sys.exit(f"{self.name}: a lane ended before its last point")
        lanes = (json.loads((self.folder / f"lane-{n}" / "wrong.json").read_text()) for n in range(jobs))
        return [(what, said) for wrong in lanes for what, said in wrong]
