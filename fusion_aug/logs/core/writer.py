"""What every writer offers: it stages samples one by one and merges the tables at the end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from calib import Pinhole
from fusion_aug.core.transform import Transform
from fusion_aug.sample import Sample


@dataclass(frozen=True)
class Problem:
    """Something that a format's official tool would read wrongly.

    Attributes:
        effect: name of the effect, see ``Transform.effects``.
        field: transform and field that bring it.
        reason: why the format cannot hold it.
        remedy: what to do instead.
    """

    effect: str
    field: str
    reason: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.field}: {self.reason}; {self.remedy}, or set lossy=true"


PARTS = "parts"  # folder of what a writer stages and joins at the end

# what formats of a fixed set of sensors cannot hold
ALL_SENSORS = {
    "dropped_sensor": (
        "a sensor that sent nothing has no place in the format, whose readers stop at empty or missing files",
        "write the folder format (output=folder), use it in training, or BlackCamera for cameras",
    )
}


class Writer(ABC):
    """Writes augmented samples in the format of their source.

    ``stage`` may run in any process and order: it writes the files of one sample into a folder of its own.
    ``finish`` runs once, in log order, and writes the tables.
    """

    # effect -> (reason, remedy)
    cannot: ClassVar[Mapping[str, tuple[str, str]]] = {}

    def __init__(self, log: Any, out: Path, *, lossy: bool = False, link: str = "copy"):
        self.log, self.out, self.lossy, self.link = log, Path(out), lossy, link

    def cameras(self, sample: Sample) -> list[str]:
        """Cameras of a sample whose calibration the format's own files hold."""
        return []

    def can_express(self, transform: Transform, sample: Sample | None = None) -> list[Problem]:
        """What the format's own tool would read wrongly after a transform; empty if nothing.

        Args:
            transform: what will be applied.
            sample: a sample of the log, whose cameras are looked at too.
        """
        found = {}
        for name in self.cameras(sample) if sample is not None and "distortion" in self.cannot else []:
            if sample.rig.camera(name).model.lens != Pinhole.lens:  # type: ignore[union-attr]
                found["distortion", name] = Problem("distortion", f"camera {name}", *self.cannot["distortion"])
        for effect, field in transform.effects().items() if transform.p > 0 else ():
            if effect in self.cannot:
                found[effect, field] = Problem(effect, field, *self.cannot[effect])
        return list(found.values())

    def as_written(self, sample: Sample, source: Sample, *, alone: bool = False) -> Sample:
        """The sample as it comes back from the files: the same, but for what the format cannot tell.

        Args:
            sample: what is written. source: of it.
            alone: whether it is a recording of its own, without those before and after it, as a copy of a window is.
        """
        return sample

    @abstractmethod
    def stage(self, sample: Sample, source: Sample, out_id: str, folder: Path) -> dict[str, Any]:
        """Write a sample's files below ``folder``, which mirrors the root, and return its JSON-able table rows."""

    @abstractmethod
    def finish(self, rows: Iterable[dict[str, Any]], ids: Sequence[tuple[str, str]]) -> None:
        """Write the tables.

        Args:
            rows: of all samples, in log order; may be gone through more than once.
            ids: of the output and of its source, of every sample.
        """
