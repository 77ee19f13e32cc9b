"""``CopyInstances``: objects of another sample as copies that are turned about the LiDAR."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch

from fusion_aug.core.mixing.donors import NoPlace
from fusion_aug.core.mixing.transform import new_instance
from fusion_aug.core.ranges import Range, draw
from fusion_aug.core.strength import Strength, Strengths
from fusion_aug.errors import ConfigError
from fusion_aug.physics.ground import fit_ground, height
from fusion_aug.sample import Sample
from fusion_aug.sample.vehicle import T_up_ref
from fusion_aug.streams import Boxes3D, Lidar, strings
from fusion_aug.streams.columns import take_rows
from fusion_aug.transforms.mix.beam_scans import ScanPair, joined_scans, scan_pairs
from fusion_aug.transforms.mix.copied_objects import Meeting, Thing, copied, met, things_of, turn
from fusion_aug.transforms.mix.lidar_only import LidarMix, joined_labels, without_others
from fusion_aug.transforms.mix.paste_places import overlap

Array = np.ndarray
NEAREST = 4.0  # metres from the LiDAR's axis that copies keep, where the vehicle itself is
MOST_STEP = 0.2  # metres between the heights of the ground
ABOVE, MOST_IN_WAY = 0.3, 2  # metres above its lowest part from which returns are in its way, and how many may be
LEAST_SCANNED = 0.9  # share of its columns in which the receiver has returns: clouds may be cut to a view
MOST_HIDDEN = 0.5  # share of the returns of an object of the receiver that copies may take away
TRIES = 16  # places that are tried for every copy


@dataclass(frozen=True, kw_only=True)
class CopyInstances(LidarMix):
    """Objects of the donor come in as copies, each turned about the LiDAR's own axis (PolarMix, Xiao et al. 2022).

    A turn is by whole columns of the scan, so that every return of a copy stays on a beam of its own. Along a beam the
    nearer of copy and receiver is left; a copy hides what lies behind it, but not where the donor's beam passed it. A
    copy stands on ground as high as its own, where no box and no return is in its way, and keeps enough of its returns.
    In earlier sweeps it moves as its box does. Objects are boxes; of a log without any those that labels of points
    tell (SemanticKITTI's instances).

    Attributes:
        classes: names or shell patterns of the classes that are copied.
        copies: how many at most, a whole number after rounding; fewer where no more find a place.
        least_points: returns of the key scan that a copy has to keep.
    """

    classes: tuple[str, ...] = ("*",)
    copies: Range = (2.0, 6.0)
    least_points: int = 5

    limits: ClassVar[dict[str, tuple[float, float]]] = {"copies": (1.0, 64.0)}
    strengths: ClassVar[Strengths] = {
        "copies": Strength(1.0, 20.0, "linear", "declared: as many as a busy street has", "objects", exact=False)
    }
    example: ClassVar[dict[str, Any]] = {"copies": [2, 6], "cameras": "drop", "captions": "drop", "least_points": 1}

    def __post_init__(self) -> None:
        super().__post_init__()
        if type(self.least_points) is not int or self.least_points < 1:
            raise ConfigError(
                f"CopyInstances.least_points: expected a whole number from 1 on, got {self.least_points!r}"
            )

    def refusal(self, sample: Sample, donor: Sample) -> str:
        """Beside what parts the samples: several scanners, whose beams one turn cannot keep.

        Raises:
            ConfigError: the receiver has several, or what ``LidarMix`` raises.
        """
        scanners = [o for n, s in sample.of_type(Lidar).items() for o in s.origins or (n,)]
        if len(scanners) > 1:
            raise ConfigError(
                f"{type(self).__name__}: sample {sample.id!r} has several LiDARs ({', '.join(scanners)}), and what is "
                f"turned about one of them is not about the others; use MixBeams"
            )
        return super().refusal(sample, donor)

    def plan(self, rng: np.random.Generator, sample: Sample, donor: Sample) -> dict[str, Any] | str:
        """Objects and turns, as many as find a place."""
        wanted = round(draw(self.copies, rng))
        pair = min(scan_pairs(sample, donor), key=lambda p: abs(p.offset))
        if pair.other is None:
            return f"it has no scan of {pair.name!r} at the reference time"
        able = [t for t in things_of(donor, pair, pair.other, self.classes) if len(t.rows(pair)) >= self.least_points]
        if not able:
            return NoPlace(f"it has no object of {', '.join(self.classes)} with {self.least_points} returns")
        places = Places.of(sample, donor, pair, self.least_points)
        chosen: list[tuple[Thing, int]] = []
        for _ in range(TRIES * wanted):
            thing, columns = able[int(rng.integers(len(able)))], int(rng.integers(pair.columns))
            if len(chosen) < wanted and places.is_free(thing, columns, chosen):
                chosen.append((thing, columns))
        if not chosen:
            return NoPlace(f"none of {len(able)} objects finds a place in {TRIES * wanted} tries")
        copies = [{"object": t.row, "columns": c} for t, c in chosen]
        return {"copies": copies, "cameras": self.cameras, "captions": self.captions}

    def nothing(self) -> dict[str, Any]:
        """No copies; cameras and captions go as in the other samples of the log."""
        return {"copies": [], "cameras": self.cameras, "captions": self.captions}

    @classmethod
    def mixed(cls, sample: Sample, donor: Sample, params: Mapping[str, Any]) -> Sample:
        """The sample with the copies."""
        streams = without_others(cls.__name__, sample.streams, params)
        pairs = list(scan_pairs(sample, donor))
        key = min(pairs, key=lambda p: abs(p.offset))
        assert key.other is not None
        known = {t.row: t for t in things_of(donor, key, key.other, ("*",))}
        chosen = [(known[c["object"]], int(c["columns"])) for c in params["copies"]]
        meetings = [meeting(sample, key, pair, chosen) for pair in pairs]
        cloud = sample[key.name]
        assert isinstance(cloud, Lidar)
        streams[key.name] = joined_scans(cloud, [(m.pair, m.stays, m.comes) for m in meetings])
        turns = [turn(sample, key, columns) for _, columns in chosen]
        return sample.with_streams({**streams, **_labels(sample, donor, [t.row for t, _ in chosen], turns)})


def meeting(sample: Sample, key: ScanPair, pair: ScanPair, chosen: Sequence[tuple[Thing, int]]) -> Meeting:
    """Copies in one scan.

    Args:
        sample: receives. key: its key scans. pair: these scans. chosen: objects, and the columns each is turned by.
    """
    things, turns = [t for t, _ in chosen], [turn(sample, key, c) for _, c in chosen]
    is_key = pair.item == key.item
    halves = [copied(pair, t, k, c, turns[k], key=is_key) for k, (t, c) in enumerate(chosen)]
    return met(pair, things, halves, turns)


@dataclass(frozen=True)
class Places:
    """Where copies may stand.

    Attributes:
        sample: receives. pair: of the key scans. least: returns that each keeps. grounds: planes of receiver and donor
            (4,) in level axes, where both are known. level: (3, 3) from the reference frame to these.
        taken: objects of the receiver. returns: numbers of the returns of each.
    """

    sample: Sample
    pair: ScanPair
    least: int
    grounds: tuple[Array, Array] | None
    level: Array
    taken: Sequence[Thing]
    returns: Sequence[Array]

    @staticmethod
    def of(sample: Sample, donor: Sample, pair: ScanPair, least: int) -> Places:
        """The places of a sample for the objects of a donor."""
        assert pair.other is not None
        level = T_up_ref(sample, 0)[:3, :3]
        turned = np.linalg.inv(pair.T_sensor_ref)
        planes = [fit_ground((h.xyz @ turned[:3, :3].T + turned[:3, 3]) @ level.T) for h in (pair.own, pair.other)]
        grounds = None if planes[0] is None or planes[1] is None else (planes[0], planes[1])
        taken = things_of(sample, pair, pair.own, ("*",))
        mirror = replace(pair, other=pair.own)
        return Places(sample, pair, least, grounds, level, taken, [t.rows(mirror) for t in taken])

    def is_free(self, thing: Thing, columns: int, chosen: Sequence[tuple[Thing, int]]) -> bool:
        """Whether an object, turned by some columns, may stand beside those that were chosen before."""
        T = turn(self.sample, self.pair, columns)
        pose = T @ thing.pose
        if not self._is_level(thing, pose) or not self._is_clear(thing, pose):
            return False
        boxes = [(t.pose, t.size) for t in self.taken]
        boxes += [(turn(self.sample, self.pair, c) @ t.pose, t.size) for t, c in chosen]
        if any(overlap(pose, thing.size, other, size) for other, size in boxes):
            return False
        return self._is_seen([*chosen, (thing, columns)])

    def _is_level(self, thing: Thing, pose: Array) -> bool:
        at = self.pair.T_sensor_ref[:3, :3] @ pose[:3, 3] + self.pair.T_sensor_ref[:3, 3]
        if np.hypot(at[0], at[1]) - np.hypot(*thing.size[:2]) / 2 < NEAREST:
            return False
        if self.grounds is None:
            return True
        heights = [
            height(p, (self.level @ x[:3, 3])[None])[0] for p, x in zip(self.grounds, (pose, thing.pose), strict=True)
        ]
        return bool(abs(heights[0] - heights[1]) <= MOST_STEP)

    def _is_clear(self, thing: Thing, pose: Array) -> bool:
        T = np.linalg.inv(self.pair.T_sensor_ref @ pose)
        local = self.pair.own.xyz @ T[:3, :3].T + T[:3, 3]
        half = thing.size / 2
        inside = (np.abs(local) <= half).all(1) & (local[:, 2] > ABOVE - half[2])
        return int(inside.sum()) <= MOST_IN_WAY

    def _is_seen(self, chosen: Sequence[tuple[Thing, int]]) -> bool:
        found = meeting(self.sample, self.pair, self.pair, chosen)
        assert found.pair.other is not None
        columns = found.pair.other.column[found.copy == len(chosen) - 1]
        if np.isin(columns, self.pair.own.column).mean() < LEAST_SCANNED:
            return False
        left = np.bincount(found.copy[found.comes], minlength=len(chosen))
        hidden = [1 - found.stays[rows].mean() for rows in self.returns if len(rows)]
        return int(left.min()) >= self.least and max(hidden, default=0.0) <= MOST_HIDDEN


def _labels(sample: Sample, donor: Sample, rows: Sequence[int], turns: Sequence[Array]) -> dict[str, Any]:
    mine = next(iter(sample.of_type(Boxes3D).values()), None)
    if mine is None:
        return {}
    other = next(iter(donor.of_type(Boxes3D).values()))
    values = dict(take_rows(other.values, torch.tensor(rows, dtype=torch.int64)))
    R = torch.from_numpy(np.array(turns).reshape(-1, 4, 4))
    values["pose"] = R.to(values["pose"].dtype) @ values["pose"]
    for name in {"velocity", "angular_velocity"} & set(values):
        values[name] = (R[:, :3, :3].to(values[name].dtype) @ values[name][..., None])[..., 0]
    if "instance" in values:
        values["instance"] = strings(
            new_instance(donor.id, f"{i}#{k}") if i else "" for k, i in enumerate(values["instance"])
        )
    if "record" in values:
        values["record"] = strings([""] * len(rows))
    stay, come = torch.ones(mine.rows, dtype=torch.bool), torch.zeros(other.rows, dtype=torch.bool)
    return joined_labels(sample, donor, other.repacked([values]), stay, come)
