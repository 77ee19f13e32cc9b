"""MCAP recordings of ROS 2: writer.

Unchanged messages are copied byte by byte, with log time, publish time and schema. Changed ones use their original
message as a template. A dropped item has no message. Every picture has a CameraInfo; tf holds the poses of the rig.
Header stamps are capture times, log times are receive times.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar

import torch

from calib import JointPose, Rig, UnknownLens
from calib.replacing import replace_unchecked
from fusion_aug.core.transform import Transform
from fusion_aug.errors import DataError
from fusion_aug.logs.core.files import inside
from fusion_aug.logs.core.robots import SCALE_REASON
from fusion_aug.logs.core.sidecar import write_changes, write_ids, write_sidecar
from fusion_aug.logs.core.writer import Problem, Writer
from fusion_aug.logs.mcap.bag import BagFile, type_hashes, write_bag
from fusion_aug.logs.mcap.dropped_joints import dropped_joints
from fusion_aug.logs.mcap.file import MessageSource, StoredMessage, decode, encode, stamp, stamp_of
from fusion_aug.logs.mcap.messages import RawMessages
from fusion_aug.logs.mcap.output import OutputMessage, as_messages, log_time, sorted_by_log_time, write_file
from fusion_aug.logs.mcap.reader import INFO, TF
from fusion_aug.logs.mcap.tf import transform_from_rig
from fusion_aug.logs.mcap.windows import Window
from fusion_aug.logs.mcap.writing import camera_info, to_message
from fusion_aug.sample import Ref, Sample
from fusion_aug.streams import ImageStream, JointState, Stream
from fusion_aug.transforms.temporal.speed import time_map


class McapWriter(Writer):
    """Writes one ``.mcap`` file per sample, and a ``metadata.yaml`` beside the files of every folder."""

    loss_reasons: ClassVar[Mapping[str, str]] = {"": "an item that was not received has no message"}
    copied_whole: ClassVar[tuple[str, ...]] = ("**/*.mcap",)
    unsupported_effects: ClassVar[dict[str, tuple[str, str]]] = {
        "homography": ("CameraInfo holds no perspective of the pixels", "leave the perspective out"),
        "skew": ("CameraInfo's readers expect no skew", "rotate pictures by multiples of 90 degrees only"),
        "link_geometry": (
            "the lengths of the robot's links come from its description, which is not part of the log",
            "write the folder format (output=folder), or leave link errors out",
        ),
        "scale": SCALE_REASON,
    }

    def can_express(self, transform: Transform, sample: Sample | None = None) -> list[Problem]:
        """Return what messages cannot hold: effects, cameras with distortion whose pixels are mapped, lost joints."""
        found = super().can_express(transform, sample) + dropped_joints(transform, sample)
        mapped = transform.p > 0 and "pixel_map" in transform.effects()
        for name, sensor in sample.rig.sensors.items() if sample is not None and mapped else ():
            model = getattr(sensor, "model", None)
            if model is not None and len(model.distortion):
                why = "CameraInfo's distortion belongs to the sensor's own pixels, not to a resized or cut picture"
                remedy = "undistort the pictures first, or write the folder format"
                found.append(Problem("distortion", f"camera {name}", why, remedy))
        return found

    def as_read_back(self, sample: Sample, source: Sample, *, standalone: bool = False) -> Sample:
        """Return the sample with every stream as its messages hold it, without those that have none left.

        The links follow the joint readings that are left, without those of neighbouring windows if ``standalone``.
        """
        sample = super().as_read_back(sample, source, standalone=standalone)
        streams: dict[str, Stream] = {}
        rig, file = sample.rig, self.log.windows[source.id].file
        names = self.log.names(file)
        bare = {names[c.topic] for c in file.summary()[0] if c.kind.startswith("std_msgs/")}
        for name, stream in sample.streams.items():
            if isinstance(stream, JointState) and (standalone or stream is not source.streams.get(name)):
                rig = rig_from_readings(rig, stream, standalone)
            in_messages = name in names.values() and name in source.streams
            left = as_messages(stream, has_header=name not in bare) if in_messages else stream
            if len(left) or not len(stream):
                streams[name] = left
        out = sample.with_streams(streams)
        first_times = [int(s.capture_times.min()) for n, s in streams.items() if n in names.values() and len(s)]
        ref = Ref(sample.ref.frame, min(first_times, default=sample.ref.time))
        return out.with_meta(0, rig=rig, ref=ref)

    def stage(self, sample: Sample, source: Sample, out_id: str, folder: Path) -> dict[str, Any]:
        """Write one ``.mcap`` file and its sidecar.

        The file holds copied messages, encoded messages of changed streams, and CameraInfo and tf of the new rig,
        merged by log time.

        Returns:
            ``file``, ``span`` (first and last log time, ns), ``counts`` of messages by topic, ``source`` (its id).

        Raises:
            DataError: a stream of an unknown message type was changed.
        """
        window: Window = self.log.windows[source.id]
        names, sample = self.log.names(window.file), super().as_read_back(sample, source)
        topics = {name: topic for topic, name in names.items()}
        stream_names = [name for name in sample.streams if name in topics and name in source.streams]
        parts = [self._copied_messages(window, sample, source, names)]
        for name in stream_names:
            if sample[name] is not source[name]:
                parts.append(self._encoded_messages(sample[name], source[name], topics[name], window))
        parts.append(sorted_by_log_time(self._infos(sample, source, window, names)))
        parts.append(sorted_by_log_time(self._transforms(sample, source, window)))
        path = inside(folder, self._path(out_id, source.id), "sample id")
        path.parent.mkdir(parents=True, exist_ok=True)
        written = write_file(path, window.file, heapq.merge(*parts, key=log_time))
        write_sidecar(sample, dict.fromkeys(stream_names), out_id, folder, self.link)
        write_changes(sample.rig, source.rig, self._frames_in_tf(window, sample.rig), out_id, folder)
        return {"file": self._path(out_id, source.id), **written, "source": source.id}

    def _frames_in_tf(self, window: Window, rig: Rig) -> set[str]:
        """Return the frames of the rig whose poses tf holds."""
        found = set()
        topics = [c.topic for c in window.file.summary()[0] if c.kind == TF and not self.log.is_excluded(c.topic)]
        for raw in window.file.messages(topics=topics) if topics else ():
            for t in decode(raw.data, TF, raw.definition, raw.topic).transforms:
                child = str(t.child_frame_id).strip("/")
                if child in rig.frames and rig.frames[child].parent == str(t.header.frame_id).strip("/"):
                    found.add(child)
        return found

    def _path(self, out_id: str, source_id: str) -> str:
        """Path of the output file; a copy is a recording of its own, so it has its own folder."""
        return f"{out_id}.mcap" if out_id == source_id else f"{out_id}/{Path(out_id).name}.mcap"

    def _copied_messages(
        self, window: Window, sample: Sample, source: Sample, names: dict[str, str]
    ) -> Iterator[OutputMessage]:
        """Yield the messages that are copied as they are."""
        kinds = {c.topic: c.kind for c in window.file.summary()[0]}
        same_rig = sample.rig is source.rig
        new_time = time_map(sample.meta.history)
        begin = new_time(window.start)
        latched = (replace(raw, log_time=begin, publish_time=begin) for raw in self._latched(window))
        for raw in chain(latched, window.file.messages(window.start, window.end)):
            name = names[raw.topic]
            if self.log.is_excluded(raw.topic) or (kinds[raw.topic] in (INFO, TF) and not same_rig):
                continue  # written again with the new rig
            if kinds[raw.topic] == INFO and self._pictures_changed(raw.topic, sample, source, names):
                continue
            if name in source.streams and sample.streams.get(name) is not source[name]:
                continue
            yield OutputMessage(raw.log_time, raw.topic, raw.publish_time, raw.data)

    def _latched(self, window: Window) -> list[StoredMessage]:
        """Return latched messages from before the window, which are repeated at its start."""
        topics = [c.topic for c in window.file.summary()[0] if c.latched and not self.log.is_excluded(c.topic)]
        earlier = list(window.file.messages(None, window.start, topics)) if topics else []
        return [replace(raw, log_time=window.start, publish_time=window.start) for raw in earlier]

    def _pictures_changed(self, topic: str, sample: Sample, source: Sample, names: dict[str, str]) -> bool:
        mine = [n for n in source.streams if n in self._cameras(topic, names, source)]
        return any(
            n not in sample.streams or not torch.equal(sample[n].capture_times, source[n].capture_times)
            or not torch.equal(sample[n].present, source[n].present)
            or not torch.equal(sample[n].arrival_times, source[n].arrival_times)
            for n in mine
        )  # fmt: skip

    def _cameras(self, info_topic: str, names: dict[str, str], source: Sample) -> list[str]:
        """Return the streams of pictures that a CameraInfo topic belongs to."""
        namespace = info_topic.rsplit("/", 1)[0]
        return [
            n for t, n in names.items()
            if n in source.streams and isinstance(source[n], ImageStream) and t.startswith(f"{namespace}/")
        ]  # fmt: skip

    def _encoded_messages(self, stream: Stream, before: Stream, topic: str, window: Window) -> Iterator[OutputMessage]:
        """Yield the messages of a changed stream, encoded one by one."""
        where = f"{window.file.path}: topic {topic}"
        if isinstance(stream, RawMessages):
            raise DataError(
                f"{where}: its messages are of an unknown type and cannot be changed; leave it out with log.exclude"
            )
        kind = {c.topic: (c.kind, c.definition) for c in window.file.summary()[0]}[topic]
        originals = original_messages(before, topic, window)
        sources = getattr(stream, "sources", None) or (None,) * len(stream)
        if not any(sources):
            stream = stream if isinstance(stream, ImageStream) else stream.realized()
        times, arrival_times = stream.capture_times.tolist(), stream.arrival_times.tolist()
        for i in sorted(stream.present.nonzero()[:, 0].tolist(), key=arrival_times.__getitem__):
            time, arrival = times[i], arrival_times[i]
            before_time, data = originals(min(int(stream.records[i]) if stream.records else i, len(before) - 1))
            intact = isinstance(sources[i], MessageSource)
            template = decode(data, kind[0], kind[1].decode(errors="replace"), where)
            header = getattr(template, "header", None)
            if not (intact and before_time == arrival and (stamp_of(template) or before_time) == time):
                message = template if intact else to_message(stream, i, template)
                if header is not None:
                    message = replace(message, header=stamp(header, time))
                data = encode(message, kind[0])
            yield OutputMessage(arrival, topic, arrival, data)

    def _infos(self, sample: Sample, source: Sample, window: Window, names: dict[str, str]) -> list[OutputMessage]:
        """Return one CameraInfo per picture, for cameras whose calibration or picture times changed."""
        out: list[OutputMessage] = []
        for channel in window.file.summary()[0]:
            if channel.kind != INFO or self.log.is_excluded(channel.topic):
                continue
            changed = sample.rig is not source.rig or self._pictures_changed(channel.topic, sample, source, names)
            changed |= not any(True for _ in window.file.messages(window.start, window.end, [channel.topic]))
            first = next(iter(window.file.messages(topics=[channel.topic])), None)
            if not changed or first is None:
                continue
            template = decode(first.data, INFO, channel.definition.decode(errors="replace"), channel.topic)
            for name in self._cameras(channel.topic, names, source):
                if name not in sample.streams:
                    continue
                stream = sample[name]
                camera = sample.rig.camera(stream.instance(name))
                if isinstance(camera.model, UnknownLens):
                    continue
                info = camera_info(camera, template)
                times, arrival_times = stream.capture_times.tolist(), stream.arrival_times.tolist()
                for i in stream.present.nonzero()[:, 0].tolist():
                    time, arrival = times[i], arrival_times[i]
                    data = encode(replace(info, header=stamp(template.header, time)), INFO)
                    out.append(OutputMessage(arrival, channel.topic, arrival, data))
                break
        return out

    def _transforms(self, sample: Sample, source: Sample, window: Window) -> list[OutputMessage]:
        """Return the tf messages with the poses of the rig; none if the rig did not change."""
        if sample.rig is source.rig:
            return []
        out: list[OutputMessage] = []
        new_time = time_map(sample.meta.history)
        for channel in window.file.summary()[0]:
            if channel.kind != TF or self.log.is_excluded(channel.topic):
                continue
            earlier = [r for r in self._latched(window) if r.topic == channel.topic]
            for raw in chain(earlier, window.file.messages(window.start, window.end, [channel.topic])):
                message = decode(raw.data, TF, channel.definition.decode(errors="replace"), channel.topic)
                static = channel.topic.endswith("tf_static")
                transforms = [
                    transform_from_rig(t, sample.rig, source.rig, static, new_time) for t in message.transforms
                ]
                data = encode(replace(message, transforms=transforms), TF)
                out.append(OutputMessage(new_time(raw.log_time), channel.topic, new_time(raw.publish_time), data))
        return out

    def finish(self, rows: Iterable[dict[str, Any]], ids: Sequence[tuple[str, str]]) -> None:
        """Write ``metadata.yaml`` beside the files of every folder."""
        folders: dict[Path, list[dict[str, Any]]] = {}
        read = [str(row["file"]).removesuffix(".mcap") for row in rows]
        write_ids(self.out, dict(zip(read, (out_id for out_id, _ in ids), strict=True)))
        for row in rows:
            folders.setdefault(self.target(row["file"], rows, "file").parent, []).append(row)
        for folder, members in folders.items():
            sources = [self.log.windows[row["source"]].file for row in members]
            kinds = {c.topic: c.kind for file in sources for c in file.summary()[0]}
            files = [BagFile(Path(r["file"]).name, r["span"][0], r["span"][1], r["counts"]) for r in members]
            folder.mkdir(parents=True, exist_ok=True)
            write_bag(folder, files, kinds, type_hashes(sources[0].path.parent))


def rig_from_readings(rig: Rig, joints: JointState, standalone: bool) -> Rig:
    """Return the rig whose links follow the readings of a stream of joints, as a reader would find them.

    Args:
        rig: of the sample. joints: the stream, whose dropped readings do not count.
        standalone: whether the readings before and after the stream, from neighbouring windows, are lost.
    """
    if "position" not in joints.values or len(joints) == 0:
        return rig
    kept = joints.present.clone()
    kept[1:] &= joints.capture_times.diff() > 0  # a late one is repeated
    times = joints.capture_times[kept]
    for name, frame in rig.frames.items():
        pose = frame.pose
        if isinstance(pose, JointPose) and pose.joint.name in joints.names:
            before, after = pose.times < joints.capture_times[0], pose.times > joints.capture_times[-1]
            before, after = before & (not standalone), after & (not standalone)
            readings = joints["position"][kept, joints.names.index(pose.joint.name)].to(pose.readings)
            at = torch.cat([pose.times[before], times, pose.times[after]])
            if len(at):
                all_readings = torch.cat([pose.readings[before], readings, pose.readings[after]])
                rig = rig.with_pose(name, replace_unchecked(pose, times=at, readings=all_readings, reach=None))
    return rig


def original_messages(before: Stream, topic: str, window: Window) -> Callable[[int], tuple[int, bytes]]:
    """Return a function from index to log time (ns) and bytes of the messages that a stream was read from.

    Pictures and clouds stay in the file until they are asked for: a recording can be larger than the memory.
    """
    sources = getattr(before, "sources", None)
    if sources and all(isinstance(s, MessageSource) for s in sources):
        ordered = [sources[i] for i in sorted(range(len(sources)), key=lambda i: int(before.records[i]))]
        return lambda index: (ordered[index].options["log_time"], ordered[index].bytes())
    stored = list(window.file.messages(window.start, window.end, [topic]))
    return lambda index: (stored[index].log_time, stored[index].data)
