"""Topics of videos: copied packet by packet, decoded to be looked at, and refused where their pictures had to change.

Types are foxglove_msgs/CompressedVideo and ffmpeg_image_transport_msgs/FFMPEGPacket. Every message is one picture,
which needs those before it from the last key picture on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from fusion_aug.errors import DataError, MissingPackage
from fusion_aug.logs.core.files import MAX_PIXELS
from fusion_aug.logs.mcap.definitions import decode
from fusion_aug.logs.mcap.file import MessageSource
from fusion_aug.logs.mcap.messages import ReceivedMessage, register_reader
from fusion_aug.logs.mcap.opaque import RawMessages
from fusion_aug.safe.kept_open import KeptOpen
from fusion_aug.streams import Stream

VIDEOS = ("foxglove_msgs/msg/CompressedVideo", "ffmpeg_image_transport_msgs/msg/FFMPEGPacket")
CODECS = {"264": "h264", "avc": "h264", "265": "hevc", "hevc": "hevc", "av1": "av1", "vp9": "vp9"}  # parts of names
KEY = 1  # flag of FFMPEGPacket
OPEN = 4  # decoders that are kept open
NEED = "videos need the package av: pip install '.[lerobot]'"
REASON = "each of its pictures is coded as what differs from those before"
REMEDY = "convert it to CompressedImage first, or leave the topic out with log.exclude"


@dataclass(frozen=True, eq=False)
class Packet:
    """A picture of a video: its place among the packets of its topic."""

    packets: tuple[MessageSource, ...]
    place: int


@dataclass(frozen=True, kw_only=True, eq=False)
class VideoPackets(RawMessages):
    """Packets of a video. They are opaque to transforms; ``image`` decodes one."""

    items: tuple[Packet, ...] = ()
    item_fields: ClassVar[tuple[str, ...]] = (*Stream.item_fields, "items")

    @property
    def sources(self) -> tuple[MessageSource, ...]:
        """The message of every item."""
        return tuple(i.packets[i.place] for i in self.items)

    def image(self, item: int) -> Tensor:
        """One picture, RGB (H, W, 3) uint8.

        Raises:
            DataError: it or one before is damaged, or there is no key picture before it.
            MissingPackage: PyAV is not installed.
        """
        packet = self.items[item]
        return _playing(packet.packets, packet.place)


@register_reader(VIDEOS[0])
@register_reader(VIDEOS[1])
def video(messages: list[ReceivedMessage], stream_fields: dict[str, Any], where: str) -> Stream:
    """Read a video, whose pictures are decoded when asked for."""
    first = _message(messages[0].source)
    if hasattr(first, "frame_id"):  # of a type without a header
        stream_fields = stream_fields | {"frame": str(first.frame_id).strip("/") or stream_fields["frame"]}
    ordered = sorted(messages, key=lambda m: m.position_in_topic)
    packets = tuple(m.source for m in ordered)
    items = tuple(Packet(packets, m.position_in_topic) for m in messages)
    return VideoPackets(**stream_fields, items=items, reason=REASON, remedy_here=REMEDY, like="Camera",
                        untouched_by=("Temporal",))  # fmt: skip


class _Player:
    """A decoder that goes on from packet to packet."""

    def __init__(self, packets: tuple[MessageSource, ...], start: int):
        self.packets, self.next, self.flushed = packets, start, False
        self.ready: dict[int, Any] = {}
        self.decoder = _decoder(_codec(packets[start]))

    def frame(self, place: int) -> Tensor:
        """The picture of a packet that was not played yet."""
        while place not in self.ready and not self.flushed:
            self._feed()
        frame = self.ready.pop(place, None)
        self.ready = {k: f for k, f in self.ready.items() if k > place}
        if frame is None:
            raise DataError(f"{_where(self.packets[place])}: packet {place} of the video holds no picture")
        return torch.from_numpy(frame.to_ndarray(format="rgb24"))

    def _feed(self) -> None:
        from av import Packet as AvPacket

        packet = None
        if self.next < len(self.packets):
            packet = AvPacket(bytes(_message(self.packets[self.next]).data))
            packet.pts = packet.dts = self.next
        where = _where(self.packets[min(self.next, len(self.packets) - 1)])
        self.flushed = packet is None
        try:
            for frame in self.decoder.decode(packet):
                self.ready[int(frame.pts)] = frame
        except Exception as error:  # FFmpeg's many
            raise DataError(f"{where}: packet {self.next} of the video is damaged ({error})") from None
        self.next += 1


_PLAYERS: KeptOpen[_Player] = KeptOpen(OPEN)


def _playing(packets: tuple[MessageSource, ...], place: int) -> Tensor:
    """Decode a picture, going on where the last one of its topic was where that is the way."""
    key = (str(packets[place].path), str(packets[place].options["topic"]))
    with _PLAYERS.lent() as players:
        player = players.pop(key, None)
        start = _key_before(packets, place)
        goes_on = player is not None and player.packets is packets and start < player.next <= place
        ready = player is not None and player.packets is packets and place in player.ready
        if player is None or not (goes_on or ready):
            player = _Player(packets, start)
        out = player.frame(place)
        players[key] = player
        return out


def _key_before(packets: tuple[MessageSource, ...], place: int) -> int:
    """Place of the last key picture up to a packet.

    Raises:
        DataError: there is none, as in a window that begins between two.
    """
    for k in range(place, -1, -1):
        message = _message(packets[k])
        if hasattr(message, "flags"):
            if int(message.flags) & KEY:
                return k
            continue
        parser = _decoder(_codec(packets[k]))
        if any(p.is_keyframe for p in [*parser.parse(bytes(message.data)), *parser.parse(b"")]):
            return k
    raise DataError(f"{_where(packets[place])}: no key picture comes before packet {place} of the video")


def _codec(source: MessageSource) -> str:
    message = _message(source)
    name = str(getattr(message, "encoding", "") or getattr(message, "format", "")).lower()
    found = next((codec for part, codec in CODECS.items() if part in name), None)
    if found is None:
        raise DataError(f"{_where(source)}: the codec {name!r} is not one of h264, h265, av1, vp9")
    return found


def _decoder(codec: str) -> Any:
    try:
        import av
    except ImportError:
        raise MissingPackage(NEED) from None
    decoder = av.CodecContext.create(codec, "r")
    decoder.options = {"max_pixels": str(MAX_PIXELS)}
    decoder.thread_count = 1
    return decoder


def _message(source: MessageSource) -> Any:
    options = source.options
    return decode(source.bytes(), options["type"], options["definition"], _where(source))


def _where(source: MessageSource) -> str:
    return f"{source.path}: topic {source.options['topic']}"
