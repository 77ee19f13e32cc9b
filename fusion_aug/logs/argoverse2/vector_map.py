"""The vector map of an Argoverse 2 log, ``log_map_archive_*.json``, in the city's coordinates.

Of every lane segment come its boundaries and its centre line, of every crossing and drivable area its outline. The two
edges of a crossing run side by side, so its outline is the first one and the second one backwards. Where a segment has
no centre line, it is the middle of both boundaries at 10 places that are evenly spaced along each, which is the rule of
the format's own API. A line that two lanes share is listed by both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fusion_aug.errors import DataError
from fusion_aug.logs.core.files import read_json
from fusion_aug.logs.core.vector_maps import VectorMap
from fusion_aug.ops.polylines import at_even_steps
from fusion_aug.streams import MapElement

CENTRE_POINTS = 10
UNPAINTED = ("NONE", "UNKNOWN", "")
SIDES = {"left_lane_boundary": "left", "right_lane_boundary": "right"}
SECTIONS = ("lane_segments", "drivable_areas", "pedestrian_crossings")


def read_vector_map(path: Path) -> VectorMap:
    """Read the vector map of a log.

    Raises:
        DataError: it is damaged; the message names file and field.
    """
    data = read_json(path)
    if not isinstance(data, dict) or not set(SECTIONS) & set(data):  # another file is no map without lines
        raise DataError(f"{path}: expected a mapping of {', '.join(SECTIONS)}")
    makers = dict(zip(SECTIONS, (lane, area, crossing), strict=True))
    records = []
    for section, make in makers.items():
        members = data.get(section, {})
        if not isinstance(members, dict):
            raise DataError(f"{path}: {section}: expected a mapping of ids")
        for name, row in members.items():
            where = f"{path}: {section}.{name}"
            if not isinstance(row, dict):
                raise DataError(f"{where}: expected a mapping of fields")
            records.append(list(make(row, str(name), where)))
    return VectorMap(records)


def lane(row: Mapping[str, Any], name: str, where: str) -> Iterator[MapElement]:
    """Boundaries and centre line of a lane segment; boundaries in the order of the file.

    So the elements of a mirrored sample are in the order of its file, where left and right were exchanged in place.
    """
    edges = {}
    for field in (f for f in row if f in SIDES):
        side = SIDES[field]
        edges[side] = polyline(row[field], f"{where}.{field}", 2)
        mark = row.get(f"{side}_lane_mark_type", "")
        mark = mark if isinstance(mark, str) else ""
        category = "lane_boundary" if mark in UNPAINTED else "lane_divider"
        yield MapElement(category, [edges[side]], mark=mark, side=side, record=name)
    if row.get("centerline"):
        yield MapElement("centerline", [polyline(row["centerline"], f"{where}.centerline", 2)], record=name)
    elif len(edges) == 2:
        left, right = (at_even_steps(edges[side], CENTRE_POINTS) for side in ("left", "right"))
        yield MapElement("centerline", [(left + right) / 2], record=name)


def area(row: Mapping[str, Any], name: str, where: str) -> Iterator[MapElement]:
    """A drivable area."""
    outline = opened(polyline(row.get("area_boundary"), f"{where}.area_boundary", 3))
    yield MapElement("drivable_area", [outline], closed=True, record=name)


def crossing(row: Mapping[str, Any], name: str, where: str) -> Iterator[MapElement]:
    """A pedestrian crossing."""
    first, second = (polyline(row.get(field), f"{where}.{field}", 2) for field in ("edge1", "edge2"))
    yield MapElement("ped_crossing", [opened(np.concatenate([first, second[::-1]]))], closed=True, record=name)


def polyline(points: Any, where: str, least: int) -> np.ndarray:
    """Vertices (n, 3) float64 of a list of mappings x, y and perhaps z.

    Raises:
        DataError: it is none, or has fewer than ``least`` vertices.
    """
    try:
        listed = [(p["x"], p["y"], p.get("z", 0.0)) for p in points]
        if not all(isinstance(v, int | float) for p in listed for v in p):
            raise TypeError
        found = np.array(listed, dtype=np.float64).reshape(-1, 3)
    except (TypeError, KeyError, AttributeError, ValueError, OverflowError):
        raise DataError(f"{where}: expected a list of points with numbers x, y and z") from None
    if len(found) < least or not np.isfinite(found).all():
        raise DataError(f"{where}: expected {least} points or more, with finite x, y and z")
    return found


def opened(outline: np.ndarray) -> np.ndarray:
    """An outline (n, 3) without its first vertex again at the end."""
    return outline[:-1] if len(outline) > 1 and np.array_equal(outline[0], outline[-1]) else outline
