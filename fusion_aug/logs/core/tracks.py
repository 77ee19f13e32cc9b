"""Trajectories from the samples before and after: boxes and the vehicle in the reference frame of one sample."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from calib import Frame, Rig, Trajectory
from calib.se3 import invert
from fusion_aug.errors import USER_ERRORS, ConfigError, DataError
from fusion_aug.logs.core.options import LogOptions
from fusion_aug.logs.core.plausible import with_possible_boxes
from fusion_aug.ops.modes import standard_modes
from fusion_aug.sample import REF, Ref, Sample, SampleMeta
from fusion_aug.sample.ego import frame_twist
from fusion_aug.sample.meta import world_frame_of
from fusion_aug.streams import EGO, Stream, Waypoints, strings

WAYPOINTS = "waypoints"  # the stream
LONGEST = 120.0  # seconds that may be asked for, either way
MOST_KEPT = 512  # moments of a log: those around one sample are those around the next one, but for two
UNKNOWN = torch.full((3,), torch.nan, dtype=torch.float64)


@dataclass(frozen=True, eq=False)
class Moment:
    """Boxes and vehicle of one sample in the world.

    Attributes:
        time: ns, of the sample. times: (k,) int64 ns, of the rows. instances: (k,) text; the vehicle's is ``EGO``.
        poses: (k, 4, 4) ``T_world_body``. velocity: (k, 3) m/s in the world's axes, NaN where unknown.
    """

    time: int
    times: Tensor
    instances: np.ndarray[Any, Any]
    poses: Tensor
    velocity: Tensor


class KnownTracks:
    """What was found of the scenes of a log, and what was read last. It is sent to other processes empty."""

    def __init__(self) -> None:
        self._places: dict[str, tuple[list[str], int]] | None = None
        self._moments: OrderedDict[str, Moment] = OrderedDict()

    def __reduce__(self) -> tuple[type[KnownTracks], tuple[()]]:
        return type(self), ()

    def place(self, log: Any, sample_id: str) -> tuple[list[str], int]:
        """Ids of the scene of a sample, in log order, and its place among them."""
        if self._places is None:
            self._places = _places(log)
        return self._places[sample_id]

    def moment(self, log: Any, sample_id: str) -> Moment:
        """Boxes and vehicle of a sample."""
        found = self._moments.get(sample_id)
        if found is None:
            found = self._moments[sample_id] = _moment(log, sample_id)
            if len(self._moments) > MOST_KEPT:
                self._moments.popitem(last=False)
        return found


def horizon_asked(options: LogOptions) -> tuple[float, float] | None:
    """Seconds of ``log.past`` and ``log.future``; None where neither is given.

    Raises:
        ConfigError: one is no number of seconds from 0 to ``LONGEST``.
    """
    given = {name: getattr(options, name, None) for name in ("past", "future")}
    if all(value is None for value in given.values()):
        return None
    return _seconds("log.past", given["past"] or 0), _seconds("log.future", given["future"] or 0)


def _seconds(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LONGEST:
        raise ConfigError(f"{name}: expected seconds from 0 to {LONGEST:g}, got {value!r}")
    return float(value)


@standard_modes()
def with_waypoints(log: Any, index: int, past: float = 2.0, future: float = 6.0, step: float | None = None) -> Sample:
    """A sample of a log with the trajectories of its boxes and of the vehicle, as stream ``waypoints``.

    They are made of the samples before and after it in its scene, whether these are selected or not. A sample that is
    not there, as beyond the ends of a scene, has no waypoints, and no pose is made up between two of them. Velocities
    are those of the samples' own boxes and ego poses, NaN where these do not know them.

    Args:
        log: of samples in scenes, with poses of the vehicle in a world, and boxes with an ``instance``.
        index: of the sample.
        past, future: seconds before and after it, inclusive. Real frames come some milliseconds late: give a margin.
        step: take of every multiple of this, in seconds, the nearest sample, at most half a step away (which may then
            lie beyond ``past`` and ``future``); all samples by default.

    Returns:
        the sample with a stream ``Waypoints`` in the frame "ref", the vehicle first, each by time, time 0 included.

    Raises:
        ConfigError: ``past``, ``future`` or ``step`` is no such number.
        DataError: the log has no scenes, no world or no instances, or samples of a scene are not in the order of time.
    """
    if step is not None and (isinstance(step, bool) or not isinstance(step, int | float) or not 0.01 <= step <= 60):
        raise ConfigError(f"step: expected seconds from 0.01 to 60, got {step!r}")
    sample: Sample = log[index]
    return joined_waypoints(log, sample, _seconds("past", past), _seconds("future", future), step)


def joined_waypoints(log: Any, sample: Sample, past: float, future: float, step: float | None = None) -> Sample:
    """A sample that was read from a log, with its waypoints; arguments as ``with_waypoints``."""
    meta, margin = sample.meta, 0.0 if step is None else step / 2
    world = world_frame_of(meta.rig, meta.ref.frame)
    if world is None:
        raise DataError(
            f"{log.root}: sample {sample.id!r}: the log has no poses of the vehicle in a world, by which samples could "
            f"be joined to trajectories; leave log.past and log.future out"
        )
    around = list(_moments(log, sample.id, round((past + margin) * 1e9), round((future + margin) * 1e9)))
    if step is not None:
        around = _at_steps(around, meta.ref.time, past, future, step)
    names = [EGO, *_instances(log, sample)]
    rank = {name: k for k, name in enumerate(names)}
    times, instances = torch.cat([m.times for m in around]), np.concatenate([m.instances for m in around])
    offset = times - meta.ref.time
    inside = torch.ones(len(offset), dtype=torch.bool)
    if step is None:  # the boxes of a sample may be of several times
        inside = (offset >= -round(past * 1e9)) & (offset <= round(future * 1e9))
    numbers = np.array([rank.get(str(n), -1) for n in instances], np.int64)
    found = np.flatnonzero((numbers >= 0) & inside.numpy())
    rows = torch.from_numpy(found[np.lexsort((offset.numpy()[found], numbers[found]))])
    T_ref_world = invert(meta.rig.T(world, meta.ref.frame, meta.ref.time))
    values = {
        "pose": T_ref_world @ torch.cat([m.poses for m in around])[rows],
        "velocity": torch.cat([m.velocity for m in around])[rows] @ T_ref_world[:3, :3].T,
        "time_offset": offset[rows].to(torch.float64) * 1e-9,
        "instance": instances[rows.numpy()],
    }
    stream = Waypoints(frame=REF, capture_times=torch.tensor([meta.ref.time]), values=values)
    return sample.with_streams({**sample.streams, WAYPOINTS: stream})


def bare_sample(
    sample_id: str, scene: str, ref: Ref, world: str, T_world_ref: Tensor, streams: Mapping[str, Stream]
) -> Sample:
    """A sample without sensors, for ``Log.boxes_and_ego``: the vehicle in the world at its time, and streams."""
    track = Trajectory(times=torch.tensor([ref.time]), poses=T_world_ref[None])
    rig = Rig({world: Frame(axis_convention="world"), ref.frame: Frame(parent=world, pose=track)}, {})
    return Sample(metas=(SampleMeta(id=sample_id, scene=scene, ref=ref, rig=rig, true_rig=rig),), streams=streams)


def _instances(log: Any, sample: Sample) -> list[str]:
    """Names of the sample's own boxes, in order."""
    if "boxes" not in sample.streams:
        return []
    boxes = sample.boxes()
    if "instance" not in boxes.values:
        raise DataError(
            f"{log.root}: sample {sample.id!r}: its boxes have no column instance, which ties them over time; leave "
            f"log.past and log.future out"
        )
    return [n for n in dict.fromkeys(map(str, boxes["instance"])) if n]


def _at_steps(moments: list[Moment], time: int, past: float, future: float, step: float) -> list[Moment]:
    """Of every multiple of a step the nearest moment, at most half a step away and each once."""
    whole = range(-math.floor(past / step + 1e-6), math.floor(future / step + 1e-6) + 1)
    chosen: dict[int, Moment] = {}
    for k in whole:
        at = time + round(k * step * 1e9)
        nearest = min(moments, key=lambda m: abs(m.time - at))
        if abs(nearest.time - at) <= round(step * 5e8):
            chosen.setdefault(nearest.time, nearest)
    return list(chosen.values())


def _moments(log: Any, sample_id: str, past: int, future: int) -> Iterator[Moment]:
    """The sample and those of its scene within some ns before and after it."""
    scene, place = log.known_tracks.place(log, sample_id)
    own = log.known_tracks.moment(log, sample_id)
    yield own
    for sign, beside, limit in ((-1, reversed(scene[:place]), past), (1, iter(scene[place + 1 :]), future)):
        last = own.time
        for other in beside:
            moment = log.known_tracks.moment(log, other)
            if sign * (moment.time - last) <= 0:
                raise DataError(
                    f"{log.root}: samples {sample_id!r} and {other!r} of one scene are not in the order of time, as "
                    f"copies are not; trajectories need samples of different times: choose another log, or leave "
                    f"log.past and log.future out"
                )
            if sign * (moment.time - own.time) > limit:
                break
            yield moment
            last = moment.time


def _places(log: Any) -> dict[str, tuple[list[str], int]]:
    """Id of every sample -> ids of its scene, in log order, and its place among them.

    Raises:
        DataError: every sample is a scene of its own.
    """
    scenes: dict[str, list[str]] = {}
    out = {}
    for sample_id in log.all_ids:
        try:
            scene = scenes.setdefault(log.scene_of(sample_id), [])
        except USER_ERRORS:  # told where the sample itself is read
            continue
        out[sample_id] = (scene, len(scene))
        scene.append(sample_id)
    if len(scenes) == len(out) and all(name == ids[0] for name, ids in scenes.items()):
        raise DataError(
            f"{log.root}: every sample of this log is a scene of its own, so nothing is known of the time before and "
            f"after it; leave log.past and log.future out"
        )
    return out


def _moment(log: Any, sample_id: str) -> Moment:
    """Boxes and vehicle of one sample of a log."""
    place = partial(log.box_place, sample_id)
    sample = with_possible_boxes(log.boxes_and_ego(sample_id), log.bad_boxes, place)
    meta, where = sample.meta, f"{log.root}: sample {sample_id!r}"
    world = world_frame_of(meta.rig, meta.ref.frame)
    if world is None:
        raise DataError(f"{where}: the log has no pose of the vehicle in a world at this sample")
    T_world_ref = meta.rig.T(world, meta.ref.frame, meta.ref.time)
    twist = frame_twist(sample, 0, meta.ref.frame, meta.ref.time)
    velocity = UNKNOWN if twist is None else T_world_ref[:3, :3] @ twist[0]
    parts = [(torch.tensor([meta.ref.time]), strings([EGO]), T_world_ref[None], velocity[None])]
    if "boxes" in sample.streams and "instance" in sample.boxes().values:
        parts.append(_of_boxes(sample, world))
    times, names, poses, velocities = zip(*parts, strict=True)
    joined = Moment(meta.ref.time, torch.cat(times), np.concatenate(names), torch.cat(poses), torch.cat(velocities))
    pairs = list(zip(joined.instances.tolist(), joined.times.tolist(), strict=True))
    if len(set(pairs)) < len(pairs):
        twice = next(name for k, (name, time) in enumerate(pairs) if (name, time) in pairs[:k])
        raise DataError(f"{where}: boxes: the instance {twice!r} occurs twice at one time, so it is no track")
    return joined


def _of_boxes(sample: Sample, world: str) -> tuple[Tensor, np.ndarray[Any, Any], Tensor, Tensor]:
    """Times, instances, poses and velocities in the world of a sample's boxes that have an instance."""
    boxes, rig, frame = sample.boxes(), sample.rig, sample.boxes().frame
    at = boxes.capture_times.tolist()
    own = sample.ref.frame if frame == REF else frame
    T = torch.stack([rig.T(world, own, sample.ref.time if frame == REF else t) for t in at])[boxes.row_item]
    velocity = boxes.values.get("velocity")
    velocity = UNKNOWN.expand(boxes.rows, 3) if velocity is None else velocity.to(torch.float64)
    named = torch.from_numpy(boxes["instance"] != "")
    moved = (T[:, :3, :3] @ velocity[..., None])[..., 0]
    poses = T @ boxes["pose"].to(torch.float64)
    return boxes.capture_times[boxes.row_item][named], boxes["instance"][named.numpy()], poses[named], moved[named]


__all__ = ["WAYPOINTS", "bare_sample", "horizon_asked", "joined_waypoints", "with_waypoints"]
