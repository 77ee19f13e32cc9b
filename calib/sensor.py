"""What every sensor of a rig has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from calib.figures import check_figures


@dataclass(frozen=True, eq=False, kw_only=True)
class Sensor:
    """A sensor mounted at a frame. The annotations of its fields say what they may hold (``calib.figures``).

    Attributes:
        frame: the frame its data are given in.
        mirror_of: the sensor on the other side of the vehicle, with which a left-right mirror swaps names.
    """

    frame: str
    mirror_of: str | None = None

    kind: ClassVar[str]

    def __post_init__(self) -> None:
        check_figures(self)

    def mirrored(self) -> Sensor:
        """The device seen in a mirror."""
        return self
