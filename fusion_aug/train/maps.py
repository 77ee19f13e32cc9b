"""Vector maps as networks take them: vectors of a fixed number of points, and masks from above."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from fusion_aug.errors import ConfigError, DataError
from fusion_aug.logs.core.classes import Classes
from fusion_aug.ops.modes import standard_modes
from fusion_aug.ops.polylines import at_even_steps, pieces_within
from fusion_aug.ops.raster import even_odd_fill, near_lines
from fusion_aug.sample import REF, Sample
from fusion_aug.streams import MapElement, MapElements
from fusion_aug.train.predictions import class_names

ClassMap = Sequence[str] | Mapping[str, str | Sequence[str]]
VECTORS: Mapping[str, Sequence[str]] = {
    "divider": ("lane_divider", "road_divider"), "ped_crossing": ("ped_crossing",), "boundary": ("drivable_area",),
}  # fmt: skip
MASKS: Mapping[str, Sequence[str]] = {
    "drivable_area": ("drivable_area",), "ped_crossing": ("ped_crossing",), "walkway": ("walkway",),
    "stop_line": ("stop_line",), "carpark_area": ("carpark_area",), "divider": ("lane_divider", "road_divider"),
}  # fmt: skip
TWIN = 0.01  # m: lines that lie so close at all their points are one, listed by the lanes on both sides of it
SHORTEST = 1e-3  # m: what a range leaves of a line is at least so long
MOST_POINTS = 1000  # of a line
MAX_CELLS = 2**28


@standard_modes()
def map_vectors(
    sample: Sample | MapElements,
    *,
    points: int = 20,
    x: tuple[float, float] = (-30.0, 30.0),
    y: tuple[float, float] = (-15.0, 15.0),
    categories: ClassMap = VECTORS,
) -> dict[str, Tensor]:
    """The lines and areas of a map within a rectangle, each as a fixed number of points, as MapTR and its kin take it.

    A line that leaves the rectangle and comes back is several. An area that lies in it as a whole is a closed line,
    whose last point is its first one again; of any other the pieces of its outline within the rectangle are open lines,
    so that no edge is made where the rectangle ends. Holes are outlines of their own, and where areas meet both have an
    outline. A line that two lanes share is handed over once.

    Args:
        sample: one with a stream of map elements, or such a stream with one item.
        points: of every line, evenly spaced by its length in space, with both ends; 2 to 1000.
        x, y: the rectangle, metres, in the reference frame (of a stream, in its own).
        categories: classes by their number: categories of the map, or a mapping of names to those that each stands for;
            by default "divider" (lane_divider, road_divider), "ped_crossing" and "boundary" (of drivable_area).

    Returns:
        ``points`` (n, points, 3) float32 metres, ``labels`` (n,) int64 number of the class, ``closed`` (n,) bool,
        ``elements`` (n,) int64 number of the element in the stream; on the CPU.

    Raises:
        ConfigError: a setting is none. DataError: there is no map, it has several items, or a vertex is not finite.
    """
    if type(points) is not int or not 2 <= points <= MOST_POINTS:
        raise ConfigError(f"map_vectors: points: expected a whole number from 2 to {MOST_POINTS}, got {points!r}")
    low, high = (np.array(corner) for corner in zip(checked_span("x", x), checked_span("y", y), strict=True))
    lines, labels, closed, numbers = [], [], [], []
    for number, label, element in _of_classes(sample, categories):
        for part in element.parts:
            whole = np.concatenate([part, part[:1]]) if element.closed else part
            for piece in pieces_within(whole, low, high):
                if np.linalg.norm(np.diff(piece, axis=0), axis=1).sum() < SHORTEST:
                    continue
                lines.append(at_even_steps(piece, points))
                labels.append(label)
                closed.append(element.closed and len(piece) > 3 and np.array_equal(piece[0], piece[-1]))
                numbers.append(number)
    stacked = np.array(lines).reshape(-1, points, 3)
    keep = np.flatnonzero(~_repeated(stacked, np.array(labels)))
    return {
        "points": torch.from_numpy(stacked[keep].astype(np.float32)),
        "labels": torch.tensor(labels, dtype=torch.int64)[keep],
        "closed": torch.tensor(closed, dtype=torch.bool)[keep],
        "elements": torch.tensor(numbers, dtype=torch.int64)[keep],
    }


@standard_modes()
def rasterize_map(
    sample: Sample | MapElements,
    *,
    x: tuple[float, float] = (-50.0, 50.0),
    y: tuple[float, float] = (-25.0, 25.0),
    cell: float = 0.5,
    width: float = 0.5,
    categories: ClassMap = MASKS,
) -> Tensor:
    """A map from above as one mask for every class.

    Cell (i, j) has its centre at x[0] + (i + 1/2) cell, y[0] + (j + 1/2) cell. It is set where the centre lies in an
    area (an odd number of the area's outlines goes round it) or at most ``width / 2`` from a line. So a cell is what
    its centre is, to a millionth of a cell.

    Args:
        sample: one with a stream of map elements, or such a stream with one item.
        x, y: the rectangle, metres, in the reference frame (of a stream, in its own).
        cell: side of a cell, metres, of which x and y hold a whole number.
        width: of lines, metres.
        categories: classes by their number: categories of the map, or a mapping of names to those that each stands for;
            by default drivable_area, ped_crossing, walkway, stop_line, carpark_area and divider (lane_divider,
            road_divider).

    Returns:
        (classes, cells along x, cells along y) uint8 of 0 and 1, on the CPU.

    Raises:
        ConfigError: a setting is none. DataError: there is no map, it has several items, or a vertex is not finite.
    """
    (x0, x1), (y0, y1) = checked_span("x", x), checked_span("y", y)
    for name, value in (("cell", cell), ("width", width)):
        if isinstance(value, bool) or not isinstance(value, int | float) or not (np.isfinite(value) and value > 0):
            raise ConfigError(f"rasterize_map: {name}: expected metres above 0, got {value!r}")
    classes = len(class_names(categories))
    height, length = (_cells(name, a, b, cell) for name, a, b in (("x", x0, x1), ("y", y0, y1)))
    if classes * height * length > MAX_CELLS:
        raise ConfigError(f"rasterize_map: cell: {classes} masks of {height} x {length} cells are too many")
    masks = np.zeros((classes, height, length), dtype=bool)
    for _, label, element in _of_classes(sample, categories):
        # in cells, so that the centre of cell (i, j) is at (i, j)
        parts = [(p[:, :2] - [x0, y0]) / cell - 0.5 for p in element.parts]
        if element.closed:
            even_odd_fill(parts, masks[label])
        else:
            near_lines(parts, width / 2 / cell, masks[label])
    return torch.from_numpy(masks.astype(np.uint8))


def _of_classes(sample: Sample | MapElements, categories: ClassMap) -> Iterator[tuple[int, int, MapElement]]:
    """Number, class and element of all elements of the classes."""
    names = class_names(categories)
    if not names:
        raise ConfigError("categories: expected at least one class of map elements")
    # of a list every name stands for itself; numbers of names that stand for several
    number, asked = {name: i for i, name in enumerate(names)}, Classes(categories)
    for i, element in enumerate(_elements(sample)):
        name = asked.name_of(element.category)
        if name is not None:
            yield i, number[name], element


def _elements(sample: Sample | MapElements) -> list[MapElement]:
    if isinstance(sample, Sample):
        found = list(sample.of_type(MapElements))
        if len(found) != 1 or len(sample.metas) != 1:
            raise DataError(
                f"expected one sample with one stream of map elements, got {len(sample.metas)} with {len(found)} "
                f"({', '.join(found) or 'log.map_range=60 reads the map of a log'})"
            )
        stream = sample[found[0]]
        assert isinstance(stream, MapElements)
        if stream.frame != REF and len(stream) == 1:
            T = sample.T_ref(found[0]).to(stream["xyz"])
            stream = stream.with_values(xyz=stream["xyz"] @ T[:3, :3].T + T[:3, 3])
    else:
        stream = sample
    if len(stream) != 1:
        raise DataError(f"expected a stream of map elements with one item, got {len(stream)}")
    if not bool(torch.isfinite(stream["xyz"]).all()):  # a loss over NaN is NaN, and no cell is near one
        row = int((~torch.isfinite(stream["xyz"]).all(dim=1)).nonzero()[0])
        raise DataError(f"map elements: vertex {row} (of element {int(stream['element'][row])}) is not finite")
    return [replace(e, parts=[p for p in e.parts if len(p)]) for e in stream.elements()]


def checked_span(name: str, given: tuple[float, float]) -> tuple[float, float]:
    """A range of metres.

    Raises:
        ConfigError: it is none.
    """
    try:
        low, high = (float(v) for v in given)
    except (TypeError, ValueError):
        low, high = 0.0, 0.0
    if not (np.isfinite([low, high]).all() and low < high):
        raise ConfigError(f"{name}: expected metres (from, to), the first below the second, got {given!r}")
    return low, high


def _cells(name: str, low: float, high: float, cell: float) -> int:
    count = round((high - low) / cell)
    if count < 1 or abs(count * cell - (high - low)) > 1e-6 * cell:
        raise ConfigError(f"rasterize_map: cell: {name} from {low:g} to {high:g} m is no whole number of {cell:g} m")
    return count


def _repeated(lines: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(n,) which lines lie where an earlier one of the same class lies, in either direction."""
    repeated = np.zeros(len(lines), dtype=bool)
    middles = lines.mean(axis=1)
    order = np.argsort(middles[:, 0], kind="stable")  # so that only neighbours along x need be compared
    sorted_x = middles[order, 0]
    starts = np.searchsorted(sorted_x, middles[:, 0] - TWIN, "left")
    stops = np.searchsorted(sorted_x, middles[:, 0] + TWIN, "right")
    for i, (start, stop) in enumerate(zip(starts.tolist(), stops.tolist(), strict=True)):
        near = order[start:stop]
        near = near[(near < i) & (labels[near] == labels[i])]
        near = near[np.abs(middles[near] - middles[i]).max(axis=1) < TWIN]
        for other in lines[near]:
            if any(np.abs(way - lines[i]).max() < TWIN for way in (other, other[::-1])):
                repeated[i] = True
    return repeated
