"""The vector map of a place of nuScenes, the map expansion: ``maps/expansion/LOCATION.json`` (before 1.3 ``maps/``).

Layers are tables of rows with tokens. A ``node`` has x and y in metres of the world that the ego poses are in; a
``line`` lists nodes; a ``polygon`` lists those of its outline and of its holes; layers of lines and areas name a line
or a polygon (``drivable_area`` several). ``arcline_path_3`` has the centre line of every lane and lane connector, as
arcs and straight pieces. The map is flat: heights are 0, where the ego poses put the vehicle. Categories are the names
of the layers, and ``centerline``. Traffic lights, which hang above the road, and the areas of lane connectors, which
lie across each other on crossroads and which the devkit does not draw either, are not read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fusion_aug.errors import DataError
from fusion_aug.logs.core.files import read_json
from fusion_aug.logs.core.vector_maps import VectorMap
from fusion_aug.streams import MapElement

LINES = ("road_divider", "lane_divider")
AREAS = (
    "drivable_area", "road_segment", "road_block", "lane", "ped_crossing", "walkway", "stop_line", "carpark_area",
)  # fmt: skip
PATHS = "arcline_path_3"
UNPAINTED = ("NIL", "")  # segment types of lane dividers that say nothing
BEND = {"L": 1.0, "S": 0.0, "R": -1.0}  # of the pieces of a path, by their letters; to the left is positive
FARTHEST = 1e9  # m from the origin of a place
STEP, LONGEST = 1.0, 10_000.0  # m between vertices of a centre line, and of a lane
MOST_VERTICES = 5_000_000  # of a map, whose rows may name a polygon again and again; a city has a million
Row = Mapping[str, Any]


def read_expansion(path: Path) -> VectorMap:
    """Read the map of a place.

    Raises:
        DataError: it is damaged; the message names file, layer, row and field.
    """
    layers = Layers(path)
    records = []
    for layer in (*LINES, *AREAS):
        for row in layers.rows(layer):
            where = f"{path}: {layer} {row['token']!r}"
            records += [[e] for e in (_line if layer in LINES else _areas)(layers, layer, row, where)]
    paths = layers.data.get(PATHS, {})
    if not isinstance(paths, dict):
        raise DataError(f"{path}: arcline_path_3: expected a mapping of lanes")
    for token, pieces in paths.items():
        vertices = centre_line(pieces, f"{path}: arcline_path_3 {token!r}")
        layers.count(len(vertices))
        records += [[MapElement("centerline", [vertices], record=str(token))]] if len(vertices) > 1 else []
    return VectorMap(records)


class Layers:
    """The layers of a map and their rows by token.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path):
        self.path, self.data, self.counted = path, read_json(path), 0
        if not isinstance(self.data, dict):
            raise DataError(f"{path}: expected a mapping of layers")
        if not {*LINES, *AREAS, PATHS} & set(self.data):  # another file is no map without lines
            raise DataError(f"{path}: holds none of the layers that are read ({', '.join((*LINES, *AREAS, PATHS))})")
        self.nodes = {}
        for row in self.rows("node"):
            x, y = row.get("x"), row.get("y")
            if not all(isinstance(v, int | float) and abs(v) < FARTHEST for v in (x, y)):  # a NaN is not below either
                raise DataError(f"{path}: node {row['token']!r}: x, y: expected metres, got {x!r}, {y!r}")
            self.nodes[row["token"]] = (float(x), float(y), 0.0)  # type: ignore[arg-type]
        self.geometry = {name: {row["token"]: row for row in self.rows(name)} for name in ("line", "polygon")}

    def rows(self, layer: str) -> list[Row]:
        """Rows of a layer, none where the file does not have it.

        Raises:
            DataError: it is no list of rows with tokens.
        """
        rows = self.data.get(layer, [])
        if not isinstance(rows, list) or not all(isinstance(r, dict) and isinstance(r.get("token"), str) for r in rows):
            raise DataError(f"{self.path}: {layer}: expected a list of rows, each with a token")
        return rows

    def named(self, layer: str, token: Any, where: str) -> Row:
        """The row of lines or polygons that another row names.

        Raises:
            DataError: there is none.
        """
        row = self.geometry[layer].get(token) if isinstance(token, str) else None
        if row is None:
            raise DataError(f"{where}: {layer}_token: there is no {layer} {token!r}")
        return row

    def count(self, vertices: int) -> None:
        """Note vertices that are made.

        Raises:
            DataError: with them there are more than any map has.
        """
        self.counted += vertices
        if self.counted > MOST_VERTICES:
            raise DataError(f"{self.path}: its lines and areas have more than {MOST_VERTICES:,} vertices")

    def vertices(self, tokens: Any, where: str) -> np.ndarray:
        """(n, 3) metres of nodes.

        Raises:
            DataError: it is no list of nodes that there are.
        """
        if not isinstance(tokens, list):
            raise DataError(f"{where}: expected a list of tokens of nodes")
        self.count(len(tokens))
        missing = next((t for t in tokens if not isinstance(t, str) or t not in self.nodes), None)
        if missing is not None:
            raise DataError(f"{where}: there is no node {missing!r}")
        return np.array([self.nodes[t] for t in tokens], dtype=np.float64).reshape(-1, 3)


def _line(layers: Layers, layer: str, row: Row, where: str) -> Iterator[MapElement]:
    """A line, if it has two nodes; what is painted on it is that of all its segments, where they agree."""
    line = layers.named("line", row.get("line_token"), where)
    vertices = layers.vertices(line.get("node_tokens"), f"{layers.path}: line {line['token']!r}: node_tokens")
    segments = row.get(f"{layer}_segments")
    kinds = {str(s.get("segment_type", "")) for s in segments or () if isinstance(s, dict)} - set(UNPAINTED)
    if len(vertices) > 1:
        yield MapElement(layer, [vertices], mark="/".join(sorted(kinds)), record=row["token"])


def _areas(layers: Layers, layer: str, row: Row, where: str) -> Iterator[MapElement]:
    """The polygons of an area, those that have an outline."""
    tokens = row.get("polygon_tokens") if layer == "drivable_area" else [row.get("polygon_token")]
    if not isinstance(tokens, list):
        raise DataError(f"{where}: polygon_tokens: expected a list of tokens")
    for token in tokens:
        polygon = layers.named("polygon", token, where)
        of = f"{layers.path}: polygon {token!r}"
        holes = polygon.get("holes", [])
        if not isinstance(holes, list) or not all(isinstance(h, dict) for h in holes):
            raise DataError(f"{of}: holes: expected a list of mappings of node_tokens")
        listed = [(polygon.get("exterior_node_tokens"), "exterior_node_tokens")]
        listed += [(h.get("node_tokens"), f"holes.{i}.node_tokens") for i, h in enumerate(holes)]
        outlines = [layers.vertices(nodes, f"{of}: {field}") for nodes, field in listed]
        outlines = [o for o in outlines if len(o) > 2]
        if outlines:
            yield MapElement(layer, outlines, closed=True, record=row["token"])


def centre_line(pieces: Any, where: str) -> np.ndarray:
    """Vertices (n, 3), 1 m apart or less, of a path: every piece is three arcs or straights, one after the other.

    Args:
        pieces: list of mappings: ``start_pose`` x, y, heading; ``shape``, three letters of L, S and R; ``radius`` of
            the arcs, metres; ``segment_length``, metres, of each of the three. where: for messages.

    Raises:
        DataError: they are none.
    """
    found: list[np.ndarray] = []
    left = LONGEST
    for i, piece in enumerate(pieces if isinstance(pieces, list) else [None]):
        try:
            start, lengths = (np.array(piece[k], dtype=np.float64).reshape(3) for k in ("start_pose", "segment_length"))
            radius, bends = float(piece["radius"]), [BEND[letter] for letter in piece["shape"]]
        except (TypeError, KeyError, ValueError, OverflowError):
            raise DataError(f"{where}.{i}: expected start_pose, shape, radius and segment_length") from None
        left -= float(lengths.sum())
        if len(bends) != 3 or not ((np.abs(start) < FARTHEST).all() and (lengths >= 0).all() and left > 0):
            raise DataError(f"{where}.{i}: expected a finite start_pose, three letters, and below {LONGEST:g} m in all")
        if not (np.isfinite(radius) and (radius > 0 or not any(bends))):
            raise DataError(f"{where}.{i}: radius: expected metres above 0, got {radius:g}")
        found.append(_along(start, lengths, [b / radius if b else 0.0 for b in bends]))
    joined = np.concatenate([np.zeros((0, 2)), *found])
    new = np.ones(len(joined), dtype=bool)
    new[1:] = np.linalg.norm(np.diff(joined, axis=0), axis=1) > 1e-6  # pieces begin where the one before ends
    return np.column_stack([joined[new], np.zeros(int(new.sum()))])


def _along(start: np.ndarray, lengths: np.ndarray, curvatures: list[float]) -> np.ndarray:
    """Places (n, 2) along arcs that follow one another from a pose x, y, heading."""
    x, y, heading = start.tolist()
    places = [np.array([[x, y]])]
    for length, curvature in zip(lengths.tolist(), curvatures, strict=True):
        s = np.linspace(0.0, length, 1 + int(np.ceil(length / STEP)))[1:]
        if len(s) == 0:
            continue
        # the chord of an arc leaves it at half its angle, and is shorter by the sinc of it
        half = curvature * s / 2
        chord = s * np.sinc(half / np.pi)
        places.append(np.stack([x + chord * np.cos(heading + half), y + chord * np.sin(heading + half)], axis=1))
        (x, y), heading = places[-1][-1].tolist(), heading + curvature * length
    return np.concatenate(places)
