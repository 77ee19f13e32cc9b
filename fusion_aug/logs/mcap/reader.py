"""MCAP recordings of ROS 2: reader.

A recording is a folder with one or more ``.mcap`` files (and ``metadata.yaml``), as ``ros2 bag`` makes it. A sample is
a whole recording, or a window of it (``log.window``, seconds). Pictures and clouds stay in the file until used.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from calib import CameraSensor, Frame, Rig
from fusion_aug.errors import USER_ERRORS, ConfigError, DataError
from fusion_aug.logs.core.contents import Fields
from fusion_aug.logs.core.intensity import Clouds
from fusion_aug.logs.core.options import Option
from fusion_aug.logs.core.robots import BASE, ROBOT_OPTIONS
from fusion_aug.logs.core.sidecar import merge_sidecar, with_changes
from fusion_aug.logs.core.taxel_rows import told_rows, with_taxel_rows
from fusion_aug.logs.core.touch import with_touch_streams
from fusion_aug.logs.core.vectors import PARTS_OPTION
from fusion_aug.logs.mcap import clouds
from fusion_aug.logs.mcap.cameras import same_camera
from fusion_aug.logs.mcap.contents import fields_of
from fusion_aug.logs.mcap.gathering import KNOWN, Gathered, ReadFacts, Topic, facts_of, gathered, topics_of, with_times
from fusion_aug.logs.mcap.lost_fields import refuse_lost_fields
from fusion_aug.logs.mcap.messages import READERS
from fusion_aug.logs.mcap.opaque import TF, unread_by
from fusion_aug.logs.mcap.other_parents import other_parents
from fusion_aug.logs.mcap.recording import Recording, recording
from fusion_aug.logs.mcap.rig import first_known_pose, with_body_frame, with_cameras, with_message_frames
from fusion_aug.logs.mcap.rules import NO_MOTION
from fusion_aug.logs.mcap.stream_names import stream_names
from fusion_aug.logs.mcap.tf import held_at_ends, tf_frames
from fusion_aug.logs.mcap.times import reference_time, span_of
from fusion_aug.logs.mcap.topic_log import TopicLog, words_of
from fusion_aug.logs.mcap.vectors import in_their_frames
from fusion_aug.logs.mcap.windows import Window, is_readable, windows_of
from fusion_aug.sample import Ref, Sample, SampleMeta
from fusion_aug.streams import Camera, JointState, Opaque, RobotVector, Stream
from fusion_aug.streams.undecoded import undecoded

MCAP_OPTIONS = {
    **ROBOT_OPTIONS,
    "parts": PARTS_OPTION,
    "window": Option("seconds per sample; a whole recording by default", input_only=True),
    "split_on_jump": Option(
        "true: a recording whose clock jumps back is several samples; it is refused by default", False, input_only=True
    ),
    "fields": Option(
        "{TOPIC or *: {FIELD: MEANING}}: what fields of clouds mean whose names do not tell it (docs/clouds.md)"
    ),
    "restamp_only": Option(
        "topics of types without a rule, or shell patterns of them, whose messages hold no motion: under a change of "
        "time they only get new stamps"
    ),
    "depth_of": Option(
        "{depth topic: camera topic}: whose depth a topic of depth is; found by name, frame, size and calibration by "
        "default"
    ),
    "no_geometry": Option(
        "topics of types without a rule, or shell patterns of them, whose messages hold nothing of the scene: motions "
        "of it, maps of pixels, mountings and weather leave them as they are"
    ),
}


class _Held(NamedTuple):
    """What was read last: the sample's id, the file's time of change, the sample, and what was found on the way."""

    id: str
    changed: int
    sample: Sample
    facts: ReadFacts


class McapLog(TopicLog):
    """Reader of MCAP recordings. ``log.select`` takes ids or shell patterns of them."""

    endings: ClassVar[tuple[str, ...]] = (".mcap",)  # of the names of recordings
    elsewhere: ClassVar[dict[str, str]] = {".db3": "log=rosbag reads these", ".bag": "log=rosbag reads these"}
    reads_neighbours = True  # joints beyond a file come from the other files of its recording

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        clouds.check_told_fields(self.options.fields)
        if self.options.fields:  # topics are named with or without their slash
            of_clouds = {c.topic.strip("/") for f in self.recordings for c in f.summary()[0] if c.kind == clouds.CLOUD}
            self._refuse_unmatched("fields", (str(n).strip("/") for n in self.options.fields), of_clouds)
            refuse_lost_fields(self.options.fields, self.recordings)
        if not isinstance(self.options.split_on_jump, bool):
            raise ConfigError(f"log.split_on_jump: expected true or false, got {self.options.split_on_jump!r}")
        if self.options.split_on_jump and self.options.window is not None:
            raise ConfigError("log.split_on_jump: log.window cuts recordings in another way; leave one of them out")
        self._held: _Held | None = None
        # windows are parts of one recording, whose robot has one geometry
        self.calibration_per_scene = self.options.window is not None

    @cached_property
    def windows(self) -> dict[str, Window]:
        """Id of every sample -> its window."""
        options = self.options
        paths = sorted(path for ending in self.endings for path in self.tree.glob(f"**/*{ending}"))
        if not paths:
            raise DataError(f"{self.root}: log.root: holds no {' or '.join(self.endings)} file{self._instead()}")
        return windows_of(self.root, paths, options.window, options.split_on_jump)

    def _instead(self) -> str:
        """What may be meant where there is no recording, as the end of a sentence."""
        for ending, remedy in self.elsewhere.items():
            if any(self.tree.glob(f"**/*{ending}")):
                return f", but {ending} files; {remedy}"
        return ""

    @cached_property
    def recordings(self) -> list[Recording]:
        """The recordings that can be read, by path."""
        files = map(recording, sorted({w.file.path for w in self.windows.values()}))
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
        return fields_of(self.root, files.values(), {*READERS, *KNOWN, *NO_MOTION}, self.is_excluded)

    def is_selected_file(self, path: str) -> bool:
        """Whether a file is a selected recording, or none at all."""
        return not path.endswith(self.endings) or self.root / path in self._selected

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

    def names(self, file: Recording) -> dict[str, str]:
        """Topic -> name of its stream."""
        return stream_names(file.summary()[0])

    def read(self, sample_id: str) -> Sample:
        """Read one sample; the last one is held, without what was decoded of it."""
        held = self._read(sample_id)
        return held.sample.with_streams({n: undecoded(s) for n, s in held.sample.streams.items()})

    def _read(self, sample_id: str) -> _Held:
        if sample_id not in self.windows:
            raise DataError(f"{self.root}: there is no sample {sample_id!r}")
        window = self.windows[sample_id]
        changed = window.path.stat().st_mtime_ns
        if self._held is not None and self._held[:2] == (sample_id, changed):
            return self._held
        topics = topics_of(window, self.names(window.file), self.is_excluded)
        found = gathered(window, topics, same_camera)
        joints = self._joints_of_other_parts(window, topics)
        found.follow_log = with_times(topics, joints)
        sample = self._sample(sample_id, window, found, joints)
        words = [*words_of(topics), *found.words, *other_parents(found, sample.rig)]
        self._held = _Held(sample_id, changed, sample, facts_of(found, window, words))
        return self._held

    @property
    def stream_names(self) -> Collection[str]:
        """Names of the streams of all topics."""
        return {name for file in self.recordings for name in self.names(file).values()}

    def words(self, sample: Sample) -> list[str]:
        """Headers without a stamp, frames that rest or hang elsewhere, and sensors that no stream is of."""
        return [*self.facts(sample.id).words, *super().words(sample)]

    def facts(self, sample_id: str) -> ReadFacts:
        """What was found while a sample was read; it is read for that where it is not the last one that was."""
        return self._read(sample_id).facts

    def probes(self) -> Iterator[tuple[str, Sample]]:
        """The topics of each recording that may be refused, as far as channels and first messages tell."""
        for file in {self.windows[i].path: self.windows[i].file for i in self.ids}.values():
            try:
                _, first, last = file.summary()
                window = Window(file, first, last + 1)
                topics = topics_of(window, self.names(window.file), self.is_excluded)
                found = gathered(window, topics, same_camera, first_alone=True)
                found.follow_log = with_times(topics)
                frames, sensors, streams = self._made(window, found)
                told = self._sensors_of_file  # numbers that the rig file tells the meaning of
                streams = with_taxel_rows(streams, told_rows(told), self.rig_name)
            except USER_ERRORS:  # reading the sample says why
                continue
            unbuilt = (JointState, RobotVector) if self.robot is None else ()  # joints of a robot without description
            limited = {
                n: s for n, s in streams.items() if (s.may_refuse or isinstance(s, unbuilt)) and n not in told
            }  # fmt: skip
            joints = {n: s for n, s in streams.items() if isinstance(s, JointState)}
            try:
                rig, _ = self._placed(frames, sensors, streams, joints)
            except USER_ERRORS:  # not all joints are among the first messages
                rig = Rig(frames or {BASE: Frame()}, dict(sensors))
            name = window.path.relative_to(self.root).as_posix()
            yield name, Sample(metas=(self._meta(name, window, rig, streams),), streams=limited)

    def _made(
        self, window: Window, found: Gathered
    ) -> tuple[dict[str, Frame], dict[str, CameraSensor], dict[str, Stream]]:
        """Frames, cameras and streams of what was read of a window, before the user's files are added."""
        streams: dict[str, Stream] = {}
        for topic in found.topics.values():
            if topic.kind not in KNOWN or topic.unread is not None:
                streams |= self._streams(topic, window)
        frames, wrong = tf_frames(found.transforms, found.follow_log)
        for (is_static, _), why in wrong.items():
            for topic in found.topics.values():
                if topic.kind == TF and topic.channels[0].topic.endswith("tf_static") == is_static:
                    topic.unread = topic.unread or unread_by(why, TF, "")
        streams = with_body_frame(frames, streams)
        frames = with_message_frames(frames, streams)
        frames, found.words = held_at_ends(frames, span_of(streams.values(), window.start, window.end))
        frames, sensors, streams = with_cameras(found, frames, streams, window.path, self.options.depth_of)
        for topic in found.topics.values():  # only now is it known what of these is not understood
            if topic.kind in KNOWN and topic.unread is not None and topic.name not in streams:
                streams[topic.name] = self._opaque(topic, self._inside(topic, window))
                frames.setdefault(streams[topic.name].frame, Frame())
        return frames, sensors, streams

    def _sample(self, sample_id: str, window: Window, found: Gathered, joints: Sequence[Topic]) -> Sample:
        """The sample of what was read of a window, and of the joint readings of other files of the recording."""
        frames, sensors, streams = self._made(window, found)
        robot_joints = self._joint_streams([*found.topics.values(), *joints], streams, window)
        rig, streams = self._placed(frames, sensors, streams, robot_joints)
        rig = with_changes(rig, self.tree, sample_id)
        streams, rig = with_touch_streams(streams, rig, str(window.path), self.rig_name)
        if not rig.frames:
            rig = Rig({BASE: Frame()}, rig.sensors)
        told = {self.names(window.file)[t]: parts for t, parts in self.told_parts.items()}
        streams = in_their_frames(streams, told, rig, self.base_of(rig))
        return merge_sidecar(Sample(metas=(self._meta(sample_id, window, rig, streams),), streams=streams), self.tree)

    def _placed(
        self, frames: Mapping[str, Frame], sensors: Mapping[str, CameraSensor], streams: dict[str, Stream],
        joints: Mapping[str, Stream],
    ) -> tuple[Rig, dict[str, Stream]]:  # fmt: skip
        """The rig with the described robot, and streams that name no frame in that of its root."""
        if self.robot is not None:
            streams = {n: replace(s, frame=self.robot.root) if s.frame == BASE else s for n, s in streams.items()}
            frames = {n: f for n, f in frames.items() if n != BASE or f.parent is not None}
        return self.with_robot(Rig(frames, dict(sensors)), {**self.told_joints(streams), **joints}), streams

    def _meta(self, sample_id: str, window: Window, rig: Rig, streams: Mapping[str, Stream]) -> SampleMeta:
        sent_once = {self.names(window.file)[c.topic] for c in window.file.summary()[0] if c.latched}
        timed = [s for n, s in streams.items() if n not in sent_once] or list(streams.values())
        base, time = self.base_of(rig), reference_time(timed, window.start)
        understood = [n for n, s in streams.items() if not isinstance(s, Opaque)] or list(streams)
        clock = next((n for n, s in streams.items() if isinstance(s, Camera)), next(iter(understood), ""))
        meta = SampleMeta(
            id=sample_id, scene=self.scene_of(sample_id), ref=Ref(base, time), rig=rig, true_rig=rig, clock=clock
        )
        root = rig.root_of(base)
        if self.options.window is not None:
            start = window.start if window.part else window.file.summary()[1]
            meta = replace(meta, start=start)
        if root != base and rig.frames[root].axis_convention == "world":
            meta = replace(meta, anchor=first_known_pose(rig, root, base, time))
        return meta
