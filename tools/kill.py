"""Commands killed everywhere: ``make kill``.

Runs of two samples of every format, runs in shards with their merge, and replays, pictures and recordings of runs are
killed with SIGKILL at every event of the file system below their output (before each open for writing, link, rename,
removal, folder made and folder removed), and in the middle of every file, also of those that code in C writes (videos,
Parquet, Feather, recordings). Checks are killed at every file of the run that they read. The same command then has to
end with the same bytes as one that nobody killed, and with nothing left over.

    python tools/kill.py [CASE ...] [--thin 1] [--jobs 2] [--moments 20]

Everything runs in forked children of one process that has imported all, so that a point takes a second or two. Then
runs with two worker processes are killed at random moments after their first finished sample, see ``kill_moments``.
Exits with 1 where a point or moment fails.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tests" / "support")]

from kill_cases import Case, cases  # noqa: E402
from kill_moments import FORMATS, killed_at_moments  # noqa: E402
from kill_trial import Trial  # noqa: E402
from kill_watch import prepare, remember_configs  # noqa: E402

MEMORY = Path("/dev/shm")  # a file system that is no slower for small files than the code under test


def main(words: Sequence[str] | None = None) -> int:
    """Kill commands, print a table and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", help="all of them by default")
    parser.add_argument("--thin", type=int, default=1, help="only every so many points; 0 none")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="points at once")
    parser.add_argument("--moments", type=int, default=20, help="random moments of runs with workers; 0 none")
    given = parser.parse_args(words)
    chosen = {name: case for name, case in cases().items() if not given.cases or name in given.cases}
    prepare()
    held = total = 0
    with tempfile.TemporaryDirectory(prefix="configs-") as folder:
        remember_configs(Path(folder))
        for name, case in chosen.items():
            for tried, wrong in (points_of(name, case, given), moments_of(name, case, given)):
                held, total = held + tried - len(wrong), total + tried
    print(f"{held} of {total} points hold")
    return 1 if held < total or not total else 0


def points_of(name: str, case: Case, given: argparse.Namespace) -> tuple[int, list[tuple[str, str]]]:
    """Kill a case at its points; returns how many there are, and those that fail."""
    if not given.thin:
        return 0, []
    start = spent()
    with tempfile.TemporaryDirectory(prefix="kill-", dir=MEMORY if MEMORY.is_dir() else None) as folder:
        trial = Trial(name, case, Path(folder))
        points = trial.points(given.thin)
        wrong = trial.killed_at_all(points, given.jobs)
    told(name, "points", len(points), wrong, start)
    return len(points), wrong


def moments_of(name: str, case: Case, given: argparse.Namespace) -> tuple[int, list[tuple[str, str]]]:
    """Kill a run of a case with workers at random moments; returns as ``points_of``."""
    if not given.moments or name not in FORMATS:
        return 0, []
    start = spent()
    with tempfile.TemporaryDirectory(prefix="kill-", dir=MEMORY if MEMORY.is_dir() else None) as folder:
        wrong = killed_at_moments(name, case, Path(folder), given.moments)
    told(name, "moments", given.moments, wrong, start)
    return given.moments, wrong


def told(name: str, what: str, count: int, wrong: list[tuple[str, str]], start: tuple[float, float]) -> None:
    """Print a line of a case, and one for each point that fails."""
    wall, cpu = (now - before for now, before in zip(spent(), start, strict=True))
    print(f"{name:20} {count - len(wrong):4} of {count:4} {what:7} hold, {wall:5.0f} s, {cpu:5.0f} s of processors",
          flush=True)  # fmt: skip
    for where, said in wrong:
        print(f"    {where}: {said}", flush=True)


def spent() -> tuple[float, float]:
    """Seconds on the clock, and of processors in children that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.monotonic(), children.ru_utime + children.ru_stime


if __name__ == "__main__":
    sys.exit(main())
