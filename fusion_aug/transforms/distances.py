"""Transforms that see the distances of what pictures show."""

from __future__ import annotations

from dataclasses import dataclass

from fusion_aug.core.transform import Transform
from fusion_aug.sample.networks import Network


@dataclass(frozen=True, kw_only=True)
class SeesDistances(Transform, abstract=True):
    """A change by the distance of every pixel: of a Depth stream of the camera, else of LiDAR and picture together.

    Attributes:
        depth: network of inverse depth in the place of the latter: FILE.onnx, or a mapping (docs/weather.md).
        sky: network that tells the probability of sky: the same.
        refine: whether distances end where things end, to the pixel; without it that takes an eighth of the time.
    """

    depth: Network | None = None
    sky: Network | None = None
    refine: bool = True
