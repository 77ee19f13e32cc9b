"""Log: a lazy sequence of samples on disk. Format: reader, writer and options of one kind of log."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

from calib import Rig, rig_from_dict
from calib.rig_file import read_rig_file
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.logs.core.contents import Part
from fusion_aug.logs.core.select import select_ids
from fusion_aug.logs.core.writer import Writer
from fusion_aug.names import Registry
from fusion_aug.ops.modes import standard_modes
from fusion_aug.ops.random import digest
from fusion_aug.sample import Sample

LogOptions = SimpleNamespace  # an attribute for every option of the format


class Option(NamedTuple):
    """An option of a log, given as ``log.NAME=VALUE``.

    Attributes:
        help: what it means, one line.
        default: its value where none is given.
        is_file: whether it names a file of the user's: a change of the file is a change of the log, and its path goes
            to ``run.json`` instead of the manifest.
        input_only: whether it says how a log is cut into samples, and so nothing of what a run writes.
    """

    help: str
    default: Any = None
    is_file: bool = False
    input_only: bool = False


EVERY_LOG = {
    "select": Option("ids, shell patterns of ids, or a split or scene of the format", input_only=True),
    "rig": Option("rig file (YAML) that adds or replaces sensors and frames", is_file=True),
}


@dataclass(frozen=True)
class Format:
    """One kind of log on disk.

    Attributes:
        name: what ``log=`` and ``open_log`` call it.
        reader: class of its logs.
        writer: class of its writers.
        options: name -> option, besides ``select`` and ``rig``, or in place of them where they mean more.
        about: one line of help.
        contents: every kind of file and of field that it knows, and what a run makes of each; the first that matches.
    """

    name: str
    reader: type[Log]
    writer: type[Writer]
    options: Mapping[str, Option] = field(default_factory=dict)
    about: str = ""
    contents: tuple[Part, ...] = ()

    @property
    def all_options(self) -> dict[str, Option]:
        """Its own options and those of every log."""
        return {**EVERY_LOG, **self.options}

    @property
    def file_options(self) -> list[str]:
        """Names of the options that name a file."""
        return [name for name, option in self.all_options.items() if option.is_file]

    @standard_modes()
    def open(self, root: str | Path, **given: Any) -> Log:
        """Open a log.

        Raises:
            ConfigError: an option is not one of the format's.
            DataError: the folder or its tables are missing or damaged.
        """
        known = self.all_options
        for name, value in given.items():
            if name not in known and (value is not None or not any(name in f.options for f in FORMATS.values())):
                raise ConfigError(
                    f"log.{name}: the format {self.name!r} has no such option (it has {', '.join(known)})"
                )
        values = {n: given.get(n) if given.get(n) is not None else o.default for n, o in known.items()}
        return self.reader(root, LogOptions(**values), self)


FORMATS: Registry[Format] = Registry("format")


def register_format(format: Format) -> Format:
    """Register a format under its name.

    Raises:
        ConfigError: the name belongs to another format.
    """
    return FORMATS.add(format.name, format, module=sys._getframe(1).f_globals["__name__"])


def find_format(name: str) -> Format:
    """Return the format of a name.

    Raises:
        ConfigError: there is none; the message lists all names.
    """
    if name not in FORMATS:
        known = ", ".join(FORMATS)
        raise ConfigError(f"log: unknown format {name!r}, expected one of {known}, or one that a plugin registers")
    return FORMATS[name]


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

    def __init__(self, root: str | Path, options: LogOptions, format: Format):
        self.root, self.options, self.format = Path(root), options, format
        if not self.root.is_dir():
            raise DataError(f"{self.root}: log.root is not a folder")
        self._rig_file = read_rig_file(self.options.rig) if self.options.rig else None

    @property
    @abstractmethod
    def all_ids(self) -> Sequence[str]:
        """Ids of all samples, in log order."""

    @cached_property
    def ids(self) -> Sequence[str]:
        """Ids of the samples that ``log.select`` asks for, in log order."""
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

    def writer(self, out: Path, output: str | None = None, *, lossy: bool = False, link: str = "copy") -> Writer:
        """Return a writer for samples of this log.

        Args:
            out: folder of the output.
            output: format of the output; None is this log's own, whose tree is mirrored.
            lossy: write also what the format's own tool would read wrongly, and record the residual.
            link: "copy", or "hard" for hard links of files that did not change.
        """
        format = self.format if output is None else find_format(output)
        return format.writer(self, out, lossy=lossy, link=link)

    def inputs(self) -> Iterable[Path]:
        """Files that the fingerprint covers: tables, or the files of every selected sample; by default all files."""
        return sorted(self.root.rglob("*"))

    def fingerprint(self) -> str:
        """Digest of the selected ids and of names, sizes and dates of the inputs."""
        named = (getattr(self.options, name) for name in self.format.file_options)
        option_files = [Path(p) for p in named if p]
        facts = [
            (str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in (*self.inputs(), *option_files) if p.is_file()
        ]
        return digest(str(self.root.resolve()), list(self.ids), facts)

    def fields(self) -> Mapping[str, Collection[str]]:
        """Path of every table, from the root -> names of all fields that occur in it; by default there are none."""
        return {}

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
        return rig if self._rig_file is None else rig_from_dict(self._rig_file, str(self.options.rig), rig)
