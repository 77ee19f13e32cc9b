"""MCAP recordings of ROS 2: writer.

Unchanged messages are copied byte by byte, with log time, publish time and schema. Changed ones use their original
message as a template. A dropped item has no message. Every picture has a CameraInfo; tf holds the poses of the rig.
Header stamps are capture times, log times are receive times.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

from calib import Rig
from fusion_aug.core.transform import Transform
from fusion_aug.logs.core.files import inside
from fusion_aug.logs.core.robots import SCALE_REASON
from fusion_aug.logs.core.sidecar import write_changes, write_ids, write_sidecar
from fusion_aug.logs.core.taxel_rows import as_messages_of_numbers, with_rest
from fusion_aug.logs.core.writer import NEEDS_ONE_SCENE, Problem, Writer
from fusion_aug.logs.mcap.bag import STORAGES, BagFile, metadata_of, write_bag
from fusion_aug.logs.mcap.camera_limits import camera_limits
from fusion_aug.logs.mcap.dropped_joints import dropped_joints
from fusion_aug.logs.mcap.file import Channel, Recording
from fusion_aug.logs.mcap.joints import topics_of_streams
from fusion_aug.logs.mcap.link_readings import rig_from_readings
from fusion_aug.logs.mcap.opaque import TF
from fusion_aug.logs.mcap.output import as_messages, log_time, write_file
from fusion_aug.logs.mcap.pictures import OPACITY
from fusion_aug.logs.mcap.rewriting import Rewriting
from fusion_aug.logs.mcap.root_joints import root_joints
from fusion_aug.logs.mcap.times import reference_time
from fusion_aug.logs.mcap.two_clocks import two_clocks
from fusion_aug.logs.mcap.windows import Window, begins_with_header
from fusion_aug.sample import Ref, Sample
from fusion_aug.streams import JointState, Stream


class McapWriter(Writer):
    """Writes one file per sample, of the kind of its source, and ``metadata.yaml`` beside those that rosbag2 reads."""

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
        **NEEDS_ONE_SCENE,
    }

    def can_express(self, transform: Transform, sample: Sample | None = None) -> list[Problem]:
        """Return what messages cannot hold: effects, turned pixels of lenses, stereo pairs, lost or moved joints."""
        found = super().can_express(transform, sample) + dropped_joints(transform, sample)
        if self.log.robot is None:  # all that the log holds of lengths is scaled
            found = [p for p in found if p.effect != "scale"]
        found += [*camera_limits(transform, sample), *root_joints(transform, sample)]
        if sample is None:
            return found
        static = {c.topic for c in self.log.windows[sample.id].file.summary()[0] if c.latched}
        return found + two_clocks(transform, sample, self.log.facts(sample.id).captured, static)

    def as_read_back(self, sample: Sample, source: Sample, *, standalone: bool = False) -> Sample:
        """Return the sample with every stream as its messages hold it, without those that have none left.

        The links follow the joint readings that are left, without those of neighbouring windows if ``standalone``.
        """
        sample = with_rest(super().as_read_back(sample, source, standalone=standalone), source)
        streams: dict[str, Stream] = {}
        rig, file = sample.rig, self.log.windows[source.id].file
        names = self.log.names(file)
        bare = {c.topic for c in file.summary()[0] if not begins_with_header(c)}
        topics = topics_of_streams(names, source.streams)
        joints: dict[str, list[str]] = {}
        for name, stream in sample.streams.items():
            if isinstance(stream, JointState) and name in topics:
                joints.setdefault(topics[name], []).append(name)
        for mine in joints.values():
            if standalone or any(sample[n] is not source.streams.get(n) for n in mine):
                rig = rig_from_readings(rig, [s for n in mine if isinstance(s := sample[n], JointState)], standalone)
        for name, stream in sample.streams.items():
            topic = topics.get(name) or topics.get(name.removesuffix(f"/{OPACITY}"))
            left = as_messages(stream, has_header=topic not in bare) if topic is not None else stream
            if len(left) or not len(stream):
                streams[name] = left
        out = sample.with_streams(streams)
        sent_once = {names[c.topic] for c in file.summary()[0] if c.latched}
        own = {n: s for n, s in streams.items() if n in topics}
        timed = [s for n, s in own.items() if n not in sent_once] or list(own.values())
        time = reference_time(timed, sample.ref.time)
        if not own:
            files = (self.log.windows[source.id], sample, source, names, self._channels(file))
            time = Rewriting(*files, self.log.facts(source.id)).first_log_time(sample.ref.time)
        ref = Ref(sample.ref.frame, time)
        return out.with_meta(0, rig=rig, ref=ref)

    def stage(self, sample: Sample, source: Sample, out_id: str, folder: Path) -> dict[str, Any]:
        """Write one file, of the kind of its source, and its sidecar.

        The file holds copied messages, encoded messages of changed streams, and CameraInfo and tf of the new rig,
        merged by log time.

        Returns:
            ``file``, ``span`` (first and last log time, ns), ``counts`` of messages by topic, ``source`` (its id).
        """
        window: Window = self.log.windows[source.id]
        names, sample = self.log.names(window.file), with_rest(super().as_read_back(sample, source), source)
        channels = self._channels(window.file)
        whole = as_messages_of_numbers(sample, source)
        rewriting = Rewriting(window, *whole, names, channels, self.log.facts(source.id))
        name = self._path(out_id, source.id)
        path = inside(folder, name, "sample id")
        path.parent.mkdir(parents=True, exist_ok=True)
        merged = heapq.merge(*rewriting.parts(), key=log_time)
        written = write_file(path, window.file, channels, merged, rewriting.begin)
        held = {*topics_of_streams(names, sample.streams), *(f"{n}/{OPACITY}" for n in names.values())}
        in_topics = [n for n in sample.streams if n in held and n in source.streams]
        write_sidecar(sample, dict.fromkeys(in_topics), out_id, folder, self.link)
        write_changes(sample.rig, source.rig, self._frames_in_tf(window, source, sample.rig), out_id, folder)
        return {"file": name, **written, "source": source.id}

    def _channels(self, file: Recording) -> list[Channel]:
        """The channels of a file that are kept."""
        return [c for c in file.summary()[0] if not self.log.is_excluded(c.topic)]

    def _frames_in_tf(self, window: Window, source: Sample, rig: Rig) -> set[str]:
        """Return the frames of the rig whose poses tf holds."""
        names, edges = self.log.names(window.file), self.log.facts(source.id).edges
        channels = self._channels(window.file)
        topics = [c.topic for c in channels if c.kind == TF and names[c.topic] not in source.streams]
        told = {edge for topic in topics for edge in edges.get(topic, ())}
        return {child for child, parent in told if child in rig.frames and rig.frames[child].parent == parent}

    def _path(self, out_id: str, source_id: str) -> str:
        """Path of the output file; a copy, or a part of a recording whose clock jumps, is a recording of its own."""
        is_own = out_id != source_id or self.log.windows[source_id].part is not None
        ending = self.log.windows[source_id].path.suffix
        return f"{out_id}/{Path(out_id).name}{ending}" if is_own else f"{out_id}{ending}"

    def finish(self, rows: Iterable[dict[str, Any]], ids: Sequence[tuple[str, str]]) -> None:
        """Write ``metadata.yaml`` beside the files of every folder that rosbag2 reads."""
        folders: dict[Path, list[dict[str, Any]]] = {}
        read = [PurePosixPath(row["file"]).with_suffix("").as_posix() for row in rows]
        write_ids(self.out, dict(zip(read, (out_id for out_id, _ in ids), strict=True)))
        for row in rows:
            target = self.target(row["file"], rows, "file")
            if target.suffix in STORAGES:
                folders.setdefault(target.parent, []).append(row)
        for folder, members in folders.items():
            sources = [self.log.windows[row["source"]].file for row in members]
            channels = [c for file in sources for c in self._channels(file)]
            files = [BagFile(Path(r["file"]).name, r["span"][0], r["span"][1], r["counts"]) for r in members]
            folder.mkdir(parents=True, exist_ok=True)
            write_bag(folder, files, channels, metadata_of(sources[0].path.parent), sources[0].bag_version)
