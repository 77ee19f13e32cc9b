"""Files of recordings: what all kinds have in common.

Each kind of file (``.mcap``, ``.db3``, ``.bag``) is a ``Recording``; ``recording`` opens one by the ending of its name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from fusion_aug.logs.mcap.definitions import definition_of

BAG_VERSION = 9  # of metadata.yaml of a recording that comes without


@dataclass(frozen=True)
class StoredMessage:
    """One message as the file holds it.

    Attributes:
        topic, kind: kind is the type's name. definition: of it. channel: number of its channel in the file.
        log_time, publish_time: ns. number: index in the topic, from 0, of those that were asked for.
        data: its bytes, which may keep all that was read beside them in memory; who keeps them copies them (``apart``).
        sequence: number that its publisher gave it.
    """

    channel: int
    topic: str
    kind: str
    definition: str
    log_time: int
    publish_time: int
    number: int
    data: bytes | memoryview
    sequence: int = 0

    def apart(self) -> StoredMessage:
        """The message with bytes of its own."""
        return replace(self, data=bytes(self.data))


@dataclass(frozen=True)
class Channel:
    """A topic of a file: its type, how it is written, and how many messages it has.

    Attributes:
        number: of the channel in the file. kind: type of the messages, as ROS 2 writes it.
        encoding: of the messages, "cdr" for ROS 2, "ros1" for ROS 1.
        definition: text of the type, in ``schema_encoding``. metadata: of the recorder. count: of messages.
        name: of the type, as the file writes it.
    """

    number: int
    topic: str
    kind: str
    encoding: str
    schema_encoding: str
    definition: bytes
    metadata: dict[str, str]
    count: int
    name: str = ""

    @property
    def text(self) -> str:
        """The definition that messages are read by."""
        return definition_of(self.definition.decode(errors="replace"), self.encoding)

    @property
    def latched(self) -> bool:
        """Whether a message stays valid for later subscribers: static transforms, transient local and latching."""
        quality = self.metadata.get("offered_qos_profiles", "")
        told = "durability: 1" in quality or "transient_local" in quality or self.metadata.get("latching") == "1"
        return self.topic.endswith("tf_static") or told


class Extras(NamedTuple):
    """What a file holds besides topics.

    Attributes:
        profile: of the recorder, or the distribution of ROS. attachments: with ``name``.
        records: of metadata, with ``name`` and ``metadata``, a mapping of texts. unknown: names of what is not kept.
        compression: of the chunks, as the file calls it.
    """

    profile: str = ""
    attachments: list[Any] = []  # noqa: RUF012  (nobody adds to it)
    records: list[Any] = []  # noqa: RUF012
    unknown: tuple[str, ...] = ()
    compression: str = "zstd"


class Recording(ABC):
    """One file, read through its index. It can be pickled and opened in any process."""

    ending: ClassVar[str]  # of the names of such files
    in_chunks: ClassVar[bool] = False  # whether what lies beside a message is read with it, so that asking is cheap

    @property
    def bag_version(self) -> int:
        """Version of ``metadata.yaml`` where there is none beside the file."""
        return BAG_VERSION

    def __init__(self, path: Path):
        self.path = path

    def __init_subclass__(cls) -> None:
        RECORDINGS[cls.ending] = cls

    def summary(self) -> tuple[list[Channel], int, int]:
        """Topics, and first and last log time (ns); read once per file."""
        return _summary(self.path, self.path.stat().st_mtime_ns)

    @abstractmethod
    def read_summary(self) -> tuple[list[Channel], int, int]:
        """Read the file's summary: topics in channel order, first and last log time (ns). ``summary`` caches it.

        Raises:
            DataError: the file cannot be read.
        """

    def extras(self) -> Extras:
        """What a file holds besides topics."""
        return Extras()

    @abstractmethod
    def messages(
        self, start: int | None = None, end: int | None = None, topics: Any = None, *, in_file_order: bool = False
    ) -> Iterator[StoredMessage]:
        """Messages of log time in [start, end), in the order of their log time, or as they lie in the file.

        Raises:
            DataError: the file is damaged. OSError: it cannot be read.
        """

    @abstractmethod
    def message(self, topic: str, time: int, nth: int) -> bytes:
        """Data of one message.

        Args:
            topic: of it. time: its log time, ns. nth: of those of one topic and time, as they lie in the file.

        Raises:
            DataError: there is none, or the file is damaged. OSError: it cannot be read.
        """

    def published(self, topic: str, time: int, nth: int) -> tuple[int, bytes | memoryview]:
        """Publish time (ns) and data of one message; see ``message``. Files without the former give the log time."""
        return time, self.message(topic, time, nth)


RECORDINGS: dict[str, type[Recording]] = {}  # by ending


@lru_cache(maxsize=64)
def _summary(path: Path, changed: int) -> tuple[list[Channel], int, int]:
    return recording(path).read_summary()


def recording(path: Path) -> Recording:
    """The recording in a file, by the ending of its name."""
    return RECORDINGS[path.suffix](path)
