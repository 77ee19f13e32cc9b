"""What a change of speed does to each kind of data: PHYSICS of ``u -> t = phi(u)``.

Values are read at phi(u); velocities times phi', accelerations phi'^2 a + phi'' v. Gravity does not hurry: it stays in
what an accelerometer reads and in the torque that holds an arm.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from calib.kinematics import GRAVITY
from fusion_aug.columns import Column
from fusion_aug.errors import DataError, UnhandledStream
from fusion_aug.ops.resample import nearest, read_at
from fusion_aug.physics.timewarp import Warp
from fusion_aug.sample import REF, Sample, Unit
from fusion_aug.streams import Action, JointState, Points, Stream, Wrench
from fusion_aug.transforms.rates import motion
from fusion_aug.transforms.temporal.dynamics import hurried_effort, hurried_wrench

UNEVEN = 1.2  # as many items at the median step, against those that there are: above, a signal has no rate


def warped(stream: Stream, name: str, sample: Sample, warps: list[Warp]) -> Stream:
    """A stream in new time: a sampled signal read anew at its rate, anything else with new stamps.

    Raises:
        UnhandledStream: it is a kind of data without columns.
    """
    if not stream.columns and not hasattr(stream, "items"):
        raise UnhandledStream(
            f"a change of speed: nothing is known of the values of {name!r} ({type(stream).__name__}); {stream.remedy}"
        )
    parts, owners = [], []
    for u, warp in enumerate(warps):
        mine = (stream.sample_index == u).nonzero()[:, 0]
        if len(mine) == 0:
            continue
        part = stream if len(warps) == 1 else stream.take_items(mine)
        part = resampled(part, name, sample.units[u], warp) if stream.sampled else restamped(part, warp)
        parts.append(part)
        owners.append(torch.full((len(part),), u))
    return parts[0] if len(parts) == 1 else stream.concat(parts, owners) if parts else stream


def restamped(stream: Stream, warp: Warp) -> Stream:
    """The items as they are at new times, rates by the law."""
    new = warp.new(stream.times)
    stamps = None if stream.stamps is None else warp.new(stream.stamps)
    return _hurried(stream, new, stamps, warp.speed(new), warp.new)


def unstamped(stream: Stream, warp: Warp) -> Stream:
    """Back from new time: what ``restamped`` was given."""
    stamps = None if stream.stamps is None else warp.old(stream.stamps)
    return _hurried(stream, warp.old(stream.times), stamps, 1 / warp.speed(stream.times), warp.old)


def _hurried(
    stream: Stream, times: Tensor, stamps: Tensor | None, speed: Tensor, mapped: Callable[[Tensor], Tensor]
) -> Stream:
    """The stream with other stamps, its rates times ``speed`` (n,), its time offsets mapped with the stamps."""
    changes: dict[str, Any] = {"times": times, "stamps": stamps}
    table = stream.column_table()
    names = [n for n, c in table.items() if n in stream.values and (c.rate or c.kind == "time")]
    if names:
        stream = stream.realized()
        stream = stream.dense() if isinstance(stream, Points) else stream
        item, values = stream.row_item, dict(stream.values)
        for n in names:
            value = values[n]
            if table[n].kind == "time":
                old = stream.times[item] + (value.to("cpu", torch.float64) * 1e9).round().to(torch.int64)
                values[n] = ((mapped(old) - times[item]).to(torch.float64) * 1e-9).to(value)
            else:
                values[n] = value * speed[item].reshape(-1, *[1] * (value.ndim - 1)).to(value)
        changes["values"] = values
    return replace(stream, **changes)


def resampled(stream: Stream, name: str, unit: Unit, warp: Warp) -> Stream:
    """A signal at its own rate in new time; where it has none (events, gaps), its own items at their new times."""
    old = stream.times
    ends = warp.new(old[[0, -1]])
    step = int(old.diff().median()) if len(old) > 1 else 0
    count = int((ends[1] - ends[0] + step // 1000) // step) + 1 if step > 0 else len(old)
    length = int(old[-1] - old[0])
    regular = step > 0 and (count - 1) * length <= UNEVEN * (len(old) - 1) * int(ends[1] - ends[0])
    new = ends[0] + step * torch.arange(count) if regular else warp.new(old)
    return read_anew(stream, name, unit, warp, new)


def read_anew(stream: Stream, name: str, unit: Unit, warp: Warp, new: Tensor) -> Stream:
    """A signal at new times (n,), by the laws."""
    old = stream.times
    at = warp.old(new).clamp(old[0], old[-1])
    speed, change = warp.speed(new), warp.change(new)
    base = stream.take_items(nearest(old, at))
    table = stream.column_table()
    values = {n: read_at(v, table[n], old, at) if n in table else base.values[n] for n, v in stream.values.items()}
    out = {}
    for n, value in values.items():
        column = table.get(n)
        wide = [-1, *[1] * (value.ndim - 1)]
        v, a = speed.reshape(wide), change.reshape(wide)
        if column is None:
            out[n] = value
        elif isinstance(stream, Action) and n in stream.per_step:
            out[n] = _per_step(stream.values[n], old, warp, new)
        elif column.rate:
            out[n] = value * v.to(value)
        elif column.rate_of:
            if column.rate_of not in values:
                raise DataError(f"stream {name!r}: {n} needs {column.rate_of} beside it for a change of speed")
            out[n] = value * (v * v).to(value) + values[column.rate_of] * a.to(value)
        elif column.kind == "specific_force":
            out[n] = _accelerometer(value, stream, name, unit, at, v, a)
        else:
            out[n] = value
    stamps = None if stream.stamps is None else new + (base.handed_over - base.times)
    moved = replace(base, times=new, stamps=stamps, values=out)
    if isinstance(stream, JointState) and "effort" in out:
        return moved.with_values(effort=hurried_effort(values, stream, unit, at, speed, change))
    if isinstance(stream, Wrench):
        return moved.with_values(**hurried_wrench(values, stream, unit, at, speed, change))
    return moved


def _per_step(value: Tensor, old: Tensor, warp: Warp, new: Tensor) -> Tensor:
    """Changes per step (n, k) at new steps: what they add up to over the old time that each new step covers."""
    if len(old) < 2:
        return value[:1].expand(len(new), *value.shape[1:])
    total = torch.cat([torch.zeros_like(value[:1]), value.cumsum(0)])
    ends = torch.cat([old, old[-1:] + old.diff().median()])
    step = int(new.diff().median()) if len(new) > 1 else int(old.diff().median())
    plain = Column("total", "plain")
    first, last = (read_at(total, plain, ends, warp.old(moment)) for moment in (new, new + step))
    return last - first


def _accelerometer(
    value: Tensor, stream: Stream, name: str, unit: Unit, at: Tensor, speed: Tensor, change: Tensor
) -> Tensor:  # fmt: skip
    """f' = phi'^2 f + (phi'^2 - 1) R^T g + phi'' R^T v."""
    rig = unit.truth
    frame = unit.ref.frame if stream.frame == REF else stream.frame
    root = rig.root_of(frame) if frame in rig.frames else frame
    if frame not in rig.frames or rig.frames[root].hand != "world":
        raise DataError(
            f"stream {name!r}: a change of speed needs the attitude of {frame!r} in a world frame, since gravity "
            f"stays; say how it stands with log.urdf and log.rig"
        )
    T, velocity, _ = motion(rig, root, frame, at)
    to_body = T[:, :3, :3].transpose(1, 2)
    pull = to_body @ GRAVITY
    own = (to_body @ velocity[..., None])[..., 0]
    return (value.to(torch.float64) * speed**2 + (speed**2 - 1) * pull + change * own).to(value)
