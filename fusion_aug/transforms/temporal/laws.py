"""Physics of a change of speed ``u -> t = phi(u)`` for each kind of data.

Values are read at phi(u); velocities times phi', accelerations phi'^2 a + phi'' v. Gravity does not scale with the
speed: it stays in what an accelerometer reads and in the torque that holds an arm.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from calib.rates import gravity_of, point_motion
from fusion_aug.errors import DataError, UnhandledStream
from fusion_aug.physics.timewarp import Warp
from fusion_aug.sample import REF, Sample, SampleMeta
from fusion_aug.streams import JointState, Opaque, Points, Stream, Waypoints, Wrench
from fusion_aug.streams.columns import at_speed
from fusion_aug.transforms.temporal.dynamics import effort_at_speed, wrench_at_speed
from fusion_aug.transforms.temporal.reading import interpolate_signal, step_ends

MAX_UNEVENNESS = 1.2  # as many items at the median step, against those that there are: above, a signal has no rate


def warp_stream(stream: Stream, name: str, sample: Sample, warps: list[Warp]) -> Stream:
    """The stream in new time.

    A continuous signal is interpolated at its own rate, its rates times phi' and accelerations phi'^2 a + phi'' v; any
    other stream keeps its items and gets new capture times. Delays and clock offsets belong to the sensors and stay as
    they are, in seconds.

    Args:
        stream: any. name: its name, for messages. sample: that it belongs to. warps: one per sample of the batch.

    Raises:
        UnhandledStream: it has neither typed columns nor pictures.
    """
    if not stream.columns and not hasattr(stream, "items") and not isinstance(stream, Opaque):
        raise UnhandledStream(
            f"a change of speed: nothing is known of the values of {name!r} ({type(stream).__name__}); {stream.remedy}"
        )
    parts, owners = [], []
    for u, warp in enumerate(warps):
        mine = (stream.sample_index == u).nonzero()[:, 0]
        if len(mine) == 0:
            continue
        part = shift_by_clock_offset(stream if len(warps) == 1 else stream.take_items(mine), -1)
        part = (
            resample_signal(part, name, sample.metas[u], warp)
            if stream.is_continuous
            else with_warped_times(part, warp)
        )
        parts.append(shift_by_clock_offset(part, 1))
        owners.append(torch.full((len(part),), u))
    return parts[0] if len(parts) == 1 else stream.concat(parts, owners) if parts else stream


def shift_by_clock_offset(stream: Stream, sign: int) -> Stream:
    """The stream with its times shifted by its clock offset: -1 to true capture times, 1 back to reported ones."""
    if stream.clock_offset is None:
        return stream
    off = sign * stream.clock_offset
    return replace(
        stream,
        capture_times=stream.capture_times + off,
        receive_times=None if stream.receive_times is None else stream.receive_times + off,
    )


def with_warped_times(stream: Stream, warp: Warp) -> Stream:
    """The same items at new times; rates are multiplied by the local speed."""
    return _with_times_and_rates(stream, warp.new, lambda old, new: warp.speed(new))


def with_unwarped_times(stream: Stream, warp: Warp) -> Stream:
    """The inverse of ``with_warped_times``."""
    stream = shift_by_clock_offset(stream, -1)
    return shift_by_clock_offset(_with_times_and_rates(stream, warp.old, lambda new, _: 1 / warp.speed(new)), 1)


def _with_times_and_rates(
    stream: Stream, mapped: Callable[[Tensor], Tensor], speed_of: Callable[[Tensor, Tensor], Tensor]
) -> Stream:
    """The stream at other times, its time offsets mapped with the times and its rates multiplied by the speed.

    Args:
        stream: any. mapped: times (n,) int64 ns -> new times.
        speed_of: times (n,) and their new ones -> the speed there; of waypoints, which are of their own times, each.
    """
    times = mapped(stream.capture_times)
    speed, own_times = speed_of(stream.capture_times, times), isinstance(stream, Waypoints)
    stamps = None if stream.receive_times is None else times + (stream.receive_times - stream.capture_times)
    changes: dict[str, Any] = {"capture_times": times, "receive_times": stamps}
    table = stream.column_types
    names = [n for n, c in table.items() if n in stream.values and c.follows_speed]
    if names:
        stream = stream.realized()
        stream = stream.loaded() if isinstance(stream, Points) else stream
        item, values = stream.row_item, dict(stream.values)
        speed = speed[item]
        for n in sorted(names, key=lambda n: table[n].kind != "time"):  # offsets first: rates may be of their times
            value = values[n]
            if table[n].kind == "time":
                old = stream.capture_times[item] + (value.to("cpu", torch.float64) * 1e9).round().to(torch.int64)
                new = mapped(old)
                values[n] = ((new - times[item]).to(torch.float64) * 1e-9).to(value)
                speed = speed_of(old, new) if own_times else speed
            else:
                values[n] = at_speed(value, table[n], speed)
        changes["values"] = values
    return replace(stream, **changes)


def resample_signal(stream: Stream, name: str, meta: SampleMeta, warp: Warp) -> Stream:
    """A signal at its own rate in new time; where it has none (events, gaps), its own items at their new times."""
    old = stream.capture_times
    ends = warp.new(old[[0, -1]])
    step = int(old.diff().median()) if len(old) > 1 else 0
    count = int((ends[1] - ends[0] + step // 1000) // step) + 1 if step > 0 else len(old)
    length = int(old[-1] - old[0])
    regular = step > 0 and (count - 1) * length <= MAX_UNEVENNESS * (len(old) - 1) * int(ends[1] - ends[0])
    if regular:
        new = ends[0] + step * torch.arange(count)
        return interpolate_signal_at(stream, name, meta, warp, new, warp.old(new + step))
    own = interpolate_signal_at(stream, name, meta, warp, warp.new(old), step_ends(old))
    return replace(own, source_items=stream.source_items)


def interpolate_signal_at(stream: Stream, name: str, meta: SampleMeta, warp: Warp, new: Tensor, ends: Tensor) -> Stream:
    """A signal at new times (n,) int64 ns, by the laws; its steps end at old times ``ends`` (n,)."""
    old = stream.capture_times
    at = warp.old(new).clamp(old[0], old[-1])
    speed, change = warp.speed(new), warp.change(new)
    read = interpolate_signal(stream, name, at, ends)
    values, table = read.values, stream.column_types
    out = {}
    for n, value in values.items():
        column = table.get(n)
        wide = [-1, *[1] * (value.ndim - 1)]
        v, a = speed.reshape(wide), change.reshape(wide)
        if column is None:
            out[n] = value
        elif column.rate_of:
            out[n] = value * (v * v).to(value)
            if column.rate_of in values:
                out[n] = out[n] + values[column.rate_of] * a.to(value)
            elif bool((change != 0).any()):
                raise DataError(
                    f"stream {name!r}: {n} needs {column.rate_of} beside it for a speed that changes; SpeedWarp, whose "
                    f"speed stays, does not"
                )
        elif column.kind == "specific_force":
            out[n] = _accelerometer(value, stream, name, meta, at, v, a)
        else:
            out[n] = at_speed(value, column, speed)
    stamps = None if read.receive_times is None else new + (read.receive_times - read.capture_times)
    moved = replace(read, capture_times=new, receive_times=stamps, values=out)
    if isinstance(stream, JointState) and "effort" in out:
        return moved.with_values(effort=effort_at_speed(values, stream, meta, at, speed, change))
    if isinstance(stream, Wrench):
        return moved.with_values(**wrench_at_speed(values, stream, name, meta, at, speed, change))
    return moved


def _accelerometer(
    value: Tensor, stream: Stream, name: str, meta: SampleMeta, at: Tensor, speed: Tensor, change: Tensor
) -> Tensor:  # fmt: skip
    """f' = phi'^2 f + (phi'^2 - 1) R^T g + phi'' R^T v."""
    rig = meta.true_rig
    frame = meta.ref.frame if stream.frame == REF else stream.frame
    root = rig.root_of(frame) if frame in rig.frames else frame
    if frame not in rig.frames or rig.frames[root].axis_convention != "world":
        raise DataError(
            f"stream {name!r}: a change of speed needs the attitude of {frame!r} in a world frame, since gravity "
            f"does not scale; give its pose with log.urdf and log.rig (frames: {{{frame}: {{parent: world}}}} where it "
            f"stands upright and still), or leave the stream out with log.exclude"
        )
    T, velocity, _ = point_motion(rig, root, frame, at)
    to_body = T[:, :3, :3].transpose(1, 2)
    pull = to_body @ gravity_of(rig, stream.instance(name))
    own = (to_body @ velocity[..., None])[..., 0]
    return (value.to(torch.float64) * speed**2 + (speed**2 - 1) * pull + change * own).to(value)
