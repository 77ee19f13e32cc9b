"""Vector maps of logs: parsed once, cut to a range around the vehicle, and compared with what a sample holds.

A map is a list of records of its format (a lane, an area), each with the lines and areas that come from it. What comes
within the range is read whole, so no vertex is one that the format does not have.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from calib.ties import TIE
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.logs.core.options import LogOptions, Option
from fusion_aug.sample import REF, Sample
from fusion_aug.streams import MapElement, MapElements

MAP = "map"  # name of the stream
MAP_OPTIONS = {
    "map_range": Option(
        "metres around the vehicle within which lines and areas of the vector map are read, as the stream map; none is "
        "read by default"
    )
}
SAME = 1e-6  # m: vertices of a sample and of its files that are the same; float64 in the city is off by less
OTHER_SIDE = {"left": "right", "right": "left", "": ""}
Record = Sequence[MapElement]


def map_range_of(options: LogOptions) -> float | None:
    """Metres of ``log.map_range``; None where no map is asked for.

    Raises:
        ConfigError: it is no length.
    """
    value = getattr(options, "map_range", None)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not (math.isfinite(value) and value > 0):
        raise ConfigError(f"log.map_range: expected metres above 0, got {value!r}")
    return float(value)


class VectorMap:
    """The map of a log, or of a place, in coordinates of its own.

    Args:
        records: the lines and areas of every record, (k, 3) metres, z up.
    """

    def __init__(self, records: Sequence[Record]):
        self.records = [list(r) for r in records if any(len(p) for e in r for p in e.parts)]

    @cached_property
    def _outlines(self) -> list[list[tuple[np.ndarray, bool]]]:
        """Of every record its outlines (k, 2), and whether each is closed."""
        return [[(p[:, :2], e.closed) for e in r for p in e.parts if len(p)] for r in self.records]

    @cached_property
    def _bounds(self) -> np.ndarray:
        """(records, 4) least x, y and largest x, y."""
        joined = [np.concatenate([p for p, _ in outlines]) for outlines in self._outlines]
        return np.array([[*xy.min(0), *xy.max(0)] for xy in joined]).reshape(-1, 4)

    def near(self, xy: np.ndarray, metres: float) -> list[int]:
        """Numbers of the records that come within a horizontal distance of a place, or have it in an area of theirs."""
        outside = np.maximum(0, np.maximum(self._bounds[:, :2] - xy, xy - self._bounds[:, 2:]))
        close = np.flatnonzero(np.hypot(*outside.T) <= metres + TIE)
        return [i for i in close.tolist() if distance(self._outlines[i], xy) <= metres + TIE]

    def stream(self, T_map_ref: Tensor, time: int, metres: float) -> MapElements:
        """What comes within a distance of the reference frame's origin, in the reference frame.

        Args:
            T_map_ref: (4, 4). time: ns, of the stream's item. metres: horizontal, of the map.
        """
        T = T_map_ref.detach().numpy()
        near = self.near(T[:2, 3], metres)
        stream = MapElements.of((e for i in near for e in self.records[i]), frame=REF, time=time)
        xyz = (stream.values["xyz"].numpy() - T[:3, 3]) @ T[:3, :3]
        return stream.with_values(xyz=torch.from_numpy(xyz))

    def moved(self, W: np.ndarray) -> VectorMap:
        """The map after a similarity W (4, 4) of its coordinates; left and right change places in a mirror."""
        mirrored = np.linalg.det(W[:3, :3]) < 0
        return VectorMap(
            [
                [
                    replace(
                        e,
                        parts=[p @ W[:3, :3].T + W[:3, 3] for p in e.parts],
                        side=OTHER_SIDE.get(e.side, e.side) if mirrored else e.side,
                    )
                    for e in record
                ]
                for record in self.records
            ]
        )


def distance(outlines: Sequence[tuple[np.ndarray, bool]], xy: np.ndarray) -> float:
    """Horizontal distance of a place (2,) from lines and outlines of areas; 0 within an area."""
    nearest, crossings = np.inf, 0
    for points, closed in outlines:
        a = points - xy
        b = np.roll(a, -1, axis=0)
        if closed:  # edges that a ray along +x meets
            over = (a[:, 1] > 0) != (b[:, 1] > 0)
            rise = np.where(over, b[:, 1] - a[:, 1], 1.0)
            crossings += int((over & (a[:, 0] - a[:, 1] * (b[:, 0] - a[:, 0]) / rise > 0)).sum())
        elif len(points) > 1:
            a, b = a[:-1], b[:-1]
        along = b - a
        square = (along**2).sum(1)
        share = np.clip(-(a * along).sum(1) / np.where(square > 0, square, 1.0), 0.0, 1.0)
        nearest = min(nearest, float(np.hypot(*(a + share[:, None] * along).T).min()))
    return 0.0 if crossings % 2 else nearest


def needs_map(sample: Sample, metres: float | None, expected: str) -> Sample:
    """The sample, of which a map is there if one was asked for, from the format's own files or from a sidecar.

    Raises:
        DataError: none is there; ``expected`` names the file.
    """
    if metres is not None and MAP not in sample.streams:
        raise DataError(f"log.map_range: sample {sample.id!r} has no map: expected {expected}; add it, or leave the "
                        f"option out")  # fmt: skip
    return sample


def holds(files: MapElements | None, stream: Any) -> bool:
    """Whether what is read from the files of an output is the map of a sample; what is not goes to the sidecar.

    Args:
        files: as the files give it; None where they give none. stream: of the sample.
    """
    if files is None or not isinstance(stream, MapElements) or len(stream) != 1:
        return False
    if set(files.values) != set(stream.values) or files.rows != stream.rows or files.frame != stream.frame:
        return False
    for name, mine in files.values.items():
        theirs = stream.values[name]
        if name == "xyz":
            if mine.shape != theirs.shape or not bool(((mine - theirs).abs() <= SAME).all()):
                return False
        elif not bool((np.asarray(mine) == np.asarray(theirs)).all()):
            return False
    return bool((files.capture_times == stream.capture_times).all())


__all__ = ["MAP", "MAP_OPTIONS", "VectorMap", "holds", "map_range_of", "needs_map"]
