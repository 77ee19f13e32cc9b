"""Damaged files and odd command lines, for every reader: ``make fuzz``.

Each case damages one file of a small log (tests/support/mutations.py), or a word of a command line, by a seed, and
reads it in a child process that has limits of time and memory. What may happen is that it is read, or refused in one
sentence. Counted are: exceptions that are none of ours, messages of several lines, or of no file; cases of more than
20 s or 2 GiB; processes that end; files outside of the log that are opened, changed or made; code that runs.

    python tools/fuzz.py [--cases 20000] [--seed 0] [--only FORMAT] [--first N]

Exits with 1 if there is any of them; every one is printed with its number, by which it can be had again
(``--first N --cases 1``).
"""

from __future__ import annotations

import argparse
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
REPOSITORY = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tests" / "support")]

SECONDS = 20
ALLOWED = ("read", "refused")


class Child:
    """A process that takes numbers of cases and answers with a line for each."""

    def __init__(self, folder: Path, seed: int, only: str):
        words = [sys.executable, str(Path(__file__).with_name("fuzz_child.py")), str(folder), str(seed), only]
        self.errors = (folder / "child.log").open("a+b")
        self.process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, cwd=folder / "here"
        )
        self.ask("ready", 120)

    def ask(self, what: Any, seconds: float) -> dict[str, Any]:
        """Its answer; ``kind`` is ``hang`` or ``crash`` where there is none."""
        assert self.process.stdin is not None and self.process.stdout is not None
        try:
            self.process.stdin.write(f"{json.dumps(what)}\n".encode())
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        if not select.select([self.process.stdout], [], [], seconds)[0]:
            self.end()
            return {"kind": "hang", "what": "", "said": f"more than {seconds} s"}
        line = self.process.stdout.readline()
        if not line:
            return {"kind": "crash", "what": "", "said": f"exit code {self.process.wait()}"}
        found: dict[str, Any] = json.loads(line)
        return found

    def end(self) -> None:
        """Stop it, whatever it does."""
        self.process.kill()
        self.process.wait()
        self.errors.close()


def outcomes(cases: int, seed: int, first: int = 0, only: str = "") -> Iterator[tuple[int, dict[str, Any]]]:
    """Number of every case and what became of it.

    Args:
        cases: how many. seed: of the damage. first: number of the first. only: base, such as a format; "" for all.
    """
    with tempfile.TemporaryDirectory(prefix="fuzz") as name:
        folder = Path(name)
        make = [sys.executable, str(Path(__file__).with_name("fuzz_child.py")), str(folder)]
        subprocess.run([*make, "make", only], check=True, stdout=subprocess.DEVNULL)
        child = None
        for number in range(first, first + cases):
            child = child or Child(folder, seed, only)
            answer = child.ask(number, SECONDS)
            yield number, answer
            if answer["kind"] in ("hang", "crash", "memory"):
                child.end()
                child = None
        if child is not None:
            child.end()


def main() -> int:
    """Run the cases; 1 if one did what none may do."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--only", default="")
    given = parser.parse_args()
    counts: Counter[str] = Counter()
    start = time.monotonic()
    for number, answer in outcomes(given.cases, given.seed, given.first, given.only):
        counts[answer["kind"]] += 1
        if answer["kind"] not in ALLOWED or given.cases == 1:
            print(f"{number}: {answer['kind']}: {answer['what']}: {answer['said']}", flush=True)
    figures = ", ".join(f"{n} {kind}" for kind, n in sorted(counts.items()))
    print(f"{given.cases} cases in {time.monotonic() - start:.0f} s: {figures}")
    return int(any(kind not in ALLOWED for kind in counts))


if __name__ == "__main__":
    sys.exit(main())
