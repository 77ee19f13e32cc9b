"""Messages of changed streams: a changed value is put into a copy of its message, a new time into its stamps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fusion_aug.errors import DataError
from fusion_aug.logs.mcap.clouds import CLOUD
from fusion_aug.logs.mcap.file import Channel, MessageSource, decode, encode, stamp, stamp_of
from fusion_aug.logs.mcap.output import OutputMessage
from fusion_aug.logs.mcap.pictures import PICTURES, opacity_of, picture_message
from fusion_aug.logs.mcap.rules import restamped
from fusion_aug.logs.mcap.times import head_of, with_stamp
from fusion_aug.logs.mcap.video import VIDEOS
from fusion_aug.logs.mcap.windows import Place, Window, begins_with_header
from fusion_aug.logs.mcap.writing import to_message
from fusion_aug.streams import ImageStream, Opaque, Stream

# types of large messages whose only stamp is that of their header
ONE_STAMP = frozenset({*PICTURES, CLOUD, *VIDEOS})
TimeMap = Callable[[int], int]


@dataclass(frozen=True)
class ChangedStream:
    """A stream of a window whose messages are encoded anew.

    Attributes:
        stream, before: as it is and as it was read. channel: of its topic. window: that it was read from.
        places: of the topic's messages in the window, by log time.
        new_time: old time -> new time (ns) of stamps beside the stream's own; None where time was not changed.
        opacity: of pictures that have a fourth channel.
    """

    stream: Stream
    before: Stream
    channel: Channel
    window: Window
    places: Sequence[Place]
    new_time: TimeMap | None
    opacity: Stream | None = None

    def messages(self) -> Iterator[OutputMessage]:
        """Yield the messages, encoded one by one, by log time; pictures and clouds are read for that one by one too."""
        topic, before = self.channel.topic, self.before
        originals = self.window.originals(topic, self.places)
        places = _places(before)
        captured = dict(zip(places, before.capture_times.tolist(), strict=True))
        stream = self.stream
        is_kept = isinstance(stream, Opaque) or stream is before  # as one set of joints, where another was changed
        sources = getattr(stream, "sources", None) or (None,) * len(stream)
        if not any(sources) and not isinstance(stream, ImageStream):
            stream = stream.realized()
        times, arrival_times = stream.capture_times.tolist(), stream.arrival_times.tolist()
        for i in sorted(stream.present.nonzero()[:, 0].tolist(), key=arrival_times.__getitem__):
            place = int(stream.records[i]) if stream.records else places[min(i, len(before) - 1)]
            place = place if place in captured else places[-1]
            found = originals(place)
            intact = is_kept or isinstance(sources[i], MessageSource)
            shift = times[i] - captured[place]
            data = found.data
            if not intact or shift or found.log_time != arrival_times[i]:
                data = self._encoded(stream, i, found.data, intact, shift, arrival_times[i])
            publish = found.publish_time + (arrival_times[i] - found.log_time)
            yield OutputMessage(arrival_times[i], topic, max(0, publish), data)

    def _encoded(
        self, stream: Stream, i: int, data: bytes | memoryview, intact: bool, shift: int, arrival: int
    ) -> bytes | memoryview:
        """Bytes of the message of item ``i``, at its new time.

        Args:
            stream: whose item it is. data: of its original. intact: whether its values are those of the original.
            shift: ns from the original's capture time to the new one. arrival: ns, its log time.
        """
        kind, definition = self.channel.kind, self.channel.text
        where = f"{self.window.path}: topic {self.channel.topic}"
        if intact and kind in ONE_STAMP and self.channel.encoding == "cdr" and (head := head_of(data)) is not None:
            return with_stamp(data, moved_stamp(head.stamp, int(stream.capture_times[i]), shift, arrival))
        try:
            template = decode(data, kind, definition, where)
        except DataError:
            if not (intact and isinstance(stream, Opaque)):
                raise
            head = head_of(data, self.channel.encoding) if begins_with_header(self.channel) else None
            if head is None:  # only its log time can change
                return data
            moved = moved_stamp(head.stamp, int(stream.capture_times[i]), shift, arrival)
            return with_stamp(data, moved, self.channel.encoding)
        old = stamp_of(template)
        message = template if self.new_time is None else restamped(template, self.new_time)
        if not intact:  # after that: of stamps that are columns the stream knows the new ones
            message = self._changed(stream, i, message)
        header = getattr(template, "header", None)
        if header is not None and old is not None:
            new = moved_stamp(old, int(stream.capture_times[i]), shift, arrival)
            message = replace(message, header=stamp(header, new))
        return data if message is template else encode(message, kind, definition)

    def _changed(self, stream: Stream, i: int, template: Any) -> Any:
        if isinstance(stream, ImageStream):
            return picture_message(stream, template, i, self.channel.topic, opacity_of(self.opacity, stream, i))
        return to_message(stream, i, template)


def moved_stamp(old: int, time: int, shift: int, arrival: int) -> int:
    """The stamp (ns) of a message at a new capture time.

    One that was not set stays so where the log time tells the capture time; one of another clock moves as far as that.

    Args:
        old: stamp of the original. time: new capture time. shift: from the original's capture time to that.
        arrival: new log time.
    """
    if old == 0:
        return 0 if time == arrival else time
    return old + shift


def _places(stream: Stream) -> list[int]:
    """Place of the message of every item among those of its topic."""
    return [int(r) for r in stream.records] if stream.records else list(range(len(stream)))
