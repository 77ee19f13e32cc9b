"""The vector map around the vehicle in samples of nuScenes, where ``log.map_range`` asks for it."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from torch import Tensor

from fusion_aug.logs.core.log import Format, Log, LogOptions
from fusion_aug.logs.core.vector_maps import MAP, VectorMap, holds, map_range_of, needs_map
from fusion_aug.logs.nuscenes.maps import location_change
from fusion_aug.logs.nuscenes.tables import Tables
from fusion_aug.logs.nuscenes.vector_map import read_expansion
from fusion_aug.sample import Sample
from fusion_aug.streams import MapElements

PLACES = ("maps/expansion/{}.json", "maps/{}.json")


class LogWithRoads(Log):
    """A log with tables, whose scenes lie in places that may have a map."""

    tables: Tables

    def __init__(self, root: str | Path, options: LogOptions, format: Format):
        super().__init__(root, options, format)
        self.map_range = map_range_of(options)

    def finished(self, sample: Sample) -> Sample:
        """The sample with its map, that of a sidecar before that of the place."""
        sample = super().finished(sample)
        if self.map_range is None or MAP in sample.streams:
            return sample
        scene, meta = self.scene_of(sample.id), sample.meta
        found = self.map_stream(scene, meta.rig.T("world", "ego", meta.ref.time), meta.ref.time)
        sample = sample if found is None else sample.with_streams({**sample.streams, MAP: found})
        expected = self.tree.root / PLACES[0].format(self.location(scene) or "LOCATION")
        return needs_map(sample, self.map_range, str(expected))

    def map_stream(self, scene: str, T_world_ref: Tensor, time: int) -> MapElements | None:
        """The map within ``log.map_range`` of the vehicle; None where there is no map, or none is asked for.

        Args:
            scene: its token. T_world_ref: (4, 4) pose of the reference frame. time: ns, of the sample.
        """
        found = None if self.map_range is None else self.vector_map(self.location(scene))
        return None if found is None or self.map_range is None else found.stream(T_world_ref, time, self.map_range)

    def location(self, scene: str) -> str:
        """Place of a scene, by the recording that it is from; "" where the tables name none."""
        token = self.tables.get("scene", scene).get("log_token")
        return str(self.tables.get("log", token).get("location", "")) if isinstance(token, str) and token else ""

    @lru_cache(maxsize=4)  # noqa: B019
    def vector_map(self, location: str) -> VectorMap | None:
        """The vector map of a place; None where the log has none.

        Raises:
            DataError: it is damaged.
        """
        where = self.tables.where("log")
        found = (self.tree.path(place.format(location), where) for place in PLACES if location)
        return next((read_expansion(path) for path in found if path.is_file()), None)


def map_in_place(log: LogWithRoads, sample: Sample, scene: str) -> dict[str, None]:
    """``{"map": None}`` where the map of a sample is what the output's place gives, for the sidecar; else nothing.

    A mirrored or scaled scene lies in a place that no map covers; where the vehicle was moved against the world the
    range cuts the map otherwise. Then the sidecar holds what the sample has.

    Args:
        log: the source, whose maps the output keeps. sample: what is written. scene: of the source.
    """
    if MAP not in sample.streams or location_change(sample.history):
        return {}
    time = sample.ref.time
    return {MAP: None} if holds(log.map_stream(scene, sample.rig.T("world", "ego", time), time), sample[MAP]) else {}
