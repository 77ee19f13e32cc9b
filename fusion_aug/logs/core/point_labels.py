"""Files with a number for every point of a cloud, which holds its class and, in most layouts, its instance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fusion_aug.errors import ConfigError, DataError
from fusion_aug.logs.core.npz import parse_npz, write_npz
from fusion_aug.logs.core.options import LogOptions
from fusion_aug.names import Registry
from fusion_aug.sample import Sample
from fusion_aug.streams.lazy_columns import CLASSES, OF_NOBODY, UNLABELLED, LazyColumns
from fusion_aug.streams.points import Points
from fusion_aug.streams.source import Source, decoder

DECODER = "point_labels"
NPZ_KEY = "data"  # of nuScenes-panoptic
REMEDIES = {
    "label": "give classes other numbers with log.classes, or points of no object with log.air_label",
    "instance": "write output=folder, which holds any number",
}


@dataclass(frozen=True)
class LabelLayout:
    """How class and instance share a number: ``number = class * per_class + instance * per_instance``.

    Attributes:
        name: for messages and options of sources.
        dtype: of the file, little-endian.
        classes, instances: how many there can be of each; 1 instance where the file has none.
        per_class, per_instance: see above.
        zipped: whether the numbers lie in an npz file, as ``data``.
    """

    name: str
    dtype: str
    classes: int
    instances: int
    per_class: int
    per_instance: int
    zipped: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of a cloud that the file holds."""
        return ("label", "instance") if self.instances > 1 else ("label",)

    def source(self, path: Path, renumbered: Mapping[int, int] | None = None, label: str = "label") -> Source:
        """A file of this layout, decoded on first use.

        Args:
            path: the file. renumbered: class in the file -> class that is read; all others are unlabelled.
            label: column that the classes become.
        """
        more: dict[str, Any] = {} if label == "label" else {"label": label}
        if renumbered is not None:
            more["renumbered"] = {str(k): v for k, v in sorted(renumbered.items())}
        return Source(path, DECODER, options={"layout": self.name, **more})

    def decode(self, numbers: np.ndarray[Any, Any], where: str) -> dict[str, Tensor]:
        """Class and instance (n,) int64 of the numbers (n,).

        Raises:
            DataError: a number is none of this layout.
        """
        found = numbers.astype(np.int64)
        most = max(self.classes * self.per_class, self.instances * self.per_instance) - 1
        wrong = found[(found < 0) | (found > most)]
        if len(wrong):
            raise DataError(f"{where}: {self.name} holds numbers from 0 to {most}, got {wrong[0]}")
        parts = {
            "label": found // self.per_class % self.classes, "instance": found // self.per_instance % self.instances,
        }  # fmt: skip
        return {name: torch.from_numpy(parts[name]) for name in self.columns}

    def encode(self, values: Mapping[str, Tensor], where: str, unlabelled: int | None = None) -> np.ndarray[Any, Any]:
        """Numbers (n,) of a cloud's points.

        Args:
            values: columns; a cloud without instances has 0. where: the cloud, for messages.
            unlabelled: class that points without one are written as (``log.unlabelled``); None refuses them.

        Raises:
            DataError: a class or an instance has no number in this layout; the message says what to do.
        """
        label = values["label"].detach().cpu().numpy().astype(np.int64)
        instance = np.zeros_like(label)
        if "instance" in self.columns and "instance" in values:
            instance = values["instance"].detach().cpu().numpy().astype(np.int64)
        if unlabelled is not None:
            label = np.where(label == UNLABELLED, unlabelled, label)
        if (label == UNLABELLED).any():
            raise DataError(
                f"{where}: label: {int((label == UNLABELLED).sum())} points are unlabelled ({UNLABELLED}), which "
                f"{self.name} has no number for; say which class they get with log.unlabelled=0, or that of returns "
                f"from the air with log.air_label"
            )
        for what, column, count in (("label", label, self.classes), ("instance", instance, self.instances)):
            wrong = column[(column < 0) | (column >= count)]
            if len(wrong):
                raise DataError(
                    f"{where}: {what}: {self.name} holds numbers from 0 to {count - 1}, got {wrong[0]}; "
                    f"{REMEDIES[what]}"
                )
        numbers = label * self.per_class + instance * self.per_instance
        most = np.iinfo(self.dtype).max
        if (numbers > most).any():
            raise DataError(f"{where}: label: {self.name} holds numbers up to {most}, got {numbers.max()}")
        return numbers.astype(self.dtype)

    def written(self, values: Mapping[str, Tensor], path: Path, where: str, unlabelled: int | None = None) -> None:
        """Write a file of this layout, see ``encode``."""
        numbers = self.encode(values, where, unlabelled)
        if self.zipped:
            write_npz({NPZ_KEY: numbers}, path)
        else:
            path.write_bytes(numbers.tobytes())


LAYOUTS: Registry[LabelLayout] = Registry("layout of labels")


def label_layout(layout: LabelLayout) -> LabelLayout:
    """Register a layout, which sources name."""
    return LAYOUTS.add(layout.name, layout)


@decoder(DECODER)
def decode_labels(path: Path, raw: bytes, options: dict[str, Any]) -> dict[str, Tensor]:
    """Columns of a file of labels.

    Raises:
        DataError: the size does not fit, or the file is damaged.
    """
    layout = LAYOUTS[options["layout"]]
    if layout.zipped:
        arrays = parse_npz(path, raw)
        numbers = arrays.get(NPZ_KEY)
        if numbers is None or numbers.ndim != 1 or numbers.dtype.kind not in "ui":
            raise DataError(f"{path}: {NPZ_KEY}: expected whole numbers, one for each point")
    elif len(raw) % np.dtype(layout.dtype).itemsize:
        raise DataError(f"{path}: its {len(raw)} bytes are no {layout.dtype} numbers, one for each point")
    else:
        numbers = np.frombuffer(raw, layout.dtype)
    values = renumbered(layout.decode(numbers, str(path)), options.get("renumbered"), options.get("others", UNLABELLED))
    return {str(options.get("label", "label")) if n == "label" else n: v for n, v in values.items()}


def renumbered(
    values: dict[str, Tensor], table: Mapping[str, int] | None, others: int = UNLABELLED
) -> dict[str, Tensor]:
    """Columns with other classes; those that the table does not name become ``others``, and instances stay."""
    if table is None:
        return values
    return {**values, "label": _looked_up(values["label"], table, others)}


def _looked_up(label: Tensor, table: Mapping[str, int], others: int = UNLABELLED) -> Tensor:
    old, place = torch.unique(label, return_inverse=True)
    numbers = old.to(torch.int64).tolist()  # also of logs that hold them in floating point
    new = torch.tensor([table.get(str(c), others) for c in numbers], dtype=torch.int64, device=label.device)
    return new[place] if len(old) else label


def with_new_classes(cloud: Points, table: Mapping[int, int]) -> Points:
    """A cloud whose classes have other numbers; those that the table does not name are unlabelled, and instances stay.

    Files of labels are still decoded on first use.

    Args:
        cloud: with or without classes of points. table: number -> new number.
    """
    columns = [c for c in CLASSES if c in cloud.values]
    new = {str(k): v for k, v in table.items()}
    values = cloud.values
    if isinstance(values, LazyColumns) and any(s.decoder == DECODER for extra in values.extra_sources for s in extra):
        extra = [tuple(_renumbered(s, new) for s in sources) for sources in values.extra_sources]
        return replace(cloud, values=LazyColumns(values.sources, values.names, extra))
    labelled = [c for c in columns if bool((cloud.values[c] != UNLABELLED).any())]
    return cloud.with_values(**{c: _looked_up(cloud.values[c], new) for c in labelled}) if labelled else cloud


def _renumbered(source: Source, table: Mapping[str, int]) -> Source:
    if source.decoder != DECODER:
        return source
    old = source.options.get("renumbered")
    whole = table if old is None else {k: table[str(v)] for k, v in old.items() if str(v) in table}
    return replace(source, options={**source.options, "renumbered": dict(whole)})


def with_others(values: LazyColumns, others: int) -> LazyColumns:
    """Columns in files where classes that no table of new numbers names become ``others``, not unlabelled.

    The same columns give the same answer, so that what was read of it for the files is known to the account.
    """
    if not any("renumbered" in s.options for extra in values.extra_sources for s in extra):
        return values
    changed = [
        tuple(replace(s, options={**s.options, "others": others}) if "renumbered" in s.options else s for s in extra)
        for extra in values.extra_sources
    ]
    made: dict[int, LazyColumns] = values.__dict__.setdefault("with_others", {})
    return made.setdefault(others, LazyColumns(values.sources, values.names, changed))


def air_label_asked(options: LogOptions) -> int | None:
    """The class of returns from the air that ``log.air_label`` gives; None where it gives none.

    Raises:
        ConfigError: it, or ``log.unlabelled``, is no number of a class.
    """
    for option, least in (("air_label", UNLABELLED), ("unlabelled", 0)):
        given = getattr(options, option, None)
        if given is not None and (type(given) is not int or given < least):
            raise ConfigError(f"log.{option}: expected the number of a class, {least} or more, got {given!r}")
    found: int | None = getattr(options, "air_label", None)
    return found


def with_air_label(sample: Sample, air_label: int | None) -> Sample:
    """The sample whose clouds with classes of points give returns from the air another one (``log.air_label``)."""
    if air_label is None:
        return sample
    clouds = {n: replace(s, air_label=air_label) for n, s in sample.of_type(Points).items() if "label" in s.values}
    return sample.with_streams({**sample.streams, **clouds}) if clouds else sample


def label_file(cloud: Points, item: int, layout: str | None = None) -> Source | None:
    """The file that holds an item's labels as they are, of an untouched cloud; else None.

    Args:
        cloud: of it. item: its number. layout: of the file, by its name; None takes any.
    """
    if cloud.sources is None or not isinstance(cloud.values, LazyColumns) or not cloud.values.extra_sources:
        return None
    for source in cloud.values.extra_sources[item]:
        as_it_is = source.decoder == DECODER and "renumbered" not in source.options
        if as_it_is and layout in (None, source.options["layout"]):
            return source
    return None


def as_files_hold_labels(cloud: Points, names: Sequence[str], has_file: Tensor, unlabelled: int | None) -> Points:
    """A cloud as files of labels give it back, which only some of its items have.

    Args:
        cloud: with its columns in memory. names: of those that the files hold.
        has_file: (n,) bool, of the items; points of the others are nobody's.
        unlabelled: class that points without one are written as; None where the files hold -1.
    """
    labelled = has_file[cloud.row_item]
    changed = {}
    for name in names:
        column = cloud[name]
        if unlabelled is not None and OF_NOBODY[name] == UNLABELLED:
            column = torch.where(column == UNLABELLED, unlabelled, column)
        changed[name] = torch.where(labelled.to(column.device), column, OF_NOBODY[name])
    return cloud.with_values(**changed)
