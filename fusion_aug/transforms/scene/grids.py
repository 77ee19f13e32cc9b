"""What a motion of the scene does to grids of cells."""

from __future__ import annotations

from typing import Any

from fusion_aug.core.registry import Call, handles
from fusion_aug.sample import Sample
from fusion_aug.streams import Occupancy
from fusion_aug.streams.families import Scene
from fusion_aug.streams.occupancy import grid_refusal
from fusion_aug.transforms.scene.rules import motion_per_item

NOT_HELD = {"scale": "scale", "box_tilt": "roll or pitch"}  # effect of a transform -> what no grid holds of it


@handles(Scene, Occupancy)
def move_grids(stream: Occupancy, call: Call) -> Occupancy:
    """Grids take the motion in as pending; they are resampled once.

    Raises:
        UnhandledStream: the motion holds a scale, roll or pitch.
    """
    motion = motion_per_item(call.family_state, stream.frame, stream)
    return stream if motion is None else stream.moved(motion.matrix.expand(len(stream), 4, 4), call.name)


def grids_to_refuse(transform: Any, sample: Sample) -> str:
    """Why the grids of a sample cannot follow what a transform may bring; empty where they can."""
    grids, effects = list(sample.of_type(Occupancy)), transform.effects()
    found = [f"{effects[e]}: {grid_refusal(grids[0], kind)}" for e, kind in NOT_HELD.items() if grids and e in effects]
    return "; ".join(found)
