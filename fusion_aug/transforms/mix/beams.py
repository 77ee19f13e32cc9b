"""``MixBeams``: bands of beams of LiDARs from another sample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from calib.ties import cell_of
from fusion_aug.core.ranges import Range, draw
from fusion_aug.core.strength import Strengths
from fusion_aug.sample import Sample
from fusion_aug.streams import Lidar
from fusion_aug.transforms.mix.beam_objects import divided
from fusion_aug.transforms.mix.beam_scans import Half, ScanPair, joined_scans, scan_pairs
from fusion_aug.transforms.mix.lidar_only import LidarMix, joined_labels, without_others


@dataclass(frozen=True, kw_only=True)
class MixBeams(LidarMix):
    """Bands of elevation, or blocks of the range image, in turn from a sample and its donor (LaserMix, Kong 2023).

    Bands part the elevations of a scan evenly, from its lowest to its highest ring, as its own scanner sees them;
    blocks part them once more by azimuth, as a chessboard. A ring and a column, the time between two firings, is a
    cell, and the returns of a cell come from one sample. Boxes are never cut: those whose cells overlap, of both
    samples, are kept or given up together, with all their returns.

    Attributes:
        bands: how many bands, a whole number after rounding.
        blocks: how many blocks each band has around; 1 for whole bands.
    """

    bands: Range = (3.0, 6.0)
    blocks: Range = 1.0

    limits: ClassVar[dict[str, tuple[float, float]]] = {"bands": (1.0, 64.0), "blocks": (1.0, 64.0)}
    strengths: ClassVar[Strengths] = {
        "bands": "how fine the parts are, half is another's with any; p is how often",
        "blocks": "how fine the parts are, half is another's with any; p is how often",
    }
    example: ClassVar[dict[str, Any]] = {"bands": [3, 6], "cameras": "drop", "captions": "drop"}

    def plan(self, rng: np.random.Generator, sample: Sample, donor: Sample) -> dict[str, Any] | str:
        """How many bands and blocks, where the first block begins, and whose the first is."""
        bands, blocks = (round(draw(v, rng)) for v in (self.bands, self.blocks))
        phase, first = float(rng.random()), bool(rng.random() < 0.5)
        told = {"cameras": self.cameras, "captions": self.captions}
        return {"bands": bands, "blocks": blocks, "phase": phase, "donor_first": first, **told}

    @classmethod
    def mixed(cls, sample: Sample, donor: Sample, params: Mapping[str, Any]) -> Sample:
        """The sample with the donor's bands."""
        streams = without_others(cls.__name__, sample.streams, params)
        pairs = list(scan_pairs(sample, donor))
        division = divided(sample, donor, pairs, lambda pair: chessboard(pair, params))
        parts: dict[str, list[Any]] = {}
        for pair, grid in zip(pairs, division.grids, strict=True):
            comes = np.zeros(0, bool) if pair.other is None else of_donor(grid, pair.other)
            parts.setdefault(pair.name, []).append((pair, ~of_donor(grid, pair.own), comes))
        for name, own in parts.items():
            cloud = sample[name]
            assert isinstance(cloud, Lidar)
            streams[name] = joined_scans(cloud, own)
        stay, come = torch.from_numpy(division.stay), torch.from_numpy(division.come)
        return sample.with_streams({**streams, **joined_labels(sample, donor, None, stay, come)})


def chessboard(pair: ScanPair, params: Mapping[str, Any]) -> np.ndarray:
    """(rings, columns) bool, True where a cell is the donor's; rings without returns are the receiver's.

    Args:
        pair: of scans. params: ``bands``, ``blocks``, ``phase`` and ``donor_first``.
    """
    low, high = np.nanmin(pair.elevations, initial=np.inf), np.nanmax(pair.elevations, initial=-np.inf)
    there = np.isfinite(pair.elevations)
    share = (
        (np.where(there, pair.elevations, low) - low) / max(high - low, 1e-9) if there.any() else np.zeros(len(there))
    )
    band = np.minimum(cell_of(share * params["bands"]), params["bands"] - 1)
    along = np.arange(pair.columns) / pair.columns + params["phase"]
    block = cell_of(along * params["blocks"]) % params["blocks"]
    board: np.ndarray = (band % 2 == 1)[:, None] ^ ((block + params["donor_first"]) % 2 == 1)
    board[~there] = False
    return board


def of_donor(grid: np.ndarray, half: Half) -> np.ndarray:
    """(n,) bool, returns of a scan in cells that are the donor's; columns are worked out where a ring has both.

    Args:
        grid: (rings, columns) bool. half: the scan.
    """
    every, some = grid.all(1), grid.any(1)
    out: np.ndarray = np.append(every, False)[half.ring]  # the last is of returns without a place
    if (some & ~every).any():
        rows = np.append(some & ~every, False)[half.ring].nonzero()[0]
        out[rows] = grid[half.ring[rows], half.column_of(rows)]
    return out
