"""nuScenes point files: LiDAR ``.pcd.bin`` and radar ``.pcd``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from calib.regular_files import read_regular
from fusion_aug.errors import DataError
from fusion_aug.logs.core.flat_evidence import other_layout
from fusion_aug.streams.source import decoder, row_counter

LIDAR_WIDTH = 5
LAYOUT = f"{LIDAR_WIDTH} little-endian float32 numbers per point (x y z intensity ring)"
LIDAR_COLUMNS = ("xyz", "intensity", "ring")
RADAR_COLUMNS = ("xyz", "velocity", "velocity_comp", "rcs", "flags")
# The 18 fields of the radar files, NumPy types.
RADAR_FIELDS = (
    ("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("dyn_prop", "i1"), ("id", "<i2"), ("rcs", "<f4"), ("vx", "<f4"),
    ("vy", "<f4"), ("vx_comp", "<f4"), ("vy_comp", "<f4"), ("is_quality_valid", "i1"), ("ambig_state", "i1"),
    ("x_rms", "i1"), ("y_rms", "i1"), ("invalid_state", "i1"), ("pdh0", "i1"), ("vx_rms", "i1"), ("vy_rms", "i1"),
)  # fmt: skip
RADAR_TYPE = np.dtype(list(RADAR_FIELDS))
FLAGS = (
    "dyn_prop", "id", "is_quality_valid", "ambig_state", "x_rms", "y_rms", "invalid_state", "pdh0", "vx_rms", "vy_rms",
)  # fmt: skip
PCD_KIND = {"F": "<f", "I": "<i", "U": "<u"}


@decoder("nuscenes_lidar")
def decode_lidar(path: Path, raw: bytes, options: dict[str, Any]) -> dict[str, Tensor]:
    """x y z, intensity (0 to 255) and ring.

    Raises:
        DataError: the size does not fit, or the file looks like another layout.
    """
    if len(raw) % (4 * LIDAR_WIDTH):
        raise DataError(
            f"{path}: the cloud is truncated or of another layout: its {len(raw)} bytes are not a multiple of "
            f"{4 * LIDAR_WIDTH}, {LAYOUT}"
        )
    found = other_layout(raw, LIDAR_WIDTH, range(3))
    if found:
        raise DataError(f"{path}: the cloud is not {LAYOUT}: {found}; write it as nuScenes does")
    v = torch.from_numpy(np.frombuffer(raw, "<f4").reshape(-1, LIDAR_WIDTH).copy())
    return {"xyz": v[:, :3].contiguous(), "intensity": v[:, 3].contiguous(), "ring": v[:, 4].to(torch.int64)}


@row_counter("nuscenes_lidar")
def count_points(path: Path, size: int, options: dict[str, Any]) -> int:
    """Points of a LiDAR file, by its size."""
    return size // (4 * LIDAR_WIDTH)


def encode_lidar(columns: dict[str, Any]) -> bytes:
    """The bytes of a LiDAR file."""
    ring = columns.get("ring", torch.zeros(len(columns["xyz"])))
    parts = [columns["xyz"], columns["intensity"][:, None], ring[:, None]]
    table = torch.cat([p.detach().cpu().to(torch.float32) for p in parts], 1)
    return table.numpy().astype("<f4").tobytes()


@decoder("nuscenes_radar")
def decode_radar(path: Path, raw: bytes, options: dict[str, Any]) -> dict[str, Tensor]:
    """Position, raw and ego-compensated velocity (along the ray), RCS, and the ten flags as they are."""
    header, body = _split_pcd(path, raw)
    fields = header["FIELDS"]
    if fields != [n for n, _ in RADAR_FIELDS]:
        raise DataError(f"{path}: FIELDS: expected the 18 fields of nuScenes radar, got {' '.join(fields)}")
    try:
        kinds = [f"{PCD_KIND[t]}{int(s)}" for t, s in zip(header["TYPE"], header["SIZE"], strict=True)]
        count = int(header["POINTS"][0])
        dtype = np.dtype(list(zip(fields, kinds, strict=True)))
    except (KeyError, ValueError, TypeError, IndexError):
        raise DataError(f"{path}: TYPE, SIZE or POINTS of the header is damaged") from None
    if count < 0 or len(body) < count * dtype.itemsize:
        raise DataError(f"{path}: the cloud is truncated: {len(body)} bytes for {count} points of {dtype.itemsize}")
    table = np.frombuffer(body, dtype, count=count)
    if count and np.isnan([table[n][0] for n in ("x", "y", "z")]).any():
        table, count = table[:0], 0  # how nuScenes writes that there is no detection

    def vector(*names: str) -> Tensor:
        columns = [table[n].astype(np.float32) if n else np.zeros(count, np.float32) for n in names]
        return torch.from_numpy(np.stack(columns, 1))

    return {
        "xyz": vector("x", "y", "z"),
        "velocity": vector("vx", "vy", ""),
        "velocity_comp": vector("vx_comp", "vy_comp", ""),
        "rcs": torch.from_numpy(table["rcs"].astype(np.float32)),
        "flags": torch.from_numpy(np.stack([table[n].astype(np.int64) for n in FLAGS], 1).reshape(count, len(FLAGS))),
    }


@row_counter("nuscenes_radar")
def count_detections(path: Path, size: int, options: dict[str, Any]) -> int:
    """Detections of a radar file, which is small: it is decoded."""
    return len(decode_radar(path, read_regular(path), options)["xyz"])


def encode_radar(columns: dict[str, Any]) -> bytes:
    """The bytes of a radar file, header and body.

    As in the originals, a newline ends the file (the devkit reads no file without one), and a cloud without a detection
    holds one point of NaN.
    """
    if len(columns["xyz"]) == 0:
        columns = {k: v.new_zeros((1, *v.shape[1:])) for k, v in columns.items()}
        columns["xyz"] = columns["xyz"] * float("nan")
    n = len(columns["xyz"])
    table = np.zeros(n, RADAR_TYPE)
    for key, names in (("xyz", "xyz"), ("velocity", ("vx", "vy")), ("velocity_comp", ("vx_comp", "vy_comp"))):
        for i, name in enumerate(names):
            table[name] = columns[key][:, i].detach().cpu().numpy()
    table["rcs"] = columns["rcs"].detach().cpu().numpy()
    for i, name in enumerate(FLAGS):
        table[name] = columns["flags"][:, i].detach().cpu().numpy()
    kinds = [RADAR_TYPE[name] for name, _ in RADAR_FIELDS]
    lines = [
        "# .PCD v0.7 - Point Cloud Data file format",
        "VERSION 0.7",
        "FIELDS " + " ".join(name for name, _ in RADAR_FIELDS),
        "SIZE " + " ".join(str(k.itemsize) for k in kinds),
        "TYPE " + " ".join("F" if k.kind == "f" else "I" for k in kinds),
        "COUNT " + " ".join("1" for _ in kinds),
        f"WIDTH {n}",
        "HEIGHT 1",
        "VIEWPOINT 0 0 0 1 0 0 0",
        f"POINTS {n}",
        "DATA binary",
    ]
    return ("\n".join(lines) + "\n").encode("ascii") + table.tobytes() + b"\n"


def _split_pcd(path: Path, raw: bytes) -> tuple[dict[str, list[str]], bytes]:
    end = raw.find(b"DATA binary")
    stop = raw.find(b"\n", end) + 1
    if end < 0 or stop == 0 or end > 65536:
        raise DataError(f"{path}: is not a binary PCD file (DATA binary is missing in its header)")
    lines = raw[:end].decode("ascii", errors="replace").splitlines()
    words = [line.split() for line in lines if line and not line.startswith("#")]
    header = {w[0]: w[1:] for w in words if w}
    for key in ("FIELDS", "SIZE", "TYPE", "POINTS"):
        if key not in header:
            raise DataError(f"{path}: {key} is missing in the header")
    return header, raw[stop:]
