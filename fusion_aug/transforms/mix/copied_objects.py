"""Objects of a donor's scans as copies that are turned about the LiDAR: what they hide, and what hides them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from calib.se3 import invert, rotation_about, se3
from fusion_aug.core.mixing.meeting import T_ref_item
from fusion_aug.ops.beam_grid import columns_of
from fusion_aug.ops.beam_hiding import DIGITS, nearest_in, shadow
from fusion_aug.ops.points import points_in_boxes
from fusion_aug.sample import Sample
from fusion_aug.sample.sensors import matches
from fusion_aug.streams import Boxes3D
from fusion_aug.streams.columns import concat
from fusion_aug.transforms.mix.beam_scans import Half, ScanPair

Array = np.ndarray
COPY_ROWS = 1 << 24  # numbers of rows that each copy may have
FIRST_LABEL = 1 << 32  # numbers of objects that no log has


@dataclass(frozen=True)
class Thing:
    """An object of a donor.

    Attributes:
        row: of its box; of an object that labels of points tell, its number. category: its name.
        pose: ``T_ref_box`` (4, 4) at the reference time, metres. size: (3,) along its own axes.
        speed: (3,) m/s in the reference frame, 0 where unknown. labelled: whether labels of points tell it.
    """

    row: int
    category: str
    pose: Array
    size: Array
    speed: Array
    labelled: bool = False

    def rows(self, pair: ScanPair) -> Array:
        """Numbers (n,) of its returns in the donor's scan."""
        if pair.other is None:
            return np.zeros(0, np.int64)
        if self.labelled:
            found: Array = np.flatnonzero(pair.other.values["instance"].numpy() == self.row)
        else:
            pose = self.pose.copy()
            pose[:3, 3] += self.speed * pair.offset
            there = torch.from_numpy(pair.T_sensor_ref @ pose)[None]
            found = points_in_boxes(torch.from_numpy(pair.other.xyz), there, torch.from_numpy(self.size)[None])[
                0
            ].numpy()
        return found[pair.other.ring[found] >= 0]


def things_of(sample: Sample, pair: ScanPair, half: Half, classes: Sequence[str]) -> list[Thing]:
    """Objects of a sample that a scan shows: its boxes, or without any those that labels of points tell.

    Args:
        sample: of them. pair: of the key scans. half: of the pair, the sample's own. classes: patterns of names.
    """
    boxes = next(iter(sample.of_type(Boxes3D).values()), None)
    if isinstance(boxes, Boxes3D):
        speed = boxes["velocity"].nan_to_num(0.0) if "velocity" in boxes.values else torch.zeros(boxes.rows, 3)
        names = [str(c) for c in boxes.values.get("category", [""] * boxes.rows)]
        columns = (boxes["pose"], boxes["size"], speed)
        poses, sizes, speeds = (v.detach().to(torch.float64).numpy() for v in columns)
        chosen = [k for k, name in enumerate(names) if matches(name, classes)]
        return [Thing(k, names[k], poses[k], sizes[k], speeds[k]) for k in chosen]
    return _labelled_things(sample, pair, half, classes)


def _labelled_things(sample: Sample, pair: ScanPair, half: Half, classes: Sequence[str]) -> list[Thing]:
    cloud: Any = sample[pair.name].realized()
    if not {"instance", "label"} <= set(half.values):
        return []
    out = []
    T_ref_sensor = np.linalg.inv(pair.T_sensor_ref)
    instance, label = half.values["instance"].numpy(), half.values["label"].numpy()
    for number in np.unique(instance[(instance > 0) & (half.ring >= 0)]).tolist():
        rows = np.flatnonzero((instance == number) & (half.ring >= 0))
        known = int(label[rows[0]])
        name = cloud.label_names[known] if 0 <= known < len(cloud.label_names) else ""
        if not matches(name, classes):
            continue
        low, high = half.xyz[rows].min(0), half.xyz[rows].max(0)
        pose = np.eye(4)
        pose[:3, 3] = (low + high) / 2
        out.append(Thing(number, name, T_ref_sensor @ pose, high - low, np.zeros(3), labelled=True))
    return out


def turn(sample: Sample, pair: ScanPair, columns: int) -> Array:
    """(4, 4) the turn of the reference frame about the scanner's own z axis, as it stands in the key scan.

    Args:
        sample: receives. pair: of the key scans. columns: by how many.
    """
    T = T_ref_item(sample, pair.name, pair.item)
    about_z = rotation_about("z", 2 * np.pi * columns / pair.columns).to(torch.float64)
    turned: Array = (T @ se3(about_z, torch.zeros(3, dtype=torch.float64)) @ invert(T)).numpy()
    return turned


def copied(pair: ScanPair, thing: Thing, number: int, columns: int, T_turn: Array, *, key: bool) -> Half | None:
    """The returns of one copy; None where the scan shows none of it.

    Args:
        pair: of scans. thing: the object. number: of the copy. columns: by how many it is turned in the key scan.
        T_turn: what ``turn`` gave. key: whether this is the key scan, whose beams the copy meets exactly.
    """
    rows = thing.rows(pair)
    if not len(rows) or pair.cloud is None or pair.other is None:
        return None
    T = torch.from_numpy(pair.T_sensor_ref @ T_turn @ np.linalg.inv(pair.T_sensor_ref))
    cloud = pair.cloud.loaded()._with_rows(torch.from_numpy(rows)).transformed(T[None])
    xyz = cloud["xyz"].to(torch.float64).numpy()
    column = (pair.other.column[rows] + columns) % pair.columns
    if not key:
        column = columns_of(np.arctan2(xyz[:, 1], xyz[:, 0]), pair.columns)
    values = dict(cloud.values)
    if "instance" in values:
        values["instance"] = torch.full((len(rows),), FIRST_LABEL + number, dtype=values["instance"].dtype)
    numbers = pair.other.numbers[torch.from_numpy(rows)] + number * COPY_ROWS
    return Half(values, numbers, pair.other.ring[rows], pair.columns, pair.scanners, column)


@dataclass(frozen=True)
class Meeting:
    """Copies among the returns of a scan.

    Attributes:
        pair: the scans, ``other`` holding the returns of all copies. stays, comes: (n,) bool which of both are left.
        copy: (m,) number of the copy that each return of ``other`` belongs to.
    """

    pair: ScanPair
    stays: Array
    comes: Array
    copy: Array


def met(pair: ScanPair, things: Sequence[Thing], halves: Sequence[Half | None], turns: Sequence[Array]) -> Meeting:
    """Copies and the receiver's returns in one scan: along each beam the nearer one is left.

    A copy hides what lies behind it between its outermost returns of a ring, but not where the donor's own beam passed
    it. What the receiver has within a copied box goes.

    Args:
        pair: of scans. things, halves, turns: of every copy the object, its returns and its turn.
    """
    shape = (len(pair.elevations), pair.columns)
    there = [(k, h) for k, h in enumerate(halves) if h is not None]
    own = pair.own.ring >= 0
    cell = np.where(own, pair.own.ring * shape[1] + pair.own.column, 0)
    ranges = np.linalg.norm(np.where(own[:, None], pair.own.xyz, np.inf), axis=1)
    of_receiver = nearest_in(cell[own], ranges[own], shape[0] * shape[1])
    far = {k: np.linalg.norm(h.xyz, axis=1) for k, h in there}
    shadows = np.full((len(halves) + 1, *shape), np.inf)  # the last one is of nobody
    for k, half in there:
        passed = _seen_through(pair, things[k], half, float(far[k].max()), shape)
        shadows[k] = shadow(half.ring, half.column, far[k], passed, shape)
    nearest, first = shadows.min(0).reshape(-1), shadows.argmin(0).reshape(-1)
    comes, copy = [np.zeros(0, bool)], [np.zeros(0, np.int64)]
    for k, half in there:
        cells = half.ring * shape[1] + half.column
        comes.append((first[cells] == k) & (np.round(far[k], DIGITS) <= of_receiver[cells]))
        copy.append(np.full(len(cells), k))
    stays = ~own | (np.round(ranges, DIGITS) < nearest[cell])
    for k, _ in there:
        stays &= ~_inside(pair, things[k], turns[k])
    joined = _joined([h for _, h in there], pair)
    return Meeting(replace(pair, other=joined), stays, np.concatenate(comes), np.concatenate(copy))


def _seen_through(pair: ScanPair, thing: Thing, half: Half, farthest: float, shape: tuple[int, int]) -> Array:
    """(rings, columns) bool, cells of the copy whose beam in the donor's scan ended behind the object."""
    out = np.zeros(shape, bool)
    assert pair.other is not None
    rows = thing.rows(pair)
    shift = int((half.column[0] - pair.other.column[rows[0]]) % shape[1])
    behind = np.flatnonzero(pair.other.ring >= 0)
    distance = np.linalg.norm(pair.other.xyz[behind], axis=1)
    behind = behind[distance > farthest]
    out[pair.other.ring[behind], (pair.other.column[behind] + shift) % shape[1]] = True
    return out


def _inside(pair: ScanPair, thing: Thing, T_turn: Array) -> Array:
    pose = thing.pose.copy()
    pose[:3, 3] += thing.speed * pair.offset
    there = torch.from_numpy(pair.T_sensor_ref @ T_turn @ pose)[None]
    found = points_in_boxes(torch.from_numpy(pair.own.xyz), there, torch.from_numpy(thing.size)[None])[0]
    out = np.zeros(len(pair.own.xyz), bool)
    out[found.numpy()] = True
    return out


def _joined(halves: Sequence[Half], pair: ScanPair) -> Half:
    if not halves:
        empty: dict[str, Any] = {n: v[:0] for n, v in pair.own.values.items()}
        none = np.zeros(0, np.int64)
        return Half(empty, torch.zeros(0, dtype=torch.int64), none, pair.columns, pair.scanners, none)
    values = {n: concat([h.values[n] for h in halves]) for n in halves[0].values}
    numbers: Tensor = torch.cat([h.numbers for h in halves])
    ring, column = (np.concatenate([getattr(h, n) for h in halves]) for n in ("ring", "column"))
    return Half(values, numbers, ring, pair.columns, pair.scanners, column)
