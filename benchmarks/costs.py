"""``python -m benchmarks.costs DATA``: what whole data sets take, from what one of their frames takes on one core here.

DATA is a folder with ``nuscenes`` and ``argoverse2``, real logs of at least one frame. Every frame is augmented in
several copies by the preset ``driving``, in one process. Writes benchmarks/costs.json and prints the table of
docs/scale.md.
"""

from __future__ import annotations

import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

COPIES = 12
CORES = 64  # of a machine
DAY = 86_400.0
MARKERS, LISTED = 100, 1000  # samples of an object of markers; files of a listing
# name -> format, frames: https://www.nuscenes.org (1,000 scenes of 20 s at 2 Hz, train and val are 34,149 keyframes);
# https://www.argoverse.org/av2.html (1,000 logs of 15 s at 10 Hz)
SETS = {
    "nuScenes trainval, keyframes": ("nuscenes", 34_149),
    "Argoverse 2 sensor, sweeps": ("argoverse2", 150_000),
    "10^8 frames like those of nuScenes": ("nuscenes", 10**8),
}


def of_a_frame(format: str, root: Path) -> dict[str, float]:
    """Seconds, bytes and files of a frame: medians of its copies but for the first, of which libraries get loaded."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        words = [f"log={format}", f"log.root={root}", "pipeline=driving", f"copies={COPIES}", f"out={out}"]
        command = [sys.executable, "-m", "fusion_aug", "run", *words]
        subprocess.run(command, check=True, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
        with (out / "run.csv").open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))[1:]
        shared = {"run.json", "run.csv", "manifest.jsonl"}
        files = sum(p.is_file() and p.name not in shared and p.suffix != ".json" for p in out.rglob("*"))
    seconds, size = (statistics.median(float(row[name]) for row in rows) for name in ("seconds", "bytes"))
    return {"seconds": seconds, "bytes": size, "files": files / (len(rows) + 1)}


def of_a_set(frames: int, unit: dict[str, float]) -> dict[str, float]:
    """Core hours, machines for a day, terabytes and millions of requests, in and out of a store."""
    reads = writes = unit["files"]
    listings = 3 * unit["files"] / LISTED  # two of the input, one of the output
    return {
        "core_hours": frames * unit["seconds"] / 3600,
        "machines": frames * unit["seconds"] / CORES / DAY,
        "terabytes": frames * unit["bytes"] / 1e12,
        "million_gets": frames * (reads + listings) / 1e6,
        "million_puts": frames * (writes + 1 / MARKERS) / 1e6,
    }


def main(data: Path) -> int:
    """Measure, print and write."""
    units = {format: of_a_frame(format, data / format) for format, _ in SETS.values()}
    sets = {name: of_a_set(frames, units[format]) for name, (format, frames) in SETS.items()}
    for format, unit in units.items():
        print(f"{format}: {unit['seconds']:.2f} s, {unit['bytes'] / 1e6:.1f} MB, {unit['files']:.1f} files of a frame")
    print(f"| | core hours | machines of {CORES} cores, for a day | output, TB | GET, millions | PUT, millions |")
    print("|---|---|---|---|---|---|")
    for name, row in sets.items():
        print(f"| {name} | " + " | ".join(f"{value:,.3g}" for value in row.values()) + " |")
    path = Path(__file__).with_suffix(".json")
    path.write_text(json.dumps({"of_a_frame": units, "sets": sets}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
