"""Oracles of mixes of LiDARs: whose every return is, by a column of marks, and which beam it came along."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from places import DRIVE

import fusion_aug as fa

OWN, OTHER = 0, 1  # marks
OTHERS = (fa.ImageStream, fa.Boxes2D, fa.Radar, fa.Text)


def marked(sample: fa.Sample, mark: int) -> fa.Sample:
    """A sample without cameras and radars, whose LiDAR points tell whose they are."""
    streams = {n: s for n, s in sample.streams.items() if not isinstance(s, OTHERS)}
    for name, cloud in sample.of_type(fa.Lidar).items():
        held = cloud.realized().loaded()
        streams[name] = held.with_values(mark=torch.full((held.rows,), float(mark)))
    return sample.with_streams(streams)


def street_pair(first: int = 1, second: int = 12) -> tuple[fa.Sample, fa.Sample]:
    """Two keyframes of the sample log, marked."""
    log = fa.open_log("nuscenes", DRIVE)
    return marked(log[first], OWN), marked(log[second], OTHER)


def key_scan(sample: fa.Sample, name: str) -> dict[str, np.ndarray]:
    """Columns of the key scan in the sensor's own frame."""
    cloud = sample[name].realized().loaded()
    rows = cloud.item_slice(sample.key_item(name))
    return {n: np.asarray(v[rows]) for n, v in cloud.values.items()}


def cells(scan: dict[str, np.ndarray], columns: int) -> np.ndarray:
    """(n, 2) ring and the column that a return's azimuth falls into, by degrees."""
    azimuth = np.degrees(np.arctan2(scan["xyz"][:, 1].astype(float), scan["xyz"][:, 0].astype(float)))
    return np.stack([scan["ring"].astype(int), np.floor((azimuth + 180) / (360 / columns) + 1e-6) % columns], 1).astype(
        int
    )


def mixed_cells(scan: dict[str, np.ndarray], columns: int) -> int:
    """In how many cells there are returns of both samples."""
    found, where = np.unique(cells(scan, columns), axis=0, return_inverse=True)
    own, other = (np.bincount(where.ravel(), scan["mark"] == m, minlength=len(found)) for m in (OWN, OTHER))
    return int(((own > 0) & (other > 0)).sum())


def in_box(xyz: np.ndarray, T_sensor_box: np.ndarray, size: np.ndarray) -> np.ndarray:
    """(n,) bool, whether places lie in a box, by its own axes."""
    local = (xyz.astype(float) - T_sensor_box[:3, 3]) @ T_sensor_box[:3, :3]
    return (np.abs(local) <= size / 2 + 1e-6).all(1)


def boxes_in_sensor(sample: fa.Sample, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Poses (n, 4, 4) of the boxes in a sensor's frame, sizes (n, 3), and (n,) bool which are a donor's."""
    T = np.linalg.inv(sample.T_ref(name).numpy())
    boxes = sample["boxes"]
    theirs = np.array([r == "" for r in boxes["record"]], bool)
    return T @ boxes["pose"].numpy(), boxes["size"].numpy(), theirs


def without_rings(sample: fa.Sample, name: str) -> fa.Sample:
    """The sample, its scan listed ring by ring from azimuth 0 on, as KITTI's files are, and without the column."""
    cloud = sample[name].realized().loaded()
    parts = []
    for i in range(len(cloud)):
        rows = cloud.item_slice(i)
        xyz = cloud["xyz"][rows].double()
        along = torch.atan2(xyz[:, 1], xyz[:, 0]) % (2 * np.pi)
        order = torch.from_numpy(np.lexsort((along.numpy(), -cloud["ring"][rows].numpy())))
        parts.append({n: v[rows][order] for n, v in cloud.values.items() if n != "ring"})
    plain = replace(cloud, values={n: torch.cat([p[n] for p in parts]) for n in parts[0]}, source_rows=None)
    return sample.with_streams({**sample.streams, name: plain})
