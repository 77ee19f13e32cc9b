"""What differs between the versions of LeRobotDataset: where episodes lie, and how their tables are kept.

Version 3.0 has files that many episodes share (``layout_v3.py``), versions 2.x a file for each (``layout_v2.py``).
What a feature is, how it is read and how it is written is the same in all of them (``reader.py``, ``writer.py``).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar, Protocol

from fusion_aug.logs.core.contents import Fields
from fusion_aug.logs.lerobot.info import filled

Stats = Mapping[str, Mapping[str, Any]]  # feature -> name -> numbers


class Tables(Protocol):
    """Tables of a dataset that is being written, to which episodes are added in their order."""

    def add(self, episode: int, row: Mapping[str, Any], first: int, place: Mapping[str, int], stats: Stats) -> None:
        """Add an episode.

        Args:
            episode: its number. row: what ``LeRobotWriter.stage`` returned. first: number of its first frame.
            place: of its data file, as ``new_data`` returned it. stats: of its features.
        """

    def end(self, tasks: Mapping[str, int]) -> None:
        """Write the sentences of the tasks (sentence -> number)."""


class Layout(ABC):
    """How a version lays out a dataset.

    Args:
        log: a ``LeRobotLog``: its root, ``info``, ``path_in`` and ``tree`` are used.
    """

    written: ClassVar[str]  # codebase_version of what is written
    file_per_episode: ClassVar[bool]

    def __init__(self, log: Any):
        self.log = log

    @abstractmethod
    def episodes(self) -> dict[str, dict[str, Any]]:
        """Id -> its row of the table of episodes, without the statistics; ``episode_index`` and ``length`` are there.

        Raises:
            DataError: there is none, or a row does not hold what it must.
        """

    @abstractmethod
    def tasks(self) -> dict[int, str]:
        """Number of a task -> sentence; empty where there is no table of them."""

    @abstractmethod
    def stats_of(self, episode: int) -> Stats:
        """Statistics of an episode of the source that may be kept; empty where they are worked out again."""

    @abstractmethod
    def fields(self) -> dict[str, Fields]:
        """Fields of the tables of ``meta``, by their path."""

    @abstractmethod
    def data_name(self, episode: Mapping[str, Any]) -> str:
        """Parquet file of a row of the table of episodes, from the root."""

    @abstractmethod
    def video_name(self, episode: Mapping[str, Any], key: str) -> str:
        """Video of a row of the table of episodes, from the root."""

    @abstractmethod
    def video_start(self, episode: Mapping[str, Any], key: str) -> float:
        """Seconds in the video at which the episode begins."""

    @abstractmethod
    def new_data(self, number: int) -> tuple[str, dict[str, int]]:
        """Parquet file of the episode of a number in an output, and what the table of episodes says of its place."""

    @abstractmethod
    def new_video(self, number: int, key: str, seconds: float) -> tuple[str, dict[str, Any]]:
        """Video of an episode of an output, and what the table of episodes says of it.

        Args:
            number: of the episode. key: the feature. seconds: that the video lasts.
        """

    @abstractmethod
    def own_stats(self, values: Any, kind: str) -> dict[str, Any]:
        """Statistics of a feature.

        Args:
            values: rows (n, ...) of a vector, or a list of pictures, (H, W, 3) uint8 or (H, W).
            kind: ``vector``, ``picture`` or ``depth``.
        """

    @abstractmethod
    def new_tables(self, out: Path) -> AbstractContextManager[Tables]:
        """Tables of ``meta`` of an output, but ``info.json``."""

    def filled(self, key: str, numbers: Mapping[str, int], **words: str) -> str:
        """A path template of ``info.json`` with its fields filled in."""
        return filled(self.log.info.get(key), numbers, words, f"{self.log.root / 'meta' / 'info.json'}: {key}")

    @property
    def chunks_size(self) -> int:
        """Episodes, or files, in a chunk."""
        return int(self.log.info.get("chunks_size", 1000))
