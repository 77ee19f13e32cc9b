"""Objects of a donor in clouds: their returns, what they hide and what hides them, and detections of radars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from calib.se3 import invert, transform_points
from fusion_aug.core.mixing.meeting import T_ref_item, in_ref, partner_items
from fusion_aug.ops.beam_cells import azimuth_step
from fusion_aug.ops.beam_shadow import Beams, hidden_by_pasting
from fusion_aug.ops.radar import VELOCITIES, rays_of
from fusion_aug.sample import Sample
from fusion_aug.sample.depth import lidars_of
from fusion_aug.sample.ego import frame_twist, with_both_velocities
from fusion_aug.streams import Points, Radar
from fusion_aug.streams.columns import concat
from fusion_aug.streams.ragged import FIRST_ADDED
from fusion_aug.transforms.mix.paste_objects import Boxed, Solid
from fusion_aug.transforms.mix.sector_clouds import seen_from

Array = np.ndarray
COARSEST = np.radians(2.0)  # between two firings
RADAR_GROWN = 0.5  # metres by which detections lie beside a box


def pasted_cloud(sample: Sample, donor: Sample, name: str, solids: Sequence[Solid]) -> Points:
    """A cloud with objects of the donor; items without a partner stay as they are.

    Args:
        sample: receives. donor: gives. name: stream of points of both, of one class and with the same columns.
        solids: objects.
    """
    mine, other = in_memory(sample, name), in_memory(donor, name)
    if "instance" in mine.values:
        other = other.with_values(instance=free_numbers(mine["instance"], other["instance"]))
    parts, numbers = [], []
    for i, j in enumerate(partner_items(sample, donor, name)):
        rows = mine.item_slice(i)
        own = {n: v[rows] for n, v in mine.values.items()}
        keys = mine.row_keys[rows]
        if j is not None:
            kept, taken, added = _met(sample, donor, name, (i, j), (mine, other), solids)
            added = {n: v[taken] for n, v in added.items()}
            own = {n: concat([v[torch.from_numpy(kept)], _like(added[n], v)]) for n, v in own.items()}
            keys = torch.cat([keys[torch.from_numpy(kept)], FIRST_ADDED + taken.nonzero()[:, 0]])
        parts.append(own)
        numbers.append(keys)
    return mine.repacked(parts, torch.cat(numbers))


def firing_step(sample: Sample) -> float:
    """Angle between two firings of the first LiDAR, of which a revolution has a whole number, radians."""
    name = lidars_of(sample, 0)[0]
    item = sample.key_item(name)
    one = in_memory(sample, name).take_items(torch.tensor([item]))
    beams = _beams(sample, name, item, one.values)
    known = beams.of(np.isfinite(beams.rays).all(1))
    return 2 * np.pi / round(2 * np.pi / azimuth_step(known.rays, known.ring, COARSEST))


def free_numbers(mine: Tensor, other: Tensor) -> Tensor:
    """Numbers of objects of the donor (m,) as others than those of the receiver (n,): 0, which is none, stays."""
    used, asked = np.unique(mine.numpy()), np.unique(other.numpy())
    free = np.setdiff1d(np.arange(1, len(used) + len(asked) + 2), used)
    table = dict(zip(asked[asked != 0].tolist(), free.tolist(), strict=False)) | {0: 0}
    return torch.from_numpy(np.array([table[v] for v in asked.tolist()])[np.searchsorted(asked, other.numpy())]).to(
        other.dtype
    )


def returns_left(sample: Sample, donor: Sample, name: str, solid: Solid) -> int:
    """Returns that an object has in a LiDAR's key scan where it is pasted, without those that something hides."""
    item = sample.key_item(name)
    other = partner_items(sample, donor, name)[item]
    if other is None:
        return 0
    clouds = in_memory(sample, name), in_memory(donor, name)
    return int(_met(sample, donor, name, (item, other), clouds, [solid])[1].sum())


def in_memory(sample: Sample, name: str) -> Points:
    """A cloud with its columns in memory; of a radar with both velocities."""
    stream = sample[name].realized()
    if isinstance(stream, Radar) and {*stream.values} & {*VELOCITIES}:
        return with_both_velocities(sample, name)
    assert isinstance(stream, Points)
    return stream.loaded()


def seconds_of(sample: Sample, name: str, item: int) -> float:
    """Time of an item after that of the boxes, seconds."""
    stream = sample[name]
    return (int(stream.true_capture_times[item]) - Boxed(sample).time) * 1e-9


def _met(
    sample: Sample,
    donor: Sample,
    name: str,
    items: tuple[int, int],
    clouds: tuple[Points, Points],
    solids: Sequence[Solid],
) -> tuple[Array, Tensor, dict[str, Any]]:
    """Rows (n,) of an item that stay, rows (m,) of objects that come, and the columns of the latter, where they go."""
    (i, j), (mine, other) = items, clouds
    places, seconds = in_ref(donor, name, j).numpy(), seconds_of(donor, name, j)
    radar = isinstance(mine, Radar)
    held = [_holds(s, places, seconds, radar) for s in solids]
    owner = np.select(held, [np.full(len(places), k) for k in range(len(solids))], -1)
    rows = np.flatnonzero(owner >= 0)
    added = _moved(sample, donor, name, (i, j), other, rows, owner[rows], solids)
    own = mine.take_items(torch.tensor([i]))
    if radar:
        kept = ~_behind(sample, name, i, own, solids, seconds)
        added |= _seen_along(sample, name, i, added, owner[rows], solids)
        came = _in_view(added, own, owner[rows], solids)
        return kept, torch.from_numpy(came), added | seen_from(sample, name, i, added)
    beyond = other.take_items(torch.tensor([j])).select(torch.from_numpy(owner < 0))
    hidden, covered = hidden_by_pasting(
        _beams(sample, name, i, own.values), _beams(sample, name, i, added), _beams(donor, name, j, beyond.values)
    )
    return ~hidden, torch.from_numpy(~covered), added


def _holds(solid: Solid, places: Array, seconds: float, radar: bool) -> Array:
    if not radar:
        return solid.holds(places, seconds)
    local = solid.within(places, seconds)  # a radar tells no height
    inside: Array = (np.abs(local[:, :2]) <= solid.size[:2] / 2 + RADAR_GROWN).all(1)
    return inside


def _moved(
    sample: Sample, donor: Sample, name: str, items: tuple[int, int], other: Points, rows: Array, owner: Array,
    solids: Sequence[Solid],
) -> dict[str, Any]:  # fmt: skip
    """Columns of returns of the donor in the receiver's sensor, each object moved where it goes."""
    one = other.take_items(torch.tensor([items[1]]))
    back, there = invert(T_ref_item(sample, name, items[0])), T_ref_item(donor, name, items[1])
    parts, order = [], []
    for k, solid in enumerate(solids):
        mine = np.zeros(one.rows, bool)
        mine[rows[owner == k]] = True
        T = back @ torch.from_numpy(solid.T_to) @ there
        parts.append(dict(one.select(torch.from_numpy(mine)).transformed(T[None]).values))
        order.append(np.flatnonzero(owner == k))
    joined = {n: concat([p[n] for p in parts]) for n in parts[0]}
    place = np.argsort(np.concatenate(order), kind="stable")
    return {n: v[torch.from_numpy(place)] if isinstance(v, Tensor) else v[place] for n, v in joined.items()}


def _beams(sample: Sample, name: str, item: int, values: Any) -> Beams:
    """Returns from where they were measured: a cloud that is compensated for motion has places of its own for each."""
    stream = sample[name]
    assert isinstance(stream, Points)
    xyz = values["xyz"].to(torch.float64)
    ring = values["ring"].numpy().astype(np.int64) if "ring" in values else None
    time = int(stream.true_capture_times[item])
    if stream.origins and "origin" in values:
        frames = [sample.true_rig.T(stream.frame, f, time, time)[:3, 3] for f in stream.origins]
        which = values["origin"].to(torch.int64).clamp(0, len(frames) - 1)
        xyz = xyz - torch.stack(frames)[which]
        ring = None if ring is None else ring + 1000 * which.numpy()
    twist = frame_twist(sample, 0, stream.frame, time) if "time_offset" in values else None
    if twist is not None and stream.motion != "raw":
        xyz = xyz - values["time_offset"].to(torch.float64).nan_to_num(0.0)[:, None] * twist[0]
    return Beams(xyz.numpy(), ring)


def _behind(sample: Sample, name: str, item: int, own: Points, solids: Sequence[Solid], seconds: float) -> Array:
    """Detections (n,) of a radar that lie behind an object, or in it."""
    T = invert(T_ref_item(sample, name, item))
    xyz = own["xyz"].to(torch.float64).numpy()
    azimuth, far = np.arctan2(xyz[:, 1], xyz[:, 0]), np.hypot(xyz[:, 0], xyz[:, 1])
    behind = np.zeros(len(xyz), bool)
    for solid in solids:
        places = torch.from_numpy(solid.surface(seconds) @ solid.T_to[:3, :3].T + solid.T_to[:3, 3])
        outline = transform_points(T, places).numpy()
        middle = np.arctan2(outline[:, 1].mean(), outline[:, 0].mean())
        spread = _wrapped(np.arctan2(outline[:, 1], outline[:, 0]) - middle)
        turn = _wrapped(azimuth - middle)
        nearest = np.hypot(outline[:, 0], outline[:, 1]).min()
        behind |= (turn > spread.min()) & (turn < spread.max()) & (far > nearest)
    return behind


def _wrapped(angle: Array) -> Array:
    out: Array = (angle + np.pi) % (2 * np.pi) - np.pi
    return out


def _in_view(added: dict[str, Any], own: Points, owner: Array, solids: Sequence[Solid]) -> Array:
    """Whether detections (m,) lie where the radar looks: those of turned objects among the azimuths of its own."""
    turned = np.array([bool(s.turn) for s in solids])[owner]
    if not turned.any() or not own.rows:
        return ~turned
    azimuth, seen = (np.arctan2(x["xyz"][:, 1].numpy(), x["xyz"][:, 0].numpy()) for x in (added, own))
    inside: Array = ~turned | ((azimuth >= seen.min()) & (azimuth <= seen.max()))
    return inside


def _seen_along(
    sample: Sample, name: str, item: int, added: dict[str, Any], owner: Array, solids: Sequence[Solid]
) -> dict[str, Tensor]:
    """Velocities over ground of turned objects' detections: their boxes' along the rays that they are seen by now."""
    if "velocity_comp" not in added or not any(s.turn for s in solids):
        return {}
    back = invert(T_ref_item(sample, name, item))[:3, :3].numpy()
    over_ground = np.stack([back @ s.T_to[:3, :3] @ s.velocity for s in solids])[owner]
    ray, _ = rays_of(added)
    along = (ray * torch.from_numpy(over_ground)).sum(1, keepdim=True) * ray
    turned = torch.tensor([bool(s.turn) for s in solids])[torch.from_numpy(owner)]
    old = added["velocity_comp"]
    return {"velocity_comp": torch.where(turned[:, None], along.to(old.dtype), old)}


def _like(value: Any, own: Any) -> Any:
    return value.to(own.dtype) if isinstance(value, Tensor) else value


__all__ = ["in_memory", "pasted_cloud", "returns_left", "seconds_of"]
