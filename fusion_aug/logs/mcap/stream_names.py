"""Names of streams by their topics."""

from __future__ import annotations

from collections.abc import Iterable

from fusion_aug.logs.mcap.file import Channel

PICTURE_ENDINGS = (
    "image_raw",
    "image_rect",
    "image_rect_color",
    "image_color",
    "image",
    "compressed",
    "compressedDepth",
)


def stream_names(channels: Iterable[Channel]) -> dict[str, str]:
    """Topic -> name of its stream: the topic without outer slashes; pictures have the name of their camera."""
    out: dict[str, str] = {}
    for channel in channels:
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
