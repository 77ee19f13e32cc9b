"""Vector maps: vertices of the lines and areas that come within ``log.map_range`` of the vehicle, from the raw files.

Places are complex numbers, metres: x + i y. A shape is a list of them, and whether it is closed; a record is what a
lane, a line or an area of a map consists of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from calib.regular_files import read_regular
from fusion_aug.check.counts.core import Counted, Counts
from fusion_aug.check.counts.files import MAX_BYTES, LogFiles, once_per_file, parsed
from fusion_aug.errors import DataError

Shape = tuple[np.ndarray, bool]
EDGE = 1e-6  # m: what lies so little further than the range is within it
LANE_POINTS = 10  # of a centre line that a file does not have
MOST = 10_000_000  # vertices of a map, whose rows may name a polygon again and again
SIGNS = {"L": 1.0, "S": 0.0, "R": -1.0}


def with_roads(
    counted: Counted, options: Mapping[str, Any], place: Callable[[str], complex], file: Callable[[str], Path | None]
) -> Counted:
    """Counters that also count the stream ``map``, where ``log.map_range`` asks for it and the log has one.

    Args:
        counted: by sample. options: with which the log is read. place: of the vehicle in the map, by sample.
        file: of the map, by sample; None where there is none.
    """
    metres = options.get("map_range")
    if not isinstance(metres, int | float):
        return counted

    def count(sample: str) -> Counts:
        path = file(sample)
        own = counted[sample]()
        if path is None:
            return own
        records = lanes_and_areas(path) if path.name.startswith("log_map_archive_") else layers(path)
        at = place(sample)
        rows = sum(sum(len(s) for s, _ in r) for r in records if is_near(r, at, metres + EDGE))
        return {**own, "map": {"items": 1, "rows": rows}}

    return {sample: partial(count, sample) for sample in counted}


def is_near(record: list[Shape], at: complex, metres: float) -> bool:
    """Whether a record comes within a distance of a place, or has it in an area."""
    turns = 0
    for shape, closed in record:
        a = shape - at
        if np.abs(a).min() <= metres:
            return True
        b = np.append(a[1:], a[0]) if closed else a[1:]
        a = a[: len(b)]
        # the angle between both ends, as seen from the place; of an outline they add up to its turns round the place
        turns += round(float(np.angle(b / a).sum()) / (2 * np.pi)) if closed else 0
        along = b - a
        length = np.maximum(np.abs(along), 1e-300)
        foot = -(a * along.conj()).real / length  # of the perpendicular, metres from the first end
        height = np.abs((a * along.conj()).imag) / length
        if bool(((foot > 0) & (foot < length) & (height <= metres)).any()):
            return True
    return turns % 2 == 1


@once_per_file
def lanes_and_areas(path: Path) -> list[list[Shape]]:
    """Records of an Argoverse 2 map.

    Raises:
        DataError: it is damaged.
    """
    try:
        data = parsed(read_regular(path, MAX_BYTES), path)
        out = []
        for lane in data.get("lane_segments", {}).values():
            lines = [lane[f"{side}_lane_boundary"] for side in ("left", "right") if f"{side}_lane_boundary" in lane]
            shapes = [(xy(line), False) for line in lines]
            if lane.get("centerline"):
                shapes.append((xy(lane["centerline"]), False))
            elif len(shapes) == 2:
                shapes.append((np.mean([evenly(line) for line in lines], axis=0), False))
            out.append(shapes)
        for area in data.get("drivable_areas", {}).values():
            out.append([(ring(xy(area["area_boundary"])), True)])
        for crossing in data.get("pedestrian_crossings", {}).values():
            out.append([(ring(np.concatenate([xy(crossing["edge1"]), xy(crossing["edge2"])[::-1]])), True)])
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise DataError(f"{path}: is no vector map ({error})") from None
    return [shapes for shapes in out if shapes]


def xy(points: list[dict[str, float]]) -> np.ndarray:
    """Places of a list of points."""
    return np.array([complex(p["x"], p["y"]) for p in points])


def ring(shape: np.ndarray) -> np.ndarray:
    """An outline without its first place at the end."""
    return shape[:-1] if len(shape) > 1 and shape[0] == shape[-1] else shape


def evenly(points: list[dict[str, float]]) -> np.ndarray:
    """Ten places along a line, evenly spaced by its length in space."""
    line = np.array([[p["x"], p["y"], p.get("z", 0.0)] for p in points])
    steps = np.sqrt((np.diff(line, axis=0) ** 2).sum(axis=1))
    gone = np.append(0.0, steps.cumsum())
    wanted = gone[-1] * np.arange(LANE_POINTS) / (LANE_POINTS - 1)
    return np.interp(wanted, gone, line[:, 0]) + 1j * np.interp(wanted, gone, line[:, 1])


@once_per_file
def layers(path: Path) -> list[list[Shape]]:
    """Records of a nuScenes map expansion.

    Raises:
        DataError: it is damaged.
    """
    try:
        data = parsed(read_regular(path, MAX_BYTES), path)
        nodes = {n["token"]: complex(n["x"], n["y"]) for n in data.get("node", [])}
        lines = {row["token"]: row["node_tokens"] for row in data.get("line", [])}
        outlines = {
            p["token"]: [p["exterior_node_tokens"], *(h["node_tokens"] for h in p.get("holes", []))]
            for p in data.get("polygon", [])
        }
        vertices = sum(len(outline) for token in polygons(data) for outline in outlines[token])
        metres = sum(sum(p["segment_length"]) for pieces in data.get("arcline_path_3", {}).values() for p in pieces)
        if not vertices + metres < MOST:
            raise ValueError(f"more than {MOST:,} vertices")
        out: list[list[Shape]] = []
        for layer in ("road_divider", "lane_divider"):
            found = [lines[row["line_token"]] for row in data.get(layer, [])]
            out += [[(np.array([nodes[t] for t in tokens]), False)] for tokens in found if len(tokens) > 1]
        for tokens in polygons(data):
            shapes = [(np.array([nodes[t] for t in outline]), True) for outline in outlines[tokens] if len(outline) > 2]
            out += [shapes] if shapes else []
        for pieces in data.get("arcline_path_3", {}).values():
            path_of_lane = np.array(list(along(pieces)))
            out += [[(path_of_lane, False)]] if len(path_of_lane) > 1 else []
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise DataError(f"{path}: is no vector map ({error})") from None
    return out


def polygons(data: Mapping[str, Any]) -> Iterator[str]:
    """Tokens of the polygons of all areas."""
    for row in data.get("drivable_area", []):
        yield from row["polygon_tokens"]
    for layer in ("road_segment", "road_block", "lane", "ped_crossing", "walkway", "stop_line", "carpark_area"):
        for row in data.get(layer, []):
            yield row["polygon_token"]


def along(pieces: list[dict[str, Any]]) -> Iterator[complex]:
    """Places along a centre line, a metre apart or less; each piece is three arcs or straights."""
    last = complex("nan")
    for piece in pieces:
        x, y, heading = piece["start_pose"]
        at = complex(x, y)
        if not abs(at - last) <= EDGE:
            yield at
        for letter, length in zip(piece["shape"], piece["segment_length"], strict=True):
            bend, steps = SIGNS[letter] / piece["radius"] if letter != "S" else 0.0, int(np.ceil(length))
            for k in range(1, steps + 1):
                s = length * k / steps
                turned = (np.exp(1j * bend * s) - 1) / (1j * bend) if bend else s
                yield at + np.exp(1j * heading) * turned
            at = at + np.exp(1j * heading) * ((np.exp(1j * bend * length) - 1) / (1j * bend) if bend else length)
            heading += bend * length
        last = at


def map_of_place(files: LogFiles, location: str) -> Path | None:
    """File of the map of a place of nuScenes."""
    names = [f"maps/expansion/{location}.json", f"maps/{location}.json"] if location else []
    found = [files.named(name, f"{files.root}: log: location") for name in names]
    return next((files.checked(path) for path in found if files.is_file(path)), None)
