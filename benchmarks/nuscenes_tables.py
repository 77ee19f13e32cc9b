"""``python -m benchmarks.nuscenes_tables``: memory and seconds of nuScenes' tables, by how many rows they have.

The tables are made, in the proportions of trainval. Every figure is of a process of its own. Seconds are of processor
time; beside them are those of ``json.loads`` of the same files in the same run, which holds their rows as dictionaries.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.alone import alone
from benchmarks.big_tables import TABLES, write_big_tables

SIZES = (10**4, 10**5, 10**6)  # rows of sample_data
MOST_KIB = 0.5  # of private memory, per row of sample_data


def private_bytes() -> int:
    """Memory that this process shares with no other."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) * 1024


def peak_bytes() -> int:
    """The most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def ours(root: Path) -> dict[str, float]:
    """Open a log, ask for its ids, and read a sample without its files, after a log of one sample."""
    import fusion_aug as fa

    with tempfile.TemporaryDirectory() as folder:
        write_big_tables(Path(folder), 1)
        fa.open_log("nuscenes", folder)[0]  # what a process loads whatever the rows
    first, most = private_bytes(), peak_bytes()
    steps: dict[str, float] = {}

    def step(name: str, work: Callable[[], Any]) -> Any:
        start = time.process_time()
        result = work()
        steps[name] = time.process_time() - start
        return result

    log: Any = fa.open_log("nuscenes", root)
    step("tables", lambda: [len(log.tables.rows(table)) for table in TABLES])
    ids = step("ids", lambda: log.all_ids)
    step("first_read", lambda: log.read(ids[len(ids) // 2]))  # with the poses of its scene
    step("next_read", lambda: log.read(ids[len(ids) // 2 + 1]))
    steps["private"] = private_bytes() - first
    step("names", lambda: log.part_of("samples/LIDAR_TOP/none.pcd.bin"))
    return steps | {"private_with_names": private_bytes() - first, "peak": peak_bytes() - most}


def bare(root: Path) -> dict[str, float]:
    """Parse the same files, and hold all their rows."""
    first, start = private_bytes(), time.process_time()
    held = [json.loads((root / f"v1.0-trainval/{table}.json").read_bytes()) for table in TABLES]
    seconds = time.process_time() - start
    return {"seconds": seconds, "private": private_bytes() - first, "tables": len(held)}


def main(sizes: list[int]) -> int:
    """Measure and print; returns 1 where a row of the largest table takes more memory than it may."""
    print("            KiB per row of sample_data          seconds                                         tables /")
    print(
        "rows        worker  parent  peak    json.loads   tables   ids   read   next   names   json.loads   json.loads"
    )
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            rows = write_big_tables(Path(folder), size)
            a, b = (alone("nuscenes_tables", what, folder) for what in ("ours", "bare"))
        found = (a["private"], a["private_with_names"], a["peak"], b["private"])
        worker, parent, peak, held = (n / rows / 1024 for n in found)
        print(
            f"{rows:<11} {worker:<7.3f} {parent:<7.3f} {peak:<7.3f} {held:<12.2f} {a['tables']:<8.2f} {a['ids']:<5.2f} "
            f"{a['first_read']:<6.2f} {a['next_read']:<6.2f} {a['names']:<7.2f} {b['seconds']:<12.2f} "
            f"{a['tables'] / b['seconds']:.2f}",
            flush=True,
        )
    print(f"limit: {MOST_KIB} KiB per row of the largest tables, at any time")
    return 0 if max(parent, peak) <= MOST_KIB else 1


if __name__ == "__main__":
    if sys.argv[1:2] in (["ours"], ["bare"]):
        print(json.dumps({"ours": ours, "bare": bare}[sys.argv[1]](Path(sys.argv[2]))))
    else:
        sys.exit(main([int(word) for word in sys.argv[1:]] or list(SIZES)))
