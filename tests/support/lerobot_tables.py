"""Tables of a LeRobot data set, read with pyarrow and JSON alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq


def table(root: Path, episode: int = 0) -> dict[str, np.ndarray]:
    found = pq.read_table(root / f"data/chunk-000/file-{episode:03d}.parquet")
    return {n: np.array(found[n].to_pylist()) for n in found.column_names if ".images." not in n}


def info_of(root: Path) -> Any:
    return json.loads((root / "meta" / "info.json").read_text())
