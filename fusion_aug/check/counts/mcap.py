"""MCAP recordings of ROS 2: messages of every topic, by the index of the file."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from fusion_aug.check.counts.core import Counted, Counts, counter, is_excluded, once_per_file
from fusion_aug.errors import DataError

PICTURES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
CLOUD = "sensor_msgs/msg/PointCloud2"
OF_RIG = ("sensor_msgs/msg/CameraInfo", "tf2_msgs/msg/TFMessage")  # the rig of a sample, no streams
# last words of a topic of pictures, behind the name of its camera
PICTURE_WORDS = (
    "image_raw", "image_rect", "image_rect_color", "image_color", "image", "compressed", "compressedDepth",
)  # fmt: skip
Message = tuple[str, str, int, bytes]  # topic, type, log time (ns), data


@counter("mcap")
def count(root: Path, options: Mapping[str, Any]) -> Counted:
    """Messages, pictures, clouds and points of every topic, of a recording or of its windows of ``log.window``."""
    found: dict[str, Any] = {}
    for path in sorted(root.rglob("*.mcap")):
        name, window = path.relative_to(root).with_suffix("").as_posix(), options.get("window")
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
    """Messages of log time [start, end) ns."""
    kinds: dict[str, str] = {}
    messages: Counter[str] = Counter()
    points: Counter[str] = Counter()
    for topic, kind, _, data in messages_of(path, start, end):
        kinds[topic] = kind
        messages[topic] += 1
        if kind == CLOUD:
            points[topic] += points_of(data, f"{path}: topic {topic}")
    out: dict[str, dict[str, int]] = {}
    names = names_of(path)
    for topic, kind in kinds.items():
        if is_excluded(topic, options) or kind in OF_RIG:
            continue
        word = "pictures" if kind in PICTURES else "sweeps" if kind == CLOUD else "messages"
        out[names[topic]] = {word: messages[topic]} | ({"points": points[topic]} if kind == CLOUD else {})
    return out


def messages_of(path: Path, start: int | None = None, end: int | None = None) -> Iterator[Message]:
    """Messages of log time [start, end) ns, in order.

    Raises:
        DataError: the file is damaged.
    """
    from mcap.reader import make_reader

    try:
        with path.open("rb") as stream:
            for schema, channel, message in make_reader(stream).iter_messages(starting_at=start, ending_before=end):
                yield channel.topic, schema.name if schema else "", message.log_time, message.data
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
        with path.open("rb") as stream:
            found = make_reader(stream).get_summary()
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
    summary = summary_of(path)
    out: dict[str, str] = {}
    for _, channel in sorted(summary.channels.items()):
        schema = summary.schemas.get(channel.schema_id)
        words = channel.topic.strip("/").split("/")
        name = channel.topic.strip("/")
        if schema is not None and schema.name in PICTURES:
            while len(words) > 1 and words[-1] in PICTURE_WORDS:
                words.pop()
            deep = "depth" in channel.topic and words[-1][-5:] != "depth"
            name = "/".join([*words, "depth"] if deep else words)
        out[channel.topic] = channel.topic.strip("/") if name in out.values() else name
    return out


def points_of(data: bytes, where: str) -> int:
    """Height times width of a PointCloud2 message, from the head of its CDR bytes.

    A header of stamp (two words of 4 bytes) and frame_id (length and text) comes before height and width.

    Raises:
        DataError: the message is too short.
    """
    order = "<" if len(data) > 1 and data[1] & 1 else ">"
    try:
        (length,) = struct.unpack_from(f"{order}I", data, 12)
        at = (16 + length + 3) // 4 * 4
        height, width = struct.unpack_from(f"{order}II", data, at)
    except struct.error:
        raise DataError(f"{where}: a cloud is too short") from None
    return int(height) * int(width)
