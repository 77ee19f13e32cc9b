"""What two LiDARs return in our fog beside what they return in real fog.

``python -m benchmarks.lidar_in_fog [--data DIR] [--seeds N] [--json FILE]``. The scan of a nuScenes keyframe (HDL-32E)
with wet surfaces, beside five sweeps of the same device in real fog (RADIATE, a country road; visibility by eye
100-200 m), and the scan of a KITTI frame (HDL-64E, the camera's view only), beside the ring at 4-9 m of published fog.
Every figure is given as the lowest and the highest over the draws. Counted are returns from 1.5 m on. The real share of
firings that return is that of another road, with nothing beside it: it is for information.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

import fusion_aug as fa
from fusion_aug.check.returns import Returns, returns_of
from fusion_aug.core.registry import Context
from fusion_aug.ops.random import digest

Range = tuple[float, float]
# lowest and highest that fit real fog; of isolated returns only the upper end is asked for, of the share that returns
# neither (it hangs on the scene)
REAL: dict[str, dict[str, Range]] = {
    "HDL-32E": {
        "reach": (33, 41), "beyond": (4, 11), "isolated": (0, 8), "isolated_near": (0, 4), "intensity": (1, 3),
    },
    "HDL-64E": {"from_air": (5, 20), "ring": (90, 100)},
}  # fmt: skip
ASKED = {"HDL-32E": (100, 250), "HDL-64E": (40, 80)}  # metres of MOR: one that fits, and all of them
MORS = {"HDL-32E": (40, 60, 80, 100, 120, 140, 150, 160, 180, 200, 250, 400), "HDL-64E": (40, 50, 60, 70, 80, 120, 200)}
WETNESS = {"HDL-32E": 1.0, "HDL-64E": 0.0}


def scans(data: Path) -> Iterator[tuple[str, fa.Sample, str]]:
    """Device, keyframe and name of its cloud."""
    for device, kind in (("HDL-32E", "nuscenes"), ("HDL-64E", "kitti")):
        sample = fa.open_log(kind, data / kind)[0]
        name = next(iter(sample.of_type(fa.Lidar)))
        yield device, sample, name


def drawn(sample: fa.Sample, seed: int, mor: float, wetness: float) -> Mapping[str, Any]:
    """Parameters of a fog."""
    weather = fa.Fog(mor=mor, surface_wetness=wetness)
    return {
        **weather.sample_params(np.random.default_rng(seed), sample, Context({})),
        "noise": digest("fog", seed), "key": digest("key", seed),
    }  # fmt: skip


def measure(device: str, sample: fa.Sample, name: str, seeds: int) -> Iterator[dict[str, Any]]:
    """Figures of every MOR: the lowest and the highest of all draws, and which of them leave their range."""
    for mor in MORS[device]:
        found = [returns_of(sample, name, drawn(sample, s, mor, WETNESS[device])) for s in range(seeds)]
        table = np.array(found)
        row = {f: [low, high] for f, low, high in zip(Returns._fields, table.min(0), table.max(0), strict=True)}
        off = [f for f, (low, high) in REAL[device].items() if not (low <= row[f][0] and row[f][1] <= high)]
        yield {"device": device, "mor": mor, "firings": sample[name].rows, "draws": seeds, **row, "off": off}  # type: ignore[attr-defined]


def holds(rows: list[dict[str, Any]], device: str) -> bool:
    """HDL-32E: one MOR fits. HDL-64E: all fit, and what the air returns falls with the MOR."""
    low, high = ASKED[device]
    asked = [r for r in rows if r["device"] == device and low <= r["mor"] <= high]
    if device == "HDL-32E":
        return any(not r["off"] for r in asked)
    means = [sum(r["from_air"]) for r in asked]
    return all(not r["off"] for r in asked) and means == sorted(means, reverse=True)


def main() -> int:
    """Print the table, and what of it fits real fog."""
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    words = parser.parse_args()
    rows = [row for scan in scans(words.data) for row in measure(*scan, words.seeds)]
    for device, real in REAL.items():
        table = Table("MOR", *Returns._fields, "off", title=device, box=None)
        table.add_row("real", *["{:g}-{:g}".format(*real[f]) if f in real else "" for f in Returns._fields], "")
        for row in (r for r in rows if r["device"] == device):
            cells = ["-".join(dict.fromkeys(f"{x:.1f}" for x in row[f])) for f in Returns._fields]
            table.add_row(f"{row['mor']}", *cells, ", ".join(row["off"]))
        Console(width=160).print(table)
        print(f"{device} {'holds' if holds(rows, device) else 'DOES NOT HOLD'}")
    if words.json:
        words.json.write_text(json.dumps(rows, indent=1) + "\n")
    return 0 if all(holds(rows, d) for d in REAL) else 1


if __name__ == "__main__":
    raise SystemExit(main())
