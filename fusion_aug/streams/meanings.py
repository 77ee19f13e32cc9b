"""What columns of a cloud mean that its class does not declare: one text per column, which files and people can read.

``normal: direction of normal_x normal_y normal_z`` says that the column ``normal`` holds vectors that motions turn, and
that the three fields of the source hold its parts. A stream carries such texts (``Points.meanings``), since which
columns a cloud has is known only when its source is read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from types import MappingProxyType
from typing import Any
from urllib.parse import quote, unquote

from fusion_aug.errors import DataError
from fusion_aug.streams.columns import (
    Column,
    axial,
    categorical,
    length,
    polar,
    position,
    radial_velocity,
    scalar,
    time_offset,
)

UNKNOWN, UNKNOWN_BYTE = "unknown", "unknown_byte"
NAN = float("nan")


def _on_target(column: Column) -> Column:
    """A column that says what a point lies on, NaN where that is nothing."""
    return replace(column, of_target=True, fill=NAN)


# word -> (the typed column of a name, what it means)
MEANINGS: dict[str, tuple[Callable[[str], Column], str]] = {
    "position": (position, "point in the cloud's frame, m"),
    "direction": (
        lambda n: _on_target(Column(n, "direction", scaled=False, width=3)),
        "vector of a length that does not scale: a normal",
    ),
    "vector": (lambda n: _on_target(polar(n)), "vector, m: a displacement, a scene flow"),
    "axial": (lambda n: _on_target(axial(n)), "pseudo-vector, which a mirror turns the other way"),
    "velocity": (lambda n: _on_target(polar(n, rate=True)), "vector, m/s"),
    "angular_velocity": (lambda n: _on_target(axial(n, rate=True)), "pseudo-vector, rad/s"),
    "radial_speed": (lambda n: _on_target(radial_velocity(n)), "speed along the ray, m/s: Doppler"),
    "speed": (lambda n: _on_target(Column(n, "length", rate=True)), "length of a velocity, m/s"),
    "length": (length, "length, m"),
    "range": (lambda n: Column(n, "range"), "distance from the scanner, in any unit"),
    "azimuth": (lambda n: Column(n, "azimuth"), "angle about z, in any unit, from any axis, either way round"),
    "elevation": (lambda n: Column(n, "elevation"), "angle to the horizon or to z, in any unit"),
    "angle": (lambda n: Column(n, "angle"), "azimuth or elevation, whichever x, y, z show"),
    "curvature": (lambda n: _on_target(Column(n, "curvature")), "1/m"),
    "scalar": (scalar, "number that no motion, scale or speed changes"),
    "label": (categorical, "class or object of what the point lies on"),
    "number": (lambda n: categorical(n, of_target=False), "part of the sensor, flag, count"),
    "time": (time_offset, "time, whose unit the numbers show; time_s, time_ms, time_us, time_ns say it"),
    UNKNOWN: (lambda n: Column(n, UNKNOWN), "nothing is known of it"),
    UNKNOWN_BYTE: (lambda n: Column(n, UNKNOWN), "nothing is known of it but that a byte holds no length and no rate"),
}
UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
WORDS = (*(w for w in MEANINGS if not w.startswith(UNKNOWN)), *(f"time_{u}" for u in UNITS))
WHOLE = ("i1", "u1", "i2", "u2", "i4", "u4")  # types of whole numbers
VECTORS = ("position", "direction", "vector", "axial", "velocity", "angular_velocity")


@dataclass(frozen=True)
class Meaning:
    """What a column is, and the fields of the source that hold it.

    Attributes:
        name: of the column.
        word: of ``MEANINGS``, or ``time_UNIT``.
        fields: of the source, of vectors the three parts or one field of three numbers.
        stored: "absolute" where the source counts times from the epoch; the type of whole numbers ("u2") where it
            holds such ones; else empty.
    """

    name: str
    word: str
    fields: tuple[str, ...]
    stored: str = ""

    @property
    def text(self) -> str:
        """The meaning as a line of text, from which ``read_meaning`` makes it again."""
        fields = " ".join(_quoted(f) for f in self.fields)
        return f"{_quoted(self.name)}: {self.stored + ' ' if self.stored else ''}{self.word} of {fields}"

    @property
    def column(self) -> Column:
        """The typed column. A label of unsigned numbers has the largest one where nobody gave one."""
        column = MEANINGS[self.kind][0](self.name)
        if self.word == "label" and self.stored.startswith("u"):
            return replace(column, fill=2 ** (8 * int(self.stored[1:])) - 1)
        return column

    @property
    def kind(self) -> str:
        """Its word without the unit."""
        return self.word.partition("_")[0] if self.word.startswith("time_") else self.word

    @property
    def unit(self) -> str | None:
        """Unit of a time, of ``UNITS``; None where nothing says it."""
        return self.word.partition("_")[2] if self.word.startswith("time_") else None

    @property
    def is_whole(self) -> bool:
        """Whether the source holds whole numbers."""
        return self.stored in WHOLE


def _quoted(name: str) -> str:
    return quote(name, safe="/@+-.") if name else "%"


@lru_cache(maxsize=4096)
def read_meaning(text: str) -> Meaning:
    """The meaning that a line of text tells.

    Raises:
        DataError: it is no such line.
    """
    name, colon, rest = text.partition(": ")
    told, of, fields = rest.partition(" of ")
    stored, _, word = told.rpartition(" ")
    if not (colon and of) or word not in (*WORDS, UNKNOWN, UNKNOWN_BYTE) or stored not in ("", "absolute", *WHOLE):
        raise DataError(f"meanings: {text!r} is not 'COLUMN: WORD of FIELDS'; words are {', '.join(WORDS)}")
    found = tuple("" if f == "%" else unquote(f) for f in fields.split(" "))
    return Meaning("" if name == "%" else unquote(name), word, found, stored)


def check_meanings(meanings: tuple[str, ...], values: Mapping[str, Any]) -> None:
    """Raise where the columns of a cloud in memory do not have the shape that their meanings ask for.

    Raises:
        DataError: one has not, or a text is no meaning.
    """
    for column in (m.column for m in map(read_meaning, meanings)):
        value = values[column.name] if type(values) is dict and column.name in values else None
        shape = (column.width,) if column.width else ()
        if value is not None and column.kind != "plain" and tuple(value.shape[1:]) != shape:
            raise DataError(f"{column.name}: rows of shape {tuple(value.shape[1:])}, expected {shape}")


@lru_cache(maxsize=256)
def column_types_of(kind: Any, meanings: tuple[str, ...]) -> MappingProxyType[str, Column]:
    """Typed columns by name: those that a class declares, and those that texts tell, which come first."""
    own = {m.name: m.column for m in map(read_meaning, meanings)}
    return MappingProxyType({**kind.column_table(), **own})


def joined_meanings(all_meanings: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """The meanings of clouds that are joined.

    Raises:
        DataError: a column means something else in one of them.
    """
    found: dict[str, str] = {}
    for text in dict.fromkeys(t for texts in all_meanings for t in texts):
        meaning = read_meaning(text)
        other = read_meaning(found.setdefault(meaning.name, text))
        if other.kind != meaning.kind:
            raise DataError(
                f"column {meaning.name!r} is {other.kind} in some clouds of a batch and {meaning.kind} in others; "
                f"say what it is with log.fields"
            )
    return tuple(found.values())


def unknown_fields(meanings: Sequence[str], *, bytes_too: bool = True) -> list[str]:
    """Fields of which nothing is known; without ``bytes_too`` only those that may be lengths, rates or times."""
    words = (UNKNOWN, UNKNOWN_BYTE) if bytes_too else (UNKNOWN,)
    return [m.fields[0] for m in map(read_meaning, meanings) if m.word in words]
