"""A sample of any log in the form of nuScenes' tables: what a reader of them gets.

* The vehicle, ``ego``, is the reference frame's body, and its poses in ``world`` are those of the rig's root. Where the
  reference frame is a root itself the log knows no world, and the vehicle is taken to stand still in it.
* Cameras, LiDARs and radars that are fixed to the vehicle become channels, under their own names; the item next to the
  reference time is the keyframe, the others are sweeps. All else has no place in the tables.
* Times are whole microseconds, intensities whole numbers of 0 to 255. A ring that is not known is -1. Of detections
  without a velocity nuScenes has a code: 0 m/s with the dynamic property "unknown".
* Boxes have a category, a track (``instance``) and a visibility of four levels; their velocity follows from the track.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from calib import BrownConrady, CameraSensor, Frame, Pinhole, Rig, Sensor, Trajectory
from calib.nuscenes import sensor_from_record
from calib.replacing import replace_unchecked
from fusion_aug.errors import DataError
from fusion_aug.logs.core.twist import twist_at
from fusion_aug.logs.nuscenes.held import BOXES, held_boxes, held_stream, token_of
from fusion_aug.logs.nuscenes.tables import MICRO
from fusion_aug.logs.nuscenes.tracks import held_waypoints
from fusion_aug.sample import REF, Ref, Sample
from fusion_aug.streams import Camera, EgoPose, Lidar, Points, Radar, Stream

EGO, WORLD = "ego", "world"
MODALITIES = {Camera: "camera", Lidar: "lidar", Radar: "radar"}
LENSES = (Pinhole.lens, BrownConrady.lens)  # others have no place; a distorted one would be read wrongly and is refused


class Record(NamedTuple):
    """A file of a channel.

    Attributes:
        channel, item: whose it is. token: of its records. time: ns. pose: ``T_world_ego`` (4, 4) then.
    """

    channel: str
    item: int
    token: str
    time: int
    pose: Tensor


def modality_of(stream: Stream) -> str:
    """camera, lidar or radar; empty for other streams."""
    return next((word for kind, word in MODALITIES.items() if isinstance(stream, kind)), "")


def channels_of(sample: Sample) -> list[str]:
    """Streams that nuScenes has channels for: of sensors that are fixed to the reference frame, with a plain lens.

    Raises:
        DataError: there are none.
    """
    found = [n for n, s in sample.streams.items() if modality_of(s) and len(s) and _fits(sample, n)]
    if not found:
        raise DataError(
            f"sample {sample.id!r}: nuScenes needs a camera, a LiDAR or a radar that is fixed to the reference frame "
            f"{sample.ref.frame!r}, and there is none"
        )
    return found


def _fits(sample: Sample, name: str) -> bool:
    stream = sample[name]
    if isinstance(stream, Camera):
        sensor = sample.rig.sensors.get(stream.instance(name))
        if not isinstance(sensor, CameraSensor) or sensor.model.lens not in LENSES:
            return False
    return stream.frame == REF or is_fixed(sample.rig, sample.ref.frame, stream.frame)


def is_fixed(rig: Rig, a: str, b: str) -> bool:
    """Whether two frames never move against each other."""
    if a not in rig.frames or b not in rig.frames:
        return False
    up, down = rig.ancestors(a), rig.ancestors(b)
    if up[-1] != down[-1]:
        return False
    while up and down and up[-1] == down[-1]:
        up.pop()
        down.pop()
    return all(isinstance(rig.frames[n].pose, Tensor) for n in (*up, *down))


def in_frames(sample: Sample) -> Sample:
    """The sample with clouds that are given in the reference frame brought to the vehicle at their own times."""
    clouds = [n for n, s in sample.of_type(Points).items() if s.frame == REF]
    moved = {n: sample.points(n, frame=sample.ref.frame) for n in clouds}
    return sample.with_streams({**sample.streams, **moved}) if moved else sample


def records_of(sample: Sample, channels: Sequence[str]) -> list[Record]:
    """Records of all files, in the order in which they are written."""
    ego = sample.ref.frame
    root = sample.rig.root_of(ego)
    out = []
    for name in channels:
        times = sample[name].capture_times
        poses = sample.rig.T_at_times(root, ego, times)
        for i, (time, pose) in enumerate(zip(times.tolist(), poses, strict=True)):
            out.append(Record(name, i, token_of("sample_data", sample.id, name, i), time, pose))
    return out


def micro(time: int) -> int:
    """Whole microseconds, in ns."""
    return time // MICRO * MICRO


def reference_time(sample: Sample, channels: Sequence[str]) -> int:
    """Time (ns) of the first LiDAR keyframe, else of the first keyframe, as a reader of the tables takes it."""
    order = sorted(channels, key=lambda n: micro(int(sample[n].capture_times[0])))
    first = next((n for n in order if isinstance(sample[n], Lidar)), order[0])
    return int(sample[first].capture_times[sample.key_item(first)])


def table_form(sample: Sample) -> Sample:
    """The sample as the tables hold it, with what has no place in them as it is; clouds are not baked.

    Raises:
        DataError: it has no channel, or a cloud or its boxes lack what a file has to hold.
    """
    sample = in_frames(sample)
    channels = channels_of(sample)
    records = records_of(sample, channels)
    streams: dict[str, Stream] = {}
    for name in channels:
        mine = [r for r in records if r.channel == name]
        streams[name] = replace(
            held_stream(sample, name), frame=name, capture_times=torch.tensor([micro(r.time) for r in mine]),
            records=tuple(r.token for r in mine),
        )  # fmt: skip
    time, ego = reference_time(sample, channels), sample.ref.frame
    T_new_ref = sample.rig.T(ego, ego, sample.ref.time, time)
    boxes = streams[BOXES] = held_boxes(sample, micro(time), T_new_ref)
    streams[EGO] = _ego(records)
    names = _frame_names(sample, channels)
    extra = {n: _in_frames_of(s, names) for n, s in sample.streams.items() if n not in streams}
    extra |= held_waypoints(sample, boxes, micro(time), T_new_ref)
    shaped = sample.with_streams({n: streams.get(n) or extra[n] for n in dict.fromkeys((*sample.streams, *streams))})
    rig = _rig(sample, channels, records, names)
    return shaped.with_meta(0, rig=rig, true_rig=rig, ref=Ref(EGO, micro(time)))


def _ego(records: Sequence[Record]) -> EgoPose:
    """The vehicle's pose at every record, in the order of a reader: by time, and channel by channel."""
    first: dict[str, int] = {}
    for r in sorted(records, key=lambda r: micro(r.time)):
        first.setdefault(r.channel, len(first))
    mine = sorted(records, key=lambda r: (micro(r.time), first[r.channel]))
    times, poses = torch.tensor([micro(r.time) for r in mine]), torch.stack([r.pose for r in mine])
    track = Trajectory.from_unsorted(times, poses)
    velocity, angular = twist_at(times, track.times, track.poses)
    return EgoPose(
        frame=WORLD, child=EGO, capture_times=times, records=tuple(r.token for r in mine),
        values={"pose": poses, "velocity": velocity, "angular_velocity": angular},
    )  # fmt: skip


# --- the rig ----------------------------------------------------------------------------------------------------------
def _frame_names(sample: Sample, channels: Sequence[str]) -> dict[str, str]:
    """New names of frames: of the vehicle and of the root, and of those whose names the tables need."""
    ego, root = sample.ref.frame, sample.rig.root_of(sample.ref.frame)
    names = {root: WORLD, ego: EGO}  # where they are one frame, the vehicle
    taken = {WORLD, EGO, *(n for n in channels if sample[n].frame != n)}
    return names | {f: f"{f}_frame" for f in sample.rig.frames if f in taken and f not in names}


def _in_frames_of(stream: Stream, names: dict[str, str]) -> Stream:
    changes: dict[str, Any] = {f: names[getattr(stream, f)] for f in ("frame", "child") if getattr(stream, f) in names}
    return replace(stream, **changes) if changes else stream


def _rig(sample: Sample, channels: Sequence[str], records: Sequence[Record], names: dict[str, str]) -> Rig:
    """Frames and sensors as a reader of the tables makes them, and the others under their new names."""
    others = {
        names.get(n, n): f if f.parent is None else replace_unchecked(f, parent=names.get(f.parent, f.parent))
        for n, f in sample.rig.frames.items()
    }
    sensors: dict[str, Sensor] = {
        n: replace_unchecked(s, frame=names.get(s.frame, s.frame)) for n, s in sample.rig.sensors.items()
    }
    track = _track(sample, records)
    frames = {WORLD: Frame(axis_convention="world"), EGO: Frame(parent=WORLD, pose=track)}
    for name in channels:
        modality = modality_of(sample[name])
        matrix, size = [], (0, 0)
        if modality == "camera":
            camera = sample.rig.camera(sample[name].instance(name))
            matrix, size = intrinsic(camera).tolist(), camera.size
        record, where = {"camera_intrinsic": matrix}, f"sample {sample.id!r}"
        sensors[name] = sensor_from_record(record, name, modality, size, set(channels), where)
        convention = "camera" if modality == "camera" else "body"
        frames[name] = Frame(parent=EGO, pose=mounting(sample, name), axis_convention=convention)
    return Rig({**others, **frames}, {n: _with_known_partner(s, n, sensors) for n, s in sensors.items()})


def _track(sample: Sample, records: Sequence[Record]) -> Trajectory:
    """Poses of the vehicle at all records, and where the rig knows more of them, for the streams of the sidecar."""
    rig, ego = sample.rig, sample.ref.frame
    chain = [rig.frames[n].pose for n in rig.ancestors(ego)[:-1]]
    known = [p.times for p in chain if isinstance(p, Trajectory)]
    more = torch.cat(known) if known else torch.zeros(0, dtype=torch.int64)
    for times in known:
        more = more[(more >= times[0]) & (more <= times[-1])]
    poses = [torch.stack([r.pose for r in records]), rig.T_at_times(rig.root_of(ego), ego, more)]
    return Trajectory.from_unsorted(torch.cat([torch.tensor([micro(r.time) for r in records]), more]), torch.cat(poses))


def _with_known_partner(sensor: Sensor, name: str, sensors: Mapping[str, Sensor]) -> Sensor:
    """A sensor without a mirror partner that does not know it: the tables know partners by nuScenes' names only."""
    partner = sensors.get(sensor.mirror_of or "")
    known = sensor.mirror_of is None or (partner is not None and partner.mirror_of == name)
    return sensor if known else replace_unchecked(sensor, mirror_of=None)


def intrinsic(camera: CameraSensor) -> Tensor:
    """The 3x3 of a camera with its pixel map."""
    K: Tensor = camera.A @ camera.model.K
    return K


def mounting(sample: Sample, name: str) -> Tensor:
    """``T_ego_sensor`` (4, 4) of a channel."""
    stream = sample[name]
    time = int(stream.capture_times[0])
    return sample.rig.T(sample.ref.frame, stream.frame, time, time)


__all__ = ["EGO", "Record", "channels_of", "in_frames", "intrinsic", "modality_of", "records_of", "table_form"]
