"""What a motion of the scene does to a vector map, besides moving its vertices."""

from __future__ import annotations

import numpy as np

from fusion_aug.core.registry import Call, handles
from fusion_aug.streams import MapElements
from fusion_aug.streams.families import Scene
from fusion_aug.transforms.scene.maps import SceneMaps
from fusion_aug.transforms.scene.rules import move_columns

OTHER = {"left": "right", "right": "left"}


@handles(Scene, MapElements)
def move_map(stream: MapElements, call: Call) -> MapElements:
    """Vertices follow the scene in their order; after a mirror what was left of a lane is right of it.

    That holds whichever axis a mirror turns round, since left and right are meant in the lane's own direction.
    """
    moved, sides = move_columns(stream, call), swapped_sides_of_lanes(stream, call)
    return moved if sides is None else moved.with_values(side=sides)  # type: ignore[return-value]


def swapped_sides_of_lanes(stream: MapElements, call: Call) -> np.ndarray | None:
    """The column ``side`` after the mirrors of the samples; None where it stays or there is none."""
    maps: list[SceneMaps] = call.family_state
    if "side" not in stream.values or not any(m.flips_images for m in maps):
        return None
    mirrored = np.array([m.flips_images for m in maps])[stream.sample_index[stream.row_item].numpy()]
    sides = np.array(stream.values["side"])
    swapped = sides.copy()
    for side, other in OTHER.items():
        swapped[(sides == side) & mirrored] = other
    return swapped
