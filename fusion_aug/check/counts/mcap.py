"""Recordings of ROS: messages of every topic, by the index of the file."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from fusion_aug.check.counts.core import CALIBRATIONS, Counted, Counts, counter, is_excluded
from fusion_aug.check.counts.files import LogFiles
from fusion_aug.check.counts.mcap_pieces import Piece, messages_of_piece, pieces_of
from fusion_aug.check.counts.ros_files import Message, facts_of, messages_of, topics_of
from fusion_aug.errors import DataError

PICTURES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
CLOUD = "sensor_msgs/msg/PointCloud2"
POSES = ("nav_msgs/msg/Path", "geometry_msgs/msg/PoseArray")  # lists of poses
INFO = "sensor_msgs/msg/CameraInfo"  # of which a run writes one for every picture where it changes
TF = "tf2_msgs/msg/TFMessage"
MESSAGES = {TF: CALIBRATIONS}  # kinds of messages that are not data of a sensor
# last words of a topic of pictures, behind the name of its camera
PICTURE_WORDS = (
    "image_raw", "image_rect", "image_rect_color", "image_color", "image", "compressed", "compressedDepth",
)  # fmt: skip


@counter("mcap")
def count(root: Path, options: Mapping[str, Any]) -> Counted:
    """Messages, pictures, clouds and points of every topic, of a recording or of its windows of ``log.window``."""
    return count_recordings(root, options, (".mcap",))


@counter("rosbag")
def count_rosbag(root: Path, options: Mapping[str, Any]) -> Counted:
    """The same of recordings in SQLite and of ROS 1."""
    return count_recordings(root, options, (".db3", ".bag"))


def count_recordings(root: Path, options: Mapping[str, Any], endings: tuple[str, ...]) -> Counted:
    """The recordings whose names have one of some endings."""
    found: dict[str, Any] = {}
    files = LogFiles(root, options)
    for file in (p for p in files.below() if p.endswith(endings)):
        path, window, name = files.checked(root / file), options.get("window"), file.rsplit(".", 1)[0]
        pieces = pieces_of(path) if options.get("split_on_jump") else []
        if len(pieces) > 1:
            found |= {f"{name}/part{k}": partial(count_piece, path, options, p) for k, p in enumerate(pieces)}
            continue
        if window is None:
            found[name] = partial(count_window, path, options, None, None)
            continue
        first, last = facts_of(path).span
        step = round(float(window) * 1e9)
        for k in range((last - first) // step + 1):
            start = first + k * step
            found[f"{name}/{k:05d}"] = partial(count_window, path, options, start, start + step)
    return found


def count_window(path: Path, options: Mapping[str, Any], start: int | None, end: int | None) -> Counts:
    """Messages of log time [start, end) ns, and those from before that still hold then (static transforms)."""
    held = messages_of(path, None, start, latched_topics(path)) if start is not None and latched_topics(path) else ()
    return count_messages(path, options, chain(held, messages_of(path, start, end)))


def count_piece(path: Path, options: Mapping[str, Any], piece: Piece) -> Counts:
    """Messages of a piece of a recording whose clock jumps back, and those from before that still hold."""
    return count_messages(path, options, messages_of_piece(path, piece, latched_topics(path)))


def count_messages(path: Path, options: Mapping[str, Any], found: Iterable[Message]) -> Counts:
    """Count messages of a file."""
    topics = topics_of(path)
    messages: Counter[str] = Counter()
    points: Counter[str] = Counter()
    poses: Counter[str] = Counter()
    for m in found:
        topic = topics[m.topic]
        messages[m.topic] += 1
        if topic.kind == CLOUD:
            points[m.topic] += points_of(m.data, f"{path}: topic {m.topic}", topic.is_ros1)
        elif topic.kind in POSES:
            poses[m.topic] += poses_of(m.data, f"{path}: topic {m.topic}", topic.is_ros1)
    out: dict[str, dict[str, int]] = {}
    for name, called in names_of(path).items():
        kind, number = topics[name].kind, messages[name]
        if is_excluded(name, options):
            continue
        if kind == INFO and topics[name].messages:
            out[called] = {CALIBRATIONS: 1}
        elif number and kind != INFO:
            word = "pictures" if kind in PICTURES else "sweeps" if kind == CLOUD else MESSAGES.get(kind, "messages")
            rows = {"points": points[name]} if kind == CLOUD else {"rows": poses[name]} if kind in POSES else {}
            out[called] = {word: number} | rows
    return out


def latched_topics(path: Path) -> list[str]:
    """Topics whose messages hold for those who listen later: static transforms, transient local, latching."""
    return [name for name, topic in topics_of(path).items() if topic.holds]


def names_of(path: Path) -> dict[str, str]:
    """Topic -> what its stream is called: the topic without outer slashes, pictures as their camera."""
    out: dict[str, str] = {}
    for topic, told in topics_of(path).items():
        name = topic.strip("/")
        if told.kind in PICTURES:
            words = name.split("/")
            while len(words) > 1 and words[-1] in PICTURE_WORDS:
                words.pop()
            deep = "depth" in topic and words[-1][-5:] != "depth"
            name = "/".join([*words, "depth"] if deep else words)
        out[topic] = topic.strip("/") if name in out.values() else name
    return out


def points_of(data: bytes, where: str, is_ros1: bool = False) -> int:
    """Height times width of a PointCloud2 message.

    Raises:
        DataError: the message is too short.
    """
    height, width = after_header(data, 2, f"{where}: a cloud", is_ros1)
    return height * width


def poses_of(data: bytes, where: str, is_ros1: bool = False) -> int:
    """Length of the list that follows the header of a Path or PoseArray.

    Raises:
        DataError: the message is too short.
    """
    return after_header(data, 1, f"{where}: a list of poses", is_ros1)[0]


def after_header(data: bytes, count: int, what: str, is_ros1: bool) -> tuple[int, ...]:
    """The numbers (uint32) that follow the header of a message.

    A header is a stamp (two words of 4 bytes) and frame_id (length and text). Before it come 4 bytes: CDR's own, or the
    header's number in ROS 1, which does not align what follows.

    Raises:
        DataError: the message is too short.
    """
    order = "<" if is_ros1 or (len(data) > 1 and data[1] & 1) else ">"
    try:
        (length,) = struct.unpack_from(f"{order}I", data, 12)
        end = 16 + length
        return struct.unpack_from(f"{order}{count}I", data, end if is_ros1 else (end + 3) // 4 * 4)
    except struct.error:
        raise DataError(f"{what} is too short") from None
