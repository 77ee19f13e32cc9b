"""What every sample of a run took: seconds, bytes and memory, in a table beside ``run.json``."""

from __future__ import annotations

import contextlib
import csv
import heapq
import resource
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

NAME = "run.csv"
WORST = 10  # samples that run.json names for each figure


class Used(NamedTuple):
    """What a sample took.

    Attributes:
        seconds: from its first file to the last. bytes: of its files. memory: the most that its process held then,
            in bytes.
    """

    seconds: float
    bytes: int
    memory: int


class Usage:
    """Measures one sample, from now on."""

    def __init__(self) -> None:
        self.start = time.perf_counter()
        with contextlib.suppress(OSError):  # then the peak is that of the process since it began
            Path("/proc/self/clear_refs").write_text("5")

    def of(self, folder: Path) -> Used:
        """What was taken until now, and the size of a folder."""
        seconds = round(time.perf_counter() - self.start, 3)
        return Used(seconds, sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()), peak_memory())


def peak_memory() -> int:
    """The most memory (bytes) that this process held since the peak was set back."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def write_usage(samples: Iterable[tuple[str, Used]], path: Path) -> dict[str, Any]:
    """Write the table, one row for each sample, and return what ``run.json`` says of it.

    Args:
        samples: id of the output and what it took. path: of the table.
    """
    totals = {"samples": 0, "seconds": 0.0, "bytes": 0, "memory": 0}
    worst: dict[str, list[tuple[float, str]]] = {name: [] for name in Used._fields}
    part = path.with_name(f"{path.name}.part")
    with part.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("id", *Used._fields))
        for sample, used in samples:
            table.writerow((sample, *used))
            totals["samples"] += 1
            totals["seconds"] += used.seconds
            totals["bytes"] += used.bytes
            totals["memory"] = max(totals["memory"], used.memory)
            for name, most in worst.items():
                heapq.heappush(most, (getattr(used, name), sample))
                if len(most) > WORST:
                    heapq.heappop(most)
    part.replace(path)
    totals["seconds"] = round(totals["seconds"], 3)
    return {"used": totals, "worst": {n: [[s, v] for v, s in sorted(w, reverse=True)] for n, w in worst.items()}}
