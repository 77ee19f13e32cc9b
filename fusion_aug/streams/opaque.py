"""Items whose values are not understood: kept as their source holds them, or refused where they had to change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from fusion_aug.streams.base import STREAMS, Stream

# Families that change what a message says of the scene and of where things are in it.
SPACE = ("Scene", "ImagePlane", "Mount", "Kinematic", "Weather", "Mix")
LIGHT = ("Photometric", "PointOp", "Fault", "Touch")


@dataclass(frozen=True, kw_only=True, eq=False)
class Opaque(Stream):
    """Items that nothing is known of but their times, and perhaps what kind of data they are.

    Under transforms that cannot change them they are copied; any other is refused with ``reason`` and a remedy.

    Attributes:
        place: what messages call it, such as the topic and its type; empty for the stream's name.
        reason: why its values are not understood; empty where that is no lack, since nothing can change them.
        remedy_here: what to do where a transform would have to change it.
        ways: "FAMILY: remedy", remedies for transforms of some families, which come before ``remedy_here``.
        like: name of the stream class that it would be if it were understood; empty where that is not known.
        untouched_by: names of families that cannot change it. Under a change of time ("Temporal") it gets new stamps.
    """

    may_refuse: ClassVar[bool] = True

    place: str = ""
    reason: str = "nothing is known of its values"
    remedy_here: str = "leave it out"
    ways: tuple[str, ...] = ()
    like: str = ""
    untouched_by: tuple[str, ...] = LIGHT

    @property
    def kind_if_understood(self) -> type[Stream]:
        """The stream class whose rules say what a transform would change."""
        return (STREAMS.get(self.like) if self.like else None) or type(self)

    def is_untouched_by(self, transform: type) -> bool:
        """Whether a family of a transform is one that cannot change the values."""
        return any(base.__name__ in self.untouched_by for base in transform.__mro__)

    def remedy_for(self, transform: type) -> str:
        """What to do where a transform would have to change it."""
        names = [base.__name__ for base in transform.__mro__]
        told = dict(way.split(": ", 1) for way in self.ways)
        return next((told[n] for n in names if n in told), self.remedy_here)
