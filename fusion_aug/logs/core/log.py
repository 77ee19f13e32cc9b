"""Log: a lazy sequence of samples on disk. Format: what a log of a kind is read and written by, and its options."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

from calib import Rig, rig_from_dict
from calib.rig_file import read_rig_file
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.logs.core.writer import Writer
from fusion_aug.names import Registry
from fusion_aug.ops.random import digest
from fusion_aug.sample import Sample

LogOptions = SimpleNamespace  # an attribute for every option of the format


class Option(NamedTuple):
    """An option of a log, given as ``log.NAME=VALUE``.

    Attributes:
        help: what it is, in a line.
        default: its value where it is not given.
    """

    help: str
    default: Any = None


EVERY_LOG = {
    "select": Option("ids, shell patterns of ids, or a split or scene of the format"),
    "rig": Option("rig file (YAML) that adds or replaces sensors and frames"),
}


@dataclass(frozen=True)
class Format:
    """A kind of log on disk.

    Attributes:
        name: what ``log=`` and ``open_log`` call it.
        reader: class of its logs.
        writer: class of its writers.
        options: name -> option, of those that it takes beside ``select`` and ``rig``, or that mean more there.
        about: what it is, in a line.
    """

    name: str
    reader: type[Log]
    writer: type[Writer]
    options: Mapping[str, Option] = field(default_factory=dict)
    about: str = ""

    @property
    def all_options(self) -> dict[str, Option]:
        """Its own options and those of every log."""
        return {**EVERY_LOG, **self.options}

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
    """Make a format known by its name.

    Raises:
        ConfigError: there is another one of that name.
    """
    return FORMATS.add(format.name, format)


def find_format(name: str) -> Format:
    """A format by name.

    Raises:
        ConfigError: there is none.
    """
    if name not in FORMATS:
        raise ConfigError(f"log: unknown format {name!r}, expected one of {', '.join(FORMATS)}")
    return FORMATS[name]


class Log(Sequence[Sample], ABC):
    """A log on disk. Samples are read when asked for, images and clouds when used.

    Args:
        root: folder of the log.
        options: those of its format, by name.
        format: which it is.

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
    def ids(self) -> Sequence[str]:
        """Ids of the selected samples, in log order."""

    @abstractmethod
    def read(self, sample_id: str) -> Sample:
        """Read one sample."""

    def writer(self, out: Path, output: str | None = None, *, lossy: bool = False, link: str = "copy") -> Writer:
        """A writer of samples of this log.

        Args:
            out: folder of the output.
            output: format of the output; None is this log's own, whose tree is mirrored.
            lossy: write also what the format's own tool would read wrongly.
            link: copy or hard, for files that did not change.
        """
        format = self.format if output is None else find_format(output)
        return format.writer(self, out, lossy=lossy, link=link)

    def inputs(self) -> Iterable[Path]:
        """Files whose change makes this another log: tables, or the files of every selected sample."""
        return ()

    def fingerprint(self) -> str:
        """Digest of the selected ids and of names, sizes and dates of the inputs."""
        told = [Path(p) for p in (self.options.rig, getattr(self.options, "urdf", None)) if p]
        facts = [(str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in (*self.inputs(), *told) if p.is_file()]
        return digest(str(self.root.resolve()), list(self.ids), facts)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self.read(i) for i in self.ids[index]]
        return self.read(self.ids[index])

    def __iter__(self) -> Iterator[Sample]:
        return (self.read(i) for i in self.ids)

    def scene_of(self, sample_id: str) -> str:
        """Scene of a sample, which draws of scope ``log`` are keyed on."""
        return sample_id

    def complete(self, rig: Rig) -> Rig:
        """The rig with what the user's rig file adds or replaces."""
        return rig if self._rig_file is None else rig_from_dict(self._rig_file, str(self.options.rig), rig)
