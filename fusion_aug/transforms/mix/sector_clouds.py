"""Clouds of two samples on the two sides of seams: one return per beam, radars with the receiver's own motion."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from calib.errors import CalibrationError
from calib.se3 import invert
from fusion_aug.core.mixing.meeting import T_into, in_ref, partner_items
from fusion_aug.ops.beam_cells import nearest_of_two
from fusion_aug.ops.free_numbers import numbered_apart
from fusion_aug.ops.radar import VELOCITIES, rays_of
from fusion_aug.sample import Sample
from fusion_aug.sample.ego import radar_velocity, rig_twist, with_both_velocities
from fusion_aug.streams import Points, Radar
from fusion_aug.streams.columns import concat
from fusion_aug.streams.ragged import FIRST_ADDED
from fusion_aug.transforms.mix.seams import Region

VEHICLE = 1.5  # metres around a sensor in which it sees its own vehicle
AT, MOST_SKEW = 10.0, 0.05  # metres: where points of raw clouds may lie so far from where their own times have them


def mixed_cloud(sample: Sample, donor: Sample, name: str, region: Region) -> Points:
    """A cloud with the donor's points in the sectors, in the receiver's sensor frame.

    Items without a partner lose what they show there.

    Args:
        sample: receives. donor: gives. name: stream of points of both, of one class and with the same columns.
        region: what comes from the donor.
    """
    mine, other = in_memory(sample, name), in_memory(donor, name)
    if "instance" in mine.values:
        apart = numbered_apart(mine["instance"].numpy(), other["instance"].numpy())
        other = other.with_values(instance=torch.from_numpy(apart).to(other["instance"].dtype))
    parts, numbers = [], []
    for i, j in enumerate(partner_items(sample, donor, name)):
        rows = mine.item_slice(i)
        own = {n: v[rows] for n, v in mine.values.items()}
        kept = ~region.holds(in_ref(sample, name, i).numpy()) | _is_vehicle(own["xyz"])
        if j is None:  # nothing of the donor goes with it: what it shows of them is lost
            parts.append({n: v[kept] for n, v in own.items()})
            numbers.append(mine.row_keys[rows][torch.from_numpy(kept)])
            continue
        moved = other.take_items(torch.tensor([j])).transformed(T_into(sample, donor, name, i, j)[None])
        taken = region.holds(in_ref(donor, name, j).numpy()) & ~_is_vehicle(moved["xyz"])
        if not isinstance(mine, Radar):
            kept, taken = _one_per_beam(own, moved.values, kept, taken)
        keep, take = torch.from_numpy(kept), torch.from_numpy(taken)
        added = {n: moved.values[n][take] for n in own}
        if isinstance(mine, Radar):
            added |= seen_from(sample, name, i, added)
        parts.append({n: concat([own[n][keep], added[n].to(own[n].dtype)]) for n in own})
        numbers.append(torch.cat([mine.row_keys[rows][keep], FIRST_ADDED + take.nonzero()[:, 0]]))
    return mine.repacked(parts, torch.cat(numbers))


def cloud_refusal(sample: Sample, donor: Sample, name: str) -> str:
    """Why the clouds of two samples cannot be joined; "" where they can."""
    if name not in donor.streams:
        return f"it has no {name!r}"
    mine, other = (s[name].realized().loaded() for s in (sample, donor))  # type: ignore[attr-defined]
    if type(mine) is not type(other):
        return f"{name!r} is a {type(mine).__name__} and a {type(other).__name__}"
    if missing := sorted({*mine.values} ^ {*other.values}):
        return f"only one of them has the column {missing[0]!r} in {name!r}"
    if getattr(mine, "motion", "") != getattr(other, "motion", ""):
        return f"{name!r} is {mine.motion} in one of them and {other.motion} in the other"
    return ""


def skew_refusal(sample: Sample, donor: Sample, name: str) -> str:
    """Why raw clouds, whose points have times of their own, cannot be joined; "" where both vehicles moved alike."""
    cloud = sample[name].realized().loaded()  # type: ignore[attr-defined]
    if cloud.motion != "raw" or "time_offset" not in cloud.values or not cloud.rows:
        return ""
    spread = cloud["time_offset"].to(torch.float64)
    spans = [int(1e9 * float(t)) for t in (spread.min(), spread.max())]
    items = sample.key_item(name), partner_items(sample, donor, name)[sample.key_item(name)]
    if items[1] is None:
        return ""
    try:
        there, *later = (_T_between(sample, donor, name, items[0], items[1], span) for span in (0, *spans))
    except CalibrationError:
        return ""  # neither is known to move
    places = AT * torch.cat([torch.eye(3), -torch.eye(3)]).to(torch.float64)
    moved = max(float(((T - there)[:3, :3] @ places.T + (T - there)[:3, 3:]).norm(dim=0).max()) for T in later)
    if moved <= MOST_SKEW:
        return ""
    return (
        f"points of {name!r} are raw, and the two vehicles moved {moved:.2f} m apart in a scan ({MOST_SKEW} m "
        f"allowed); compensate their motion first"
    )


def _T_between(sample: Sample, donor: Sample, name: str, i: int, j: int, later: int) -> Tensor:
    poses = []
    for which, item in ((sample, i), (donor, j)):
        stream = which[name]
        time = int(stream.true_capture_times[item]) + later
        poses.append(which.meta.T_ref(stream.frame, time, true_rig=True))
    return invert(poses[0]) @ poses[1]


def in_memory(sample: Sample, name: str) -> Points:
    stream = sample[name].realized()
    if isinstance(stream, Radar):
        known = set(stream.values)
        both = with_both_velocities(sample, name)
        return both if known & {*VELOCITIES} else stream.loaded()
    assert isinstance(stream, Points)
    return stream.loaded()


def _one_per_beam(
    own: dict[str, Any], moved: Any, kept: np.ndarray, taken: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Of beams of which both samples show a return, the nearer one."""
    clouds, asked = [], []
    for values, chosen in ((own, kept), (moved, taken)):
        rows = np.flatnonzero(chosen & _counts(values["xyz"]))
        asked.append(rows)
        ring = values["ring"][rows].numpy() if "ring" in values else None
        clouds.append((values["xyz"][rows].to(torch.float64).numpy(), ring))
    for chosen, rows, hidden in zip((kept, taken), asked, nearest_of_two(*clouds), strict=True):
        chosen[rows[hidden]] = False
    return kept, taken


def _counts(xyz: Tensor) -> np.ndarray:
    """Returns of the surroundings, with a place."""
    there: np.ndarray = xyz.isfinite().all(1).numpy() & ~_is_vehicle(xyz)
    return there


def _is_vehicle(xyz: Tensor) -> np.ndarray:
    """Returns so near to the sensor that they are from its own vehicle, which stays the receiver's."""
    near: np.ndarray = (xyz.square().sum(1) < VEHICLE**2).numpy()
    return near


def seen_from(sample: Sample, name: str, item: int, added: dict[str, Any]) -> dict[str, Tensor]:
    """Raw velocities of the donor's detections as the receiver's radar, which moves otherwise, measures them."""
    if "velocity" not in added or not len(added["xyz"]):
        return {}
    stream = sample[name]
    time = int(stream.true_capture_times[item])
    twist = rig_twist(sample.true_rig, stream.frame, time)
    own = radar_velocity(sample, stream, item) if twist is None else twist[0]
    if own is None:
        return {"velocity": torch.full_like(added["velocity"], float("nan"))}
    ray, _ = rays_of(added)
    gap = (ray * own).sum(1, keepdim=True) * ray
    return {"velocity": (added["velocity_comp"].to(torch.float64) - gap).to(added["velocity"].dtype)}
