"""The scale of intensities: the largest that a return can have, one for every stream of a log.

Files hold intensities as shares of 1, or as whole numbers of 8 or 16 bits, and hardly ever say which. The scale is
declared (``log.intensity_scale``, the rig file), or is in the manifest of the run that wrote the log, or is found from
up to 32 clouds that are spread evenly over the whole log, whatever is selected of it. Where these show nothing, or
two scales, it is None, and transforms that need it ask for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from calib import LidarSensor, Rig
from calib.figures import Figure
from calib.replacing import replace_unchecked
from fusion_aug.errors import USER_ERRORS, ConfigError, DataError, MissingPackage
from fusion_aug.logs.core.tree import Tree
from fusion_aug.sample import Sample
from fusion_aug.sample.manifest import NAME, manifest_header
from fusion_aug.sample.sensors import matches
from fusion_aug.streams import LazyColumns, Points, Radar

CLOUDS = 32
SHARE, BYTE, WORD = 1.0, 255.0, 65535.0
SCALE = Figure(unit="", above=0)
COMMON = 0.99  # of a cloud's points that a declared scale must not lie below
OPTION, KEY = "log.intensity_scale", "intensity_scale"  # of a log; in the first line of a manifest
SOURCE_KEY = "source_intensity_scale"  # there, where what was written has other scales than its source
Columns = Mapping[str, Any]
Clouds = Iterable[tuple[str, Callable[[], Columns], float | None]]  # stream, its columns when asked for, known scale


@dataclass
class Evidence:
    """What clouds of one stream show of their scale.

    Attributes:
        scales: of the clouds that show one; None among them where a cloud fits none.
        has_ones: whether there are clouds that hold nothing but 0 and 1.
        common: the largest intensity that is exceeded by a hundredth of a cloud's points.
        known: scales that the log itself holds with its calibration.
    """

    scales: set[float | None] = field(default_factory=set)
    has_ones: bool = False
    common: float = 0.0
    known: set[float] = field(default_factory=set)

    def add(self, columns: Columns, known: float | None = None) -> None:
        """Add one cloud, and the scale that the log itself gives it; points without a place are none."""
        if known is not None:
            self.known.add(known)
        intensity, xyz = (_array(columns[n]) for n in ("intensity", "xyz"))
        values = intensity[np.isfinite(xyz).all(1)].astype(np.float64)
        if not len(values) or not values.any():
            return
        self.common = max(self.common, float(np.nan_to_num(np.quantile(values, COMMON))))
        if ((values == 0) | (values == 1)).all():
            self.has_ones = True
        else:
            self.scales.add(_scale_of(values))

    @property
    def scale(self) -> float | None:
        """The scale that all clouds share; None where they show none, or more than one."""
        if len(self.known) == 1:
            return next(iter(self.known))
        if not self.scales:
            return BYTE if self.has_ones else None
        return next(iter(self.scales)) if len(self.scales) == 1 else None

    def contradicts(self, declared: float) -> str:
        """What the clouds hold that a declared scale does not fit; empty where it fits."""
        if self.common > declared * (1 + 1e-6):
            return f"more than a hundredth of the points of a cloud lie above it (above {self.common:g})"
        return "its clouds hold fractions of 1" if self.scales == {SHARE} and declared > SHARE else ""


def _scale_of(values: np.ndarray) -> float | None:
    low, high = values.min(), values.max()
    if not (low >= 0 and high <= WORD):  # also where a value is NaN
        return None
    if (values != np.floor(values)).any():
        return SHARE if high <= SHARE else None
    return BYTE if high <= BYTE else WORD


def _array(values: Any) -> np.ndarray:
    out: np.ndarray = values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
    return out


def gather_evidence(clouds: Clouds) -> dict[str, Evidence]:
    """Evidence by stream. Clouds that cannot be read show nothing here; they are refused where they are needed."""
    out: dict[str, Evidence] = {}
    for name, columns, known in clouds:
        try:
            table = columns()
        except MissingPackage:
            raise
        except USER_ERRORS:
            continue
        if "intensity" in table:
            out.setdefault(name, Evidence()).add(table, known)
    return out


def spread(count: int, parts: int) -> Iterator[tuple[int, int]]:
    """Places that are spread evenly over parts of one length, end to end: number of the part, and 64ths of it."""
    places = (divmod((2 * i + 1) * parts, 2 * count) for i in range(count))
    return ((part, rest * 32 // count) for part, rest in places)


@dataclass(frozen=True)
class CloudFile:
    """Columns of a cloud when asked for, and the file that they are from, where that is known."""

    read: Callable[[], Columns]
    path: Path | None

    def __call__(self) -> Columns:
        """The columns."""
        return self.read()


def clouds_of_samples(
    ids: Sequence[str], read: Callable[[str], Sample], count: int, file_of: Callable[[str, str], Path | None]
) -> Iterator[Any]:
    """Items of all streams of clouds, spread evenly over the samples of a log; samples that cannot be read left out.

    Args:
        ids: of all samples, in order. read: reads one. count: how many of every stream there are at most.
        file_of: file of a sample's stream where no source of its items names one; of a sample that cannot be read the
            stream is empty.
    """
    places: dict[int, list[int]] = {}
    for number, place in spread(count, len(ids)):
        places.setdefault(number, []).append(place)
    for number, own in places.items():
        try:
            sample = read(ids[number])
        except MissingPackage:
            raise
        except USER_ERRORS as error:  # what this cloud shows hangs on its file, too
            yield "", CloudFile(partial(_fail, error), file_of(ids[number], "")), None
            continue
        for name, stream in clouds_with_intensity(sample).items():
            known = getattr(sample.rig.sensors.get(name), "intensity_scale", None)
            for item in dict.fromkeys(place * len(stream) // 64 for place in own) if len(stream) else ():
                yield name, _columns_of(stream, item, file_of(ids[number], name)), known


def _fail(error: Exception) -> Columns:
    raise error


def _columns_of(stream: Points, item: int, path: Path | None) -> CloudFile:
    if isinstance(stream.values, LazyColumns):
        source = stream.values.sources[item]
        return CloudFile(source.decoded, source.path)
    return CloudFile(lambda: {n: stream.values[n][stream.item_slice(item)] for n in ("xyz", "intensity")}, path)


def clouds_with_intensity(sample: Sample) -> dict[str, Points]:
    """Streams of clouds, not of radars, that have intensities; no file is read."""
    clouds: dict[str, Points] = sample.of_type(Points)
    return {n: s for n, s in clouds.items() if not isinstance(s, Radar) and "intensity" in list(s.values)}


class Declared(NamedTuple):
    """A declared scale: of streams that match a pattern, and where it is declared."""

    pattern: str
    scale: float
    where: str


class DeclaredScales:
    """The scales that a user declares.

    Args:
        option: ``log.intensity_scale``: a number for all streams, a mapping of streams (or shell patterns) to numbers,
            or None.
        rig_file: contents of the rig file, whose sensors may say theirs; the option takes precedence.
        rig_path: of that file, for messages.

    Raises:
        ConfigError: the option is something else.
    """

    def __init__(self, option: Any, rig_file: Any = None, rig_path: str = ""):
        entries = {} if option is None else option if isinstance(option, Mapping) else {"*": option}
        self.entries: list[Declared] = []
        exact_first = sorted(entries.items(), key=lambda entry: any(c in str(entry[0]) for c in "*?["))
        for name, scale in exact_first:
            where = OPTION if name == "*" else f"{OPTION}.{name}"
            if not SCALE.fits(scale):
                raise ConfigError(f"{where}: expected the largest intensity of a return, above 0, got {scale!r}")
            self.entries.append(Declared(str(name), float(scale), where))
        sensors = rig_file.get("sensors") if isinstance(rig_file, Mapping) else None
        for name, sensor in sensors.items() if isinstance(sensors, Mapping) else ():
            scale = sensor.get("intensity_scale") if isinstance(sensor, Mapping) else None
            if SCALE.fits(scale):  # else the rig is refused when it is made
                where = f"{rig_path}: sensors.{name}.intensity_scale"
                self.entries.append(Declared(str(name), float(scale), where))  # type: ignore[arg-type]

    def of(self, name: str) -> Declared | None:
        """What is declared for a stream; None where nothing is."""
        return next((d for d in self.entries if d.pattern == name or matches(name, [d.pattern])), None)

    def check(self, found: Mapping[str, Evidence], log: str) -> None:
        """Compare what is declared with what the clouds show.

        Raises:
            ConfigError: the option names no stream of clouds, or clouds cannot have that scale.
        """
        for pattern, _, where in self.entries:
            named = any(pattern == n or matches(n, [pattern]) for n in found)
            if where.startswith(OPTION) and pattern != "*" and not named:
                known = ", ".join(found) or "none at all"
                raise ConfigError(f"{where}: {log} has no clouds of that name with intensities, only {known}")
        for name, evidence in found.items():
            declared = self.of(name)
            if declared and (words := evidence.contradicts(declared.scale)):
                told = f"{declared.where}: {declared.scale:g} is not the scale of {name!r} in {log}"
                raise ConfigError(f"{told}: {words}")


def scales_of_log(tree: Tree, declared: DeclaredScales, clouds: Callable[[int], Clouds]) -> dict[str, float | None]:
    """The scale of every stream of clouds of a log.

    Args:
        tree: of the log. declared: by the user.
        clouds: gives up to so many clouds of every stream; not called where a manifest holds the scales.

    Raises:
        ConfigError: clouds cannot have the declared scale.
        DataError: the manifest holds something else than scales.
    """
    path = tree.path(NAME, KEY)
    written = manifest_header(path).get(KEY)
    if written is None:
        found = gather_evidence(clouds(CLOUDS))
        declared.check(found, str(tree.root))
        scales = {name: evidence.scale for name, evidence in found.items()}
    else:
        scales = scales_from_json(written, str(path))
    own = {name: declared.of(name) for name in scales}
    return {name: own[name].scale if own[name] else scale for name, scale in scales.items()}  # type: ignore[union-attr]


def scales_from_json(written: Any, where: str) -> dict[str, float | None]:
    """Scale by stream, as the first line of a manifest holds it.

    Raises:
        DataError: it holds something else; ``where`` is named.
    """
    if not isinstance(written, Mapping) or not all(s is None or SCALE.fits(s) for s in written.values()):
        raise DataError(f"{where}: {KEY}: expected a scale by stream, got {written!r}")
    return {str(name): None if s is None else float(s) for name, s in written.items()}


def with_intensity_scales(sample: Sample, declared: DeclaredScales, found: Mapping[str, float | None]) -> Sample:
    """The sample with the scale of every cloud in its rigs: declared, else that of its own rig, else found."""
    for index, meta in enumerate(sample.metas):
        reported = _with_scales(meta.rig, sample, declared, found)
        true = reported if meta.true_rig is meta.rig else _with_scales(meta.true_rig, sample, declared, found)
        if reported is not meta.rig or true is not meta.true_rig:
            sample = sample.with_meta(index, rig=reported, true_rig=true)
    return sample


def _with_scales(rig: Rig, sample: Sample, declared: DeclaredScales, found: Mapping[str, float | None]) -> Rig:
    for name, stream in clouds_with_intensity(sample).items():
        sensor = rig.sensors.get(name) or LidarSensor(frame=stream.frame)
        if not isinstance(sensor, LidarSensor) or sensor.frame not in rig.frames:
            continue
        told = declared.of(name)
        scale = told.scale if told else sensor.intensity_scale or found.get(name)
        if scale != sensor.intensity_scale:
            rig = rig.with_sensor(name, replace_unchecked(sensor, intensity_scale=scale))
    return rig
