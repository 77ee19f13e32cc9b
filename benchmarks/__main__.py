"""``make bench``: all figures, as a table and as benchmarks/results.json; fails where a limit does not hold."""

from __future__ import annotations

import json
import platform
import sys
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from benchmarks import driving, geometry, noise, photometry, touch, weather
from benchmarks.timing import interleaved_ms


def main() -> int:
    """Measure on one thread, print and write."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    parts = (geometry, photometry, noise, driving, weather, touch)
    figures = [figure for part in parts for figure in part.measure()]
    table = Table(box=None, pad_edge=False)
    for name in ("figure", "median ms", "against", "its ms", "ratio", "limit", "holds", "note"):
        table.add_column(name, no_wrap=name != "note")
    for f in figures:
        holds = {True: "yes", False: "NO", None: ""}[f.holds]
        limit = "" if f.limit is None else f"{f.limit:g}"
        table.add_row(
            f.name, f"{f.milliseconds:.2f}", f.against, f"{f.primitive:.2f}", f"{f.ratio:.2f}", limit, holds, f.note
        )
    Console(width=200).print(table)
    facts = machine()
    print(", ".join(f"{k} {v}" for k, v in facts.items()))
    rows = [{**asdict(f), "ratio": f.ratio, "holds": f.holds} for f in figures]
    path = Path(__file__).parent / "results.json"
    path.write_text(json.dumps({"facts": facts, "figures": rows}, indent=1) + "\n")
    print(f"wrote {path.name}")
    return 0 if all(f.holds is not False for f in figures) else 1


def machine() -> dict[str, object]:
    """What the milliseconds were measured on."""
    block = np.zeros(2**26, np.uint8)
    (copy,) = interleaved_ms([block.copy], 20)
    return {
        "processor": processor(), "machine": platform.machine(), "threads": 1, "milliseconds": "processor time",
        "copies 64 MiB at": f"{2**26 / copy / 1e6:.1f} GB/s", "python": platform.python_version(),
        "torch": torch.__version__, "numpy": np.__version__, "opencv": cv2.__version__,
    }  # fmt: skip


def processor() -> str:
    """Name of the processor, where the system tells."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


if __name__ == "__main__":
    sys.exit(main())
