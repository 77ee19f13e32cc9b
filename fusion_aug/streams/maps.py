"""Vector maps: lines and areas of the road, as packed vertices."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch

from fusion_aug.streams.columns import Column, categorical, label, position
from fusion_aug.streams.families import ImagePlane, Mount, Weather
from fusion_aug.streams.loose import strings
from fusion_aug.streams.ragged import Ragged


@dataclass(frozen=True)
class MapElement:
    """One line or area of a map.

    Attributes:
        category: what it is: ``lane_divider``, ``ped_crossing``, ``drivable_area``, ...
        parts: (k, 3) float64 metres each, the vertices in order. A line has one part. An area has one for each of its
            outlines, those of holes too, without the first vertex again at the end; a place is in the area where an odd
            number of them goes round it.
        closed: whether it is an area.
        mark: what is painted on a line, in the words of the format; "" where nothing is known.
        side: "left" or "right" of the lane that a boundary belongs to, in its direction of travel; "" of all else.
        record: id of the format's record that it is from; several elements may be of one, such as a lane.
    """

    category: str
    parts: Sequence[np.ndarray] = field(repr=False)
    closed: bool = False
    mark: str = ""
    side: str = ""
    record: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class MapElements(Ragged):
    """Lines and areas of a map around the vehicle; a row is a vertex.

    The vertices of an element follow one another in its direction: of travel for what has one (centre lines, boundaries
    of lanes). A mirror keeps that order, so lanes lead where they led, an area that was listed counter-clockwise is
    listed clockwise, and ``side`` changes: what was left of a lane is right of it. Marks stay as they are.

    Columns: xyz (rows, 3) metres, element (its number within the item), part (number of the outline within the
    element), and category, closed (bool), mark, side and record, which are those of ``MapElement`` and the same for all
    rows of an element. All but xyz, element and category may be missing.
    """

    columns: ClassVar[tuple[Column, ...]] = (
        position("xyz"),
        categorical("element", of_target=False),
        categorical("part", of_target=False),
        label("category"),
        categorical("closed", of_target=False),
        label("mark"),
        label("side"),
        label("record"),
    )
    invariant_to: ClassVar[tuple[type, ...]] = (ImagePlane, Mount, Weather)

    @classmethod
    def of(cls, elements: Iterable[MapElement], *, frame: str, time: int) -> MapElements:
        """A stream of one item.

        Args:
            elements: in the order of their numbers. frame: of their vertices. time: ns, of the item.
        """
        listed = list(elements)
        counts = [[len(p) for p in e.parts] for e in listed]
        rows = np.array([sum(c) for c in counts], dtype=np.int64)
        parts = [np.repeat(np.arange(len(c)), c) for c in counts]
        texts = {
            name: np.repeat(strings(getattr(e, name) for e in listed), rows)
            for name in ("category", "mark", "side", "record")
        }
        vertices = [np.asarray(p, dtype=np.float64).reshape(-1, 3) for e in listed for p in e.parts]
        numbers = torch.from_numpy(np.repeat(np.arange(len(listed)), rows))
        closed = torch.from_numpy(np.repeat(np.array([e.closed for e in listed], dtype=bool), rows))
        values: dict[str, Any] = {
            "xyz": torch.from_numpy(np.concatenate([np.zeros((0, 3)), *vertices])),
            "element": numbers.to(torch.int64),
            "part": torch.from_numpy(np.concatenate([np.zeros(0, np.int64), *parts]).astype(np.int64)),
            "category": texts["category"], "closed": closed, "mark": texts["mark"],
            "side": texts["side"], "record": texts["record"],
        }  # fmt: skip
        return cls(frame=frame, capture_times=torch.tensor([time]), values=values)

    def elements(self, item: int = 0) -> list[MapElement]:
        """The elements of an item, in order."""
        rows = self.item_slice(item)
        n = rows.stop - rows.start
        if n == 0:
            return []
        number, part = (self._numbers(name, rows) for name in ("element", "part"))
        new_element = np.concatenate([[True], number[1:] != number[:-1]])
        new_part = new_element | np.concatenate([[True], part[1:] != part[:-1]])
        starts = np.flatnonzero(new_element)
        pieces = np.split(
            self.values["xyz"][rows].detach().cpu().numpy().astype(np.float64), np.flatnonzero(new_part)[1:]
        )
        of_element = np.cumsum(new_element)[new_part] - 1  # of each piece
        texts = {c: self._texts(c, rows)[starts] for c in ("category", "mark", "side", "record")}
        closed = self._numbers("closed", rows)[starts].astype(bool)
        parts: list[list[np.ndarray]] = [[] for _ in starts]
        for owner, piece in zip(of_element.tolist(), pieces, strict=True):
            parts[owner].append(piece)
        return [
            MapElement(closed=bool(closed[i]), parts=parts[i], **{c: str(t[i]) for c, t in texts.items()})
            for i in range(len(starts))
        ]

    def _numbers(self, name: str, rows: slice) -> np.ndarray:
        """A column of numbers of some rows, 0 where there is none."""
        if name not in self.values:
            return np.zeros(rows.stop - rows.start, dtype=np.int64)
        numbers: np.ndarray = self.values[name][rows].cpu().numpy()
        return numbers

    def _texts(self, name: str, rows: slice) -> np.ndarray:
        return np.asarray(self.values.get(name, np.full(int(self.bounds[-1]), "")))[rows]
