"""``python -m benchmarks.camera_weather [--before FOLDER] [--rounds N] [--json FILE]``: weathers on one camera picture.

The front picture of a keyframe of ``datasets/drive``, 704x396, with its depth stream, alone with the vehicle's motion.
*Fresh* is the first draw on a copy of that sample, as on one that a log has just given; *again* another draw on the
same copy, which has kept its distances and its light. Opening and decoding do not count. ``--before`` is the folder of
another checkout: both run in processes of their own, a draw of one and of the other in turn; the ratio is that of the
medians, and they are written to FILE (benchmarks/camera_weather.json). What counts is the time on the processor, on
one thread.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parents[1]
DRIVE = HERE / "datasets" / "drive"
KEYFRAME, CAMERA = 7, "CAM_FRONT"
# name -> the transform, its settings, and the largest ratio to the commit before the look of weather was worked on
WEATHERS: dict[str, tuple[str, dict[str, float], float]] = {
    "fog": ("Fog", {"mor": 80.0}, 1.5),
    "rain": ("Rain", {"rain_rate": 20.0}, 2.0),
    "snow": ("Snow", {"snow_rate": 1.0}, 2.0),
    "snow cover": ("Snow", {"snow_rate": 1.0, "snow_cover": 0.6}, 2.0),
    "wet road": ("Weather", {"water_film": 0.5}, 2.0),
}


def serve(tree: Path) -> None:
    """Answer every line ``NAME`` with the milliseconds of a fresh sample and of the same one again."""
    sys.path.insert(0, str(tree))
    import cv2
    import torch

    import fusion_aug as fa

    if tree not in Path(fa.__file__).parents:
        raise SystemExit(f"{tree}: the package was imported from {fa.__file__} instead")
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    chosen = {n: getattr(fa, kind)(**settings) for n, (kind, settings, _) in WEATHERS.items()}
    keyframe = fa.open_log("nuscenes", DRIVE)[KEYFRAME]
    keyframe = keyframe.with_streams({n: keyframe[n] for n in (CAMERA, f"{CAMERA}/depth", "ego")}).realized()
    for seed, line in enumerate(sys.stdin):
        sample, weather = keyframe.clone(), chosen[line.strip()]
        print(json.dumps([_drawn(weather, sample, 2 * seed + k) for k in range(2)]), flush=True)


def _drawn(weather: Any, sample: Any, seed: int) -> float:
    """Milliseconds of one draw."""
    start = time.process_time()
    weather(sample, seed=seed)[CAMERA].image(0)
    return 1e3 * (time.process_time() - start)


class Checkout:
    """A process that measures one checkout, ``tree``."""

    def __init__(self, tree: Path):
        words = [sys.executable, "-m", "benchmarks.camera_weather", "--serve", str(tree.resolve())]
        env = os.environ | {"OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            words, cwd=HERE, env=env, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def turn(self, name: str) -> list[float]:
        """Milliseconds of a weather on a fresh sample, and again."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(name + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"{name}: the process that measures ended with {self.process.wait()}")
        found: list[float] = json.loads(answer)
        return found


def main(words: Sequence[str]) -> int:
    """Measure, print and write; 1 where a weather costs more than its limit times that of the other checkout."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.camera_weather", description=__doc__)
    parser.add_argument("--before", type=Path, metavar="FOLDER", help="another checkout")
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--json", type=Path, default=Path(__file__).with_suffix(".json"))
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(words)
    if options.serve:
        serve(options.serve)
        return 0
    checkouts = [Checkout(tree) for tree in (HERE, *([options.before] if options.before else []))]
    turns: dict[str, list[list[list[float]]]] = {name: [] for name in WEATHERS}
    for k in range(options.rounds + 1):
        for name, rows in turns.items():
            row = [c.turn(name) for c in checkouts]
            if k:  # the first round makes what is made once
                rows.append(row)
    print("| | fresh, ms | before | ratio | again, ms | before | ratio | limit |\n|---|---|---|---|---|---|---|---|")
    found, holds = {}, True
    for name, rows in turns.items():
        medians, limit = np.median(rows, 0), WEATHERS[name][2]  # (checkouts, fresh and again)
        found[name] = row = {"fresh": medians[0, 0], "again": medians[0, 1], "limit": limit}
        for k, what in enumerate(("fresh", "again") if options.before else ()):
            row |= {f"{what} before": medians[1, k], f"{what} ratio": medians[0, k] / medians[1, k]}
        holds &= all(row.get(f"{what} ratio", 0.0) <= limit for what in ("fresh", "again"))
        cells = [row.get(f"{what}{of}", np.nan) for what in ("fresh", "again") for of in ("", " before", " ratio")]
        print(f"| {name} | " + " | ".join(f"{c:.3g}" for c in cells) + f" | {limit} |", flush=True)
    if options.before:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
