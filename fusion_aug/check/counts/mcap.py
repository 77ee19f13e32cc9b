"""MCAP recordings of ROS 2: messages of every topic, by the index of the file."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from calib.regular_files import open_regular
from fusion_aug.check.counts.core import CALIBRATIONS, Counted, Counts, counter, is_excluded
from fusion_aug.check.counts.files import LogFiles, once_per_file
from fusion_aug.check.counts.mcap_pieces import Piece, messages_of_piece, pieces_of
from fusion_aug.errors import DataError
from fusion_aug.safe.chunks import check_chunks

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
    found: dict[str, Any] = {}
    files = LogFiles(root, options)
    for name in (p.removesuffix(".mcap") for p in files.below() if p.endswith(".mcap")):
        path, window = files.checked(root / f"{name}.mcap"), options.get("window")
        pieces = pieces_of(path) if options.get("split_on_jump") else []
        if len(pieces) > 1:
            found |= {f"{name}/part{k}": partial(count_piece, path, options, p) for k, p in enumerate(pieces)}
            continue
        if window is None:
            found[name] = partial(count_window, path, options, None, None)
            continue
        first, last = span_of(path)
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


def count_messages(path: Path, options: Mapping[str, Any], found: Iterable[tuple[str, bytes]]) -> Counts:
    """Count messages of a file, given as topic and data."""
    kinds = kinds_of(path)
    messages: Counter[str] = Counter()
    points: Counter[str] = Counter()
    poses: Counter[str] = Counter()
    for topic, data in found:
        messages[topic] += 1
        if kinds[topic] == CLOUD:
            points[topic] += points_of(data, f"{path}: topic {topic}")
        elif kinds[topic] in POSES:
            poses[topic] += poses_of(data, f"{path}: topic {topic}")
    out: dict[str, dict[str, int]] = {}
    for topic, name in names_of(path).items():
        kind, number = kinds[topic], messages[topic]
        if is_excluded(topic, options):
            continue
        if kind == INFO and topic in used_topics(path):
            out[name] = {CALIBRATIONS: 1}
        elif number and kind != INFO:
            word = "pictures" if kind in PICTURES else "sweeps" if kind == CLOUD else MESSAGES.get(kind, "messages")
            rows = {"points": points[topic]} if kind == CLOUD else {"rows": poses[topic]} if kind in POSES else {}
            out[name] = {word: number} | rows
    return out


def kinds_of(path: Path) -> dict[str, str]:
    """Topic -> type of its messages."""
    summary = summary_of(path)
    schemas, channels = summary.schemas, summary.channels.values()
    return {c.topic: schemas[c.schema_id].name if c.schema_id in schemas else "" for c in channels}


def used_topics(path: Path) -> set[str]:
    """Topics that have messages."""
    summary = summary_of(path)
    counts = summary.statistics.channel_message_counts
    return {c.topic for k, c in summary.channels.items() if counts.get(k, 0)}


def latched_topics(path: Path) -> list[str]:
    """Topics whose messages hold for those who listen later: static transforms, and ROS's transient local."""
    found = []
    for channel in summary_of(path).channels.values():
        quality = channel.metadata.get("offered_qos_profiles", "")
        if channel.topic.endswith("tf_static") or "durability: 1" in quality or "transient_local" in quality:
            found.append(channel.topic)
    return found


def messages_of(
    path: Path, start: int | None = None, end: int | None = None, topics: list[str] | None = None
) -> Iterator[tuple[str, bytes]]:
    """Topic and data of the messages of log time [start, end) ns, in order.

    Raises:
        DataError: the file is damaged.
    """
    from mcap.reader import make_reader

    summary_of(path)  # looks at the sizes of all chunks, once
    try:
        with open_regular(path) as stream:
            found = make_reader(stream).iter_messages(topics, starting_at=start, ending_before=end)
            yield from ((channel.topic, message.data) for _, channel, message in found)
    except Exception as error:  # the reader's many
        raise DataError(f"{path}: is damaged ({type(error).__name__}: {error})") from None


@once_per_file
def summary_of(path: Path) -> Any:
    """Channels, schemas and statistics of a file.

    Raises:
        DataError: it has no index.
    """
    from mcap.reader import make_reader

    try:
        with open_regular(path) as stream:
            found = make_reader(stream).get_summary()
            check_chunks(path, stream, found.chunk_indexes if found is not None else ())
    except Exception as error:  # the reader's many
        raise DataError(f"{path}: is not a readable MCAP file ({type(error).__name__}: {error})") from None
    if found is None or found.statistics is None:
        raise DataError(f"{path}: has no summary")
    return found


def span_of(path: Path) -> tuple[int, int]:
    """First and last log time, ns."""
    statistics = summary_of(path).statistics
    return statistics.message_start_time, statistics.message_end_time


def names_of(path: Path) -> dict[str, str]:
    """Topic -> what its stream is called: the topic without outer slashes, pictures as their camera."""
    kinds, out = kinds_of(path), dict[str, str]()
    for _, channel in sorted(summary_of(path).channels.items()):
        topic = channel.topic
        name = topic.strip("/")
        if kinds[topic] in PICTURES:
            words = name.split("/")
            while len(words) > 1 and words[-1] in PICTURE_WORDS:
                words.pop()
            deep = "depth" in topic and words[-1][-5:] != "depth"
            name = "/".join([*words, "depth"] if deep else words)
        out[topic] = topic.strip("/") if name in out.values() else name
    return out


def points_of(data: bytes, where: str) -> int:
    """Height times width of a PointCloud2 message.

    Raises:
        DataError: the message is too short.
    """
    height, width = after_header(data, 2, f"{where}: a cloud")
    return height * width


def poses_of(data: bytes, where: str) -> int:
    """Length of the list that follows the header of a Path or PoseArray.

    Raises:
        DataError: the message is too short.
    """
    return after_header(data, 1, f"{where}: a list of poses")[0]


def after_header(data: bytes, count: int, what: str) -> tuple[int, ...]:
    """The numbers (uint32) that follow the header of a message, from its CDR bytes.

    A header is a stamp (two words of 4 bytes) and frame_id (length and text).

    Raises:
        DataError: the message is too short.
    """
    order = "<" if len(data) > 1 and data[1] & 1 else ">"
    try:
        (length,) = struct.unpack_from(f"{order}I", data, 12)
        return struct.unpack_from(f"{order}{count}I", data, (16 + length + 3) // 4 * 4)
    except struct.error:
        raise DataError(f"{what} is too short") from None
