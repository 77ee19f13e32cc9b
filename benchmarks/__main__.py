"""``make bench``: all figures, as a table and as benchmarks/results.json."""

from __future__ import annotations

import json
import platform
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from benchmarks import driving, geometry, photometry, touch, weather


def main() -> None:
    """Measure on one thread, print and write."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    figures = [*geometry.measure(), *photometry.measure(), *driving.measure(), *weather.measure(), *touch.measure()]
    table = Table(box=None, pad_edge=False)
    for name in ("figure", "median ms", "against", "its ms", "ratio", "limit", "holds", "note"):
        table.add_column(name, no_wrap=name != "note")
    for f in figures:
        ratio = "" if f.ratio is None else f"{f.ratio:.2f}"
        primitive = "" if f.primitive is None else f"{f.primitive:.2f}"
        holds = {True: "yes", False: "NO", None: ""}[f.holds]
        limit = "" if f.limit is None else f"{f.limit:g}{'x' if f.ratio is not None else ' ms'}"
        table.add_row(f.name, f"{f.milliseconds:.2f}", f.against, primitive, ratio, limit, holds, f.note)
    Console(width=140).print(table)
    versions = {"python": platform.python_version(), "torch": torch.__version__, "opencv": cv2.__version__}
    facts = {**versions, "numpy": np.__version__, "processor": platform.machine(), "threads": 1}
    rows = [{**asdict(f), "ratio": f.ratio, "holds": f.holds} for f in figures]
    path = Path(__file__).parent / "results.json"
    path.write_text(json.dumps({"facts": facts, "figures": rows}, indent=1) + "\n")
    print(f"wrote {path.name}")


if __name__ == "__main__":
    main()
