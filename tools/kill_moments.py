"""Runs with real worker processes, killed at random moments after their first finished sample."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from kill_cases import REPOSITORY, Case
from kill_trial import options_of
from kill_watch import command, contents, difference, in_child

FORMATS = ("kitti", "nuscenes", "argoverse2", "mcap", "lerobot", "lerobot v2.1", "robomimic", "aloha", "rosbag")
GONE = 60  # seconds within which workers have to end; two on a quiet machine
LOOK = 0.005  # seconds between two looks at what a run has done


def killed_at_moments(name: str, case: Case, folder: Path, count: int) -> list[tuple[str, str]]:
    """Kill the process of a run with two workers, and give its command again, so many times.

    Args:
        name, case: what. folder: for its log and output. count: of moments.

    Returns:
        the moments that failed, and what was wrong.
    """
    out, draws = folder / "out", random.Random(f"{name} {count}")
    options = [*options_of(name, case, folder), "copies=4"]
    if in_child(lambda: command(["run", *options, f"out={folder / 'whole'}"])):
        sys.exit(f"{name}: the run failed")
    expected, words = contents(folder / "whole"), [*options, f"out={out}", "workers=2"]
    span = _span(words, out)
    wrong = []
    for number in range(count):
        share = draws.random()
        said = _killed(words, out, share * span) or _finished(words, out, expected)
        if said is not None:
            wrong.append((f"moment {number}, {share:.3f} of the way", said))
        shutil.rmtree(out, ignore_errors=True)
    return wrong


def _start(words: list[str], out: Path) -> subprocess.Popen[bytes]:
    with out.with_name("said.txt").open("w") as said:
        return subprocess.Popen(
            [sys.executable, "-m", "fusion_aug", "run", *words],
            stdout=subprocess.DEVNULL,
            stderr=said,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        )


def _first_sample(run: subprocess.Popen[bytes], out: Path) -> None:
    """Wait until one is finished."""
    while run.poll() is None and not any((out / ".work/done").glob("*.json")):
        time.sleep(LOOK)


def _span(words: list[str], out: Path) -> float:
    """Seconds from the first finished sample to the end."""
    with _start(words, out) as run:
        _first_sample(run, out)
        first = time.monotonic()
        run.wait()
    shutil.rmtree(out)
    return time.monotonic() - first


def _killed(words: list[str], out: Path, wait: float) -> str | None:
    """Kill a run some seconds after its first finished sample, or sooner if it has ended by then."""
    for _ in range(5):
        with _start(words, out) as run:
            _first_sample(run, out)
            end = time.monotonic() + wait
            while run.poll() is None and time.monotonic() < end:
                time.sleep(LOOK)
            workers = children(run.pid)
            run.send_signal(signal.SIGKILL)
        if run.returncode == -signal.SIGKILL:
            return gone(workers)
        shutil.rmtree(out, ignore_errors=True)
        wait /= 2
    return f"was not killed but ended with {run.returncode}"


def _finished(words: list[str], out: Path, expected: dict[str, str]) -> str | None:
    """Give the same command again, and compare."""
    with _start(words, out) as run:
        if run.wait():
            return f"the same command failed: {out.with_name('said.txt').read_text()[-500:]}"
    return difference(contents(out), expected)


def gone(workers: list[int]) -> str | None:
    """Wait for workers whose parent was killed."""
    end = time.monotonic() + GONE
    while left := [pid for pid in workers if runs(pid)]:
        if time.monotonic() > end:
            return f"{len(left)} workers are still there"
        time.sleep(LOOK)
    return None


def children(pid: int) -> list[int]:
    """Processes that a process has started."""
    try:
        return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def runs(pid: int) -> bool:
    """Whether a process is there, and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
