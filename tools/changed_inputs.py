"""Inputs changed under runs: ``make changed-inputs``.

Runs of two samples over logs of every format, and over what runs of ours wrote. One file of every kind that they read
(of the log, its sidecar, and the files that options name) is changed: other bytes of the same size, replaced by rename,
removed, and one added beside it; during the run, after its first finished sample, and between a kill there and the same
command. The command has to end with exit code 2 and one sentence that names the file, and without ``run.json``.

    python tools/changed_inputs.py [CASE ...] [--thin 1] [--jobs 2]

A file that was added may be one that nothing reads: then the bytes have to be those of a run that nobody disturbed.
Needs Linux. Exits with 1 where a change passes.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tests" / "support")]

from changed_cases import Maker, makers  # noqa: E402
from kill_watch import contents, difference, in_child, prepare, started  # noqa: E402
from said import said  # noqa: E402

MEMORY = Path("/dev/shm")
UNREAD = ("README", "LICENSE")  # beginnings of names of files that nothing reads


# --- changes ---------------------------------------------------------------------------------------------------------
def other(raw: bytes) -> bytes:
    """As many bytes, one of them another."""
    middle = len(raw) // 2
    return raw[:middle] + bytes([raw[middle] ^ 1]) + raw[middle + 1 :]


def exchanged(path: Path) -> Path:
    """Other bytes of the same size, in place."""
    path.write_bytes(other(path.read_bytes()))
    return path


def replaced(path: Path) -> Path:
    """Another file of the same size under its name."""
    new = path.with_name(f"{path.name}.new")
    new.write_bytes(other(path.read_bytes()))
    return new.replace(path)


def removed(path: Path) -> Path:
    """Nothing."""
    path.unlink()
    return path


def added(path: Path) -> Path:
    """A copy beside it."""
    return Path(shutil.copyfile(path, next_name(path)))


def next_name(path: Path) -> Path:
    """The path with the next number that is free, or with a number."""
    while path.exists():
        stem, count = re.subn(r"(\d+)(?!.*\d)", lambda m: f"{int(m[1]) + 1:0{len(m[1])}d}", path.stem)
        path = path.with_stem(stem if count else f"{stem}_2")
    return path


WAYS = (exchanged, replaced, removed, added)


class Change(NamedTuple):
    """What is done to one file: ``way`` to ``path``, during the run or between a kill and the same command."""

    path: Path
    way: Callable[[Path], Path]
    during: bool


def after_the_first_sample(then: Callable[[], object]) -> None:
    """Have something done in this process as soon as the first sample is finished."""
    from fusion_aug.run.job import Job

    original = Job.write_marker

    def write(job: Job, number: int, data: dict[str, Any]) -> None:
        original(job, number, data)
        Job.write_marker = original  # type: ignore[method-assign]
        then()

    Job.write_marker = write  # type: ignore[method-assign]


# --- one case --------------------------------------------------------------------------------------------------------
class Trial:
    """A case in a folder of its own.

    Args:
        name, maker: of the case. folder: for its inputs, which are the current folder of commands, and its outputs.
    """

    def __init__(self, name: str, maker: Maker, folder: Path):
        self.inputs, self.begun, self.out = folder / "inputs", folder / "begun", folder / "out"
        words, whole = folder / "words.json", folder / "whole"

        def make() -> None:
            words.write_text(json.dumps(maker(self.inputs)))

        if in_child(make):
            sys.exit(f"{name}: its log could not be made")
        self.words = ["pipeline=identity", "seed=3", *json.loads(words.read_text())]
        code, lines = self.said(whole)
        if code:
            sys.exit(f"{name}: the run failed: {lines}")
        self.expected = self.samples(whole)
        self.said(self.begun, lambda: os.kill(os.getpid(), signal.SIGKILL))
        if (self.begun / "run.json").exists() or not (self.begun / ".work/done").is_dir():
            sys.exit(f"{name}: its run could not be killed after the first sample")

    def said(self, out: Path, then: Callable[[], object] | None = None) -> tuple[int, list[str]]:
        """Exit code and errors of the run; ``then`` is done after its first finished sample."""

        def before() -> None:
            os.chdir(self.inputs)
            if then is not None:
                after_the_first_sample(then)

        return said(["run", *self.words, f"out={out}"], before)

    def changes(self) -> list[Change]:
        """What is tried: every way with one file of every kind.

        Kinds are patterns of paths, in which numbers and names of sensors stand for others.
        """
        found: dict[str, Path] = {}
        for path in sorted(p for p in self.inputs.rglob("*") if p.is_file() and p.stat().st_size):
            kind = re.sub(r"[0-9a-f]{8,}|\d+", "#", path.relative_to(self.inputs).as_posix())
            found.setdefault(re.sub(r"[A-Z][A-Z_]{2,}", "S", kind), path)
        return [Change(path, way, during) for path in found.values() for way in WAYS for during in (True, False)]

    def is_named(self, path: Path, lines: list[str]) -> bool:
        """Whether one sentence names a file, or a folder that it lies in, where the log cannot be opened without it.

        Decoders of pictures print a line of their own where they meet a byte that was changed.
        """
        lines = [line for line in lines if not line.startswith("Corrupt JPEG data: ")]
        return len(lines) == 1 and (path.stem in lines[0] or any(f"{p}: " in lines[0] for p in path.parents))

    def samples(self, out: Path) -> dict[str, str]:
        """What a run wrote, but for the account of the names of all files."""
        return {name: digest for name, digest in contents(out).items() if name != "manifest.jsonl"}

    def wrong(self, change: Change) -> str | None:
        """Try a change, and undo it; returns what is wrong, None where nothing is."""
        path, new = change.path, next_name(change.path)
        before, facts = path.read_bytes(), path.stat()
        try:
            if not change.during:
                shutil.copytree(self.begun, self.out)
                change.way(path)
            code, lines = self.said(self.out, (lambda: change.way(path)) if change.during else None)
            if code == 2 and self.is_named(new if change.way is added else path, lines):
                return "it is finished" if (self.out / "run.json").exists() else None
            unread = change.way is added or path.name.startswith(UNREAD)
            if code == 0 and unread and difference(self.samples(self.out), self.expected) is None:
                return None
            return f"exit code {code}: {lines[-1:]}"
        finally:
            shutil.rmtree(self.out, ignore_errors=True)
            new.unlink(missing_ok=True)
            path.write_bytes(before)
            os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))


# --- all cases -------------------------------------------------------------------------------------------------------
def tried(name: str, maker: Maker, thin: int, jobs: int) -> tuple[int, list[str]]:
    """Try every so many changes of a case, several at once; returns how many there were, and what is wrong."""
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:

        def lane(number: int) -> None:
            trial = Trial(name, maker, Path(folder) / f"{number}")
            changes = trial.changes()[number * thin :: jobs * thin]
            wrong = [
                f"{c.way.__name__} {'during' if c.during else 'between'} {c.path.relative_to(trial.inputs)}: {what}"
                for c in changes
                if (what := trial.wrong(c)) is not None
            ]
            (Path(folder) / f"{number}.json").write_text(json.dumps([len(changes), wrong]))

        for number in range(jobs):
            (Path(folder) / f"{number}").mkdir()
        children = [started(lambda n=number: lane(n)) for number in range(jobs)]
        ends = [os.waitpid(child, 0)[1] for child in children]
        if any(ends):
            sys.exit(f"{name}: a lane ended before its last change")
        lanes = [json.loads((Path(folder) / f"{n}.json").read_text()) for n in range(jobs)]
        return sum(count for count, _ in lanes), [line for _, wrong in lanes for line in wrong]


def main(words: Sequence[str] | None = None) -> int:
    """Change inputs, print a table and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", help="all of them by default")
    parser.add_argument("--thin", type=int, default=1, help="only every so many changes")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="changes at once")
    given = parser.parse_args(words)
    sys.dont_write_bytecode = True  # of plugins, whose folder is that of the inputs
    prepare()
    held = total = 0
    for name, maker in makers().items():
        if given.cases and name not in given.cases:
            continue
        start = time.monotonic()
        count, wrong = tried(name, maker, given.thin, given.jobs)
        held, total = held + count - len(wrong), total + count
        print(
            f"{name:20} {count - len(wrong):4} of {count:4} changes hold, {time.monotonic() - start:5.0f} s", flush=True
        )
        for line in wrong:
            print(f"    {line}", flush=True)
    print(f"{held} of {total} changes hold")
    return 1 if held < total or not total else 0


if __name__ == "__main__":
    sys.exit(main())
