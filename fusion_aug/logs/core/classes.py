"""Which boxes of a log are read, and what they and the classes of points are called: ``log.classes``."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

import torch

from fusion_aug.errors import ConfigError, DataError
from fusion_aug.logs.core.new_numbers import grid_with_new_classes, mask_with_new_classes
from fusion_aug.logs.core.point_labels import with_new_classes
from fusion_aug.sample import Sample
from fusion_aug.sample.sensors import matches, unmatched
from fusion_aug.streams import Boxes2D, Boxes3D, Occupancy, Points, SegmentationMask, strings
from fusion_aug.streams.lazy_columns import UNLABELLED

REASON = "not one of log.classes"


class Classes:
    """The classes that a user asks for.

    A category that is named keeps its boxes, under its new name where the classes are a mapping. An exact name counts
    before a pattern, an earlier pattern before a later one. Points are never left out: those of a class that is not
    named are unlabelled, and all keep their instances.

    Args:
        asked: names (or shell patterns) to keep, or a mapping of new names to names (or patterns) of the log.

    Raises:
        ConfigError: it is neither, or a name stands for two.
    """

    def __init__(self, asked: Any):
        self.patterns = _patterns(asked)

    def name_of(self, category: str) -> str | None:
        """What a category of the log is called; None if its boxes are left out."""
        for same in (str.__eq__, lambda name, pattern: matches(name, [pattern])):
            for pattern, new in self.patterns:
                if same(category, pattern):
                    return category if new is None else new
        return None

    def names_of(self, categories: Sequence[str]) -> dict[str, str]:
        """Category -> new name, of those that are kept."""
        named = {str(c): self.name_of(str(c)) for c in dict.fromkeys(categories)}
        return {category: new for category, new in named.items() if new is not None}

    def numbers_of(self, names: Sequence[str]) -> tuple[dict[int, int], tuple[str, ...]]:
        """New numbers of the classes of a table, and the names of the new classes by their numbers.

        A new class has the number that its name has in the table, else the smallest of those that it stands for, else
        the first that is free.

        Args:
            names: of the classes, by their numbers; empty text where there is none.

        Returns:
            number in the table -> new number, of the classes that are named.
        """
        groups: dict[str, list[int]] = {}
        for number, name in enumerate(names):
            new = self.name_of(name) if name else None
            if new is not None:
                groups.setdefault(new, []).append(number)
        numbers = {new: names.index(new) for new in groups if new in names}
        for new in [n for n in groups if n not in numbers]:
            if groups[new][0] not in numbers.values():
                numbers[new] = groups[new][0]
        for new in [n for n in groups if n not in numbers]:
            numbers[new] = next(i for i in count() if i not in numbers.values())
        by_number = {i: new for new, i in numbers.items()}
        table = {old: numbers[new] for new, members in groups.items() for old in members}
        return table, tuple(by_number.get(i, "") for i in range(max(by_number, default=-1) + 1))

    def refuse_unknown(self, categories: Collection[str], where: str) -> None:
        """Refuse names and patterns that fit none of the categories of a log that lists all of them.

        Args:
            categories: of the log. where: they are listed, for messages.

        Raises:
            ConfigError: naming the first that fits none.
        """
        wrong = unmatched((p for p, _ in self.patterns if p not in categories), categories)
        if wrong:
            known = ", ".join(sorted(categories))
            raise ConfigError(f"log.classes: {wrong[0]!r} matches no category of {where}, which has {known}")

    def __call__(self, sample: Sample) -> Sample:
        """The sample with the boxes of these classes, in space and on pictures; the others are noted in its metadata.

        Classes of points, pixels and cells are renumbered where the stream knows their names (``label_names``).

        Raises:
            DataError: boxes have no category.
        """
        streams, left_out = dict(sample.streams), {n: dict(r) for n, r in sample.meta.left_out.items()}
        for name, stream in sample.streams.items():
            if isinstance(stream, Boxes3D | Boxes2D):
                streams[name] = self._named(stream, f"sample {sample.id!r}: stream {name!r}")
                if dropped := stream.rows - streams[name].rows:  # type: ignore[attr-defined]
                    left_out.setdefault(name, {})[REASON] = dropped
            elif isinstance(stream, Points) and stream.label_names:
                streams[name] = self._renumbered(stream)
            elif isinstance(stream, SegmentationMask) and stream.label_names and stream.has_classes:
                streams[name] = mask_with_new_classes(stream, *self.numbers_of(stream.label_names))
            elif isinstance(stream, Occupancy) and stream.label_names:
                streams[name] = grid_with_new_classes(stream, *self.numbers_of(stream.label_names))
        return sample.with_streams(streams).with_meta(0, left_out=left_out)

    def _renumbered(self, cloud: Points) -> Points:
        table, names = self.numbers_of(cloud.label_names)
        air_label = table.get(cloud.air_label, UNLABELLED)
        return replace(with_new_classes(cloud, table), label_names=names, air_label=air_label)

    def _named(self, boxes: Boxes3D | Boxes2D, where: str) -> Boxes3D | Boxes2D:
        if "category" not in boxes.values:
            raise DataError(f"{where} has no category, by which log.classes could choose; leave log.classes out")
        categories = [str(c) for c in boxes["category"]]
        names = self.names_of(categories)
        keep = torch.tensor([c in names for c in categories], dtype=torch.bool)
        boxes = boxes if bool(keep.all()) else boxes.select(keep)
        return boxes.with_values(category=strings(names[str(c)] for c in boxes["category"]))


def _patterns(asked: Any) -> list[tuple[str, str | None]]:
    """(pattern, new name or None for its own) of what a user asks for."""
    listed = asked.items() if isinstance(asked, Mapping) else [(None, asked)]
    entries = [(p, None if new is None else str(new)) for new, old in listed for p in _words(old)]
    if not entries or not all(isinstance(p, str) and p and new != "" for p, new in entries):
        raise ConfigError(
            f"log.classes: expected names to keep ([car, truck]) or new names with those that they stand for "
            f"({{car: [Car, Van], person: 'human.*'}}), got {asked!r}"
        )
    names = dict(entries)
    twice = next((f"{p!r} stands for {new!r} and {names[p]!r}" for p, new in entries if names[p] != new), None)
    if twice:
        raise ConfigError(f"log.classes: {twice}; give each name once")
    return entries


def _words(given: Any) -> list[Any]:
    return list(given) if isinstance(given, Sequence) and not isinstance(given, str) and given else [given]


__all__ = ["REASON", "Classes"]
