"""What a change of speed does to each kind of data: PHYSICS of ``u -> t = phi(u)``.

Values are read at phi(u); velocities times phi', accelerations phi'^2 a + phi'' v. Gravity does not hurry: it stays in
what an accelerometer reads and in the torque that holds an arm.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from calib import CalibrationError, JointPose, Rig, Robot
from calib.kinematics import GRAVITY
from fusion_aug.errors import DataError, UnhandledStream
from fusion_aug.ops.resample import read_at
from fusion_aug.physics.timewarp import Warp
from fusion_aug.sample import REF, Sample, Unit
from fusion_aug.streams import Action, JointState, Points, Stream, Wrench

STEP = 2_000_000  # ns, of differences of poses
HELD = 100_000_000  # ns for which the last known pose may stand


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
    """A signal at its own rate in new time."""
    old = stream.times
    ends = warp.new(old[[0, -1]])
    step = int(old.diff().median()) if len(old) > 1 else 0
    count = int((ends[1] - ends[0] + step // 1000) // step) + 1 if step > 0 else len(old)
    new = ends[0] + step * torch.arange(count) if step > 0 else warp.new(old)
    return read_anew(stream, name, unit, warp, new)


def read_anew(stream: Stream, name: str, unit: Unit, warp: Warp, new: Tensor) -> Stream:
    """A signal at new times (n,), by the laws."""
    old = stream.times
    at = warp.old(new).clamp(old[0], old[-1])
    speed, change = warp.speed(new), warp.change(new)
    nearest = (at[:, None] - old[None]).abs().argmin(1) if len(old) * len(at) < 2**22 else torch.searchsorted(old, at)
    nearest = nearest.clamp(max=len(old) - 1)
    base = stream.take_items(nearest)
    table = stream.column_table()
    values = {n: read_at(v, table[n], old, at) if n in table else base.values[n] for n, v in stream.values.items()}
    out = {}
    for n, value in values.items():
        column = table.get(n)
        wide = [-1, *[1] * (value.ndim - 1)]
        v, a = speed.reshape(wide), change.reshape(wide)
        if column is None:
            out[n] = value
        elif column.rate or (isinstance(stream, Action) and n in stream.per_step):
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
        return moved.with_values(effort=_effort(values, stream, unit, speed, change))
    if isinstance(stream, Wrench):
        return moved.with_values(**_wrench(values, stream, unit, at, speed, change))
    return moved


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


def motion(rig: Rig, root: str, frame: str, at: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """``T_root_frame`` (n, 4, 4), and velocity and acceleration (n, 3) of its origin in the root, by differences.

    At the ends of what is known the differences lie inside; a sensor that goes on for up to a tenth of a second after
    the joints' last reading keeps the last pose.
    """
    first, last = known_span(rig, root, frame)
    at = torch.where((at - last).abs() < HELD, at.clamp(max=last), at)
    middle = at.clamp(first + STEP, last - STEP) if last - first > 2 * STEP else at
    step = STEP if last - first > 2 * STEP else 0
    T = rig.along(root, frame, at)
    if step == 0:
        return T, torch.zeros_like(T[:, :3, 3]), torch.zeros_like(T[:, :3, 3])
    p = [rig.along(root, frame, middle + k * step)[:, :3, 3] for k in (-1, 0, 1)]
    seconds = step * 1e-9
    return T, (p[2] - p[0]) / (2 * seconds), (p[2] - 2 * p[1] + p[0]) / seconds**2


def known_span(rig: Rig, root: str, frame: str) -> tuple[int, int]:
    """First and last time (ns) at which every moving pose between two frames is known."""
    first, last = -(2**62), 2**62
    name: str | None = frame
    while name is not None and name != root:
        pose = rig.frames[name].pose
        if not isinstance(pose, Tensor):
            first, last = max(first, int(pose.times[0])), min(last, int(pose.times[-1]))
        name = rig.frames[name].parent
    return first, last


def _robot(unit: Unit, joints: tuple[str, ...]) -> Robot | None:
    """The robot of a unit, where the masses of all its links are known and its joints are these."""
    rig = unit.truth
    bases = [f.parent for f in rig.frames.values() if isinstance(f.pose, JointPose) and f.pose.joint.name in joints]
    if not bases or bases[0] is None:
        return None
    robot = Robot.of(rig, unit.ref.frame if unit.ref.frame in rig.frames else bases[0])
    known = set(robot.joints) <= set(joints) and robot.has_dynamics()
    return robot if known else None


def _effort(values: dict[str, Any], stream: JointState, unit: Unit, speed: Tensor, change: Tensor) -> Tensor:
    """tau' = phi'^2 (tau - g(q)) + g(q) + phi'' M(q) v, and tau itself where masses are not known."""
    robot = _robot(unit, stream.names)
    effort = values["effort"]
    if robot is None or "position" not in values:
        return effort
    rig = unit.truth
    root = rig.root_of(robot.root)
    up = rig.T(root, robot.root, int(stream.times[0]))[:3, :3] if root != robot.root else torch.eye(3).double()
    q = values["position"].to(torch.float64)
    hold = robot.gravity_torque(q, stream.names, up.T @ GRAVITY)
    out = speed[:, None] ** 2 * (effort.to(torch.float64) - hold) + hold
    if "velocity" in values and bool((change != 0).any()):
        mass = robot.mass_matrix(q, stream.names)
        out = out + change[:, None] * (mass @ values["velocity"].to(torch.float64)[..., None])[..., 0]
    return out.to(effort)


def _wrench(
    values: dict[str, Any], stream: Wrench, unit: Unit, at: Tensor, speed: Tensor, change: Tensor
) -> dict[str, Tensor]:
    """The inertial part of what hangs on the sensor follows the speed; weight and contact stay."""
    rig, frame = unit.truth, stream.frame
    force, torque = (values[c].to(torch.float64) for c in ("force", "torque"))
    for link in payload(rig, frame) if frame in rig.frames else ():
        root = rig.root_of(link)
        inertia = rig.frames[link].inertia
        if inertia is None or root == link:
            continue
        try:
            T, spin, turn = rotation_rates(rig, root, link, at)
            centre = _mass_point(rig, root, link, inertia.center, at)
            T_frame_link = rig.along(frame, link, at)
        except CalibrationError:
            continue
        velocity, acceleration = centre
        gain = (speed**2 - 1)[:, None]
        push = inertia.mass * (gain * acceleration + change[:, None] * velocity)  # in the root
        R_link = T[:, :3, :3].transpose(1, 2)
        push = (T_frame_link[:, :3, :3] @ R_link @ push[..., None])[..., 0]
        I = inertia.about_center  # noqa: E741
        twist = gain * (turn @ I.T + torch.linalg.cross(spin, spin @ I.T)) + change[:, None] * (spin @ I.T)
        arm = (T_frame_link[:, :3, :3] @ inertia.center) + T_frame_link[:, :3, 3]
        force = force + push
        torque = torque + (T_frame_link[:, :3, :3] @ twist[..., None])[..., 0] + torch.linalg.cross(arm, push)
    return {"force": force.to(values["force"]), "torque": torque.to(values["torque"])}


def payload(rig: Rig, frame: str) -> list[str]:
    """Frames with a mass on the side of the hand: the body that a sensor's frame is fixed to, and what hangs on it."""
    top = frame
    while rig.frames[top].inertia is None and rig.frames[top].parent is not None:
        if not isinstance(rig.frames[top].pose, Tensor):
            break
        top = rig.frames[top].parent  # type: ignore[assignment]
    below = {top}
    grew = True
    while grew:
        more = {n for n, f in rig.frames.items() if f.parent in below} - below
        grew = bool(more)
        below |= more
    return [n for n in rig.frames if n in below and rig.frames[n].inertia is not None]


def _mass_point(rig: Rig, root: str, link: str, point: Tensor, at: Tensor) -> tuple[Tensor, Tensor]:
    """Velocity and acceleration (n, 3) in the root of a point that is fixed on a link."""
    first, last = known_span(rig, root, link)
    middle = at.clamp(first + STEP, last - STEP)
    p = []
    for k in (-1, 0, 1):
        T = rig.along(root, link, middle + k * STEP)
        p.append((T[:, :3, :3] @ point) + T[:, :3, 3])
    seconds = STEP * 1e-9
    return (p[2] - p[0]) / (2 * seconds), (p[2] - 2 * p[1] + p[0]) / seconds**2


def rotation_rates(rig: Rig, root: str, frame: str, at: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """``T_root_frame``, angular velocity and angular acceleration (n, 3) in the frame's own axes."""
    first, last = known_span(rig, root, frame)
    middle = at.clamp(first + STEP, last - STEP)
    R = [rig.along(root, frame, middle + k * STEP)[:, :3, :3] for k in (-1, 0, 1)]
    ahead, behind = _small_turn(R[1].transpose(1, 2) @ R[2]), _small_turn(R[0].transpose(1, 2) @ R[1])
    seconds = STEP * 1e-9
    return rig.along(root, frame, at), (ahead + behind) / (2 * seconds), (ahead - behind) / seconds**2


def _small_turn(R: Tensor) -> Tensor:
    from scipy.spatial.transform import Rotation

    return torch.from_numpy(np.asarray(Rotation.from_matrix(R.numpy()).as_rotvec()))


__all__ = ["motion", "payload", "read_anew", "resampled", "restamped", "unstamped", "warped"]
