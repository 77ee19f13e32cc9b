"""Damaged files and odd command lines, for every reader and every command, and bombs by hand: ``make fuzz``.

Each case damages one file of a small log or of the output of a run (tests/support/mutations.py), or words of a command
line, by a seed, and reads it in a child process that has limits of time and memory; those by hand follow
(tools/fuzz_by_hand.py). What may happen is that it is read, or refused in one sentence. Counted are: exceptions that
are none of ours, messages of several lines, or of no file; cases of more than 20 s of computing or 2 GiB, or that wait
for something; processes that end; files outside of the log that are opened, changed or made; code that runs; bombs that
are read.

    python tools/fuzz.py [--cases 20000] [--seed 0] [--only FORMAT] [--first N] [--hand PATTERN]

Exits with 1 if there is any of them; every one is printed with its number or name, by which it can be had again
(``--first N --cases 1``, ``--cases 0 --hand NAME``).
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
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
REPOSITORY = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tests" / "support"), str(REPOSITORY / "tools")]
from fuzz_by_hand import by_hand, odd_files  # noqa: E402

PATIENCE = 400  # s, after which a case hangs even on a busy machine; what computes is measured by the child
ALLOWED = ("read", "refused")
Case = int | str
Outcome = tuple[Case, dict[str, Any]]


class Child:
    """A process that takes numbers and names of cases and answers with a line for each."""

    def __init__(self, folder: Path, seed: int, only: str):
        words = [sys.executable, str(Path(__file__).with_name("fuzz_child.py")), str(folder), str(seed), only]
        self.errors = (folder / "child.log").open("a+b")
        self.process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, cwd=folder / "here"
        )
        self.ask("ready")

    def ask(self, what: Any) -> dict[str, Any]:
        """Its answer; ``kind`` is ``hang`` or ``crash`` where there is none."""
        assert self.process.stdin is not None and self.process.stdout is not None
        try:
            self.process.stdin.write(f"{json.dumps(what)}\n".encode())
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        if not select.select([self.process.stdout], [], [], PATIENCE)[0]:
            self.end()
            return {"kind": "hang", "what": "", "said": f"more than {PATIENCE} s"}
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


def outcomes(cases: Iterable[Case], seed: int, only: str = "") -> Iterator[Outcome]:
    """Every case and what became of it: ``kind``, ``what`` was done and what was ``said``.

    Args:
        cases: numbers of those that are drawn, names of those by hand. seed: of the damage.
        only: base of all that are drawn, such as a format; "" for all.
    """
    with tempfile.TemporaryDirectory(prefix="fuzz") as name:
        folder = Path(name)
        make = [sys.executable, str(Path(__file__).with_name("fuzz_child.py")), str(folder)]
        subprocess.run([*make, "make", only], check=True, stdout=subprocess.DEVNULL)
        child = None
        try:
            for case in cases:
                child = child or Child(folder, seed, only)
                answer = child.ask(case)
                yield case, answer
                if answer["kind"] in ("hang", "crash", "memory"):
                    child.end()
                    child = None
        finally:
            if child is not None:
                child.end()


def names_by_hand(pattern: str = "") -> list[str]:
    """Names of the cases by hand, those of odd files too, that hold a text."""
    return [name for name in [*by_hand(), *odd_files()] if pattern in name]


def main() -> int:
    """Run the cases; 1 if one did what none may do."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--only", default="")
    parser.add_argument("--hand", help="run the cases by hand that hold this text; by default all, where --first is 0")
    given = parser.parse_args()
    hands = given.hand is not None or not (given.first or given.only)
    cases: list[Case] = list(range(given.first, given.first + given.cases))
    groups: dict[str, list[Case]] = {"drawn": cases} if cases else {}
    if hands:
        groups["by hand"] = list(names_by_hand(given.hand or ""))
    bad, report = False, []
    for title, group in groups.items():
        counts: Counter[str] = Counter()
        start = time.monotonic()
        with closing(outcomes(group, given.seed, given.only if title == "drawn" else "")) as found:
            for case, answer in found:
                counts[answer["kind"]] += 1
                if answer["kind"] not in ALLOWED or len(group) == 1:
                    print(f"{case}: {answer['kind']}: {answer['what']}: {answer['said']}", flush=True)
        figures = ", ".join(f"{n} {kind}" for kind, n in sorted(counts.items()))
        report.append(f"{len(group)} cases {title} in {time.monotonic() - start:.0f} s: {figures}")
        bad |= any(kind not in ALLOWED for kind in counts)
    print("; ".join(report))
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
