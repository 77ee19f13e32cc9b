"""``python -m benchmarks.engines [ROUNDS]``: Ray on two nodes of one core, and our pools of two processes and of one.

Every run is a process of its own over the keyframes of datasets/drive. Its seconds count from the sample that ends the
warm-up, one for each process, to the last one; those before it are told apart. Writes benchmarks/engines.json.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table

DRIVE = Path(__file__).parents[1] / "datasets" / "drive"
COPIES, SAMPLES = 10, 200  # of every keyframe; that are timed
STORE = 80 * 2**20  # bytes of a node's object store
MOST = 1.1  # times the seconds of the pool of two


def run_once(out: str, *words: str) -> dict[str, float]:
    """Seconds before the end of the warm-up and after it, of one run in this process."""
    from fusion_aug.run.config import compose_config
    from fusion_aug.run.execute import execute
    from fusion_aug.run.job import Job

    ends: list[float] = []
    processes = 2 if "workers=1" not in words else 1
    options = ["log=nuscenes", f"log.root={DRIVE}", "pipeline=geometry", f"copies={COPIES}", f"out={out}", *words]
    start = time.perf_counter()
    execute(Job(compose_config("run", options)), lambda done, total: ends.append(time.perf_counter()))
    warm = ends[processes]  # the first call says that none is done yet
    return {"before": warm - start, "seconds": ends[processes + SAMPLES] - warm}


@contextmanager
def two_nodes() -> Iterator[str]:
    """Address of a cluster of a head without processors and two nodes of one each."""
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "OMP_NUM_THREADS": "1"}
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": STORE})
    try:
        for _ in range(2):
            cluster.add_node(num_cpus=1, object_store_memory=STORE)
        yield cluster.address
    finally:
        cluster.shutdown()


def measured(rounds: int) -> dict[str, dict[str, float]]:
    """Medians of the rounds for each engine; each round runs all of them, in another order."""
    with two_nodes() as address, tempfile.TemporaryDirectory() as folder:
        engines = {
            "pool of 2": ["workers=2"], "pool of 1": ["workers=1"],
            "Ray, 2 nodes": ["engine=ray", f"engine.address={address}"],
        }  # fmt: skip
        found: dict[str, list[dict[str, float]]] = {name: [] for name in engines}
        for number in range(rounds):
            names = [*engines][number % len(engines) :] + [*engines][: number % len(engines)]
            for name in names:
                words = ["-m", "benchmarks.engines", "once", f"{folder}/{name}-{number}", *engines[name]]
                done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
                if done.returncode:
                    raise SystemExit(f"{name}: {done.stderr[-2000:]}")
                found[name].append(json.loads(done.stdout.splitlines()[-1]))
    return {
        name: {what: statistics.median(one[what] for one in runs) for what in runs[0]} for name, runs in found.items()
    }


def main(rounds: int) -> int:
    """Measure, print and write; returns 1 where Ray takes longer than it may."""
    found = measured(rounds)
    base = found["pool of 2"]["seconds"]
    table = Table("engine", "s before", f"s for {SAMPLES} samples", "to the pool of 2", box=None, pad_edge=False)
    for name, row in found.items():
        row["ratio"] = row["seconds"] / base
        table.add_row(name, f"{row['before']:.1f}", f"{row['seconds']:.1f}", f"{row['ratio']:.2f}")
    Console().print(table)
    path = Path(__file__).with_suffix(".json")
    path.write_text(json.dumps({"rounds": rounds, "samples": SAMPLES, "engines": found}, indent=1) + "\n")
    print(f"wrote {path.name}")
    return int(found["Ray, 2 nodes"]["ratio"] > MOST)


if __name__ == "__main__":
    if sys.argv[1:2] == ["once"]:
        print(json.dumps(run_once(*sys.argv[2:])))
        sys.exit(0)
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 3))
