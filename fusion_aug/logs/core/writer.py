"""Base of all writers: samples are staged one by one, and tables are merged at the end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import torch

from calib import Pinhole
from fusion_aug.core.transform import Transform
from fusion_aug.logs.core.files import inside
from fusion_aug.logs.core.guarding import guard_writer, place_of_rows
from fusion_aug.logs.core.whole_numbers import with_whole_columns, with_whole_intensities
from fusion_aug.sample import Sample
from fusion_aug.streams import Stream


@dataclass(frozen=True)
class Problem:
    """Something that a format's official tool would read wrongly.

    Attributes:
        effect: its name, one of those that ``Transform.effects`` returns.
        field: transform and field that cause it.
        reason: why the format cannot hold it.
        remedy: what to do instead.
    """

    effect: str
    field: str
    reason: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.field}: {self.reason}; {self.remedy}, or set lossy=true"


def all_present(stream: Stream) -> Stream:
    """The stream as formats hold it that cannot say which items were not received."""
    return stream if bool(stream.present.all()) else replace(stream, present=torch.ones_like(stream.present))


# beginnings of reasons in the account, before names of streams: of what is gone, and of what is new
WRITTEN_AS, MADE_OF = "written as ", "made of "

WORK = ".work"  # folder of an unfinished output, which is removed when all else is in place
PARTS_FOLDER = "parts"  # of a staged sample: files that the writer joins at the end, which lie in WORK until then

# what formats of a fixed set of sensors cannot hold
NEEDS_EVERY_SENSOR = {
    "dropped_sensor": (
        "a sensor without data has no place in the format, whose readers stop at empty or missing files",
        "write the folder format (output=folder), use it in training, or BlackCamera for cameras",
    )
}

# what formats cannot hold whose readers join a keyframe or message with those before and after it
NEEDS_ONE_SCENE = {
    "mix": (
        "readers take velocities and tracks from neighbouring keyframes, and a mix has parts of another scene",
        "write the folder format (output=folder) or mmdetection3d infos, or use it in training",
    )
}


class Writer(ABC):
    """Writes augmented samples in the format of their source.

    ``stage`` may run in any process and order: it writes the files of one sample into a folder of its own.
    ``finish`` runs once, in log order, and writes the tables.
    """

    # effect -> (reason, remedy)
    unsupported_effects: ClassVar[Mapping[str, tuple[str, str]]] = {}
    # column -> step between two values that the files can tell apart, in the column's unit
    steps: ClassVar[Mapping[str, float]] = {}
    # stream -> columns that no file holds, since the reader works them out from the samples before and after
    derived: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    # stream -> why ``as_read_back`` leaves rows or items of it out, for the account; "" for all other streams
    loss_reasons: ClassVar[Mapping[str, str]] = {"": "the format has no place for it"}
    # patterns of tables whose rows it copies whole, with fields that no part of the format knows
    copied_whole: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Whatever goes wrong where a sample is written is told in one sentence, also by writers of other formats."""
        super().__init_subclass__(**kwargs)
        guard_writer(cls)

    def __init__(
        self,
        log: Any,
        out: Path,
        *,
        lossy: bool = False,
        link: str = "copy",
        options: Mapping[str, Any] | None = None,
    ):
        self.log, self.out, self.lossy, self.link = log, Path(out), lossy, link
        self.options = dict(options or {})

    def cameras(self, sample: Sample) -> list[str]:
        """Cameras of a sample whose calibration the format's own files hold."""
        return []

    def can_express(self, transform: Transform, sample: Sample | None = None) -> list[Problem]:
        """Return what the format's own tool would read wrongly after a transform; empty if nothing.

        Args:
            transform: what will be applied.
            sample: a sample of the log, whose cameras are checked too.
        """
        found = {}
        for name in self.cameras(sample) if sample is not None and "distortion" in self.unsupported_effects else []:
            if sample.rig.camera(name).model.lens != Pinhole.lens:  # type: ignore[union-attr]
                found["distortion", name] = Problem(
                    "distortion", f"camera {name}", *self.unsupported_effects["distortion"]
                )
        for effect, field in transform.effects().items() if transform.p > 0 else ():
            if effect in self.unsupported_effects:
                found[effect, field] = Problem(effect, field, *self.unsupported_effects[effect])
        return list(found.values())

    def as_read_back(self, sample: Sample, source: Sample, *, standalone: bool = False) -> Sample:
        """Return the sample as it is read back from the files: the same, except what the format cannot hold.

        Intensities, and what fields of clouds mean, are whole numbers where those of the source are.

        Args:
            sample: what is written. source: the sample that it was made from.
            standalone: whether it is a recording of its own, without the windows before and after it, as a copy of a
                window is.
        """
        return with_whole_columns(with_whole_intensities(sample, source), source)

    def notes(self, sample: Sample, pipeline: Transform) -> list[str]:
        """What a user should know of how samples like this one are written after a pipeline; a run prints it."""
        return []

    def intensity_scales(self, of_log: Mapping[str, float | None]) -> dict[str, float | None]:
        """Scales of intensities by stream in what is written; those of the log."""
        return dict(of_log)

    def loss_reason(self, stream: str) -> str:
        """Why ``as_read_back`` leaves rows or items of a stream out."""
        return self.loss_reasons.get(stream, self.loss_reasons.get("", Writer.loss_reasons[""]))

    def becomes(self, sample: Sample, stream: str) -> str:
        """What a stream is called where it is read back under another name, or as several; for messages.

        Args:
            sample: what ``as_read_back`` returned. stream: of the sample before.
        """
        return ""

    def made_of(self, sample: Sample, stream: str) -> str:
        """What a stream that is read back is made of, where these were streams of other names; for messages.

        Args:
            sample: what ``as_read_back`` returned. stream: of it.
        """
        return ""

    def account_reason(self, written: Sample, stream: str) -> str:
        """Why a stream holds other items, or none, after ``as_read_back`` returned ``written``."""
        new, old = self.becomes(written, stream), self.made_of(written, stream)
        if new and stream not in written.streams:
            return f"{WRITTEN_AS}{new}"
        return f"{MADE_OF}{old}" if old and stream not in old.split(", ") else self.loss_reason(stream)

    def part(self, name: str) -> Path:
        """Where a file lies that ``stage`` wrote below ``PARTS_FOLDER``, for ``finish``, which must leave it there.

        Args:
            name: from the root of the stage, with slashes.
        """
        direct = inside(self.out, name, "part")  # where the output itself was the stage
        return direct if direct.is_file() else inside(self.out / WORK, name, "part")

    def target(self, name: str, rows: Any, field: str) -> Path:
        """Where a file or folder lies that a row names, for ``finish``: every path that is made of rows is made here.

        Rows were read from markers in the output, which may be somebody else's.

        Args:
            name: from the root of the output, with slashes. rows: as ``finish`` got them, of which the one that was
                read last names it. field: of the row, for messages.

        Raises:
            DataError: the name leads out of the output.
        """
        return inside(self.out, name, f"{place_of_rows(rows)}: {field}")

    @abstractmethod
    def stage(self, sample: Sample, source: Sample, out_id: str, folder: Path) -> dict[str, Any]:
        """Write a sample's files and return its table rows.

        Args:
            sample: what is written. source: the sample that it was made from.
            out_id: id of the output sample.
            folder: mirrors the root of the output; nothing outside it is written.

        Returns:
            rows for ``finish``, which can be stored as JSON.

        Raises:
            DataError: the sample holds something that cannot be encoded.
        """

    def finish(self, rows: Sequence[dict[str, Any]], ids: Sequence[tuple[str, str]]) -> None:  # noqa: B027
        """Write the tables; by default there are none.

        It may be killed at any moment and run again, so it writes the same files every time and removes nothing.

        Args:
            rows: what ``stage`` returned for each sample, in log order; each is read from disk when it is asked for, so
                a format that keeps none needs no memory for them.
            ids: (id of the output, id of its source) of every sample.
        """


guard_writer(Writer)
