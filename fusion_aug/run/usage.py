"""What every sample of a run took: seconds, bytes and memory, in a table beside ``run.json``."""

from __future__ import annotations

import contextlib
import csv
import heapq
import math
import os
import platform
import resource
import statistics
import time
from array import array
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from calib.regular_files import is_there, read_regular_text
from fusion_aug.errors import DataError
from fusion_aug.logs.core.new_files import new_file
from fusion_aug.safe.guard import reads_file

NAME = "run.csv"
MAX_BYTES = 2**30  # of the table
WORST = 10  # samples that run.json names for each figure


class Used(NamedTuple):
    """What a sample took.

    Attributes:
        seconds: from its first file to the last. bytes: of its files. memory: the most that its process held then,
            in bytes. process: it, as ``node:number``.
    """

    seconds: float
    bytes: int
    memory: int
    process: str


def read_usage(path: Path) -> list[float]:
    """Seconds of every sample, from the table of a finished run; empty where there is none.

    Raises:
        DataError: it is damaged.
    """
    return _seconds(path) if is_there(path) else []


@reads_file
def _seconds(path: Path) -> list[float]:
    rows = csv.DictReader(read_regular_text(path, most=MAX_BYTES).splitlines())
    seconds = [float(row["seconds"]) for row in rows]
    if not all(math.isfinite(s) and s >= 0 for s in seconds):
        raise DataError(f"{path}: seconds: expected times of at least 0")
    return seconds


def is_used(value: Any) -> bool:
    """Whether a value from a file is what ``Used`` holds."""
    kinds = (int | float, int, int, str)
    if not isinstance(value, list) or len(value) != len(kinds) or not all(map(isinstance, value, kinds)):
        return False
    return all(not isinstance(v, bool) and 0 <= v < 2**63 for v in value[:3])  # which a NaN is not


FIGURES = ("seconds", "bytes", "memory")
STRAGGLER = 3.0  # a sample that took so many times the median


class Usage:
    """Measures one sample, from now on."""

    def __init__(self) -> None:
        self.start = time.perf_counter()
        with contextlib.suppress(OSError):  # then the peak is that of the process since it began
            Path("/proc/self/clear_refs").write_text("5")

    def of(self, folder: Path) -> Used:
        """What was taken until now, and the size of a folder."""
        seconds = round(time.perf_counter() - self.start, 3)
        size = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
        return Used(seconds, size, peak_memory(), f"{platform.node()}:{os.getpid()}")


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
    worst: dict[str, list[tuple[float, str]]] = {name: [] for name in FIGURES}
    processes: dict[str, list[float]] = defaultdict(lambda: [0, 0.0])
    all_seconds = array("f")
    part = path.with_name(f"{path.name}.part")
    with new_file(part, newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("id", *Used._fields))
        for sample, used in samples:
            table.writerow((sample, *used))
            totals["samples"] += 1
            totals["seconds"] += used.seconds
            totals["bytes"] += used.bytes
            totals["memory"] = max(totals["memory"], used.memory)
            all_seconds.append(used.seconds)
            process = processes[used.process]
            process[:] = process[0] + 1, process[1] + used.seconds
            for name, most in worst.items():
                heapq.heappush(most, (getattr(used, name), sample))
                if len(most) > WORST:
                    heapq.heappop(most)
    part.replace(path)
    totals["seconds"] = round(totals["seconds"], 3)
    return {
        "used": totals,
        "worst": {n: [[s, v] for v, s in sorted(w, reverse=True)] for n, w in worst.items()},
        "stragglers": _stragglers(all_seconds),
        "nodes": _nodes(processes),
    }


def _stragglers(seconds: Sequence[float]) -> dict[str, float]:
    """How many samples took ``STRAGGLER`` times the median or more, and the median (s)."""
    median = statistics.median(seconds) if seconds else 0.0
    late = sum(s >= STRAGGLER * median for s in seconds) if median else 0
    return {"samples": late, "median_seconds": round(median, 3), "of_median": STRAGGLER}


def _nodes(processes: Mapping[str, Sequence[float]]) -> dict[str, dict[str, Any]]:
    """Samples per second of every node while its processes were at work, and of its slowest and fastest process."""
    nodes: dict[str, list[Sequence[float]]] = defaultdict(list)
    for name, figures in processes.items():
        nodes[name.rpartition(":")[0]].append(figures)
    found = {}
    for node, its in sorted(nodes.items()):
        rates = sorted(samples / max(seconds, 1e-9) for samples, seconds in its)
        found[node] = {
            "processes": len(rates),
            "samples": int(sum(samples for samples, _ in its)),
            "samples_per_second": round(sum(rates), 4),
            "slowest_process": round(rates[0], 4),
            "fastest_process": round(rates[-1], 4),
        }
    return found
