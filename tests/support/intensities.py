"""Clouds with intensities of every scale."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import small_logs
from bags import header, ros

Array = np.ndarray
RNG = np.random.default_rng(0)
SHARES = RNG.uniform(0.01, 0.9, 400)
BYTES = RNG.integers(0, 200, 400).astype(float)
WORDS = RNG.integers(0, 40_000, 400).astype(float)


def tree(root: Path, *intensities: Array) -> Path:
    """A KITTI tree with a frame for each of the given intensities (n,)."""
    small_logs.kitti(root, len(intensities))
    for i, values in enumerate(intensities):
        points = small_logs.cloud(i, len(values))
        points[:, 3] = values
        points.tofile(root / f"training/velodyne/{i:06d}.bin")
    return root


def cloud_message(time: int, values: Array, kind: str) -> object:
    """A PointCloud2 of x y z and intensity."""
    table = np.zeros(len(values), [("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("intensity", kind)])
    table["x"] = np.arange(len(values)) * 0.1 + 3
    table["intensity"] = values
    codes = {"<f4": 7, "u1": 2, "<u2": 4}
    fields = [
        ros("sensor_msgs/PointField")(name=n, offset=table.dtype.fields[n][1], count=1, datatype=codes[k])  # type: ignore[index]
        for n, k in (("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("intensity", kind))
    ]
    return ros("sensor_msgs/PointCloud2")(
        header=header(time, "hand"), height=1, width=len(values), fields=fields, is_bigendian=False,
        point_step=table.itemsize, row_step=table.nbytes, data=np.frombuffer(table.tobytes(), np.uint8), is_dense=True,
    )  # fmt: skip
