"""``python -m benchmarks.loaders``: descriptors, throughput and memory of loaders with 8 workers and batches of 8.

Every case runs in a process of its own, under the usual limit of 1,024 open files where it counts them. Throughput is
against the same loader without packing, in turn, in one process: a sample is then pickled by torch tensor by tensor.
Writes benchmarks/loaders.json.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.loading import FORMS, descriptors, memory, throughput

USUAL_LIMIT = 1024  # open files of a process
MOST_DESCRIPTORS = 100
KEPT = 50  # batches
CASES: dict[str, Callable[..., dict[str, float]]] = {
    "descriptors": descriptors, "throughput": throughput, "memory": memory,
}  # fmt: skip


def alone(case: str, *words: object, limit: int | None = None) -> dict[str, float]:
    """The figures of a case in a process of its own, under a limit of open files."""
    command = [sys.executable, "-m", "benchmarks.loaders", case, *map(str, words)]
    if limit is not None:
        command = ["bash", "-c", f'ulimit -n {limit} && exec "$@"', "bash", *command]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{case} {words}: {done.stderr[-2000:]}")
    print(case, *words, done.stdout.splitlines()[-1], file=sys.stderr)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def counted() -> list[dict[str, Any]]:
    """Peaks of open descriptors in the parent process for each form of a batch."""
    rows = []
    for log, form, kept in [("drive", "sample", 0), *(("small", f, KEPT if f == "sample" else 10) for f in FORMS)]:
        found = alone("descriptors", log, form, kept, limit=USUAL_LIMIT)
        holds = found["peak"] < MOST_DESCRIPTORS and found.get("of_a_kept_batch", 1) <= 1
        rows.append({"figure": f"open descriptors, {log}, {form}", **found, "holds": holds})
    return rows


def main() -> int:
    """Measure, print and write; returns 1 where a limit does not hold."""
    from benchmarks.__main__ import processor  # which loads every other benchmark, so not in the measured processes

    rows = counted()
    found = alone("memory")
    rows.append({"figure": "memory, small", **found, "holds": found["growth"] <= 1.05})
    for log, rounds, most in (("small", 5, 1.0), ("drive", 3, 1.05)):  # transport is little of what a real sample takes
        found = alone("throughput", log, rounds)
        rows.append({"figure": f"throughput, {log}", **found, "holds": found["processor_ratio"] <= most})
    table = Table(box=None, pad_edge=False)
    for name in ("figure", "holds", "measured"):
        table.add_column(name, no_wrap=name != "measured")
    for row in rows:
        values = {k: v for k, v in row.items() if k not in ("figure", "holds")}
        table.add_row(
            row["figure"], "yes" if row["holds"] else "NO", ", ".join(f"{k} {v:g}" for k, v in values.items())
        )
    Console(width=200).print(table)
    facts = {
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)),
        "workers": 8,
        "batch": 8,
        "torch": torch.__version__,
    }
    path = Path(__file__).with_suffix(".json")
    path.write_text(json.dumps({"facts": facts, "figures": rows}, indent=1) + "\n")
    print(f"wrote {path.name}")
    return 0 if all(row["holds"] for row in rows) else 1


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(CASES[sys.argv[1]](*sys.argv[2:])))
    else:
        sys.exit(main())
