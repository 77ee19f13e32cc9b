"""MCAP recordings of ROS 2: reader.

A recording is a folder with one or more ``.mcap`` files (and ``metadata.yaml``), as ``ros2 bag`` makes it. A sample is
a whole recording, or a window of it (``log.window``, seconds). Pictures and clouds stay in the file until used.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from calib import CameraSensor, Frame, Rig, Trajectory, UnknownLens
from calib.regular_files import is_there
from fusion_aug.errors import DataError
from fusion_aug.logs.core.contents import Fields
from fusion_aug.logs.core.intensity import Clouds
from fusion_aug.logs.core.options import Option
from fusion_aug.logs.core.robots import BASE, ROBOT_OPTIONS, WORLD_FRAMES, RobotLog
from fusion_aug.logs.core.sidecar import merge_sidecar, with_changes
from fusion_aug.logs.core.touch import camera_of, with_touch_streams
from fusion_aug.logs.mcap import clouds
from fusion_aug.logs.mcap.bag import NAME, split_files
from fusion_aug.logs.mcap.contents import fields_of
from fusion_aug.logs.mcap.file import McapFile, MessageSource, StoredMessage, decode, message_times, stamp_of
from fusion_aug.logs.mcap.messages import READERS, RawMessages, ReceivedMessage, camera_sensor, common_fields
from fusion_aug.logs.mcap.tf import tf_frames
from fusion_aug.logs.mcap.windows import Window, is_readable, windows_of
from fusion_aug.sample import Ref, Sample, SampleMeta
from fusion_aug.streams import Camera, ImageStream, Stream

LAZY = {"sensor_msgs/msg/Image": "ros_image", "sensor_msgs/msg/CompressedImage": "ros_image",
        "sensor_msgs/msg/PointCloud2": "ros_cloud"}  # fmt: skip
JOINTS = "sensor_msgs/msg/JointState"
INFO, TF = "sensor_msgs/msg/CameraInfo", "tf2_msgs/msg/TFMessage"
PICTURE_ENDINGS = (
    "image_raw",
    "image_rect",
    "image_rect_color",
    "image_color",
    "image",
    "compressed",
    "compressedDepth",
)
MARGIN = 500_000_000  # ns of readings beyond a window, so that poses are known up to its ends


MCAP_OPTIONS = {
    **ROBOT_OPTIONS,
    "window": Option("seconds per sample; a whole recording by default", input_only=True),
}


class McapLog(RobotLog):
    """Reader of MCAP recordings. ``log.select`` takes ids or shell patterns of them."""

    reads_neighbours = True  # joints beyond a file come from the other files of its recording

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        # windows are parts of one recording, whose robot has one geometry
        self.calibration_per_scene = self.options.window is not None

    @cached_property
    def windows(self) -> dict[str, Window]:
        """Id of every sample -> its window."""
        return windows_of(self.root, self.tree.glob("**/*.mcap"), self.options.window)

    @cached_property
    def recordings(self) -> list[McapFile]:
        """The recordings that can be read, by path."""
        files = map(McapFile, sorted({w.file.path for w in self.windows.values()}))
        return [f for f in files if is_readable(f)]

    @property
    def excludable(self) -> Collection[str]:
        """All topics."""
        return {channel.topic for file in self.recordings for channel in file.summary()[0]}

    @property
    def all_ids(self) -> Sequence[str]:
        """Ids of all recordings, or of their windows."""
        return list(self.windows)

    def scene_of(self, sample_id: str) -> str:
        """The recording."""
        return sample_id.rsplit("/", 1)[0] if self.options.window is not None else sample_id

    def fields(self) -> Mapping[str, Fields]:
        """Topics, attachments and metadata records of the selected recordings."""
        files = {self.windows[i].file.path: self.windows[i].file for i in self.ids}
        return fields_of(self.root, files.values(), {*READERS, INFO, TF}, self.is_excluded)

    def is_selected_file(self, path: str) -> bool:
        """Whether a file is a selected recording, or none at all."""
        return not path.endswith(".mcap") or self.root / path in self._selected

    @cached_property
    def _selected(self) -> frozenset[Path]:
        return frozenset(self.windows[i].file.path for i in self.ids)

    def clouds(self, count: int) -> Clouds:
        """Messages from all over the recordings, without reading the rest of these."""
        topics = {
            file: {c.topic: self.names(file)[c.topic] for c in file.summary()[0]
                   if c.kind == clouds.CLOUD and not self.is_excluded(c.topic)}
            for file in self.recordings
        }  # fmt: skip
        return clouds.spread_clouds(topics, count)

    def names(self, file: McapFile) -> dict[str, str]:
        """Topic -> name of its stream: the topic without outer slashes; pictures have the name of their camera."""
        out: dict[str, str] = {}
        for channel in file.summary()[0]:
            name = topic = channel.topic.strip("/")
            if channel.kind.startswith("sensor_msgs/msg/") and channel.kind.endswith("Image"):
                parts = topic.split("/")
                while len(parts) > 1 and parts[-1] in PICTURE_ENDINGS:
                    parts.pop()
                name = "/".join(parts)
                if "depth" in topic and not name.endswith("depth"):
                    name += "/depth"
            out[channel.topic] = topic if name in out.values() else name
        return out

    def read(self, sample_id: str) -> Sample:
        """Read one sample."""
        if sample_id not in self.windows:
            raise DataError(f"{self.root}: there is no sample {sample_id!r}")
        window = self.windows[sample_id]
        received, infos, transforms = self._read_messages(window)
        names = self.names(window.file)
        kinds = {c.topic: c.kind for c in window.file.summary()[0]}
        streams: dict[str, Stream] = {}
        for topic, messages in received.items():
            where, kind = f"{window.file.path}: topic {topic}", kinds[topic]
            inside = [h for h in messages if window.start <= h.log_time < window.end]
            # not the joint states of another part of the recording
            messages = [h for h in inside if h.source.path == window.file.path]
            if not messages:
                continue
            messages = sorted((replace(h, position_in_topic=i) for i, h in enumerate(messages)), key=lambda h: h.time)
            stream_fields = common_fields(messages, messages[0].frame or BASE)
            if len({h.frame for h in messages}) > 1:
                raise DataError(f"{where}: frame_id: changes from message to message, which is not supported")
            streams[names[topic]] = (
                READERS[kind](messages, stream_fields, where) if kind in READERS else RawMessages(**stream_fields)
            )
        if not streams:
            raise DataError(f"{window.file.path}: sample {sample_id!r} holds no message")
        rig, streams = self._rig(sample_id, received, infos, transforms, names, streams, kinds)
        base = self.base_of(rig)
        time = min(int(s.capture_times[0]) for s in streams.values())
        clock = next((n for n, s in streams.items() if isinstance(s, Camera)), next(iter(streams)))
        meta = SampleMeta(
            id=sample_id, scene=self.scene_of(sample_id), ref=Ref(base, time), rig=rig, true_rig=rig, clock=clock
        )
        root = rig.root_of(base)
        if self.options.window is not None:
            meta = replace(meta, start=window.file.summary()[1])
        if root != base and rig.frames[root].axis_convention == "world":
            meta = replace(meta, anchor=rig.T(root, base, time))
        return merge_sidecar(Sample(metas=(meta,), streams=streams), self.tree)

    def _read_messages(
        self, window: Window
    ) -> tuple[dict[str, list[ReceivedMessage]], dict[str, Any], list[tuple[bool, int, Any]]]:
        """Read the window: messages by topic, camera infos by topic, and transforms (static, log time, message)."""
        received: dict[str, list[ReceivedMessage]] = {}
        infos: dict[str, Any] = {}
        transforms: list[tuple[bool, int, Any]] = []
        nth: dict[tuple[str, int], int] = {}
        path = window.file.path
        channels = [c for c in window.file.summary()[0] if not self.is_excluded(c.topic)]
        whole = [c.topic for c in channels if c.kind in (INFO, TF)]
        for raw in window.file.messages(topics=whole) if whole else ():  # sent once, often before the window
            message = decode(raw.data, raw.kind, raw.definition, f"{path}: topic {raw.topic}")
            if raw.kind == INFO:
                first = infos.setdefault(raw.topic, message)
                if not same_camera(first, message):
                    raise DataError(
                        f"{path}: topic {raw.topic}: the calibration changes within the recording, which is not "
                        f"supported; leave the topic out with log.exclude and give the camera in log.rig"
                    )
            else:
                transforms.append((raw.topic.endswith("tf_static"), raw.log_time, message))
        others = [c.topic for c in channels if c.topic not in whole]
        span = (max(0, window.start - MARGIN), window.end + MARGIN)
        for raw in window.file.messages(*span, topics=others) if others else ():
            key = (raw.topic, raw.log_time)
            nth[key] = nth.get(key, -1) + 1
            received.setdefault(raw.topic, []).append(self._received(path, raw, nth[key]))
        joints = [c.topic for c in channels if c.kind == JOINTS]
        for file in self._other_parts(path, span) if joints else ():
            for raw in file.messages(*span, topics=joints):
                received.setdefault(raw.topic, []).append(self._received(file.path, raw, 0))
        return {topic: with_times(messages) for topic, messages in received.items()}, infos, transforms

    def _other_parts(self, path: Path, span: tuple[int, int]) -> list[McapFile]:
        """Return the other files of a split recording, as ``metadata.yaml`` lists them, that overlap a span (ns)."""
        parts = split_files(self.tree.path(NAME, str(path.parent), path.parent).parent)
        others = [p for p in parts if p != path.name] if path.name in parts else []
        files = [McapFile(self.tree.path(p, f"{path.parent / NAME}", path.parent)) for p in others]
        files = [f for f in files if is_there(f.path)]
        return [f for f in files if f.summary()[1] < span[1] and f.summary()[2] >= span[0]]

    def _received(self, path: Path, raw: StoredMessage, nth: int) -> ReceivedMessage:
        where = f"{path}: topic {raw.topic}"
        options = {"topic": raw.topic, "log_time": raw.log_time, "nth": nth, "type": raw.kind,
                   "definition": raw.definition}  # fmt: skip
        source = MessageSource(path, LAZY.get(raw.kind, "ros_message"), options=options)
        if raw.kind not in READERS:
            return ReceivedMessage(None, source, "", None, raw.log_time)
        message = decode(raw.data, raw.kind, raw.definition, where)
        header = getattr(message, "header", None)
        frame = "" if header is None else str(header.frame_id).strip("/")
        keep = None if raw.kind in LAZY else message
        return ReceivedMessage(keep, source, frame, stamp_of(message), raw.log_time)

    def _rig(
        self, sample_id: str, received: dict[str, list[ReceivedMessage]], infos: dict[str, Any],
        transforms: list[tuple[bool, int, Any]], names: dict[str, str], streams: dict[str, Stream],
        kinds: dict[str, str],
    ) -> tuple[Rig, dict[str, Stream]]:  # fmt: skip
        """Make the rig of tf, camera infos and the user's files, and streams that name their cameras."""
        window = self.windows[sample_id]
        frames = tf_frames(transforms, str(window.file.path))
        for stream in streams.values():
            frames.setdefault(stream.frame, Frame(axis_convention="world" if stream.frame in WORLD_FRAMES else "body"))
            if stream.child and stream.child not in frames:  # an odometry that tf does not repeat
                path = Trajectory.from_unsorted(stream.capture_times, stream["pose"])
                frames[stream.child] = Frame(parent=stream.frame, pose=path)
        sensors: dict[str, CameraSensor] = {}
        topics = {name: topic for topic, name in names.items()}
        for name, stream in list(streams.items()):
            if not isinstance(stream, ImageStream):
                continue
            parts = topics[name].split("/")
            info = next(
                (infos[t] for k in range(1, len(parts)) if (t := "/".join([*parts[:-k], "camera_info"])) in infos), None
            )
            camera = camera_of(name, streams)
            streams[name] = replace(stream, camera=camera)
            size = tuple(stream.image(0).shape[:2])
            if info is not None:
                sensors[camera] = camera_sensor(info, stream.frame, f"{window.file.path}: camera_info of {name}")
            elif camera not in sensors:
                sensors[camera] = CameraSensor(frame=stream.frame, model=UnknownLens.of((size[0], size[1])))
            frame = frames[stream.frame]
            frames[stream.frame] = Frame(parent=frame.parent, pose=frame.pose, axis_convention="camera")
        joints: dict[str, Stream] = {}  # with the readings beyond the window
        for topic, messages in received.items():
            if kinds[topic] == JOINTS:
                ordered = sorted(messages, key=lambda h: h.time)
                where = f"{window.file.path}: topic {topic}"
                joints[names[topic]] = READERS[JOINTS](ordered, common_fields(ordered, BASE), where)
        if self.robot is not None:
            streams = {n: replace(s, frame=self.robot.root) if s.frame == BASE else s for n, s in streams.items()}
            frames = {n: f for n, f in frames.items() if n != BASE or f.parent is not None}
        rig = self.with_robot(Rig(frames, dict(sensors)), joints)
        rig = with_changes(rig, self.tree, sample_id)
        streams, rig = with_touch_streams(streams, rig, str(window.file.path))
        return rig, streams


def with_times(messages: list[ReceivedMessage]) -> list[ReceivedMessage]:
    """Return the messages of a topic with their capture times."""
    times = message_times([(h.time, h.log_time) for h in messages])
    return [replace(h, time=time) for h, time in zip(messages, times, strict=True)]


def same_camera(a: Any, b: Any) -> bool:
    """Whether two CameraInfo messages describe the same calibration."""
    alike = (a.height, a.width, a.distortion_model) == (b.height, b.width, b.distortion_model)
    return alike and np.array_equal(a.k, b.k, equal_nan=True) and np.array_equal(a.d, b.d, equal_nan=True)
