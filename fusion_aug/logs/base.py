"""What every log format offers: a lazy sequence of samples, and a writer of the same format."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, ClassVar

from calib import Pinhole, Rig, rig_from_dict
from calib.rig_file import read_rig_file
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.random import digest
from fusion_aug.sample import Sample
from fusion_aug.transforms.base import Transform

FORMATS: dict[str, type[Log]] = {}


@dataclass(frozen=True, kw_only=True)
class LogOptions:
    """Options that every format takes from ``log.*``.

    Attributes:
        select: ids, or shell patterns of ids, or the name of a split of the format; None for everything.
        rig: rig file that supplies or replaces sensors and frames.
        urdf: robot description, a file; for formats of robots.
        joint_map: joint in the log -> joint in the description, "-" before it where the log counts the other way.
        window: seconds per sample, for formats of recordings.
        exclude: topics, or shell patterns of them, that are neither read nor written, for formats of recordings.
        parts: feature -> {column: [start, stop]} or [start, stop, factor to SI units]: what the numbers of a vector
            mean, for formats of robots.
        rate: frames per second, for formats that do not say it.
    """

    select: Any = None
    rig: str | None = None
    urdf: str | None = None
    joint_map: Any = None
    window: float | None = None
    exclude: Any = None
    parts: Any = None
    rate: float | None = None


class Log(Sequence[Sample], ABC):
    """A log on disk. Samples are read when asked for, images and clouds when used.

    Args:
        root: folder of the log.
        options: see ``LogOptions``.
    """

    format: ClassVar[str]
    # Whether calibration or tracks are kept per scene, so that geometry must be drawn per scene too.
    calibration_per_scene: bool = False
    uses: ClassVar[tuple[str, ...]] = ()  # those of the options that only some formats have a use for

    def __init__(self, root: str | Path, options: LogOptions | None = None):
        self.root = Path(root)
        self.options = options or LogOptions()
        if not self.root.is_dir():
            raise DataError(f"{self.root}: log.root is not a folder")
        for name in ("urdf", "joint_map", "window", "exclude", "parts", "rate"):
            if getattr(self.options, name) is not None and name not in self.uses:
                raise ConfigError(f"log.{name}: the format {self.format!r} has no use for it")
        self._rig_file = read_rig_file(self.options.rig) if self.options.rig else None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "format" in cls.__dict__:
            FORMATS[cls.format] = cls

    @property
    @abstractmethod
    def ids(self) -> Sequence[str]:
        """Ids of the selected samples, in log order."""

    @abstractmethod
    def read(self, sample_id: str) -> Sample:
        """Read one sample."""

    @abstractmethod
    def writer(self, out: Path, *, lossy: bool = False, link: str = "copy") -> Writer:
        """A writer of the same format that mirrors this log's tree in ``out``."""

    def inputs(self) -> Iterable[Path]:
        """Files whose change makes this another log: tables, or the files of every selected sample."""
        return ()

    def fingerprint(self) -> str:
        """Digest of the selected ids and of names, sizes and dates of the inputs."""
        told = [Path(p) for p in (self.options.rig, self.options.urdf) if p]
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
    "silent_sensor": (
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


def open_log(format: str, root: str | Path, **options: Any) -> Log:
    """Open a log as a lazy sequence of samples.

    Args:
        format: kitti, nuscenes, argoverse2, mmdet3d, mcap, lerobot, robomimic or folder.
        root: its folder.
        options: select, rig, ...: see ``LogOptions``.

    Raises:
        ConfigError: unknown format or option.
        DataError: the folder or its tables are missing or damaged.
    """
    import fusion_aug.logs  # noqa: F401  (registers the formats)

    if format not in FORMATS:
        raise ConfigError(f"log: unknown format {format!r}, expected one of {', '.join(FORMATS)}")
    try:
        chosen = LogOptions(**options)
    except TypeError as error:
        raise ConfigError(f"log: {str(error).split('__init__() ')[-1]}") from None
    return FORMATS[format](root, chosen)


def select_ids(everything: Sequence[str], select: Any, names: Callable[[str], Sequence[str]], where: str) -> list[str]:
    """The ids that ``log.select`` asks for, in log order.

    Args:
        everything: all ids.
        select: a word or a list of words: names, or shell patterns of them; None for everything.
        names: what a sample may be called by.
        where: the log, for messages.

    Raises:
        ConfigError: a word matches nothing.
    """
    if select is None:
        return list(everything)
    words = [select] if isinstance(select, str) else [str(s) for s in select]
    called = {i: tuple(names(i)) for i in everything}
    exact: dict[str, list[str]] = {}
    for i, own in called.items():
        for name in own:
            exact.setdefault(name, []).append(i)
    chosen: set[str] = set()
    for word in words:
        found = exact.get(word, [])
        if not found and any(c in word for c in "*?["):
            found = [i for i, own in called.items() if any(fnmatchcase(n, word) for n in own)]
        if not found:
            example = ", ".join(called[everything[0]][:2]) if everything else "none"
            raise ConfigError(f"log.select: {word!r} matches nothing in {where} (a sample there is called {example})")
        chosen |= set(found)
    return [i for i in everything if i in chosen]


def output_id(sample_id: str, copy: int) -> str:
    """Id of a copy: the source's for copy 0, ``<id>__k`` for the others."""
    return sample_id if copy == 0 else f"{sample_id}__{copy}"
