"""Log: a lazy sequence of samples on disk."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial, wraps
from pathlib import Path
from typing import Any

from calib import Rig, rig_from_dict
from calib.rig_file import pictures_of_rig_file, read_rig_file
from fusion_aug.errors import DataError
from fusion_aug.logs.core.classes import Classes
from fusion_aug.logs.core.contents import Fields, Part, Unreached, contents_of
from fusion_aug.logs.core.formats import FORMATS, Format, find_exporter, find_format, output_options, register_format
from fusion_aug.logs.core.guarding import guard_log
from fusion_aug.logs.core.intensity import (
    CloudFile,
    Clouds,
    DeclaredScales,
    clouds_of_samples,
    clouds_with_intensity,
    scales_of_log,
    with_intensity_scales,
)
from fusion_aug.logs.core.options import LogOptions, Option, named_files
from fusion_aug.logs.core.plausible import check_rig_file, policy_for_boxes, with_expected_sizes, with_possible_boxes
from fusion_aug.logs.core.point_labels import air_label_asked, with_air_label
from fusion_aug.logs.core.select import select_ids
from fusion_aug.logs.core.tracks import WAYPOINTS, KnownTracks, horizon_asked, joined_waypoints
from fusion_aug.logs.core.tree import Tree
from fusion_aug.logs.core.writer import Writer
from fusion_aug.logs.remote.mirror import Mirror
from fusion_aug.ops.modes import standard_modes
from fusion_aug.sample import Sample


class Log(Sequence[Sample], ABC):
    """A log on disk. Samples are read when asked for, images and clouds when used.

    Args:
        root: folder of the log.
        options: values of the format's options, as attributes.
        format: the format that it belongs to.

    Raises:
        DataError: the root is no folder.
    """

    # Whether calibration or tracks are kept per scene, so that geometry must be drawn per scene too.
    calibration_per_scene: bool = False
    # Whether the format has a writer alone, and opening a log of it says what reads it.
    written_only: bool = False
    # Whether reading a sample also reads files of the samples beside it.
    reads_neighbours: bool = False
    # Whether ``boxes_and_ego`` of a sample reads files that are that sample's alone.
    joins_samples: bool = True
    # Of a log in a store the folder of this computer that it is read through.
    mirror: Mirror | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """What every log does with a sample that a format has read is done here, so that no format can forget it."""
        super().__init_subclass__(**kwargs)
        guard_log(cls)
        if "read" in cls.__dict__:
            cls.read = _and_finished(cls.read)  # type: ignore[assignment, method-assign]

    def __init__(self, root: str | Path, options: LogOptions, format: Format):
        self.root, self.options, self.format = Path(root), options, format
        if self.root.is_file():
            raise DataError(f"{self.root}: log.root is a file; give its folder, log.root={self.root.parent}")
        if not self.root.is_dir():
            raise DataError(f"{self.root}: log.root is not a folder")
        self.tree = Tree(self.root, getattr(options, "follow_links", None))
        self._parts = contents_of(format.contents)
        self._files_for_scale: set[Path] = set()
        self._rig_file = read_rig_file(self.options.rig) if self.options.rig else None
        self.bad_boxes = policy_for_boxes(getattr(options, "bad_boxes", None))
        self._declared_scales = DeclaredScales(
            getattr(options, "intensity_scale", None), self._rig_file, str(getattr(options, "rig", ""))
        )
        asked = None if "classes" in format.options else getattr(options, "classes", None)  # a format may have its own
        self.classes, self._air_label = None if asked is None else Classes(asked), air_label_asked(options)
        self.known_tracks, self._horizon = KnownTracks(), horizon_asked(options)
        self.reads_neighbours = self.reads_neighbours or (self._horizon is not None and self.joins_samples)

    @property
    def origin(self) -> str:
        """Where the log is: its URL, or its folder as an absolute path without links."""
        return self.mirror.address.url if self.mirror else str(self.root.resolve())

    @property
    @abstractmethod
    def all_ids(self) -> Sequence[str]:
        """Ids of all samples, in log order."""

    @cached_property
    def ids(self) -> Sequence[str]:
        """Ids of the samples that ``log.select`` asks for, in log order.

        Raises:
            DataError: the log has no samples at all. ConfigError: none is asked for.
        """
        if not self.all_ids:
            raise DataError(f"{self.root}: the tables of this log hold no samples; is it whole?")
        return select_ids(self.all_ids, self.options.select, self.names_of, str(self.root))

    def names_of(self, sample_id: str) -> Sequence[str]:
        """What ``log.select`` may call a sample by: its id and its scene."""
        return [sample_id, self.scene_of(sample_id)]

    @abstractmethod
    def read(self, sample_id: str) -> Sample:
        """Read one sample; images and clouds stay on disk until used.

        Raises:
            DataError: there is no such id, or a file is missing or damaged; the message names file and field.
        """

    def words(self, sample: Sample) -> list[str]:
        """What a user should know of how a sample that was just read was read; a run tells it of the first one."""
        return []

    def probes(self) -> Iterator[tuple[str, Sample]]:
        """What is not understood of each recording, as far as its tables and first messages tell; by default nothing.

        Yields:
            what messages call the recording, and a sample with its opaque streams.
        """
        return iter(())

    def writer(
        self,
        out: Path,
        output: str | None = None,
        *,
        lossy: bool = False,
        link: str = "copy",
        options: Mapping[str, Any] | None = None,
        mixed: bool = False,
    ) -> Writer:
        """Return a writer for samples of this log.

        Args:
            out: folder of the output. output: its format; None is this log's own, whose tree is mirrored. Others need
                an ``exporter``.
            lossy: write also what the format's own tool would read wrongly, and record the residual. link: "copy", or
                "hard" for hard links of unchanged files. options: of the output, see ``Format.output_options``.
            mixed: whether samples take parts of others; then its exporter, if any, writes what its writer cannot.
        """
        format = self.format if output in (None, self.format.name) else find_format(str(output))
        anew = mixed and "mix" in format.writer.unsupported_effects and format.exporter
        kind = format.writer if format is self.format and not anew else find_exporter(format.name)
        return kind(self, out, lossy=lossy, link=link, options=output_options(format, options or {}))

    def option_files(self) -> list[Path]:
        """Files that the options name, besides those below the root, and the pictures that a rig file names."""
        pictures = pictures_of_rig_file(self.options.rig) if self.options.rig else []
        return [*named_files(self.options, self.format.all_options), *pictures]

    def fields(self) -> Mapping[str, Fields]:
        """Path of every table, from the root -> names of all fields that occur in it; by default there are none.

        Where a table has to be read for that, a function that reads it and returns them: a run that skips damaged
        samples names the tables among their files that cannot be read, and goes on.
        """
        return {}

    def unreached(self) -> Mapping[str, Unreached]:
        """Path of a table, from the root -> those of its rows that no sample leads to; by default there are none."""
        return {}

    def part_of(self, path: str) -> Part | None:
        """The part of the format that a file of this log is; None if it is not understood.

        Args:
            path: from the root, with slashes.
        """
        return self._parts.file(path)

    def field_part(self, table: str, name: str) -> Part | None:
        """The part of the format that a field of a table is; None if it is not understood.

        Args:
            table: path from the root, with slashes. name: of the field.
        """
        return self._parts.field(table, name)

    def is_selected_file(self, path: str) -> bool:
        """Whether a file (its path from the root) belongs to the selected samples, or to all; by default each does."""
        return True

    def path_in(self, relative: str, where: str) -> Path:
        """Return the path of a name that a file of the log gives, see ``Tree.path``; it need not exist.

        Raises:
            DataError: it leads out of the log, or through a link that is not followed.
        """
        return self.tree.path(relative, where)

    def finished(self, sample: Sample) -> Sample:
        """The sample as the options of every log want it, of what ``read`` of a format returned."""
        sample = with_possible_boxes(with_expected_sizes(sample), self.bad_boxes, partial(self.box_place, sample.id))
        if clouds_with_intensity(sample):
            sample = with_intensity_scales(sample, self._declared_scales, self.intensity_scales)
        sample = with_air_label(sample if self.classes is None else self.classes(sample), self._air_label)
        if self._horizon is None or WAYPOINTS in sample.streams:  # those of an output moved with it
            return sample
        return joined_waypoints(self, sample, *self._horizon)

    def boxes_and_ego(self, sample_id: str) -> Sample:
        """One sample with its boxes, its ego pose and what of the rig these need, for the samples before and after it.

        By default it is read as a whole.
        """
        sample: Sample = type(self).read.__wrapped__(self, sample_id)  # type: ignore[attr-defined]
        return sample

    def box_place(self, sample_id: str, stream: str, box: str) -> str:
        """File and record of a box, for messages; ``box`` is its ``record``, else its ``instance`` or its row."""
        return f"{self.root}: sample {sample_id!r}: {stream}: box {box}"

    @cached_property
    def intensity_scales(self) -> dict[str, float | None]:
        """Stream of clouds -> the largest intensity of a return, one for the whole log; None where it is not known."""
        return scales_of_log(self.tree, self._declared_scales, self._noted_clouds)

    def _noted_clouds(self, count: int) -> Clouds:
        for name, columns, known in self.clouds(count):
            if isinstance(columns, CloudFile) and columns.path is not None:
                self._files_for_scale.add(columns.path)
            yield name, columns, known

    def files_beside(self) -> set[Path]:
        """Files that are read for the selected samples though they are of others: clouds for the scale, by default."""
        _ = self.intensity_scales  # which reads them
        return self._files_for_scale

    def cloud_file(self, sample_id: str, stream: str) -> Path | None:
        """File of a stream of clouds whose items are no sources; by default it is not known.

        Of a sample that cannot be read ``stream`` is empty.
        """
        return None

    def clouds(self, count: int) -> Clouds:
        """Up to ``count`` clouds of every stream that has intensities, evenly spread over the whole log.

        They are read for the scale of the intensities. What cannot be read is left out.
        """
        read = partial(type(self).read.__wrapped__, self)  # type: ignore[attr-defined]
        return clouds_of_samples(self.all_ids, read, count, self.cloud_file)

    def __len__(self) -> int:
        return len(self.ids)

    @standard_modes()
    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self.read(i) for i in self.ids[index]]
        return self.read(self.ids[index])

    def __iter__(self) -> Iterator[Sample]:
        return (self[i] for i in range(len(self)))

    def scene_of(self, sample_id: str) -> str:
        """Scene of a sample, by which draws of scope ``scene`` are keyed."""
        return sample_id

    def with_rig_file(self, rig: Rig) -> Rig:
        """Return the rig with the frames and sensors that the user's rig file adds or replaces."""
        path = str(self.options.rig)
        return rig if self._rig_file is None else check_rig_file(rig, rig_from_dict(self._rig_file, path, rig), path)


guard_log(Log)


def _and_finished(read: Callable[[Any, str], Sample]) -> Callable[[Any, str], Sample]:
    """``read`` of a format, finished by ``Log.finished`` once, also where it calls ``read`` of its base class."""

    @wraps(read)
    def whole(self: Log, sample_id: str) -> Sample:
        sample = read(self, sample_id)
        return self.finished(sample) if type(self).read is whole else sample

    return whole


__all__ = [
    "FORMATS", "Format", "Log", "LogOptions", "Option", "find_exporter", "find_format", "output_options",
    "register_format",
]  # fmt: skip
