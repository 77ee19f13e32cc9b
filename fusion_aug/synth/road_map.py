"""The vector map of the made street in the layout of nuScenes' map expansion: what ``paint.ground`` paints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fusion_aug.synth.mesh import Array
from fusion_aug.synth.paint import HALF_ROAD, KERB, LANE, PAVEMENT, ZEBRA
from fusion_aug.synth.road import Road

ENDS = (-60.0, 140.0)  # metres along the road
STEP = 1.0  # metres between vertices of a bend, which are 4 mm off its arc at most
LINES = (ENDS[0], ZEBRA[0] - 1.6), (ZEBRA[1] + 1.0, ENDS[1])  # where lines are painted, metres along the road
STOP = (ZEBRA[0] - 1.6, ZEBRA[0] - 1.2)
DASHED = "DOUBLE_DASHED_WHITE"  # the expansion's word for lines that may be crossed
Layer = list[dict[str, Any]]


class Expansion:
    """Layers of a map that grow, and the tokens of their rows.

    Args:
        road: the road. token: of a row, from its words.
    """

    def __init__(self, road: Road, token: Callable[..., str]):
        self.road, self.token = road, token
        layers = ("node", "line", "polygon", "drivable_area", "road_segment", "road_block", "lane", "ped_crossing",
                  "walkway", "stop_line", "carpark_area", "road_divider", "lane_divider", "traffic_light",
                  "lane_connector")  # fmt: skip
        self.layers: dict[str, Layer] = {name: [] for name in layers}

    def add(self, layer: str, **fields: Any) -> str:
        """A row, and its token."""
        token = self.token("map", layer, len(self.layers[layer]))
        self.layers[layer].append({"token": token, **fields})
        return token

    def nodes(self, xy: Array) -> list[str]:
        """Nodes of places (n, 2) of the world, and their tokens."""
        return [self.add("node", x=round(x, 6), y=round(y, 6)) for x, y in xy.tolist()]

    def along(self, span: tuple[float, float], d: float) -> Array:
        """Places (n, 2) along the road at a distance from its middle; straights have their ends alone."""
        begin, end = np.clip([self.road.straight, self.road.bend_end], *span)
        bend = np.linspace(begin, end, 1 + int(np.ceil((end - begin) / STEP)))
        xy, _ = self.road.at(np.unique([span[0], *bend, span[1]]), d)
        return xy

    def line(self, span: tuple[float, float], d: float) -> str:
        """A line along the road."""
        return self.add("line", node_tokens=self.nodes(self.along(span, d)))

    def polygon(self, span: tuple[float, float], sides: tuple[float, float]) -> str:
        """An area between two distances from the middle of the road."""
        right, left = (self.along(span, d) for d in sorted(sides))
        outline = np.concatenate([right, left[::-1]])
        return self.add("polygon", exterior_node_tokens=self.nodes(outline), holes=[])


def expansion(road: Road, token: Callable[..., str]) -> dict[str, Any]:
    """The map of a road.

    Args:
        road: the road. token: of a row, from its words.

    Returns:
        layers by name, as the files of the map expansion (1.3) hold them.
    """
    made = Expansion(road, token)
    for span in LINES:
        made.add("road_divider", line_token=made.line(span, 0.0), road_segment_token=None)
        for d in (LANE, -LANE):
            line = made.line(span, d)
            nodes = next(row["node_tokens"] for row in made.layers["line"] if row["token"] == line)
            segments = [{"node_token": n, "segment_type": DASHED} for n in nodes]
            made.add("lane_divider", line_token=line, lane_divider_segments=segments)
    area = made.add("drivable_area", polygon_tokens=[made.polygon(ENDS, (-HALF_ROAD, HALF_ROAD))])
    segment = made.polygon(ENDS, (-HALF_ROAD, HALF_ROAD))
    segment = made.add("road_segment", polygon_token=segment, is_intersection=False, drivable_area_token=area)
    crossing = made.polygon(ZEBRA, (0.2 - HALF_ROAD, HALF_ROAD - 0.2))
    crossing = made.add("ped_crossing", polygon_token=crossing, road_segment_token=segment)
    made.add("stop_line", polygon_token=made.polygon(STOP, (-LANE, -0.1)), stop_line_type="PED_CROSSING",
             ped_crossing_tokens=[crossing], traffic_light_tokens=[], road_block_token="")  # fmt: skip
    for side in (1.0, -1.0):
        made.add("walkway", polygon_token=made.polygon(ENDS, (side * (HALF_ROAD + KERB), side * PAVEMENT)))
    paths = {}
    for d, forward in ((-LANE / 2, True), (LANE / 2, False)):
        lane = made.add(
            "lane", polygon_token=made.polygon(ENDS, (0.0, 2 * d)), lane_type="CAR", from_edge_line_token="",
            to_edge_line_token="", left_lane_divider_segments=[], right_lane_divider_segments=[],
        )  # fmt: skip
        paths[lane] = [centre_line(road, d, forward)]
    return {
        "version": "1.3", **made.layers, "arcline_path_3": paths, "canvas_edge": [160.0, 200.0],
        "connectivity": {lane: {"incoming": [], "outgoing": []} for lane in paths},
    }  # fmt: skip


def centre_line(road: Road, d: float, forward: bool) -> dict[str, Any]:
    """The centre line of a lane: a straight, an arc and a straight.

    Args:
        road: the road. d: metres to the left of its middle. forward: whether traffic follows the road's direction.
    """
    radius = road.radius - d
    lengths = [road.straight - ENDS[0], radius * road.angle, ENDS[1] - road.bend_end]
    start, stop = (_pose(road, s, d, forward) for s in (ENDS if forward else ENDS[::-1]))
    return {
        "start_pose": start, "end_pose": stop, "shape": "SLS" if forward else "SRS", "radius": radius,
        "segment_length": lengths if forward else lengths[::-1],
    }  # fmt: skip


def _pose(road: Road, s: float, d: float, forward: bool) -> Sequence[float]:
    xy, heading = road.at(s, d)
    return [*xy.tolist(), float(heading) + (0.0 if forward else np.pi)]
