"""Which boxes of a log are read, and what they are called: ``log.classes``."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch

from fusion_aug.errors import ConfigError, DataError
from fusion_aug.sample import Sample
from fusion_aug.sample.sensors import matches, unmatched
from fusion_aug.streams import Boxes2D, Boxes3D, strings

REASON = "not one of log.classes"


class Classes:
    """The classes that a user asks for.

    A category that is named keeps its boxes, under its new name where the classes are a mapping. An exact name counts
    before a pattern, an earlier pattern before a later one.

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

        Raises:
            DataError: boxes have no category.
        """
        streams, left_out = dict(sample.streams), {n: dict(r) for n, r in sample.meta.left_out.items()}
        for name, stream in sample.streams.items():
            if isinstance(stream, Boxes3D | Boxes2D):
                streams[name] = self._named(stream, f"sample {sample.id!r}: stream {name!r}")
                if dropped := stream.rows - streams[name].rows:  # type: ignore[attr-defined]
                    left_out.setdefault(name, {})[REASON] = dropped
        return sample.with_streams(streams).with_meta(0, left_out=left_out)

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
