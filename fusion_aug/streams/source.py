"""Lazy data: a file on disk that is decoded on first use and copied, never re-encoded, while it is untouched."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

from calib.regular_files import open_regular
from fusion_aug.errors import DataError
from fusion_aug.names import Registry
from fusion_aug.ops.modes import standard_modes
from fusion_aug.safe.guard import guard_members
from fusion_aug.streams.recent import PASSED, VALUE, passed_value, passing_value, recent_value

# name -> function(path, bytes, options) -> value. Formats register theirs, so that a Source stays picklable.
DECODERS: Registry[Callable[[Path, bytes, dict[str, Any]], Any]] = Registry("decoder")
# names of decoders that take ``options["reduced"]``, see ``Source.reduced``
REDUCING: set[str] = set()
# name of a decoder -> function(path, bytes in the file, options) -> rows of the item, where the size or the head of a
# file tells; formats register theirs
ROW_COUNTERS: Registry[Callable[[Path, int, dict[str, Any]], int]] = Registry("row counter")
MAX_BYTES = 2 * 2**30
JPEG_START, JPEG_SUFFIXES = b"\xff\xd8", (".jpg", ".jpeg")
SMALLER = "smaller"  # key of the sources of the same picture at a part of its size, in the source's own dictionary


class Coding(NamedTuple):
    """What the coding of a picture keeps of its numbers.

    Attributes:
        lossy: whether it changes the levels of pixels, as JPEG and videos do.
        step: between two values that it can tell apart, in the values' own unit; 0 where it holds them exactly.
        video: whether it is one of videos, which lose more.
        stored: what becomes of a picture on its way through a file that holds less than its colours, such as grey
            levels or a mosaic; None where that is all of it, but for ``lossy`` and ``step``.
    """

    lossy: bool = False
    step: float = 0.0
    video: bool = False
    stored: Callable[[Any], Any] | None = None


def decoder(name: str, *, reduces: bool = False) -> Callable[[Callable[[Path, bytes, dict[str, Any]], Any]], Any]:
    """Register a function that turns a file's bytes into data.

    Args:
        name: of it. reduces: whether it can decode a JPEG at a part of its size: ``options["reduced"]`` times smaller,
            where the file's coding allows it, else in full.
    """

    def register(function: Callable[[Path, bytes, dict[str, Any]], Any]) -> Any:
        if reduces:
            REDUCING.add(name)
        return DECODERS.add(name, function)

    return register


def row_counter(name: str) -> Callable[[Callable[[Path, int, dict[str, Any]], int]], Any]:
    """Register a function that tells the rows of a file without decoding it, under the name of its decoder."""

    def register(function: Callable[[Path, int, dict[str, Any]], int]) -> Any:
        return ROW_COUNTERS.add(name, function)

    return register


@dataclass(frozen=True, eq=False)
class Source:
    """A file, or a byte range of one, that holds one item.

    Attributes:
        path: the file.
        decoder: name of the function that decodes it, in ``DECODERS``.
        offset, size: byte range; ``size`` None reads to the end.
        options: for the decoder.
    """

    path: Path
    decoder: str
    offset: int = 0
    size: int | None = None
    options: dict[str, Any] = field(default_factory=dict)

    copied_whole: ClassVar[bool] = True  # a copy of a sample keeps what was decoded; other processes decode anew
    keeps_value: ClassVar[bool] = True  # whether what was decoded is held as long as the source

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Whatever goes wrong where an item is read is told in one sentence, also of sources of other formats."""
        super().__init_subclass__(**kwargs)
        guard_members(cls, READS, _place)

    def bytes(self) -> bytes:
        """The raw bytes.

        Raises:
            DataError: the file cannot be read, is shorter than the range, or is too large.
        """
        try:
            length = self.path.stat().st_size
            wanted = length - self.offset if self.size is None else self.size
            if wanted > MAX_BYTES:
                raise DataError(f"{self.path}: {wanted} bytes are more than the {MAX_BYTES} that one item may have")
            with open_regular(self.path) as file:
                file.seek(self.offset)
                raw = file.read(wanted)
        except OSError as error:
            raise DataError(f"{self.path}: cannot be read ({error.strerror})") from None
        if len(raw) < wanted:
            raise DataError(f"{self.path}: is truncated: {len(raw)} of {wanted} bytes are there")
        return raw

    @property
    def coding(self) -> Coding:
        """What its coding keeps of a picture's numbers."""
        return Coding(lossy=self.bytes()[:2] == JPEG_START)

    def expecting(self, size: tuple[int, int]) -> Self:
        """The source of a picture of which (height, width) is known; what was decoded stays decoded."""
        other = replace(self, options={**self.options, "size": size})
        if self.is_decoded and self.keeps_value:
            other.__dict__["value"] = self.value
        return other

    def reduced(self, by: int) -> Source | None:
        """The source of the same picture decoded ``by`` times smaller, where its coding allows that.

        It depends on what is declared of it, never on what is in memory: None of a picture of unknown size, or of one
        that is no JPEG by its name.
        """
        is_jpeg = self.suffix.lower() in JPEG_SUFFIXES and self.decoder in REDUCING and "size" in self.options
        if by == 1 or not is_jpeg:
            return None
        kept: dict[int, Source] = self.__dict__.setdefault(SMALLER, {})
        if by not in kept:
            kept[by] = replace(self, options={**self.options, "reduced": by})
        return kept[by]

    @property
    def is_whole(self) -> bool:
        """Whether it is a whole file."""
        return self.offset == 0 and self.size is None

    @property
    def suffix(self) -> str:
        """Ending of the file's name, ``.jpg``; of one that lies inside another its own, ``options["suffix"]``."""
        return str(self.options.get("suffix", self.path.suffix))

    @property
    def is_decoded(self) -> bool:
        """Whether the item is in memory."""
        return "value" in self.__dict__

    def hash(self) -> str:
        """blake2b digest of the bytes, 32 hex digits."""
        return hashlib.blake2b(self.bytes(), digest_size=16).hexdigest()

    @cached_property
    @standard_modes()
    def value(self) -> Any:
        """The decoded item, kept as long as this Source lives."""
        passed = passed_value(self)
        return self.decoded() if passed is None else passed

    def passing(self) -> Any:
        """``value``, for one who makes another of it (``passing_value``)."""
        return passing_value(self, self._let_go) if self.keeps_value else self.value

    def _let_go(self) -> Any:
        value = self.value
        self.__dict__.pop(VALUE, None)
        return value

    def decoded(self) -> Any:
        """The decoded item, forgotten again."""
        return DECODERS[self.decoder](self.path, self.bytes(), self.options)

    def rows(self) -> int | None:
        """Rows of the item where it is in memory or the file tells without being decoded; else None.

        Raises:
            DataError: the file is gone.
        """
        if "value" in self.__dict__ and isinstance(self.value, Mapping):
            return len(next(iter(self.value.values()), ()))
        counter = ROW_COUNTERS.get(self.decoder)
        if counter is None:
            return None
        try:
            size = self.path.stat().st_size - self.offset if self.size is None else self.size
        except OSError as error:
            raise DataError(f"{self.path}: cannot be read ({error.strerror})") from None
        return counter(self.path, size, self.options)

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k not in (VALUE, PASSED, SMALLER)}


READS = ("bytes", "coding", "hash", "value", "decoded", "rows")


def _place(source: Source) -> str:
    """What a source is, for messages."""
    return str(source.path)


guard_members(Source, READS, _place)


class RecordedSource(Source):
    """An item of a long recording: only what was decoded last is held (``recent``)."""

    keeps_value: ClassVar[bool] = False

    @property
    @standard_modes()
    def value(self) -> Any:
        """The decoded item."""
        return recent_value(self, self.decoded)
