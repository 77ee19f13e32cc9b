"""The rig of a window of a recording: frames of tf, cameras of CameraInfo, and the frames that messages name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from calib import CameraSensor, Frame, Rig, Trajectory, UnknownLens
from calib.trajectory import MovingPose
from fusion_aug.errors import DataError
from fusion_aug.logs.core.robots import BASE, WORLD_FRAMES
from fusion_aug.logs.mcap.cameras import camera_sensor, info_topic, is_rectified, lens_problem
from fusion_aug.logs.mcap.depth_pairs import as_depth, cameras_of, told_cameras
from fusion_aug.logs.mcap.gathering import Gathered
from fusion_aug.logs.mcap.opaque import INFO, LEAVE_OUT, RawMessages, Unread, unread_by
from fusion_aug.logs.mcap.pictures import PICTURES, picture_size_of, with_opacity
from fusion_aug.streams import BodyAcceleration, BodyPose, BodyTwist, ImageStream, Stream

BODY = "base_link"  # what ROS calls the frame of a robot's body (REP-105)


def with_body_frame(frames: Mapping[str, Frame], streams: Mapping[str, Stream]) -> dict[str, Stream]:
    """Streams with twists that name no frame, such as /cmd_vel, in that of the robot's body, where it is known."""
    named = {*frames, *(s.frame for s in streams.values()), *(s.child for s in streams.values())}
    if BODY not in named or BASE in frames:
        return dict(streams)
    bare = {n for n, s in streams.items() if isinstance(s, BodyTwist | BodyAcceleration) and s.frame == BASE}
    return {n: replace(s, frame=BODY) if n in bare else s for n, s in streams.items()}


def with_message_frames(frames: Mapping[str, Frame], streams: Mapping[str, Stream]) -> dict[str, Frame]:
    """The frames of tf with those that messages name; a body whose odometry tf does not repeat moves by that."""
    out = dict(frames)
    for stream in streams.values():
        if not stream.frame:  # its axes are not known
            continue
        out.setdefault(stream.frame, Frame(axis_convention="world" if stream.frame in WORLD_FRAMES else "body"))
        if isinstance(stream, BodyPose) and stream.child and stream.child not in out:
            path = Trajectory.from_unsorted(stream.capture_times, stream["pose"])
            out[stream.child] = Frame(parent=stream.frame, pose=path)
    return out


def with_cameras(
    found: Gathered, frames: Mapping[str, Frame], streams: Mapping[str, Stream], path: Any, depth_of: Any = None
) -> tuple[dict[str, Frame], dict[str, CameraSensor], dict[str, Stream]]:
    """Frames, cameras, and streams that name their cameras, of the pictures of a window.

    A picture whose CameraInfo cannot be read has an unknown lens, and the topic of the CameraInfo says why.

    Args:
        found: the messages. frames, streams: so far. path: of the file, for messages. depth_of: the option.

    Raises:
        ConfigError: the option names what is not there.
    """
    frames, streams = dict(frames), dict(streams)
    topics = {topic.name: name for name, topic in found.topics.items()}
    infos = {t: info for t, info in found.infos.items() if found.topics[t].unread is None}
    own: dict[str, CameraSensor] = {}
    shown: dict[str, list[tuple[CameraSensor, tuple[int, int] | None]]] = {}
    for name, stream in streams.items():
        if name not in topics or found.topics[topics[name]].kind == INFO:
            continue
        is_opaque = isinstance(stream, RawMessages) and stream.like == "Camera"
        if not (isinstance(stream, ImageStream) or is_opaque):
            continue
        size = picture_size_of(stream) if isinstance(stream, ImageStream) else None
        info = info_topic(topics[name], infos)
        if info is not None:
            where = f"{path}: topic {info}"
            try:
                own[name] = camera_sensor(infos[info], stream.frame, where, is_rectified(topics[name]), size)
            except DataError as error:
                found.topics[info].unread = unread_by(error, INFO, where)
            else:
                shown.setdefault(info, []).append((own[name], size))
        if name not in own and size is not None:
            own[name] = CameraSensor(frame=stream.frame, model=UnknownLens.of(size))
        frame = frames[stream.frame]
        frames[stream.frame] = Frame(parent=frame.parent, pose=frame.pose, axis_convention="camera")
    for info, seen in shown.items():
        topic = found.topics[info]
        topic.unread = topic.unread or _unread_camera(seen)
    own = {name: _of_pictures(sensor, streams[name]) for name, sensor in own.items()}
    pictures = {topic: name for name, topic in topics.items() if found.topics[topic].kind in PICTURES}
    told = told_cameras(depth_of, pictures, streams)
    streams |= {name: as_depth(streams[name], name) for name in told}
    cameras = cameras_of(streams, own, told)
    for name, camera in cameras.items():
        streams[name] = replace(streams[name], camera=camera)  # type: ignore[call-arg]
    sensors = {n: sensor for n, sensor in own.items() if cameras.get(n, n) == n}
    streams = with_opacity(streams)
    return frames, sensors, streams


def _of_pictures(sensor: CameraSensor, stream: Stream) -> CameraSensor:
    """A camera, of an unknown lens where it is calibrated for another size than its pictures have."""
    if not isinstance(stream, ImageStream) or sensor.size == (size := picture_size_of(stream)):
        return sensor
    (height, width), (rows, columns) = sensor.size, size
    why = f"its camera_info is of pictures of {width}x{height}, and they are {columns}x{rows}"
    return CameraSensor(frame=sensor.frame, model=UnknownLens.of(size, why))


def _unread_camera(shown: Sequence[tuple[CameraSensor, tuple[int, int] | None]]) -> Unread | None:
    """Why a CameraInfo cannot be changed: its lens is not understood, or none of its pictures has its size.

    Args:
        shown: cameras that it describes, with the (height, width) of their pictures, None where that is not known.
    """
    why = next(filter(None, (lens_problem(s) for s, _ in shown)), "")
    sizes = [(s.size, size) for s, size in shown if size is not None]
    if not why and sizes and all(own != size for own, size in sizes):
        (height, width), (rows, columns) = sizes[0]
        why = f"it is calibrated for pictures of {width}x{height}, and they are {columns}x{rows}"
    remedy = f"{LEAVE_OUT} and give the camera in log.rig"
    return unread_by(why, INFO, "")._replace(remedy=remedy) if why else None


def first_known_pose(rig: Rig, root: str, frame: str, time: int) -> Tensor:
    """Pose (4, 4) of a frame in a root at a time (ns); a part of the chain that is not known then as it is first known.

    A localisation begins later than the recording, and its frame rests until then.

    Args:
        rig: whose frames they are. root: above the frame.
    """
    T, name = torch.eye(4, dtype=torch.float64), frame
    while name != root:
        at = rig.frames[name]
        moment = time
        if isinstance(at.pose, MovingPose):
            moment = min(max(time, int(at.pose.times[0])), int(at.pose.times[-1]))
        T = at.at(moment) @ T
        name = str(at.parent)
    return T
