"""``python -m benchmarks.costs DATA``: what whole data sets take, from what one of their frames takes on one core here.

DATA is a folder with ``nuscenes`` and ``argoverse2``, real logs of at least one frame, the second without pictures.
Every frame is augmented in several copies by the preset ``driving``, in one process; that of nuScenes also without its
cameras, so that the cost of a megapixel is known. Writes benchmarks/costs.json and prints the table of docs/scale.md.
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
from typing import NamedTuple

COPIES = 12
CORES = 64  # of a machine
DAY = 86_400.0
MARKERS, LISTED = 100, 1000  # samples of an object of markers; files of a listing


class Frame(NamedTuple):
    """What a frame of a data set holds, and how many there are.

    Attributes:
        scan: the log with such a cloud. pictures: of a frame. megapixels: of a picture.
    """

    frames: int
    scan: str
    pictures: int
    megapixels: float


# https://www.nuscenes.org: train and val are 34,149 keyframes of 6 cameras, 1600x900.
# https://www.argoverse.org/av2.html: 1,000 logs of 15 s, LiDAR at 10 Hz, 7 cameras at 20 Hz and 2 at 5 Hz, 2048x1550
SETS = {
    "nuScenes trainval, keyframes": Frame(34_149, "nuscenes", 6, 1.44),
    "Argoverse 2 sensor, sweeps": Frame(150_000, "argoverse2", 15, 3.17),
    "10^8 frames like those of nuScenes": Frame(10**8, "nuscenes", 6, 1.44),
}


def of_a_frame(root: Path, *more: str) -> dict[str, float]:
    """Seconds and bytes of a frame: medians of its copies but for the first, of which libraries get loaded."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        words = [f"log={root.name}", f"log.root={root}", "pipeline=driving", f"copies={COPIES}", f"out={out}", *more]
        command = [sys.executable, "-m", "fusion_aug", "run", *words]
        subprocess.run(command, check=True, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
        with (out / "run.csv").open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))[1:]
    return {name: statistics.median(float(row[name]) for row in rows) for name in ("seconds", "bytes")}


def of_a_set(frame: Frame, scan: dict[str, float], megapixel: dict[str, float]) -> dict[str, float]:
    """Core hours, machines for a day, terabytes and millions of requests, in and out of a store."""
    seconds, size = (scan[what] + frame.pictures * frame.megapixels * megapixel[what] for what in ("seconds", "bytes"))
    files = 1 + frame.pictures
    listings = 3 * files / LISTED  # two of the input, one of the output
    return {
        "seconds_of_a_frame": seconds,
        "core_hours": frame.frames * seconds / 3600,
        "machines": frame.frames * seconds / CORES / DAY,
        "terabytes": frame.frames * size / 1e12,
        "million_gets": frame.frames * (files + listings) / 1e6,
        "million_puts": frame.frames * (files + 1 / MARKERS) / 1e6,
    }


def main(data: Path) -> int:
    """Measure, print and write."""
    whole = of_a_frame(data / "nuscenes")
    scans = {
        "nuscenes": of_a_frame(data / "nuscenes", "log.exclude=[CAM*]"),
        "argoverse2": of_a_frame(data / "argoverse2"),
    }
    pixels = SETS["nuScenes trainval, keyframes"]
    megapixel = {k: (whole[k] - scans["nuscenes"][k]) / (pixels.pictures * pixels.megapixels) for k in whole}
    sets = {name: of_a_set(frame, scans[frame.scan], megapixel) for name, frame in SETS.items()}
    units = {"a megapixel": megapixel, **{f"a scan of {name}": scan for name, scan in scans.items()}}
    for name, unit in units.items():
        print(f"{name}: {unit['seconds']:.3f} s, {unit['bytes'] / 1e6:.2f} MB")
    print(
        f"| | s of a frame | core hours | machines of {CORES} cores, for a day | output, TB | GET, 10^6 | PUT, 10^6 |"
    )
    print("|---|---|---|---|---|---|---|")
    for name, row in sets.items():
        print(f"| {name} | " + " | ".join(f"{value:,.3g}" for value in row.values()) + " |")
    path = Path(__file__).with_suffix(".json")
    path.write_text(json.dumps({"units": units, "sets": sets}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
