"""Point clouds: LiDAR and radar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from calib.replacing import replace_unchecked
from fusion_aug.ops.modes import standard_modes
from fusion_aug.ops.points import transform_packed
from fusion_aug.ops.similarity import Motion
from fusion_aug.streams.columns import (
    RULES,
    Column,
    categorical,
    intensity,
    length,
    polar,
    position,
    scalar,
    time_offset,
)
from fusion_aug.streams.families import ImagePlane
from fusion_aug.streams.following import follow, following_columns
from fusion_aug.streams.held_columns import joined_columns
from fusion_aug.streams.lazy_columns import OF_NOBODY, UNLABELLED, LazyColumns
from fusion_aug.streams.meanings import check_meanings, column_types_of, joined_meanings
from fusion_aug.streams.ragged import Ragged
from fusion_aug.streams.source import Source


@dataclass(frozen=True, kw_only=True, eq=False)
class Points(Ragged):
    """A point cloud per item, in the sensor's frame at the item's time.

    Columns: xyz (metres, float32; float64 where the source has it, as in coordinates of a map); where the sensor has
    them intensity, ring, time_offset (seconds after the stamp),
    and origin (number in ``origins``) where several scanners share a cloud. Ground truth of single points: label
    (class, -1 unlabelled), instance (0 none), and panoptic_label where a second file has classes of its own; int64.
    flow (m, float32): where a point is in the sensor's frame when the next sweep of its log is taken, less its place;
    the speed of time does not change it. flow_valid, flow_dynamic: whether it is known, and not that of a static scene.

    Attributes:
        pending: (n, 4, 4) similarity that is still to be applied to the values, or None. Motions add up here and
            the points are multiplied once.
        motion: "raw", or "compensated" where the points were already brought to the item's time.
        origins: frames of the scanners that share the cloud, which the column ``origin`` numbers; rays and ranges start
            at them. Empty where the stream's own frame is the scanner's.
        air_label: class of returns that come from no object, such as fog, spray or a ghost.
        label_names: name of every class, by its number; empty text where there is none, and where names are not known.
        meanings: of the columns that the class does not declare, one text each (``streams.meanings``); a column without
            one is a plain number.
    """

    pending: Tensor | None = None
    motion: str = "raw"
    origins: tuple[str, ...] = ()
    air_label: int = UNLABELLED
    label_names: tuple[str, ...] = ()
    meanings: tuple[str, ...] = ()

    columns: ClassVar[tuple[Column, ...]] = (
        position("xyz"),
        intensity("intensity"),
        categorical("ring", of_target=False),
        categorical("origin", of_target=False),
        time_offset("time_offset"),
        categorical("status", fill=0, of_target=False),
        length("true_range", fill=float("nan")),
        *(categorical(name, fill=value) for name, value in OF_NOBODY.items()),
        replace(polar("flow", of_target=True), fill=float("nan")),
        *(categorical(name, fill=0) for name in ("flow_valid", "flow_dynamic")),
    )
    item_fields: ClassVar[tuple[str, ...]] = (*Ragged.item_fields, "pending")
    invariant_to: ClassVar[tuple[type, ...]] = (ImagePlane,)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_meanings(self.meanings, self.values)

    @property
    def sources(self) -> tuple[Source, ...] | None:
        """The files behind an untouched cloud, else None."""
        return self.values.sources if isinstance(self.values, LazyColumns) and self.pending is None else None

    @property
    def column_types(self) -> Mapping[str, Column]:
        """The typed columns by name: those of the class, and those of ``meanings``."""
        kind: Any = type(self)
        return column_types_of(kind, self.meanings)

    def moved(self, motion: Tensor) -> Self:
        """The cloud with a further similarity (n, 4, 4) of its frame pending."""
        return replace_unchecked(self, pending=motion if self.pending is None else motion @ self.pending)

    def realized(self) -> Self:
        """The cloud with its pending motion applied; what still lies in files is read with the first column."""
        return self if self.pending is None else self._realized

    @cached_property
    def _realized(self) -> Self:
        return self.transformed(torch.eye(4, dtype=torch.float64).expand(len(self), 4, 4))

    @standard_modes()
    def transformed(self, transform: Tensor) -> Self:
        """The cloud mapped by (n, 4, 4), pending motion included, in one multiplication."""
        total = transform if self.pending is None else transform @ self.pending
        table = self.column_types
        rows: Motion | None = None
        values: dict[str, Any] = {}
        for name, value in self.values.items():
            column = table.get(name)
            if column is None or column.kind not in RULES:
                values[name] = value
            elif column.kind == "position":
                values[name] = transform_packed(value, self.bounds, total)
            else:
                rows = rows or Motion.of(total).take_rows(self.row_item)
                values[name] = RULES[column.kind](value, rows, rows, column.scaled)
        following = following_columns(table, values)
        if following:
            values |= follow(following, self.values, values["xyz"], self.bounds, Motion.of(total.detach()))
        return replace(self, values=values, offsets=self.bounds, pending=None)

    def with_values(self, **values: Any) -> Self:
        """The cloud with some columns replaced; those that a driver worked out of ``xyz`` follow it."""
        if "xyz" in values and len(values["xyz"]) == self.rows:
            stored = {n: v for n, v in self.values.items() if n not in values}
            following = following_columns(self.column_types, stored)
            if following:
                values = {**follow(following, self.values, values["xyz"], self.bounds), **values}
        return super().with_values(**values)

    def loaded(self) -> Self:
        """The cloud with its columns in memory; a pending motion stays pending."""
        in_files = isinstance(self.values, LazyColumns)
        return replace(self, values=dict(self.values), offsets=self.bounds) if in_files else self

    @classmethod
    def concat(cls, parts: Sequence[Self], sample_index: Sequence[Tensor]) -> Self:
        """Join clouds.

        Where some have a motion pending the others get the identity, and clouds without labels take the names and the
        class of the air from those that have them.
        """
        if any(p.pending is not None for p in parts):
            eye = torch.eye(4, dtype=torch.float64)
            parts = [p.moved(eye.expand(len(p), 4, 4)) if p.pending is None else p for p in parts]
        if len({p.motion for p in parts}) > 1:
            parts = [replace_unchecked(p, motion="mixed") for p in parts]
        labelled = next((p for p in parts if "label" in p.values), None)
        if labelled is not None:
            known = {"label_names": labelled.label_names, "air_label": labelled.air_label}
            parts = [p if "label" in p.values or p.label_names else replace_unchecked(p, **known) for p in parts]
        if len({p.meanings for p in parts}) > 1:
            meanings = joined_meanings([p.meanings for p in parts])
            parts = [replace_unchecked(p, meanings=meanings) for p in parts]
        if joined_columns([p.values for p in parts]) is None:
            parts = [p.loaded() for p in parts]
        return super().concat(parts, sample_index)

    def realized_items(self) -> list[dict[str, Any]]:
        """Columns of every item on its own."""
        stream = self.realized()
        return [{k: v[stream.item_slice(i)] for k, v in stream.values.items()} for i in range(len(stream))]


@dataclass(frozen=True, kw_only=True, eq=False)
class Lidar(Points):
    """Returns of a scanning LiDAR: xyz, intensity, and ring, origin and time offset where they are known."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Radar(Points):
    """Radar detections. Velocities are along the ray and positive when receding.

    Columns: xyz; velocity (raw) and velocity_comp (ego motion taken out), m/s vectors in the sensor frame; rcs (dBsm).
    """

    columns: ClassVar[tuple[Column, ...]] = (
        *Points.columns,
        polar("velocity", rate=True),
        polar("velocity_comp", rate=True),
        scalar("rcs"),
        categorical("flags", width=13, of_target=False),
    )
